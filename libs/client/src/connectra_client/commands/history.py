"""`connectra history`: what happened to one record."""

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from connectra_client.commands.options import ApiKey, Entity, Url
from connectra_client.connection import find_connection
from connectra_client.display import console
from connectra_client.rest import Change, RestClient


def history(
    entity: Annotated[Entity, typer.Argument(help="What kind of record.")],
    uuid: Annotated[str, typer.Argument(help="Of the record.")],
    limit: Annotated[int, typer.Option("--limit", "-n", help="Maximum number of changes.", min=1)] = 25,
    as_json: Annotated[bool, typer.Option("--json", help="Print the changes as JSON instead of a table.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Show what happened to a record, newest first: when, what, and by whom.

    Who changed it is shown of what the key's own client did; with the right `admin`, of everything.
    """
    with RestClient(find_connection(url, api_key)) as client:
        changes = client.history(entity, uuid, limit)
    if as_json:
        typer.echo(json.dumps(changes, ensure_ascii=False, indent=2))
        return
    table = Table("time", "action", "by", "request", "changes", box=None, pad_edge=False, header_style="bold")
    for change in changes:
        cells = (change["time"], change["action"], _who(change), change["request_id"] or "", _what(change))
        table.add_row(*map(escape, cells))
    console.print(table)


def _who(change: Change) -> str:
    job = f", job {change['job_uuid']}" if change["job_uuid"] else ""
    return f"{change['actor'] or ''}{job}"


def _what(change: Change) -> str:
    shown = {name: (values["old"], values["new"]) for name, values in change["changes"].items()}
    return "\n".join(f"{name}: {_text(old)} → {_text(new)}" for name, (old, new) in shown.items())


def _text(value: object) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False)
