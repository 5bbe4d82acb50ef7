"""Databases of a test's own, and the state of the outbox."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
from alembic import command
from alembic.config import Config
from connectra_common.db import migrate
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.support.wait import until

PREDECESSOR = Path(__file__).with_name("predecessor.sql").read_text()
"""The tables as the predecessor made them, with about 3,000 odd rows."""


@asynccontextmanager
async def new_database(server: str) -> AsyncIterator[str]:
    """DSN of a new, empty database on the server of the DSN `server`, which no process of the stack uses; dropped at the end."""
    name = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(server)
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


def plain_engine(dsn: str, **arguments: Any) -> AsyncEngine:
    """An engine without any setting of ours."""
    return create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://"), **arguments)


async def migrated(engine: AsyncEngine) -> AsyncEngine:
    """The engine, once its database has the current schema."""
    async with migrate.locked(engine) as connection:
        await migrate.upgrade(connection)
    return engine


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A backend that does not answer meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def upgraded(engine: AsyncEngine, revision: str) -> None:
    """Brings a database up to an earlier revision."""

    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async with migrate.locked(engine) as connection:
        await connection.run_sync(upgrade)


async def is_drained(connection: asyncpg.Connection | asyncpg.Pool) -> bool:
    """Whether the indexers have nothing left to do."""
    return not await connection.fetchval("SELECT EXISTS (SELECT FROM outbox)")


async def drained(connection: asyncpg.Connection | asyncpg.Pool, *, seconds: float = 60, pause: float = 0.05) -> None:
    """Waits until the indexers have nothing left to do."""
    await until(lambda: is_drained(connection), seconds=seconds, pause=pause)


async def last_token(connection: asyncpg.Connection) -> str:
    """The consistency token with which a search sees all that is committed."""
    return str(await connection.fetchval("SELECT last_value FROM outbox_seq"))


async def indexed(connection: asyncpg.Connection) -> str:
    """Waits until all that is committed is indexed; the token with which a search sees it."""
    token = await last_token(connection)

    async def is_indexed() -> bool:
        waiting = "SELECT EXISTS (SELECT FROM outbox WHERE first_seq <= $1)"
        return not await connection.fetchval(waiting, int(token))

    await until(is_indexed)
    return token
