"""`connectra explain`: why a query finds a record, or why it does not."""

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from connectra_client.commands.options import TEXT_HELP, Alike, ApiKey, Entity, Url, Where, conditions
from connectra_client.connection import find_connection
from connectra_client.display import console, show_meant
from connectra_client.rest import Json, RestClient


def explain(
    entity: Annotated[Entity, typer.Argument(help="What kind of record.")],
    uuid: Annotated[str, typer.Argument(help="Of the record.")],
    text: Annotated[str | None, typer.Argument(help=TEXT_HELP)] = None,
    alike: Alike = None,
    where: Where = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's answer as JSON.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Say which conditions of a search a record meets, and which not."""
    with RestClient(find_connection(url, api_key)) as client:
        answer = client.explain(entity, uuid, conditions(text, where, alike))
    found: Json = answer["data"]
    show_meant(answer)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    table = Table("", "condition", "the record has", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for judged in found["conditions"]:
        good = judged["met"] != judged["excluded"]
        table.add_row("[green]yes[/]" if good else "[red]no[/]", escape(_asked(judged)), escape(_there(judged)))
    console.print(table)
    console.print("the search finds it" if found["matches"] else "the search does not find it")


def _asked(judged: Json) -> str:
    condition = dict(judged["condition"])
    field = condition.pop("field")
    meaning = ", ".join(f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in condition.items())
    return f"{'not: ' if judged['excluded'] else ''}{field} {meaning}"


def _there(judged: Json) -> str:
    if "found" in judged:
        found = {word: list(fields) for word, fields in judged["found"].items()}
        for one in judged.get("alike", ()):
            found.setdefault(one["word"], []).append(f"{one['field']} {one['name']} ({one['by']})")
        return "; ".join(f"{word}: {', '.join(places) or '-'}" for word, places in found.items())
    return ", ".join(map(str, judged["values"])) or "-"
