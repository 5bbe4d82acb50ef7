"""Brings the schema up to date. Migrations use Alembic, and so are the only use of SQLAlchemy's connections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from connectra_common.db import locks
from connectra_common.db.database import connect_options
from connectra_common.settings import PostgresSettings


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
    """A transaction that only one process at a time can be in, so that migrations and related work never run concurrently."""
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": locks.MIGRATE})
        yield connection


async def upgrade(connection: AsyncConnection) -> tuple[str | None, str]:
    """Applies missing migrations in the connection's transaction. Returns the revisions before and after."""
    return await connection.run_sync(_upgrade)


def head() -> str:
    """The revision this code is written for."""
    return revisions()[0]


def revisions() -> list[str]:
    """All revisions known to this code, the latest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    before = _current(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return before, head()


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
