"""Brings the schema up to date. Migrations are Alembic's, and so the one use of SQLAlchemy's connections."""

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
    """What migrations connect by; keeps no connection open."""
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
    """The asyncpg connection below, for what SQLAlchemy has no words for, such as COPY."""
    raw = await connection.get_raw_connection()
    return cast(asyncpg.Connection, raw.driver_connection)


@asynccontextmanager
async def locked(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that only one process at a time can be in: migrations, and what belongs with them, never run twice at once."""
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": locks.MIGRATE})
        yield connection


async def upgrade(connection: AsyncConnection) -> tuple[str | None, str]:
    """Applies what is missing, in the connection's transaction. Returns the revisions before and after."""
    return await connection.run_sync(_upgrade)


def head() -> str:
    """The revision this code is written for."""
    return revisions()[0]


def revisions() -> list[str]:
    """All that this code knows, the latest first."""
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
