"""What is asked of the database. Nothing here reads more than an index or, for a bounded time, a count."""

from collections.abc import Mapping
from typing import Any

import asyncpg
from connectra_common.db import locks
from connectra_common.db.database import Connection
from connectra_common.records.fields import Entity

COUNT_SECONDS = 10

SERVER = """
    SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
        extract(epoch FROM clock_timestamp())::float8 AS now"""

# An indexer lives as long as its advisory lock is held.
OUTBOX = """
    SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT 1000000) o) AS pending,
        (SELECT coalesce(extract(epoch FROM now() - min(marked_at)), 0)::float8 FROM outbox) AS oldest,
        (SELECT count(*) FROM dead_letters) AS dead,
        (SELECT count(DISTINCT objid) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND objsubid = 2 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS indexers"""

JOBS = """
    SELECT count(*) FILTER (WHERE lease_until < now() - interval '1 minute') AS lost,
        count(*) FILTER (WHERE lease_until >= now() AND updated_at < now() - interval '1 hour') AS idle,
        count(*) FILTER (WHERE lease_until >= now()) AS held,
        count(*) FILTER (WHERE status = 'open') AS waiting,
        coalesce(extract(epoch FROM now() - min(updated_at) FILTER (WHERE status = 'open')), 0)::float8 AS oldest
    FROM jobs WHERE status IN ('open', 'in_queue', 'processing', 'retry_in_queued', 'retrying')"""


REVISION = "SELECT version_num FROM alembic_version"

Row = Mapping[str, Any]


async def server(connection: Connection) -> Row:
    """(number, version, now): its release, and its clock in seconds since 1970."""
    return await _one(connection, SERVER)


async def revision(connection: Connection) -> str | None:
    """The migration that the database is at; None before the first."""
    try:
        found: str | None = await connection.fetchval(REVISION)
    except asyncpg.UndefinedTableError:
        return None
    return found


async def outbox(connection: Connection) -> Row:
    """(pending, oldest in seconds, dead, indexers); `pending` is counted up to a million."""
    return await _one(connection, OUTBOX, locks.LIVING_INDEXER)


async def jobs(connection: Connection) -> Row:
    """(lost, idle, held, waiting, oldest in seconds)."""
    return await _one(connection, JOBS)


async def count(connection: Connection, entity: Entity) -> int | None:
    """Records that are not deleted; None when counting takes too long."""
    try:
        async with connection.transaction(readonly=True):
            await connection.execute(f"SET LOCAL statement_timeout = '{COUNT_SECONDS}s'")
            return int(await connection.fetchval(f"SELECT count(*) FROM {entity.table} WHERE deleted_at IS NULL"))
    except asyncpg.QueryCanceledError:
        return None


async def _one(connection: Connection, statement: str, *arguments: object) -> Row:
    row = await connection.fetchrow(statement, *arguments)
    assert row is not None  # each is an aggregate, or has no FROM
    return dict(row)
