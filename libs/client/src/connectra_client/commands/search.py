"""`connectra search`: one page of records on the terminal."""

import json
from typing import Annotated

import typer

from connectra_client.commands.options import ApiKey, Entity, Url, Where, read_where, split_columns
from connectra_client.connection import find_connection
from connectra_client.display import console, show_rows
from connectra_client.errors import ClientError
from connectra_client.rest import Json, RestClient

# The fields that free text is searched in.
_TEXT_FIELDS = {Entity.CONTACTS: ("first_name", "last_name", "title", "company_name"), Entity.COMPANIES: ("name",)}
_COLUMNS = {
    Entity.CONTACTS: ["first_name", "last_name", "title", "email", "city", "country"],
    Entity.COMPANIES: ["name", "employees_count", "industries", "city", "country", "website"],
}


def search(
    entity: Annotated[Entity, typer.Argument(help="What to search.")],
    text: Annotated[str | None, typer.Argument(help="Words in a name, a title or a company's name.")] = None,
    where: Where = None,
    columns: Annotated[
        str | None, typer.Option("--columns", "-c", help="Columns to show, separated by commas.", metavar="A,B")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Maximum number of rows.", min=1, max=100)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON instead of a table.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Search contacts or companies by words, by a VQL condition, or both."""
    selected = split_columns(columns) or _COLUMNS[entity]
    query = text_query(entity, text) | ({"where": conditions} if (conditions := read_where(where)) else {})
    with RestClient(find_connection(url, api_key)) as client:
        rows = client.search(entity, {**query, "select_columns": selected, "limit": limit})
        if as_json:
            typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
            return
        total = client.count(entity, query)
    if rows:
        show_rows(rows, selected)
    console.print(f"{len(rows):,} of {total:,} {entity}")


def text_query(entity: Entity, text: str | None) -> Json:
    """A query for records that have every word in at least one text field.

    Raises:
        ClientError: a word is too short to be searched for.
    """
    words = (text or "").split()
    if short := [word for word in words if len(word) < 3]:
        raise ClientError(f"words to search for need at least three characters: {', '.join(short)}")
    fields = _TEXT_FIELDS[entity]
    every = [{"or": [{"field": field, "operator": "contains", "value": word} for field in fields]} for word in words]
    return {"filters": {"and": every}} if every else {}
