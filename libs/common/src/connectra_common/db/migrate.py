"""Brings the schema up to date, in steps that writers hardly notice (docs/adr/0033). Migrations use Alembic, and so are the only use of
SQLAlchemy's connections.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from connectra_common.db import locks
from connectra_common.db.database import connect_options
from connectra_common.errors import Unavailable
from connectra_common.settings import PostgresSettings

T = TypeVar("T")
# Takes a line on how it goes.
Tell = Callable[[str], None]

# A statement that waits for a lock keeps everybody waiting who comes after it, so it gives up soon. Not before PostgreSQL sends away
# an autovacuum that is in the way, which it does after `deadlock_timeout` (1 s).
LOCK_SECONDS = 2
# Between two tries, in which those go on who had to wait.
PAUSE_SECONDS = 3.0
# After which it is the operator's turn.
PATIENCE_SECONDS = 600.0
_BUSY = {asyncpg.LockNotAvailableError.sqlstate, asyncpg.DeadlockDetectedError.sqlstate}

# Who keeps a backend waiting, or else how far an index is that it builds.
_PROGRESS = """
    SELECT coalesce(
        (SELECT 'waiting for ' || string_agg(format('session %s (%s, %s)', pid, usename, nullif(application_name, '')), ', ')
         FROM pg_stat_activity WHERE pid = ANY(pg_blocking_pids($1))),
        (SELECT format('index on %s: %s, %s%%', relid::regclass, phase, 100 * blocks_done / blocks_total)
         FROM pg_stat_progress_create_index WHERE pid = $1 AND blocks_total > 0))"""


@asynccontextmanager
async def engine(settings: PostgresSettings) -> AsyncIterator[AsyncEngine]:
    """The engine migrations use; keeps no connection open."""
    made = create_async_engine(
        settings.dsn("postgresql+asyncpg"),
        poolclass=NullPool,
        echo=settings.debug,
        hide_parameters=True,
        connect_args=connect_options(settings, "migrate"),
    )
    try:
        yield made
    finally:
        await made.dispose()


async def driver(connection: AsyncConnection) -> asyncpg.Connection:
    """The underlying asyncpg connection, for what SQLAlchemy cannot express, such as COPY."""
    raw = await connection.get_raw_connection()
    return cast(asyncpg.Connection, raw.driver_connection)


@asynccontextmanager
async def locked(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection that only one process at a time has, so that migrations and related work never run concurrently. It is in no
    transaction; statements of those that are begun on it wait LOCK_SECONDS for a lock.
    """
    async with engine.connect() as connection:
        assert connection.sync_connection
        event.listen(connection.sync_connection, "begin", _limit)
        raw = await driver(connection)
        # Asked over and over: a session that waits in a statement has a snapshot, and a concurrent index build waits for that to end.
        while not await raw.fetchval("SELECT pg_try_advisory_lock($1)", locks.MIGRATE):  # noqa: ASYNC110 - an event of the server's
            await asyncio.sleep(0.2)
        try:
            yield connection
        finally:
            await connection.invalidate()  # the lock ends with the session


async def upgrade(
    connection: AsyncConnection, tell: Tell | None = None, patience: float = PATIENCE_SECONDS
) -> tuple[str | None, str]:
    """Applies missing migrations, each on its own; killed at any point, the next call goes on there. Returns the revisions before and
    after.

    Args:
        connection: of `locked`.
        tell: takes lines on how it goes; by default the log.
        patience: seconds to wait for locks.

    Raises:
        Unavailable: others held a lock for longer.
    """
    before = await connection.run_sync(_current)
    await connection.rollback()

    async def migrate() -> None:
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))

    await patiently(connection, migrate, tell, patience)
    await connection.rollback()  # Alembic leaves one in which it has looked for the revision
    return before, head()


async def patiently(
    connection: AsyncConnection,
    work: Callable[[], Awaitable[T]],
    tell: Tell | None = None,
    patience: float = PATIENCE_SECONDS,
) -> T:
    """Does what takes locks, again and again until it gets them. Arguments and errors are those of `upgrade`."""
    say, began = tell or structlog.get_logger().info, time.monotonic()
    async with _watched(connection, say) as last:
        while True:
            try:
                return await work()
            except Exception as error:
                if getattr(getattr(error, "orig", error), "sqlstate", None) not in _BUSY:
                    raise
                await connection.rollback()
                if time.monotonic() - began > patience:
                    raise Unavailable(
                        f"a lock was not free for {patience:.0f} s ({' '.join(last)}); end that session, then run this again: it goes on"
                    ) from error
                say(f"no lock within {LOCK_SECONDS} s; next try in {PAUSE_SECONDS:.0f} s, so that writers can pass")
                await asyncio.sleep(PAUSE_SECONDS)


def head() -> str:
    """The revision this code is written for."""
    return revisions()[0]


def revisions() -> list[str]:
    """All revisions known to this code, the latest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


@asynccontextmanager
async def _watched(connection: AsyncConnection, tell: Tell) -> AsyncIterator[list[str]]:
    """Tells who is in the way and how far index builds are. Gives a list that holds the last of those who were, if any."""
    pid = (await driver(connection)).get_server_pid()
    last: list[str] = []

    async def watch() -> None:
        said = ""
        async with connection.engine.connect() as second:
            raw = await driver(second)
            while True:
                await asyncio.sleep(LOCK_SECONDS / 4)
                now = await raw.fetchval(_PROGRESS, pid)
                if now and now != said:
                    tell(said := now)
                if now and now.startswith("waiting"):
                    last[:] = [now]

    watching = asyncio.create_task(watch())
    try:
        yield last
    finally:
        watching.cancel()
        await asyncio.wait([watching])


def _limit(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config
