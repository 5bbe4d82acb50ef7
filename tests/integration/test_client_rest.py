"""The REST client and `connectra import` against a small HTTP server that stands in for gateway and object store."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from connectra_client.connection import Connection
from connectra_client.errors import ApiError, ClientError, Unreachable
from connectra_client.rest import RestClient

from tests.support.stack import Completed, program

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


@pytest.fixture
def scene() -> Iterator[Scene]:
    state = Scene()

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            state.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if path == "/store":
                return self.answer(state.store_status, state.store_body if state.store_status == 200 else STORE_REFUSAL)
            if self.headers.get("X-API-Key") != "key":
                return self.answer(401, {"message": "invalid API key", "error_code": "UNAUTHORIZED"})
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
                file = {"size_bytes": len(state.store_body), "download_url": f"{state.url}/store"}
                return self.answer(200, {"data": [{"kind": kind, **file} for kind in ("source", "result", "rejected")]})
            return self.answer(404, {"message": "not found", "error_code": "NOT_FOUND"})

        do_GET = do_POST = do_PUT = do

        def answer(self, status: int, body: Any) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
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
    return {"uuid": "job-1", "status": status, "retry_count": 0, "attempts": 1, "run_after": None,
            "progress": progress, "job_response": response}  # fmt: skip


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


def test_a_failed_import_shows_why_and_ends_with_1(scene: Scene, csv_file: Path) -> None:
    scene.jobs = [job("failed", runtime_errors=["no known column"])]
    done = run(scene, "import", str(csv_file))
    assert done.returncode == 1
    assert "no known column" in done.stdout


def test_import_without_watching_says_how_to_watch(scene: Scene, csv_file: Path) -> None:
    done = run(scene, "import", str(csv_file), "--no-watch")
    assert done.returncode == 0
    assert "connectra job watch job-1" in done.stdout
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
    assert "connectra job watch job-1" in said
    assert "connectra job cancel job-1" in said
    assert "Traceback" not in said
    assert not [path for _, path, _, _ in scene.requests if path.endswith("/cancel")]


def test_export_writes_the_file_the_job_made(scene: Scene, tmp_path: Path) -> None:
    scene.jobs = [job("completed", rows=3, s3_key="result.csv")]
    out = tmp_path / "out.csv"
    done = run(scene, "export", "contacts", "-c", "uuid, email", "-o", str(out), "--where", '{"keyword_match": {}}')
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == scene.store_body
    created = json.loads(next(body for _, path, _, body in scene.requests if path == "/common/jobs/create"))
    vql = {"select_columns": ["uuid", "email"], "where": {"keyword_match": {}}}
    assert created["job_data"] == {"service": "contact", "vql": vql}
