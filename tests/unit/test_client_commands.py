"""What the commands make of their arguments and of the server's answers."""

import io
import json
import sys
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, cast

import pytest
from connectra_client import display
from connectra_client.commands.count import group_by
from connectra_client.commands.options import conditions, read_where
from connectra_client.commands.records import read_records
from connectra_client.commands.transfer import Format, file_options, read_max_rejected
from connectra_client.display import fitted, has_ended, show_job, show_preview, show_rows, state_of
from connectra_client.errors import ClientError
from connectra_client.mapping import read_mapping, save_mapping
from connectra_client.rest import Job
from connectra_client.retrying import waits
from rich.console import Console


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    out = io.StringIO()
    monkeypatch.setattr(display, "console", Console(file=out, width=120))
    return out


def test_where_is_json_or_a_file_that_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "where.json"
    file.write_text('{"keyword_match": {"must": {"country": "germany"}}}')
    wanted = {"keyword_match": {"must": {"country": "germany"}}}
    assert read_where(file.read_text()) == wanted
    assert read_where(f"@{file}") == wanted
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert read_where(f"@{file}") == wanted
    assert read_where('{"where": {"range_query": {}}}') == {"range_query": {}}
    assert read_where(None) == {}


@pytest.mark.parametrize("text", ["{", "[1]", "@/no/such/file", '"text"'])
def test_a_where_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ClientError, match="where"):
        read_where(text)


def test_a_query_of_which_where_is_only_a_part_is_refused() -> None:
    rest = {"filters": {"field": "stage", "operator": "ne", "value": "do not contact"}, "q": "sales", "order_by": []}
    with pytest.raises(ClientError, match=r"not its filters, q: leave"):
        read_where(json.dumps({"where": {"keyword_match": {}}, **rest}))


@pytest.mark.parametrize(
    ("name", "format", "gzip", "options"),
    [
        ("a.csv", None, None, {}),
        ("a.csv.gz", None, None, {"gzip": True}),
        ("a.ndjson", None, None, {"format": "ndjson"}),
        ("a.jsonl.gz", None, None, {"format": "ndjson", "gzip": True}),
        ("a.txt", Format.NDJSON, True, {"format": "ndjson", "gzip": True}),
        ("a.csv.gz", None, False, {}),
    ],
)
def test_the_name_of_a_file_says_what_it_is_to_be_unless_asked_otherwise(
    name: str, format: Format | None, gzip: bool | None, options: dict[str, Any]
) -> None:
    assert file_options(Path(name), format, gzip) == options


def test_a_job_is_looked_at_gently() -> None:
    pauses = waits(display._POLL_SECONDS, display._LONGEST_POLL_SECONDS, display._POLL_GROWTH)
    looks = list(accumulate(islice(pauses, 100)))
    assert looks[2] < 2  # a job that ends at once is seen at once
    assert 15 <= sum(at <= 60 for at in looks) <= 25
    assert sum(60 < at <= 120 for at in looks) <= 16


def test_rejected_rows_are_allowed_by_number_or_share() -> None:
    assert read_max_rejected("10") == 10
    assert read_max_rejected("2.5%") == 0.025
    for wrong in ("0%", "100%", "few", "1.5", "x%"):
        with pytest.raises(ClientError, match="--max-rejected"):
            read_max_rejected(wrong)


def test_records_are_read_whatever_marks_the_file_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [{"title": "line\u2028separator"}, {"title": "next\x85line"}]
    text = "\ufeff" + "\r\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    file = tmp_path / "records.ndjson"
    file.write_text(text, encoding="utf-8", newline="")
    assert read_records(file) == records
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert read_records(Path("-")) == records


def test_text_and_where_make_one_query() -> None:
    where = {"keyword_match": {"must": {"country": "germany"}}}
    assert conditions("VP berlin", json.dumps(where)) == {"q": "VP berlin", "where": where}
    assert conditions("C++", None) == {"q": "C++"}
    assert conditions(None, None) == {}


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("country", {"field": "country", "size": 7}),
        ("employees_count:100", {"field": "employees_count", "interval": 100}),
        ("created_at:month", {"field": "created_at", "calendar_interval": "month"}),
    ],
)
def test_a_field_to_count_by_may_have_an_interval(text: str, asked: dict[str, Any]) -> None:
    assert group_by(text, 7) == asked


RETRY_DUE = "2026-01-01T00:00:00Z"


def job(**members: Any) -> Job:
    """A job as far as these tests look at it."""
    usual = {
        "uuid": "u-1",
        "job_type": "insert_csv_file",
        "data": {},
        "retry_count": 1,
        "attempts": 1,
        "run_after": None,
        "created_at": "2026-01-01T00:00:00.000000Z",
        "updated_at": "2026-01-01T00:00:09.000000Z",
        "progress": {},
        "job_response": {},
    }
    return cast(Job, {**usual, **members})


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        (job(status="open"), False),
        (job(status="processing"), False),
        (job(status="retry_in_queued", run_after=RETRY_DUE), False),
        (job(status="completed"), True),
        (job(status="failed"), True),
        (job(status="failed", run_after=RETRY_DUE), False),
    ],
)
def test_a_job_has_ended_when_it_will_not_run_again_unless_someone_asks(state: Job, ended: bool) -> None:
    assert has_ended(state) is ended


def test_a_run_lost_with_its_worker_uses_up_no_retry() -> None:
    # Run 1 was lost, run 2 failed: the server runs it again.
    assert not has_ended(job(status="failed", retry_count=1, attempts=2, run_after=RETRY_DUE))


