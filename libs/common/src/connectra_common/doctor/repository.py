"""What is asked of the database. Nothing here reads more than an index or, for a bounded time, a count."""

from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from connectra_common.db import locks
from connectra_common.records.fields import Entity

COUNT_SECONDS = 10

SERVER = text("""
    SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
        extract(epoch FROM clock_timestamp())::float8 AS now""")

# An indexer lives as long as its advisory lock is held.
OUTBOX = text("""
    SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT 1000000) o) AS pending,
        (SELECT coalesce(extract(epoch FROM now() - marked_at), 0)::float8 FROM outbox ORDER BY first_seq LIMIT 1) AS oldest,
        (SELECT count(*) FROM dead_letters) AS dead,
        (SELECT count(DISTINCT objid) FROM pg_locks WHERE locktype = 'advisory' AND classid = :living AND objsubid = 2 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS indexers""")

JOBS = text("""
    SELECT count(*) FILTER (WHERE lease_until < now() - interval '1 minute') AS lost,
        count(*) FILTER (WHERE lease_until >= now() AND updated_at < now() - interval '1 hour') AS idle,
        count(*) FILTER (WHERE lease_until >= now()) AS held,
        count(*) FILTER (WHERE status = 'open') AS waiting,
        coalesce(extract(epoch FROM now() - min(updated_at) FILTER (WHERE status = 'open')), 0)::float8 AS oldest
    FROM jobs WHERE status IN ('open', 'in_queue', 'processing', 'retry_in_queued', 'retrying')""")


async def server(connection: AsyncConnection) -> RowMapping:
    """(number, version, now): its release, and its clock in seconds since 1970."""
    return (await connection.execute(SERVER)).mappings().one()


async def outbox(connection: AsyncConnection) -> RowMapping:
    """(pending, oldest in seconds, dead, indexers); `pending` is counted up to a million."""
    return (await connection.execute(OUTBOX, {"living": locks.LIVING_INDEXER})).mappings().one()


async def jobs(connection: AsyncConnection) -> RowMapping:
    """(lost, idle, held, waiting, oldest in seconds)."""
    return (await connection.execute(JOBS)).mappings().one()


async def count(connection: AsyncConnection, entity: Entity) -> int | None:
    """Records that are not deleted; None when counting takes too long."""
    async with connection.begin_nested():
        await connection.execute(text(f"SET LOCAL statement_timeout = '{COUNT_SECONDS}s'"))
    try:
        async with connection.begin_nested():
            found: Any = await connection.execute(text(f"SELECT count(*) FROM {entity.table} WHERE deleted_at IS NULL"))
            return int(found.scalar_one())
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "57014":
            raise
        return None
