"""The REST client and `connectra import` against a small HTTP server that stands in for gateway and object store."""

import json
import os
import random
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from connectra_client import rest
from connectra_client.cli import app
from connectra_client.commands.transfer import fetch_file, fetch_files
from connectra_client.connection import Connection
from connectra_client.errors import ApiError, ClientError, Unreachable
from connectra_client.exit_codes import ExitCode
from connectra_client.files import arriving
from connectra_client.rest import Job, RestClient
from typer.testing import CliRunner, Result

from tests.support.stack import Completed, program

UUID = "6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11"
STORE_REFUSAL = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


@dataclass
class Scene:
    """What the server received, and what it should answer."""

    url: str = ""
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    jobs: list[dict[str, Any] | bytes] = field(default_factory=list)
    """Answers to GET of the job, in turn: a job, {} for a 503, or bytes for a body as it is; the last one is repeated."""
    store_status: int = 200
    store_body: bytes = b"x" * 700_000
    polled: threading.Event = field(default_factory=threading.Event)
    refusals: list[int] = field(default_factory=list)
    """Statuses with which calls of the API are answered before any succeeds."""
    # Of the upload in parts: what it was begun with, what has arrived by part, and how a part fails first: by a status, or 0
    # for a connection that breaks.
    upload: dict[str, Any] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)
    failing: dict[int, list[int]] = field(default_factory=dict)
    hangs: bool = False
    """Whether parts are taken, but never acknowledged."""
    hanging: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    breaks_at: list[int] = field(default_factory=list)
    """Bytes after which the connection of each download breaks, in turn."""
    used_up: bool = False
    """Whether a download URL has expired when it is used again."""
    links: int = 0

    def sent(self, path: str) -> list[bytes]:
        """The bodies that a path was sent."""
        return [body for _, requested, _, body in self.requests if requested.partition("?")[0] == path]


@pytest.fixture
def scene() -> Iterator[Scene]:
    state = Scene()

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            state.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if path.startswith("/part/"):
                return self.part(int(path.rpartition("/")[2]), body)
            if state.used_up and [p for _, p, _, _ in state.requests].count(self.path) > 1 and path == "/store":
                return self.answer(403, STORE_REFUSAL)
            if path == "/store" and self.command == "GET" and state.store_status == 200:
                return self.object(self.headers.get("Range"))
            if path == "/store":
                return self.answer(state.store_status, state.store_body if state.store_status == 200 else STORE_REFUSAL)
            if self.headers.get("X-API-Key") != "key":
                return self.answer(401, {"message": "invalid API key", "error_code": "UNAUTHORIZED"})
            if state.refusals:
                return self.answer(state.refusals.pop(0), {"message": "not now"}, retry_after="0")
            if path == "/health/db":
                return self.answer(200, {"status": "ok", "checks": {}})
            if path == "/common/uploads":
                state.upload |= {"size_bytes": json.loads(body)["size_bytes"], "completed": False}
                return self.answer(201, state.upload)
            if path == "/common/uploads/1/parts" and self.command == "POST":
                numbers = json.loads(body)["part_numbers"]
                urls = [{"part_number": n, "upload_url": f"{state.url}/part/{n}"} for n in numbers]
                return self.answer(200, {"parts": urls})
            if path == "/common/uploads/1/parts":
                sent = [
                    {"part_number": n, "size_bytes": len(p), "etag": f'"{md5(p).hexdigest()}"'}
                    for n, p in state.parts.items()
                ]
                return (
                    self.answer(200, {**state.upload, "parts": sent})
                    if state.upload
                    else self.answer(404, {"message": "not sent"})
                )
            if path == "/common/uploads/1/complete":
                state.upload["completed"] = True
                return self.answer(200, {"s3_key": state.upload["s3_key"]})
            if path == "/common/upload-url":
                return self.answer(200, {"upload_url": f"{state.url}/store", "s3_key": "uploads/1_a.csv"})
            if path == "/common/jobs/create":
                return self.answer(201, {"data": {"uuid": "job-1"}, "success": True})
            if path == "/common/jobs/job-1":
                state.polled.set()
                found = state.jobs.pop(0) if len(state.jobs) > 1 else state.jobs[0]
                if not found:
                    return self.answer(503, {"message": "not available"})
                return self.answer(200, found if isinstance(found, bytes) else {"data": found})
            if path == "/common/jobs/job-1/files":
                state.links += 1
                file = {"size_bytes": len(state.store_body), "download_url": f"{state.url}/store?link={state.links}"}
                keys = {
                    "source": f"uploads/{UUID}_in.csv",
                    "result": f"uploads/{UUID}.csv",
                    "rejected": f"uploads/{UUID}.rejected.csv",
                }
                return self.answer(200, {"data": [{"kind": kind, "s3_key": key, **file} for kind, key in keys.items()]})
            return self.answer(404, {"message": "not found", "error_code": "NOT_FOUND"})

        do_GET = do_POST = do_PUT = do

        def part(self, number: int, body: bytes) -> None:
            if state.hangs:
                state.hanging.set()
                state.ended.wait()
                self.close_connection = True
                return None
            if failures := state.failing.get(number):
                if status := failures.pop():
                    return self.answer(status, STORE_REFUSAL)
                self.close_connection = True
                return None
            state.parts[number] = body
            return self.answer(200, b"")

        def object(self, wanted: str | None) -> None:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            data = state.store_body[begin:]
            cut = data[: state.breaks_at.pop(0)] if state.breaks_at else data
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{md5(state.store_body).hexdigest()}"')
            self.end_headers()
            self.wfile.write(cut)
            self.close_connection = True

        def answer(self, status: int, body: Any, **headers: str) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(scene: Scene) -> Iterator[RestClient]:
    with RestClient(Connection(scene.url, "key")) as open_client:
        yield open_client


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    file = tmp_path / "a.csv"
    file.write_bytes(b"first_name,last_name\n" + b"Ada,Lovelace\n" * 60_000)
    return file


