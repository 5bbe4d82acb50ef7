"""What a command answers with, on stdout, in the format that was asked for."""

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from connectra_client import display


class Format(StrEnum):
    """How records are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    NAME = "name"


Output = Annotated[
    Format,
    typer.Option(
        "--output",
        "-o",
        help="`table` fits the terminal, and is lines with tabs in a pipe; `json` has whole values; `name` is ids only.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The same as -o json.")]

# What a spreadsheet would take for a formula, as in exports; a plain number is none.
_FORMULA, _NUMBER = re.compile("'*[\t\n\r+=@＋－＝＠-]"), re.compile(r"[+-]?\d+([.,]\d+)?")


def format_of(output: Format, as_json: bool) -> Format:
    """What the options `Output` and `AsJson` mean together."""
    return Format.JSON if as_json else output


def show_records(
    records: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    format: Format,
    *,
    chosen: bool = False,
    name: str = "uuid",
) -> int:
    """Print records, in JSON and CSV and in a pipe each as it comes.

    Args:
        records: may be an endless iterator.
        columns: members for a table, for CSV and for a pipe; JSON has all members.
        format: how.
        chosen: the user named the columns: on a narrow terminal none is dropped.
        name: the member that identifies a record.

    Returns:
        How many there were.
    """
    count = 0
    match format:
        case Format.JSON:
            for record in records:
                typer.echo("[" if count == 0 else ",")
                typer.echo(_indented(record), nl=False)
                count += 1
            typer.echo("\n]" if count else "[]")
        case Format.CSV:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            for record in records:
                writer.writerow([_cell(record.get(column)) for column in columns])
                count += 1
        case Format.NAME:
            for record in records:
                typer.echo(record[name])
                count += 1
        case Format.TABLE if not display.console.is_terminal:
            for record in records:
                typer.echo("\t".join(_line(record.get(column)) for column in columns))
                count += 1
        case Format.TABLE:
            rows = list(records)
            count = len(rows)
            if rows:
                display.show_rows(rows, columns, droppable=not chosen)
    return count


def show_record(record: Mapping[str, Any], format: Format, *, name: str = "uuid") -> None:
    """Print one record: in JSON an object, as a table a line for each member that is not empty."""
    match format:
        case Format.JSON:
            show_json(record)
        case Format.TABLE if not display.console.is_terminal:
            for member, value in record.items():
                if value not in (None, [], ""):
                    typer.echo(f"{member}\t{_line(value)}")
        case Format.TABLE:
            display.show_fields({member: value for member, value in record.items() if value not in (None, [], "")})
        case _:
            show_records([record], list(record), format, name=name)


def show_json(value: Any) -> None:
    """Print an answer of the server."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _indented(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return "\n".join(f"  {line}" for line in text.split("\n"))


def _line(value: Any) -> str:
    return re.sub(r"[\t\r\n]+", " ", display.text_of(value))


def _cell(value: Any) -> str:
    if isinstance(value, list):
        text = ",".join(_item(str(one)) for one in value)
    elif isinstance(value, Mapping):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _item(text: str) -> str:
    """An item of a list, as exports write it."""
    escaped = text.replace('"', '""')
    return f'"{escaped}"' if re.search(r'[,;"]', text) else text
