"""`connectra audit`: who changed what. Reads the database itself, as those may who may see everything."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import asyncpg
import orjson
import typer
from connectra_client.display import console
from connectra_common.db.audit import Question, find
from connectra_common.db.database import connect_options
from connectra_common.errors import from_exception
from connectra_common.settings import PostgresSettings, load
from rich.table import Table

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
_Time = Annotated[datetime | None, typer.Option(formats=_FORMATS, help="UTC.")]


def audit(
    uuid: Annotated[str | None, typer.Argument(help="Of one record; absent: of all.")] = None,
    actor: Annotated[str | None, typer.Option(help="client:NAME, job:UUID, direct, or sql:USER.")] = None,
    request: Annotated[str | None, typer.Option(help="Id of a request.")] = None,
    operation: Annotated[str | None, typer.Option(help="create, update, delete or revive.")] = None,
    since: _Time = None,
    until: _Time = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1)] = 100,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with old and new values.")] = False,
) -> None:
    """Show who changed which record, the newest change first."""
    question = Question(uuid, actor, request, operation, _utc(since), _utc(until))
    try:
        rows = asyncio.run(_read(load(PostgresSettings), question, limit))
    except Exception as error:  # noqa: BLE001 - one line for the operator, whatever it is
        typer.echo(f"audit: {from_exception(error).message} ({error})", err=True)
        raise typer.Exit(1) from None
    if json:
        for row in rows:
            typer.echo(orjson.dumps(row).decode())
        return
    table = Table("at", "actor", "request", "entity", "uuid", "operation", "changed")
    for row in rows:
        shown = [str(row[name] or "") for name in ("at", "actor", "request_id", "entity", "uuid", "operation")]
        table.add_row(*shown, ", ".join(row["changes"] or ()))
    console.print(table)


async def _read(settings: PostgresSettings, question: Question, limit: int) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(settings.dsn(), **connect_options(settings, "audit"))
    try:
        rows = [dict(row) async for row in find(connection, question, limit)]
    finally:
        await connection.close()
    return [{**row, "changes": orjson.loads(row["changes"] or "null")} for row in rows]


def _utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time else None