def test_the_result_says_how_many_and_where_the_refused_rows_are(shown: io.StringIO) -> None:
    response = {
        "rows": 12345,
        "created": 12000,
        "rejected": 3,
        "rejected_s3_key": "uploads/1.rejected.csv",
        "runtime_errors": ["[odd] markup"],
        "messages": "Import completed successfully",
    }
    show_job(job(status="completed", job_response=response))
    text = shown.getvalue()
    for part in ("u-1", "completed", "12,345", "12,000", "uploads/1.rejected.csv", "[odd] markup", "successfully"):
        assert part in text


def test_a_table_takes_markup_and_empty_values_as_they_are(shown: io.StringIO) -> None:
    show_rows([{"name": "[red]Acme[/]", "industries": ["a", "b"], "city": None}], ["name", "industries", "city"])
    assert "[red]Acme[/]" in shown.getvalue()
    assert "a, b" in shown.getvalue()
    assert "None" not in shown.getvalue()


def test_what_looks_like_the_name_of_an_emoji_stays_as_it_is() -> None:
    for one in (display.console, display.words):
        assert one.render_str("2001:db8:100:1, :rocket:").plain == "2001:db8:100:1, :rocket:"


def test_a_job_that_runs_shows_its_file_and_how_far_it_is(shown: io.StringIO) -> None:
    source = "uploads/6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11_people.csv"
    progress = {"rows": 1234, "bytes": 10, "total_bytes": 20}
    show_job(job(status="processing", data={"s3_key": source}, progress=progress))
    for part in ("people.csv", "processing", "1,234", "2026-01-01T00:00:00"):
        assert part in shown.getvalue()
    assert "6f1c0b52" not in shown.getvalue()


def test_a_job_that_somebody_cancelled_is_called_so() -> None:
    assert state_of(job(status="failed", job_response={"messages": "Cancelled by request"})) == "cancelled"
    assert state_of(job(status="failed", job_response={"messages": "no known column"})) == "failed"


def test_a_narrow_terminal_takes_from_the_widest_columns_and_never_too_much() -> None:
    assert fitted([36, 40, 10], 70, [36, 12, 10]) == [36, 24, 10]
    assert fitted([5, 9], 100, [5, 9]) == [5, 9]
    assert fitted([36, 20, 20], 30, [36, 6, 6]) == [36, 6, 6]


PERSON = {
    "uuid": "000bb5b8-861b-53b0-b809-53b59f2a21c4",
    "first_name": "jane",
    "title": "vice president of sales",
    "city": "bonn",
}


def test_ids_and_headers_are_never_cut_and_columns_without_room_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, said = io.StringIO(), io.StringIO()
    monkeypatch.setattr(display, "console", Console(file=out, width=64))
    monkeypatch.setattr(display, "words", Console(file=said, width=64))
    show_rows([PERSON], list(PERSON))
    assert PERSON["uuid"] in out.getvalue()
    assert out.getvalue().splitlines()[0].split() == ["uuid", "first_name", "title"]
    assert "no room for city" in said.getvalue()


def test_columns_that_were_asked_for_are_all_shown_one_below_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(display, "console", Console(file=out, width=60))
    show_rows([PERSON], list(PERSON), droppable=False)
    shown = [line.strip().split(maxsplit=1) for line in out.getvalue().splitlines() if line.strip()]
    assert shown == [[name, value] for name, value in PERSON.items()]


def test_the_command_line_is_laid_over_a_saved_mapping(tmp_path: Path) -> None:
    file = tmp_path / "people.map.json"
    columns = [
        {"header": header, "target": target} for header, target in (("Rank", "title"), ("Notes", None), ("", None))
    ]
    twice = [{"header": header, "target": "title"} for header in ("Titre", "titre")]
    save_mapping(file, [*columns, *twice])
    assert read_mapping(file, ()) == {"Rank": "title", "Notes": None}
    assert read_mapping(file, ["Rank=", "A=B=email"]) == {"Rank": None, "Notes": None, "A=B": "email"}
    assert read_mapping(None, ()) == {}


@pytest.mark.parametrize("option", ["Rank", "=title", " =title"])
def test_a_map_that_is_none_is_refused(option: str) -> None:
    with pytest.raises(ClientError, match="HEADER=FIELD"):
        read_mapping(None, [option])


@pytest.mark.parametrize("text", ["{", "[1]", '{"Rank": 1}'])
def test_a_mapping_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "map.json"
    file.write_text(text)
    with pytest.raises(ClientError, match=r"map\.json"):
        read_mapping(file, ())


def test_a_preview_is_readable(shown: io.StringIO) -> None:
    column = {"header": "Rank", "target": "title", "confidence": "given", "samples": ["[Pilot]"], "instead": None}
    beaten = {"header": "Titel", "target": None, "confidence": None, "samples": ["Herr"], "instead": "Rank"}
    show_preview(
        {
            "shape": {"format": "csv", "gzip": True, "encoding": "utf-8", "delimiter": ";", "header_line": 4},
            "columns": [column, beaten],
            "rows": [{"line": 5, "company": None, "contact": {"title": "[Pilot]"}}],
            "problems": {
                "rejected_rows": [{"line": 6, "reason": "nothing", "cells": ["x"]}],
                "left_out_cells": [{"line": 5, "column": "E-Mail", "value": "a@", "reason": "is none"}],
                "unknown_columns": ["Shoe size"],
            },
            "sample": {"rows": 2, "rejected": 1, "left_out": 1, "whole_file": True},
        }
    )
    text = shown.getvalue()
    for part in (
        "csv, gzip, utf-8, delimiter semicolon; header in line 4",
        "line 5  contact: title=[Pilot]",
        "used instead: Rank",
        "line 6 is rejected: nothing",
        "line 5 without E-Mail 'a@': is none",
        "not understood: Shoe size",
        "2 rows: 1 rejected, 1 cells left out",
    ):
        assert part in text
