"""`connectra history`: what happened to one record."""

import json
from typing import Annotated

import typer

from connectra_client.commands.options import ApiKey, Entity, Profile, Url, connect
from connectra_client.output import AsJson, Format, Output, format_of, show_json, show_records
from connectra_client.rest import Change


def history(
    entity: Annotated[Entity, typer.Argument(help="What kind of record.")],
    uuid: Annotated[str, typer.Argument(help="Of the record.", metavar="UUID")],
    limit: Annotated[int, typer.Option("--limit", "-n", help="Maximum number of changes.", min=1)] = 25,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Show what happened to a record, newest first: when, what, and by whom.

    Who changed it is shown of what the key's own client did; with the right `admin`, of everything.

    Examples:
        connectra history contacts 6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11
        connectra history companies 00c5752b-4b70-5e55-a027-63ae68753a52 --json
    """
    with connect(url, api_key, profile) as client:
        changes = client.history(entity, uuid, limit)
    format = format_of(output, as_json)
    if format is Format.JSON:
        show_json(changes)
        return
    rows = [
        {
            "time": change["time"],
            "action": change["action"],
            "by": _who(change),
            "request": change["request_id"],
            "changes": _what(change),
        }
        for change in changes
    ]
    show_records(rows, ["time", "action", "changes", "by", "request"], format, chosen=True, name="request")


def _who(change: Change) -> str:
    job = f", job {change['job_uuid']}" if change["job_uuid"] else ""
    return f"{change['actor'] or ''}{job}"


def _what(change: Change) -> str:
    shown = {name: (values["old"], values["new"]) for name, values in change["changes"].items()}
    return "; ".join(f"{name}: {_text(old)} → {_text(new)}" for name, (old, new) in shown.items())


def _text(value: object) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False)
