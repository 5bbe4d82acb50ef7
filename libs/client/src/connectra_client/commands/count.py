"""`connectra count`: how many records match, in all or by the values of one or two fields."""

import json
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from connectra_client.commands.options import TEXT_HELP, Alike, ApiKey, Entity, Url, Where, conditions, split_columns
from connectra_client.connection import find_connection
from connectra_client.display import console, hint, show_meant
from connectra_client.rest import Json, RestClient


def count(
    entity: Annotated[Entity, typer.Argument(help="What to count.")],
    text: Annotated[str | None, typer.Argument(help=TEXT_HELP)] = None,
    alike: Alike = None,
    where: Where = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="One or two fields, separated by a comma: country, created_at:month, company_employees_count:100.",
            metavar="FIELD[:INTERVAL]",
        ),
    ] = None,
    size: Annotated[int, typer.Option("--size", "-n", help="Most frequent values of a field.", min=1, max=1000)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's answer as JSON.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Count contacts or companies that match, in all or by the values of one or two fields.

    `connectra count contacts --by country`, `connectra count contacts --by created_at:month,seniority`
    """
    fields = split_columns(by)
    asked = conditions(text, where, alike)
    with RestClient(find_connection(url, api_key)) as client:
        answer = client.aggregate(entity, {**asked, "group_by": [group_by(field, size) for field in fields]})
    found: Json = answer["data"]
    show_meant(answer)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not fields:
        typer.echo(found["count"])
    else:
        _show(found, [field.partition(":")[0] for field in fields])


def group_by(text: str, size: int) -> Json:
    """`country`, `created_at:month` or `employees_count:100` as a `group_by` of the API."""
    field, _, interval = text.partition(":")
    if not interval:
        return {"field": field, "size": size}
    if interval.isascii() and interval.isdecimal():
        return {"field": field, "interval": int(interval)}
    return {"field": field, "calendar_interval": interval}


def _show(found: Json, fields: list[str]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for field in fields:
        table.add_column(escape(field), overflow="fold")
    table.add_column("count", justify="right")
    for values, number, is_lower_bound in _rows(found):
        table.add_row(*map(escape, values), f"{'≥ ' if is_lower_bound else ''}{number:,}")
    console.print(table)
    notes = [f"{found['count']:,} in all"]
    if found["other"]:
        notes.append(f"{found['other']:,} of other values (--size shows more)")
    if found["missing"]:
        notes.append(f"{found['missing']:,} without {fields[0]}")
    hint(", ".join(notes))


def _rows(group: Json, outer: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int, bool]]:
    for inner in group["groups"]:
        values = (*outer, str(inner["value"]))
        if "groups" in inner:
            yield from _rows(inner, values)
        else:
            yield values, inner["count"], inner["count_error"] > 0
