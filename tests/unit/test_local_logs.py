"""`connectra logs`: the forms that the parts write in, read as one."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from connectra_local.cli import logs
from connectra_local.logs import Entry, Level, Wanted, ends, entries, follow
from typer import Typer
from typer.testing import CliRunner

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
# Of each form a line, what is read of it, and how long after noon it was written.
LINES = {
    "query": (
        '{"method": "GetContact", "reason": "UNAVAILABLE", "event": "call failed", "process": "query", "level": "warning", '
        '"timestamp": "2026-11-28T12:00:01.5Z"}',
        (Level.WARNING, "call failed  method=GetContact reason=UNAVAILABLE", 1.5),
    ),
    "gateway": (
        '{"client":null,"duration_ms":3,"event":"request","flags":"-","status":503,"timestamp":"2026-11-28T12:00:02.000Z"}',
        (Level.ERROR, "request  duration_ms=3 status=503", 2.0),
    ),
    "postgres": (
        "2026-11-28 12:00:03.056 UTC [19743] FATAL:  role is missing",
        (Level.ERROR, "role is missing", 3.056),
    ),
    "supervisor": (
        "2026-11-28T12:00:04Z  s3             died       127.0.0.1:20726       exit code 1",
        (Level.ERROR, "s3             died       127.0.0.1:20726       exit code 1", 4.0),
    ),
    "elasticsearch": (
        "[{local:%Y-%m-%dT%H:%M:%S},094][WARN ][o.e.n.Node] low disk",
        (Level.WARNING, "[o.e.n.Node] low disk", 5.094),
    ),
    "s3": ("I{local:%m%d %H:%M:%S}.282777 volume.go:486 ended", (Level.INFO, "volume.go:486 ended", 6.282777)),
}


def read(part: str) -> tuple[Entry, tuple[Level, str, float]]:
    line, expected = LINES[part]
    local = (NOON + timedelta(seconds=int(expected[2]))).astimezone()
    (entry,) = entries(part, [line if line.startswith("{") else line.format(local=local)])
    return entry, expected


@pytest.mark.parametrize("part", LINES)
def test_each_form_is_read(part: str) -> None:
    entry, (level, text, seconds) = read(part)

    assert (entry.part, entry.level, entry.text) == (part, level, text)
    assert entry.at is not None
    assert entry.at.replace(year=2026) == NOON + timedelta(seconds=seconds)


def test_lines_that_go_on_belong_to_the_entry_before_them() -> None:
    lines = [
        "no form at all",
        "2026-11-28 12:00:00.056 UTC [1] ERROR:  deadlock detected",
        "2026-11-28 12:00:00.056 UTC [1] STATEMENT:  UPDATE contacts",
        "\tSET city = NULL",
        "2026-11-28 12:00:01.056 UTC [1] LOG:  checkpoint complete",
        "{broken",
    ]
    found = list(entries("postgres", lines))

    assert [entry.level for entry in found] == [Level.INFO, Level.ERROR, Level.INFO]
    assert found[1].event.splitlines() == [lines[1][38:].strip(), lines[2], lines[3]]
    assert found[2].event == "checkpoint complete\n{broken"


def test_a_traceback_keeps_its_lines() -> None:
    (entry,) = entries(
        "query", [json.dumps({"event": "call failed", "level": "error", "exception": "Traceback:\n  x"})]
    )

    assert entry.text == "call failed\nTraceback:\n  x"


def written(folder: Path) -> dict[str, Path]:
    """The logs of two parts, whose entries alternate: every second one of `query` is an error."""
    files = {part: folder / f"{part}.log" for part in ("query", "write", "never")}
    for part, begin in (("query", 0), ("write", 1)):
        rows = (
            {
                "event": f"{part} {n}",
                "level": ("info", "error")[n % 2],
                "timestamp": f"2026-11-28T12:00:{2 * n + begin:02}Z",
            }
            for n in range(20)
        )
        files[part].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return files


def test_the_ends_of_all_logs_stand_in_the_order_of_time(tmp_path: Path) -> None:
    found = [entry.event for entry in ends(written(tmp_path), 2, Wanted())]

    assert found == ["query 18", "write 18", "query 19", "write 19"]


def test_what_is_wanted_is_found_wherever_it_is(tmp_path: Path) -> None:
    files = {"query": written(tmp_path)["query"]}

    assert [entry.event for entry in ends(files, 2, Wanted(Level.WARNING))] == ["query 17", "query 19"]
    since = Wanted(since=NOON + timedelta(seconds=37))
    assert [entry.event for entry in ends(files, 9, since)] == ["query 19"]


def test_what_is_added_is_followed(tmp_path: Path) -> None:
    files = written(tmp_path)
    entries = follow(files, Wanted(Level.ERROR))

    def write() -> Iterator[None]:
        with files["query"].open("a") as log:
            log.write('{"event": "unheard", "level": "info"}\n{"event": "heard", "level": "error"}\n{"event": "half')
        yield

    # Only the first step of a generator looks where the logs end.
    heard: list[str] = []
    listener = Thread(target=lambda: heard.append(next(entries).event), daemon=True)
    listener.start()
    while listener.is_alive() and not heard:
        next(write())
        listener.join(1)

    assert heard == ["heard"]


def test_the_command_takes_parts_levels_and_formats(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    written(tmp_path / "logs")
    app = Typer()
    app.command()(logs)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments, env={"CONNECTRA_HOME": str(tmp_path)})
        assert result.exit_code == 0, result.output
        return result.stdout

    line = "2026-11-28T12:00:38.000Z\tquery\terror\tquery 19\n"
    assert run("query", "-n", "1") == line
    assert run("query", "write", "-n", "1", "-o", "name") == "query\nwrite\n"
    record = {"timestamp": "2026-11-28T12:00:38.000Z", "part": "query", "level": "error", "event": "query 19"}
    assert json.loads(run("query", "--level", "error", "-n", "1", "--json")) == record
    assert run("--since", "2026-11-28T12:00:38", "-o", "csv").splitlines()[0] == "timestamp,part,level,event"
    assert CliRunner().invoke(app, ["nothing"], env={"CONNECTRA_HOME": str(tmp_path)}).exit_code == 1
