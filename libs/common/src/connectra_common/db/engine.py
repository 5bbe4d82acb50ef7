"""Connections to PostgreSQL: SQLAlchemy Core over asyncpg."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import orjson
from sqlalchemy import AsyncAdaptedQueuePool, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from connectra_common import metrics
from connectra_common.db.database import POOL_TIMEOUT_SECONDS, connect_options
from connectra_common.settings import PostgresSettings


class _Pool(AsyncAdaptedQueuePool):
    """The usual pool; knows how many wait for a connection, be it one that is in use or one that is being made."""

    waiting = 0

    def _do_get(self) -> ConnectionPoolEntry:
        self.waiting += 1
        try:
            return super()._do_get()
        finally:
            self.waiting -= 1


def create_engine(settings: PostgresSettings, process: str) -> AsyncEngine:
    """A pool of at most `pool_size` connections, made when first needed."""
    engine = create_async_engine(
        settings.dsn("postgresql+asyncpg"),
        poolclass=_Pool,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        pool_recycle=1800,
        echo=settings.debug,
        hide_parameters=not settings.debug,
        json_serializer=json.dumps,  # takes numbers beyond 64 bits as well, as jsonb does
        json_deserializer=orjson.loads,
        connect_args=connect_options(settings, process),
    )

    def pool() -> _Pool:
        return cast(_Pool, engine.pool)

    metrics.watch_pool(
        "sqlalchemy",
        idle=lambda: pool().checkedin(),
        used=lambda: pool().checkedout(),
        waiting=lambda: pool().waiting,
        most=settings.pool_size,
    )
    return engine


async def ping(engine: AsyncEngine) -> None:
    """Raises when the database does not answer."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def driver(connection: AsyncConnection) -> asyncpg.Connection:
    """The asyncpg connection below, for what SQLAlchemy has no words for: COPY, and bulk statements on hot paths."""
    raw = await connection.get_raw_connection()
    return cast(asyncpg.Connection, raw.driver_connection)


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection]:
    """A transaction on the driver's own connection, for COPY and bulk statements; commits when the block ends well.

    The pool does not know of it, so a call that is cancelled in the middle of a rollback could give a connection back with the
    transaction still open: what is not certainly clean is thrown away.
    """
    async with engine.connect() as connection:
        raw = await driver(connection)
        try:
            async with raw.transaction():
                yield raw
        except BaseException as error:
            if not isinstance(error, Exception) or raw.is_closed() or raw.is_in_transaction():
                raw.terminate()
                await connection.invalidate()
            raise


@asynccontextmanager
async def listener(
    settings: PostgresSettings, process: str, channel: str, wake: Any
) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own that calls `wake()` for each NOTIFY on the channel."""
    connection = await asyncpg.connect(settings.dsn(), **connect_options(settings, process))
    try:
        await connection.add_listener(channel, lambda *_: wake())
        yield connection
    finally:
        await connection.close()
