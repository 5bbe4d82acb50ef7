"""`connectra audit`: who did what. Reads the database itself, as those may who may see everything."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import asyncpg
import orjson
import typer
from connectra_client.output import AsJson, Format, Output, format_of, show_records
from connectra_common.db.database import Connection, Database
from connectra_common.db.trail import MADE_BY
from connectra_common.errors import from_exception
from connectra_common.settings import PostgresSettings, load

from connectra_ops import here
from connectra_ops.settings import AuditSettings


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; None for any. Of a job there is what was done to it and what it did; of a client also what its jobs did."""

    record: str | None = None
    job: str | None = None
    client: str | None = None
    actor: str | None = None
    request_id: str | None = None
    kind: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


# What a worker asks of other services has its job's uuid as the id of the request.
_FIND = f"""
    SELECT id, at, actor, {MADE_BY} AS made_by, request_id, entity, uuid, operation AS action, row_version, changes::text AS changes
    FROM audit
    WHERE ($1::text IS NULL OR uuid = $1)
      AND ($2::text IS NULL OR (uuid = $2 AND entity = 'job') OR actor = 'job:' || $2 OR request_id = $2)
      AND ($3::text IS NULL OR actor = 'client:' || $3 OR actor IN (
          SELECT 'job:' || made.uuid FROM audit made
          WHERE made.entity = 'job' AND made.operation = 'create' AND made.actor = 'client:' || $3))
      AND ($4::text IS NULL OR actor = $4) AND ($5::text IS NULL OR request_id = $5)
      AND ($6::text IS NULL OR entity = $6) AND ($7::text IS NULL OR operation = $7)
      AND ($8::timestamptz IS NULL OR at >= $8) AND ($9::timestamptz IS NULL OR at < $9)
    ORDER BY id DESC LIMIT $10"""  # noqa: S608 - only our own text is put in

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
_Time = Annotated[datetime | None, typer.Option(formats=_FORMATS, help="UTC.")]
_RECORDS = ("company", "contact")


class Kind(StrEnum):
    """What something was done to."""

    COMPANY = "company"
    CONTACT = "contact"
    JOB = "job"
    STREAM = "stream"
    INDEX = "index"


def audit(
    record: Annotated[str | None, typer.Option(metavar="UUID", help="Changes of one record.")] = None,
    job: Annotated[
        str | None, typer.Option(metavar="UUID", help="What was done to one job, and what the job did.")
    ] = None,
    client: Annotated[
        str | None, typer.Option(metavar="NAME", help="What one client did, itself or by its jobs.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="client:NAME, job:UUID, direct, or sql:USER.")] = None,
    request: Annotated[str | None, typer.Option(metavar="ID", help="What one request did.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="What something was done to.")] = None,
    action: Annotated[
        str | None,
        typer.Option(
            help="Of records create, update, delete, revive; of jobs create, cancel, retry, complete, fetch; of streams export, search; of "
            "the index reindex, abort, rollback, drop_previous, repair, replay."
        ),
    ] = None,
    since: _Time = None,
    until: _Time = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1)] = 100,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
) -> None:
    """Show who changed a record, had a job run, took records by a stream or administered the index; the newest entry first.

    Streams and the index have an entry when something begins, and one that says how it ended. Changes of keys are in the gateway's log.

    Examples:
        connectra audit --record 6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11
        connectra audit --client crm --action delete --since 2026-01-31
        connectra audit --kind job --json -n 10
    """
    wanted = AuditFilter(record, job, client, actor, request, kind, action, _utc(since), _utc(until))
    if not here.find():
        typer.echo(f"audit: {here.NOTHING}: {here.ADVICE}", err=True)
        raise typer.Exit(1)
    try:
        rows = asyncio.run(_read(load(AuditSettings).postgres, wanted, limit))
    except Exception as error:  # noqa: BLE001 - one line for the operator, whatever it is
        typer.echo(f"audit: {from_exception(error).message} ({error})", err=True)
        raise typer.Exit(1) from None
    format = format_of(output, as_json)
    shown = [{**row, "at": row["at"].isoformat()} if format is Format.JSON else _row(row) for row in rows]
    show_records(shown, ["at", "action", "kind", "of", "what", "actor", "request"], format, name="of")


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    by = f" by {row['made_by']}" if row["made_by"] else ""
    return {
        "at": row["at"],
        "action": row["action"],
        "kind": row["entity"],
        "of": row["uuid"],
        "what": _told(row),
        "actor": f"{row['actor']}{by}",
        "request": row["request_id"],
    }


def _told(row: Mapping[str, Any]) -> str:
    """The fields that changed; of anything else what was asked for and came of it."""
    changes: Mapping[str, Any] = row["changes"] or {}
    if row["entity"] in _RECORDS:
        return ", ".join(changes)
    return ", ".join(
        f"{name}={value if isinstance(value, str) else orjson.dumps(value).decode()}"
        for name, (_, value) in changes.items()
    )


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
