"""`connectra count`: how many records match, in all or by the values of one or two fields."""

from collections.abc import Iterator
from typing import Annotated

import typer

from connectra_client.commands.options import (
    Alike,
    ApiKey,
    Entity,
    Profile,
    Url,
    Where,
    conditions,
    connect,
    split_columns,
)
from connectra_client.commands.search import Text
from connectra_client.display import hint, show_notes
from connectra_client.output import AsJson, Format, Output, format_of, show_json, show_records
from connectra_client.rest import Json, RestClient

By = Annotated[
    str | None,
    typer.Option(
        help="One or two fields, separated by a comma: country, created_at:month, company_employees_count:100.",
        metavar="FIELD[:INTERVAL]",
    ),
]
Size = Annotated[int, typer.Option("--size", "-n", help="Most frequent values of a field.", min=1, max=1000)]


def count(
    entity: Annotated[Entity, typer.Argument(help="What to count.")],
    text: Text = None,
    alike: Alike = None,
    where: Where = None,
    by: By = None,
    size: Size = 10,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Count contacts or companies that match, in all or by the values of one or two fields.

    Examples:
        connectra count contacts
        connectra count contacts "sales" --by country
        connectra count contacts --by created_at:month,seniority -o csv
    """
    with connect(url, api_key, profile) as client:
        tell(client, entity, conditions(text, where, alike), by, size, format_of(output, as_json))


def tell(client: RestClient, entity: Entity, asked: Json, by: str | None, size: int, format: Format) -> None:
    """Print how many records match; see the options."""
    fields = split_columns(by)
    answer = client.aggregate(entity, {**asked, "group_by": [group_by(field, size) for field in fields]})
    found: Json = answer["data"]
    show_notes(answer)
    if format is Format.JSON:
        show_json(found)
    elif not fields:
        typer.echo(found["count"])
    else:
        _show(found, [field.partition(":")[0] for field in fields], format)


def group_by(text: str, size: int) -> Json:
    """`country`, `created_at:month` or `employees_count:100` as a `group_by` of the API."""
    field, _, interval = text.partition(":")
    if not interval:
        return {"field": field, "size": size}
    if interval.isascii() and interval.isdecimal():
        return {"field": field, "interval": int(interval)}
    return {"field": field, "calendar_interval": interval}


def _show(found: Json, fields: list[str], format: Format) -> None:
    rows = [
        {**dict(zip(fields, values, strict=True)), "count": f"≥ {number}" if is_lower_bound else number}
        for values, number, is_lower_bound in _rows(found)
    ]
    show_records(rows, [*fields, "count"], format, chosen=True, name=fields[-1])
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