def job(status: str, **response: Any) -> dict[str, Any]:
    progress = {"rows": 10, "bytes": 100, "total_bytes": 200}
    at = "2026-01-01T00:00:00.000000Z"
    return {"uuid": "job-1", "job_type": "insert_csv_file", "data": {}, "status": status, "retry_count": 0, "attempts": 1,
            "run_after": None, "created_at": at, "updated_at": at, "progress": progress, "job_response": response}  # fmt: skip


def command(scene: Scene, *arguments: str) -> list[str]:
    return [program("connectra"), *arguments, "--url", scene.url, "--api-key", "key"]


def run(scene: Scene, *arguments: str) -> Completed:
    return subprocess.run(command(scene, *arguments), capture_output=True, text=True, check=False, timeout=60)


def test_an_upload_is_streamed_with_its_length_and_without_the_key(
    scene: Scene, client: RestClient, csv_file: Path
) -> None:
    moved: list[int] = []
    assert client.upload(csv_file, moved.append) == "uploads/1_a.csv"
    assert scene.requests[0][1] == "/common/upload-url?filename=a.csv"
    method, _, headers, body = scene.requests[1]
    assert (method, body) == ("PUT", csv_file.read_bytes())
    assert headers["content-length"] == str(csv_file.stat().st_size)
    assert "transfer-encoding" not in headers
    assert "x-api-key" not in headers
    assert len(moved) > 1
    assert sum(moved) == len(body)


def test_what_no_request_can_hold_is_told(client: RestClient) -> None:
    for query in ({"q": "\udcff"}, {"where": {"range_query": {"must": {"employees_count": {"gte": float("nan")}}}}}):
        with pytest.raises(ClientError, match="cannot be sent"):
            client.search("contacts", query)
    for key in ("schlüssel", "two\nlines"):
        with pytest.raises(ClientError, match="cannot be sent") as refused:
            client.create("contacts", {}, idempotency_key=key)
        assert not refused.value.transient


def test_an_id_that_is_no_text_is_for_the_server_to_refuse(scene: Scene, client: RestClient) -> None:
    scene.refusals = [404]
    with pytest.raises(ApiError):
        client.record("contacts", "\udcff")
    assert scene.requests[-1][1] == "/contacts/%3F"


def test_what_the_store_says_is_told(scene: Scene, client: RestClient, csv_file: Path) -> None:
    scene.store_status = 403
    with pytest.raises(ApiError, match=r"object store refused \(HTTP 403\): Request has expired"):
        client.upload(csv_file)


