"""The formats in which commands answer."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from connectra_client import display
from connectra_client.output import Format, format_of, show_record, show_records
from rich.console import Console

ROWS: list[dict[str, Any]] = [
    {"uuid": "u-1", "name": "Acme,\tInc.", "industries": ["a", 'b, "c"'], "city": None},
    {"uuid": "u-2", "name": "=HYPERLINK(1)", "industries": [], "city": "-5"},
]
COLUMNS = ["uuid", "name", "industries", "city"]


@pytest.fixture(autouse=True)
def piped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "console", Console(file=io.StringIO()))


def shown(capsys: pytest.CaptureFixture[str], format: Format) -> str:
    assert show_records(iter(ROWS), COLUMNS, format) == 2
    return capsys.readouterr().out


def test_json_has_whole_records(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(shown(capsys, Format.JSON)) == ROWS
    show_records([{"uuid": "u-3", "name": "line\u2028separator\x85"}], COLUMNS, Format.JSON)
    assert json.loads(capsys.readouterr().out) == [{"uuid": "u-3", "name": "line\u2028separator\x85"}]
    show_records([], COLUMNS, Format.JSON)
    assert json.loads(capsys.readouterr().out) == []


def test_csv_is_as_in_an_export(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.reader(io.StringIO(shown(capsys, Format.CSV))))
    assert rows == [COLUMNS, ["u-1", "Acme,\tInc.", 'a,"b, ""c"""', ""], ["u-2", "'=HYPERLINK(1)", "", "-5"]]


@pytest.mark.parametrize(("text", "cell"), [("'=x", "''=x"), ("＝1+1", "'＝1+1"), ("'tis", "'tis"), ("+1.5", "+1.5")])
def test_no_cell_of_csv_calculates(capsys: pytest.CaptureFixture[str], text: str, cell: str) -> None:
    show_record({"name": text}, Format.CSV)
    assert capsys.readouterr().out == f"name\n{cell}\n"


def test_names_are_one_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, Format.NAME) == "u-1\nu-2\n"


def test_a_table_in_a_pipe_is_a_line_for_each_record_with_tabs_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [line.split("\t") for line in shown(capsys, Format.TABLE).splitlines()]
    assert lines == [["u-1", "Acme, Inc.", 'a, b, "c"', ""], ["u-2", "=HYPERLINK(1)", "", "-5"]]


def test_records_are_printed_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield ROWS[0]
        assert "u-1" in capsys.readouterr().out
        yield ROWS[1]

    for format in Format:
        assert show_records(rows(), COLUMNS, format) == 2


def test_one_record_is_an_object_and_without_what_is_empty_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_record(ROWS[0], Format.JSON)
    assert json.loads(capsys.readouterr().out) == ROWS[0]
    show_record(ROWS[0], Format.TABLE)
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["uuid", "name", "industries"]
    show_record(ROWS[0], Format.NAME)
    assert capsys.readouterr().out == "u-1\n"


def test_json_is_short_for_its_format() -> None:
    assert format_of(Format.TABLE, True) is Format.JSON
    assert format_of(Format.CSV, False) is Format.CSV
