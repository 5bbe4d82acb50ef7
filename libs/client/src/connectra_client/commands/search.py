"""`connectra search`: records that match, on the terminal or for another program."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Annotated

import typer

from connectra_client.commands.options import (
    TEXT_HELP,
    Alike,
    ApiKey,
    Columns,
    Entity,
    Profile,
    Url,
    Where,
    conditions,
    connect,
    split_columns,
)
from connectra_client.display import hint, show_notes
from connectra_client.errors import ClientError
from connectra_client.output import AsJson, Format, Output, format_of, show_records
from connectra_client.rest import Json, RestClient

# Shown unless others are named.
COLUMNS = {
    Entity.CONTACTS: ["uuid", "first_name", "last_name", "title", "company.name", "email", "city", "country"],
    Entity.COMPANIES: ["uuid", "name", "employees_count", "industries", "city", "country", "website"],
}

Text = Annotated[str | None, typer.Argument(help=TEXT_HELP, metavar="TEXT")]
Sort = Annotated[
    str | None,
    typer.Option("--sort", "-s", help="Order: fields, each with :desc or not; best match first.", metavar="FIELD,…"),
]
Limit = Annotated[int, typer.Option("--limit", "-n", help="Maximum number of rows.", min=1)]
All = Annotated[bool, typer.Option("--all", help="All that match, page by page; for many, `export` is faster.")]
Cursor = Annotated[
    str | None, typer.Option("--cursor", help="Go on after the end of an earlier search, which named it.")
]


def search(
    entity: Annotated[Entity, typer.Argument(help="What to search.")],
    text: Text = None,
    alike: Alike = None,
    where: Where = None,
    columns: Columns = None,
    sort: Sort = None,
    limit: Limit = 10,
    everything: All = False,
    cursor: Cursor = None,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Search contacts or companies by words, by a VQL condition, or both; the best matches come first.

    Examples:
        connectra search contacts "sales berlin"
        connectra search contacts vp -c uuid,email,company.name -n 200 -o csv
        connectra search companies -w '{"keyword_match": {"must": {"country": "germany"}}}' --sort employees_count:desc
        connectra search contacts "sales" -o name | connectra contacts get -
    """
    query = {**conditions(text, where, alike), **order_of(sort), **_after(cursor)}
    rows = None if everything else limit
    format = format_of(output, as_json)
    with connect(url, api_key, profile) as client:
        find(client, entity, query, rows, split_columns(columns), format)


def find(
    client: RestClient, entity: Entity, query: Json, limit: int | None, columns: list[str], format: Format
) -> None:
    """Print what a query finds.

    Args:
        client: connection to the server.
        entity: what is searched.
        query: VQL without columns and limit.
        limit: of the rows; None: all.
        columns: those that the user named; usual ones when there are none, in JSON all.
        format: how it is printed.
    """
    shown = columns or COLUMNS[entity]
    selected = ["uuid"] if format is Format.NAME else columns if format is Format.JSON else shown
    asked = {**query, **({"select_columns": selected} if selected else {})}
    pages = client.pages(entity, asked, limit)
    last = first = next(pages)
    show_notes(first)

    def rows() -> Iterator[Json]:
        nonlocal last
        for page in chain([first], pages):
            last = page
            yield from page["data"]

    count = show_records(rows(), shown, format, chosen=bool(columns))
    if format is Format.TABLE:
        hint(f"{count:,} of {client.count(entity, _counted(query)):,} {entity}")
    if (after := last.get("next_cursor")) is not None and limit is not None:
        hint(f"more: --cursor '{json.dumps(after, ensure_ascii=False)}'")


def order_of(sort: str | None) -> Json:
    """The `order_by` of a query for the value of --sort: `country,created_at:desc`."""
    keys = [one.partition(":") for one in split_columns(sort)]
    order = [{"order_by": field, "order_direction": direction or "asc"} for field, _, direction in keys]
    return {"order_by": order} if order else {}


def _after(cursor: str | None) -> Json:
    if cursor is None:
        return {}
    try:
        return {"cursor": json.loads(cursor)}
    except ValueError as error:
        raise ClientError(f"--cursor is not what an earlier search said: {error}") from error


def _counted(query: Json) -> Json:
    return {name: value for name, value in query.items() if name not in ("cursor", "order_by")}