def test_a_download_replaces_the_file_only_when_it_is_whole(scene: Scene, client: RestClient, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("before")
    scene.store_status = 403
    with pytest.raises(ApiError):
        client.download(f"{scene.url}/store", out)
    assert out.read_text() == "before"
    scene.store_status = 200
    client.download(f"{scene.url}/store", out)
    assert out.read_bytes() == scene.store_body
    assert list(tmp_path.iterdir()) == [out]


def test_a_download_goes_on_where_its_connection_broke(scene: Scene, client: RestClient, tmp_path: Path) -> None:
    scene.store_body = random.Random(5).randbytes(900_000)
    scene.breaks_at = [300_000, 200_000]
    moved: list[int] = []
    out = tmp_path / "out.csv"
    client.download(f"{scene.url}/store", out, moved.append)
    assert out.read_bytes() == scene.store_body
    assert sum(moved) == 900_000
    ranges = [headers.get("range") for _, path, headers, _ in scene.requests if path == "/store"]
    assert [wanted for wanted in ranges if wanted] == ["bytes=300000-", "bytes=500000-"]
    assert list(tmp_path.iterdir()) == [out]


def test_a_download_whose_url_has_expired_goes_on_by_a_new_one(
    scene: Scene, client: RestClient, tmp_path: Path
) -> None:
    scene.store_body = random.Random(5).randbytes(900_000)
    scene.used_up, scene.breaks_at = True, [300_000, 200_000]
    fetch_files(client, "job-1", ["result"], tmp_path)
    assert (tmp_path / f"{UUID}.csv").read_bytes() == scene.store_body
    assert scene.links == 3
    # What is refused whatever the URL is asked for twice and no more.
    scene.store_status, scene.links = 403, 0
    with pytest.raises(ApiError, match="Request has expired"):
        fetch_files(client, "job-1", ["rejected"], tmp_path)
    assert scene.links == 2


def test_a_download_that_was_given_up_goes_on_next_time(
    scene: Scene, client: RestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.breaks_at = [300_000]
    out = tmp_path / "out.csv"
    with monkeypatch.context() as patched:
        patched.setattr("connectra_client.files.persist", lambda call: call())
        with pytest.raises(Unreachable):
            client.download(f"{scene.url}/store", out)
    assert [file.stat().st_size for file in tmp_path.iterdir()] == [300_000]
    client.download(f"{scene.url}/store", out)
    assert scene.requests[-1][2]["range"] == "bytes=300000-"
    assert out.read_bytes() == scene.store_body
    # Of another version of the object nothing is taken.
    part = out.rename(tmp_path / "out.csv.0000000.part")
    client.download(f"{scene.url}/store", out)
    assert "range" not in scene.requests[-1][2]
    part.unlink()


@pytest.fixture
def in_parts(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of more than 1,000 bytes go up in parts of 100,000 each."""
    monkeypatch.setattr(rest, "ONE_PUT_BYTES", 1_000)
    scene.upload = {"upload_id": "1", "s3_key": "uploads/1_a.csv", "part_size": 100_000}


@pytest.mark.usefixtures("in_parts")
def test_a_large_file_goes_up_in_parts_and_what_fails_goes_again(
    scene: Scene, client: RestClient, csv_file: Path
) -> None:
    scene.failing = {1: [0], 4: [503, 0], 6: [403]}  # broken, busy, and with a URL that has expired
    moved: list[int] = []
    begun: list[str] = []
    assert client.upload(csv_file, moved.append, begun=begun.append) == "uploads/1_a.csv" == begun[0]
    assert b"".join(scene.parts[number] for number in sorted(scene.parts)) == csv_file.read_bytes()
    assert sum(moved) == csv_file.stat().st_size
    assert scene.upload["completed"] is True
    puts = [(path, headers) for verb, path, headers, _ in scene.requests if verb == "PUT"]
    assert len(puts) == len(scene.parts) + 4
    assert not [path for path, headers in puts if "x-api-key" in headers]


@pytest.mark.usefixtures("in_parts")
def test_an_interrupted_upload_sends_only_what_the_store_does_not_have(
    scene: Scene, client: RestClient, csv_file: Path
) -> None:
    data = csv_file.read_bytes()
    scene.upload |= {"size_bytes": len(data), "completed": False}
    scene.parts = {1: data[:100_000], 2: b"?" * 100_000, 3: b"short"}
    moved: list[int] = []
    assert client.upload(csv_file, moved.append, resume="uploads/1_a.csv") == "uploads/1_a.csv"
    assert b"".join(scene.parts[number] for number in sorted(scene.parts)) == data
    assert sum(moved) == len(data)
    assert "/part/1" not in [path for _, path, _, _ in scene.requests]
    # Once it is complete, there is nothing to send.
    before = len(scene.requests)
    assert client.upload(csv_file, resume="uploads/1_a.csv") == "uploads/1_a.csv"
    assert len(scene.requests) == before + 1


@pytest.mark.usefixtures("in_parts")
def test_an_upload_goes_on_only_with_its_own_file(scene: Scene, client: RestClient, csv_file: Path) -> None:
    scene.upload |= {"size_bytes": 5, "completed": False}
    with pytest.raises(ClientError, match="the upload was begun with a file of 5: import it without --resume"):
        client.upload(csv_file, resume="uploads/1_a.csv")
    scene.upload = {}
    with pytest.raises(ClientError, match="there is no upload"):
        client.upload(csv_file, resume="uploads/1_a.csv")


def test_a_job_is_made_once_however_often_it_has_to_be_asked_for(scene: Scene, client: RestClient) -> None:
    scene.refusals = [429, 503]
    assert client.create_job("insert_csv_file", {"s3_key": "a"}, idempotency_key="one") == "job-1"
    keys = [headers["idempotency-key"] for _, path, headers, _ in scene.requests if path == "/common/jobs/create"]
    assert keys == ["one"] * 3
    scene.refusals = [503]
    with pytest.raises(ApiError, match="not now"):
        client.create_job("insert_csv_file", {"s3_key": "a"})


def test_an_import_says_its_key_first_and_how_to_go_on_when_it_fails(scene: Scene, csv_file: Path) -> None:
    scene.store_status = 403
    done = run(scene, "import", str(csv_file))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "key uploads/1_a.csv"
    assert done.stdout == ""
    assert f"connectra import {csv_file} --url {scene.url} --resume uploads/1_a.csv" in done.stderr


def test_an_import_that_goes_on_is_the_same_import(scene: Scene, csv_file: Path) -> None:
    scene.store_status = 403
    options = ["--dry-run", "--max-rejected", "2%", "--map", "Rank=title", "--map", "Notes=", "--retries", "2"]
    done = run(scene, "import", str(csv_file), *options, "--no-watch")
    again = shlex.split(done.stderr.partition("to go on with what was sent: ")[2].splitlines()[0])
    assert again[:2] == ["connectra", "import"]
    assert again[2:-4] == [str(csv_file), *options, "--no-watch"]
    assert again[-4:] == ["--url", scene.url, "--resume", "uploads/1_a.csv"]


def test_an_upload_that_is_not_there_is_not_one_to_go_on_with(scene: Scene, csv_file: Path) -> None:
    done = run(scene, "import", str(csv_file), "--resume", "uploads/2_b.csv")
    assert "there is no upload" in done.stderr
    assert "to go on with what was sent" not in done.stderr


def test_fetch_saves_the_files_of_a_job_under_their_names(scene: Scene, tmp_path: Path) -> None:
    scene.jobs = [job("completed")]
    for options, names in (
        ([], {f"{UUID}.csv", f"{UUID}.rejected.csv"}),
        (["--source"], {"in.csv"}),
        (["--result"], {f"{UUID}.csv"}),
        (["--all"], {"in.csv", f"{UUID}.csv", f"{UUID}.rejected.csv"}),
    ):
        folder = tmp_path / "".join(options)
        folder.mkdir(exist_ok=True)
        done = run(scene, "jobs", "fetch", "job-1", *options, "-o", str(folder))
        assert done.returncode == 0, done.stderr
        files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
        assert files == dict.fromkeys(names, scene.store_body)


def test_a_file_is_written_into_a_pipe_and_behind_a_symbolic_link(
    scene: Scene, client: RestClient, tmp_path: Path
) -> None:
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    scene.store_body = b"rows"  # the reader's own pipe has room for them
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        fetch_file(client, cast(Job, job("completed")), "result", pipe)
        if not pipe.is_fifo():
            reader.kill()
        assert reader.communicate()[0] == scene.store_body
    target.touch()
    link.symlink_to(target)
    client.download(f"{scene.url}/store", link)
    assert (link.readlink(), target.read_bytes()) == (target, scene.store_body)


def test_rows_are_written_into_a_pipe_and_behind_a_symbolic_link(tmp_path: Path) -> None:
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    link.symlink_to(target)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        for file in (pipe, link):
            with arriving(file) as out:
                out.write(b"rows")
        if not pipe.is_fifo():
            reader.kill()
        assert reader.communicate()[0] == b"rows"
    assert (link.readlink(), target.read_bytes()) == (target, b"rows")


def test_nobody_there_and_a_wrong_key_are_told_apart(scene: Scene) -> None:
    with RestClient(Connection(scene.url, "wrong")) as client, pytest.raises(ApiError, match="invalid API key"):
        client.job("job-1")
    with RestClient(Connection("http://127.0.0.1:1", "key")) as client, pytest.raises(Unreachable, match=r"0\.1:1 "):
        client.job("job-1")


def test_an_answer_from_another_kind_of_server_is_told(scene: Scene, client: RestClient) -> None:
    scene.jobs = [b"<html>"]
    with pytest.raises(ClientError, match="does not answer like a Connectra server"):
        client.job("job-1")


def test_import_shows_the_result_and_fetches_the_rejected_rows(scene: Scene, csv_file: Path) -> None:
    scene.jobs = [job("open"), job("processing"), job("completed", rows=60_000, rejected=2, rejected_s3_key="r.csv")]
    done = run(scene, "import", str(csv_file))
    assert done.returncode == 0, done.stderr
    for part in ("completed", "60,000", "r.csv"):
        assert part in done.stdout
    assert csv_file.with_name("a.rejected.csv").read_bytes() == scene.store_body
    created = json.loads(next(body for _, path, _, body in scene.requests if path == "/common/jobs/create"))
    assert created["job_type"] == "insert_csv_file"
    assert created["job_data"] == {"s3_key": "uploads/1_a.csv"}


def test_a_server_that_is_away_for_a_moment_does_not_end_the_watching(scene: Scene, csv_file: Path) -> None:
    scene.jobs = [job("processing"), {}, {}, job("completed", rows=60_000)]
    done = run(scene, "import", str(csv_file))
    assert done.returncode == 0, done.stderr
    assert "completed" in done.stdout


def test_a_failed_import_shows_why_and_ends_with_a_code_of_its_own(scene: Scene, csv_file: Path) -> None:
    scene.jobs = [job("failed", runtime_errors=["no known column"])]
    done = run(scene, "import", str(csv_file))
    assert done.returncode == ExitCode.JOB_FAILED
    assert "no known column" in done.stdout


def test_import_without_watching_says_how_to_watch(scene: Scene, csv_file: Path) -> None:
    done = run(scene, "import", str(csv_file), "--no-watch")
    assert done.returncode == 0
    assert done.stdout == "uuid\tjob-1\n"
    assert "connectra jobs watch job-1" in done.stderr
    assert not scene.polled.is_set()


def test_ctrl_c_leaves_the_job_alone_and_says_how_to_get_back(scene: Scene, csv_file: Path) -> None:
    scene.jobs = [job("processing")]
    # A run in the background ignores Ctrl-C, and what it starts would too.
    process = subprocess.Popen(
        command(scene, "import", str(csv_file)),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert scene.polled.wait(30)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "connectra jobs watch job-1" in said
    assert "connectra jobs cancel job-1" in said
    assert "Traceback" not in said
    assert not [path for _, path, _, _ in scene.requests if path.endswith("/cancel")]


def test_ctrl_c_ends_an_upload_at_once_and_says_how_to_go_on(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "my people.csv"
    with file.open("wb") as out:
        out.truncate(65 * 1024 * 1024)
    scene.hangs = True
    scene.upload = {"upload_id": "1", "s3_key": "uploads/1_my people.csv", "part_size": 8 * 1024 * 1024}
    process = subprocess.Popen(
        command(scene, "import", str(file)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert scene.hanging.wait(30)
    os.kill(process.pid, signal.SIGINT)
    shown, said = process.communicate(timeout=30)
    assert process.returncode != 0
    assert said.splitlines()[0] == "key uploads/1_my people.csv"
    assert shown == ""
    assert f"connectra import '{file}' --url {scene.url} --resume 'uploads/1_my people.csv'" in said
    assert "Traceback" not in said


def test_export_writes_the_file_the_job_made(scene: Scene, tmp_path: Path) -> None:
    scene.jobs = [job("completed", rows=3, s3_key="result.csv")]
    out = tmp_path / "out.csv"
    done = run(scene, "export", "contacts", "-c", "uuid, email", "-o", str(out), "--where", '{"keyword_match": {}}')
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == scene.store_body
    created = json.loads(next(body for _, path, _, body in scene.requests if path == "/common/jobs/create"))
    vql = {"select_columns": ["uuid", "email"], "where": {"keyword_match": {}}}
    assert created["job_data"] == {"service": "contact", "vql": vql}
    assert done.stdout == ""


def test_export_to_stdout_is_the_file_and_nothing_else(scene: Scene, tmp_path: Path) -> None:
    scene.store_body = b"uuid\n1\n2\n"
    scene.jobs = [job("completed", rows=2, s3_key="result.csv")]
    done = subprocess.run(
        command(scene, "export", "contacts", "-c", "uuid", "-o", "-"),
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "uuid\n1\n2\n"), done.stderr
    assert "completed" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_import_reads_stdin(scene: Scene, tmp_path: Path) -> None:
    scene.jobs = [job("completed", rows=1, rejected=1, rejected_s3_key="r.csv")]
    done = subprocess.run(
        command(scene, "import", "-", "--json"),
        cwd=tmp_path, input="first_name\nAda\n", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert scene.sent("/store")[0] == b"first_name\nAda\n"
    assert json.loads(done.stdout)["job_response"]["rows"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["stdin.rejected.csv"]


def test_a_fetched_file_can_go_to_stdout(scene: Scene) -> None:
    scene.store_body = b"line,reason\n"
    scene.jobs = [job("completed")]
    done = run(scene, "jobs", "fetch", "job-1", "--rejected", "-o", "-")
    assert (done.returncode, done.stdout) == (0, "line,reason\n"), done.stderr
    several = run(scene, "jobs", "fetch", "job-1", "-o", "-")
    assert several.returncode == ExitCode.USAGE
    assert "--rejected" in several.stderr


def test_exit_codes_tell_what_is_wrong(scene: Scene) -> None:
    assert run(scene, "jobs", "show", "absent").returncode == ExitCode.NOT_FOUND
    wrong = [program("connectra"), "jobs", "show", "job-1", "--url", scene.url, "--api-key", "wrong"]
    refused = subprocess.run(wrong, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == ExitCode.NOT_ALLOWED
    assert refused.stderr == f"invalid API key ({scene.url})\n"
    nobody = [program("connectra"), "jobs", "show", "job-1", "--url", "http://127.0.0.1:1", "--api-key", "key"]
    assert subprocess.run(nobody, capture_output=True, check=False, timeout=60).returncode == ExitCode.UNREACHABLE
    assert run(scene, "jobs", "show").returncode == ExitCode.USAGE


def test_a_server_is_logged_in_to_once_and_used_by_name(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CONNECTRA_URL", "CONNECTRA_API_KEY", "CONNECTRA_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("CONNECTRA_HOME", str(tmp_path))

    def terminal(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin, prog_name="connectra")

    wrong = terminal("login", scene.url, "--api-key", "wrong")
    assert (wrong.exit_code, list(tmp_path.iterdir())) == (ExitCode.NOT_ALLOWED, [])
    done = terminal("login", scene.url, "-p", "staging", stdin="key\n")
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    assert str(tmp_path / "connectra" / "profiles.json") in done.stderr
    assert "key\n" not in done.stderr
    scene.jobs = [job("completed")]
    assert terminal("jobs", "show", "job-1").exit_code == 0
    assert terminal("profiles", "list", "-o", "name").stdout.split() == ["local", "staging"]
    terminal("profiles", "use", "local")
    assert terminal("jobs", "show", "job-1").exit_code == ExitCode.NOT_ALLOWED
    assert terminal("jobs", "show", "job-1", "-p", "staging").exit_code == 0
    assert terminal("profiles", "use", "absent").exit_code == ExitCode.NOT_ALLOWED
    assert terminal("logout", "-p", "staging").exit_code == 0
    assert terminal("profiles", "list", "-o", "name").stdout.split() == ["local"]
