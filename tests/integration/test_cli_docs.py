"""The examples of docs/cli.md, which are those of `--help`, on the running services."""

import gzip
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from connectra_client.cli import app
from connectra_client.exit_codes import ExitCode
from connectra_client.plugins import Commands
from connectra_local.config import scripts_folder
from connectra_reference import cli_page
from typer.testing import CliRunner

from tests.support.stack import Stack
from tests.support.wait import until_now
from tests.support.words import word

# What examples of records and jobs are about.
CONTACT, COMPANY = "6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11", "00c5752b-4b70-5e55-a027-63ae68753a52"
# Commands that look at the suite itself or do something to it, do not end, or need another server; their own tests run them.
ELSEWHERE = re.compile(
    r"connectra (run|up|down|reset|logs|migrate|index|api-server|login|logout|profiles use|status|doctor|keys (add|update|rotate|revoke))\b"
    r"|connectra jobs (first_time|retry$)"
)
# Examples that are refused for what is stored here.
REFUSED = (
    (r"--if-version 42", ExitCode.CONFLICT),
    (r"connectra jobs (cancel|retry) ", ExitCode.CONFLICT),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


def shell(stack: Stack, folder: Path, script: str) -> "subprocess.CompletedProcess[str]":
    environment = {**stack.environment, "PATH": f"{scripts_folder()}:{stack.environment['PATH']}"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def session(stack: Stack, folder: Path) -> str:
    """What the first session of the page prints."""
    script = cli_page.HEAD.partition("```sh\n")[2].partition("```")[0]
    done = shell(stack, folder, script)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_session_does_what_it_says(session: str, folder: Path) -> None:
    assert "VP of Sales" in session
    assert "completed" in session
    exported = (folder / "sales.csv").read_text().splitlines()
    assert exported[0] == "email,first_name,company.name"
    assert len(exported) > 1


def examples() -> Iterator[str]:
    """Every example once, by the commands that have them."""

    def of(group: object) -> Iterator[str]:
        for command in group.commands.values():  # type: ignore[attr-defined]
            loaded = command.load() if hasattr(command, "load") else command
            if hasattr(loaded, "commands"):
                yield from of(loaded)
            else:
                lines = loaded.help.replace("\\[", "[").partition("\n\nExamples:\n")[2].splitlines()
                yield from (line.strip() for line in lines if line.strip())

    return of(Commands(name="connectra"))


@pytest.mark.usefixtures("session")
def test_every_example_runs(stack: Stack, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    mark = word()
    people = {"contacts": {"first_name": "Joe", "last_name": mark, "email": f"joe@{mark}.example"}}
    people["companies"] = {"name": f"{mark} inc"}
    stored = {
        "contacts": {"first_name": "Ann", "last_name": mark, "email": f"ann@{mark}.example"},
        "companies": {"name": f"{mark} gmbh"},
    }

    def run(line: str) -> tuple[int, str]:
        """As a shell would, but in this process, which saves a second each."""
        given = None
        for part in line.removesuffix(" | head").split(" | "):
            command, _, file = part.partition(" < ")
            program, *arguments = shlex.split(command)
            if program == "zcat":
                given = gzip.decompress(Path(arguments[0]).read_bytes())
                continue
            given = Path(file).read_bytes() if file else given
            with patch.dict(os.environ):  # audit leaves there what it finds
                result = CliRunner().invoke(app, arguments, input=given, env=stack.environment, prog_name="connectra")
            given = result.stdout_bytes
            if result.exit_code:
                break
        return result.exit_code, result.output

    def store(noun: str, **more: str) -> str:
        """Store the record that examples are about, again if one has deleted it. Returns its uuid."""
        Path("stored.json").write_text(json.dumps({**stored[noun], **more}))
        return run(f"connectra {noun} upsert --file stored.json -o name")[1].split()[-1]

    for noun, one in (("contacts", "contact"), ("companies", "company")):
        Path(f"{one}.json").write_text(json.dumps(people[noun]))
        Path(f"{noun}.json").write_text(json.dumps([people[noun]]))
    Path("where.json").write_text('{"keyword_match": {"must": {"country": "germany"}}}')
    Path("downloads").mkdir()
    uuids = {noun: store(noun) for noun in stored}
    until_now(lambda: run(f"connectra contacts count {mark}")[1] == "1\n")
    jobs = {kind: run(f"connectra jobs list -t {kind} -n 1 -o name")[1].strip() for kind in ("import", "export")}
    ran = 0
    for line in dict.fromkeys(examples()):
        if ELSEWHERE.match(line):
            continue
        noun = line.split()[1]
        job = jobs["export" if " fetch " in line else "import"]
        real = line.replace(CONTACT, job if noun == "jobs" else uuids["contacts"]).replace(COMPANY, uuids["companies"])
        real = real.replace("acme", mark).replace("Acme", mark).replace("--rejected -o -", "--result -o -")
        table = f"first_name,email,Rank,Notes\nJoe,joe@{mark}.example,Pilot,x\n"
        Path("people.csv").write_text(table)
        Path("people.csv.gz").write_bytes(gzip.compress(table.encode()))
        if noun in stored:
            Path("uuids.txt").write_text(f"{uuids[noun]}\n")
            Path("records.ndjson").write_text(json.dumps(people[noun]) + "\n")
        code, said = run(real)
        expected = next((code for pattern, code in REFUSED if re.search(pattern, line)), ExitCode.DONE)
        assert code == expected, f"{real}: {code}\n{said}"
        if noun in stored and " delete " in line:
            store(noun, uuid=uuids[noun])
        ran += 1
    assert ran > 60
