"""`connectra explain`: why a query finds a record, or why it does not."""

import json
from typing import Annotated

import typer

from connectra_client.commands.options import Alike, ApiKey, Entity, Profile, Url, Where, conditions, connect
from connectra_client.commands.search import Text
from connectra_client.display import hint, show_notes
from connectra_client.output import AsJson, Format, Output, format_of, show_json, show_records
from connectra_client.rest import Json


def explain(
    entity: Annotated[Entity, typer.Argument(help="What kind of record.")],
    uuid: Annotated[str, typer.Argument(help="Of the record.", metavar="UUID")],
    text: Text = None,
    alike: Alike = None,
    where: Where = None,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Say which conditions of a search a record meets, and which not.

    Examples:
        connectra explain contacts 6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11 "sales berlin"
    """
    with connect(url, api_key, profile) as client:
        answer = client.explain(entity, uuid, conditions(text, where, alike))
    found: Json = answer["data"]
    show_notes(answer)
    format = format_of(output, as_json)
    if format is Format.JSON:
        show_json(found)
        return
    rows = [
        {
            "met": "yes" if judged["met"] != judged["excluded"] else "no",
            "condition": _asked(judged),
            "the record has": _there(judged),
        }
        for judged in found["conditions"]
    ]
    show_records(rows, list(rows[0]) if rows else [], format, chosen=True, name="condition")
    hint("the search finds it" if found["matches"] else "the search does not find it")


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
