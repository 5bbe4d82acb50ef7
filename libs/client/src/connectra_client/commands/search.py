"""`connectra search`: one page of records on the terminal."""

import json
from typing import Annotated

import typer

from connectra_client.commands.options import TEXT_HELP, Alike, ApiKey, Entity, Url, Where, conditions, split_columns
from connectra_client.connection import find_connection
from connectra_client.display import console, show_meant, show_rows
from connectra_client.rest import Json, RestClient

_COLUMNS = {
    Entity.CONTACTS: ["first_name", "last_name", "title", "email", "city", "country"],
    Entity.COMPANIES: ["name", "employees_count", "industries", "city", "country", "website"],
}


def search(
    entity: Annotated[Entity, typer.Argument(help="What to search.")],
    text: Annotated[str | None, typer.Argument(help=TEXT_HELP)] = None,
    alike: Alike = None,
    where: Where = None,
    columns: Annotated[
        str | None, typer.Option("--columns", "-c", help="Columns to show, separated by commas.", metavar="A,B")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Maximum number of rows.", min=1, max=100)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON instead of a table.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Search contacts or companies by words, by a VQL condition, or both; the best matches come first."""
    selected = split_columns(columns) or _COLUMNS[entity]
    query = conditions(text, where, alike)
    with RestClient(find_connection(url, api_key)) as client:
        found = client.page(entity, {**query, "select_columns": selected, "limit": limit})
        rows: list[Json] = found["data"]
        show_meant(found)
        if as_json:
            typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
            return
        total = client.count(entity, query)
    if rows:
        show_rows(rows, selected)
    console.print(f"{len(rows):,} of {total:,} {entity}")
