"""`connectra audit`: who changed what. Reads the database itself, as those may who may see everything."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import asyncpg
import orjson
import typer
from connectra_client.display import console
from connectra_common.db.database import Connection, Database
from connectra_common.errors import from_exception
from connectra_common.settings import PostgresSettings, load
from rich.table import Table

from connectra_ops.settings import AuditSettings


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; None for any."""

    uuid: str | None = None
    actor: str | None = None
    request_id: str | None = None
    operation: str | None = None
    since: datetime | None = None
    until: datetime | None = None


_FIND = """
    SELECT id, at, actor, request_id, entity, uuid, operation, row_version, changes::text AS changes,
        CASE WHEN actor LIKE 'job:%' THEN (
            SELECT made.actor FROM audit made
            WHERE made.uuid = substr(audit.actor, 5) AND made.entity = 'job' AND made.operation = 'create' LIMIT 1) END AS made_by
    FROM audit
    WHERE ($1::text IS NULL OR uuid = $1) AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR request_id = $3)
      AND ($4::text IS NULL OR operation = $4) AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6)
    ORDER BY id DESC LIMIT $7"""

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
_Time = Annotated[datetime | None, typer.Option(formats=_FORMATS, help="UTC.")]


def audit(
    uuid: Annotated[str | None, typer.Argument(help="Of one record or job; absent: of all.")] = None,
    actor: Annotated[str | None, typer.Option(help="client:NAME, job:UUID, direct, or sql:USER.")] = None,
    request: Annotated[str | None, typer.Option(help="Id of a request.")] = None,
    operation: Annotated[
        str | None, typer.Option(help="create, update, delete, revive; of jobs cancel, retry, complete, fetch.")
    ] = None,
    since: _Time = None,
    until: _Time = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1)] = 100,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with old and new values.")] = False,
) -> None:
    """Show who changed which record or had which job run, the newest entry first."""
    wanted = AuditFilter(uuid, actor, request, operation, _utc(since), _utc(until))
    try:
        rows = asyncio.run(_read(load(AuditSettings).postgres, wanted, limit))
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
        shown[1] += f" by {row['made_by']}" if row["made_by"] else ""
        table.add_row(*shown, ", ".join(row["changes"] or ()))
    console.print(table)


async def _read(settings: PostgresSettings, wanted: AuditFilter, limit: int) -> list[dict[str, Any]]:
    async with Database.open(settings, "audit") as database, database.connection() as connection:
        rows = [dict(row) async for row in find(connection, wanted, limit)]
    return [{**row, "changes": orjson.loads(row["changes"] or "null")} for row in rows]


def _utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time else None


async def find(connection: Connection, wanted: AuditFilter, limit: int) -> AsyncIterator[asyncpg.Record]:
    """Entries, the newest first."""
    async with connection.transaction(readonly=True):
        # Somebody may be reading them page by page.
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        async for row in connection.cursor(_FIND, *astuple(wanted), limit):
            yield row
