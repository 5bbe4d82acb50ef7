"""A process's connections, when the server ends some of them."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from connectra_common.db.database import Connection, Database
from connectra_common.settings import PostgresSettings
from pydantic import SecretStr


@pytest.fixture
async def one(empty_database: str) -> AsyncIterator[Database]:
    """A database of which the process may have one connection."""
    settings = PostgresSettings(connection=SecretStr(empty_database), pool_size=1)
    async with Database.open(settings, "test") as opened:
        yield opened


async def ended_by_the_server(connection: Connection, dsn: str) -> None:
    broken = asyncio.Event()
    connection.add_termination_listener(lambda _: broken.set())
    other = await asyncpg.connect(dsn)
    await other.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
    await other.close()
    async with asyncio.timeout(10):
        await broken.wait()


async def test_a_listener_that_the_server_ends_ends_quietly_and_its_place_is_free(
    one: Database, empty_database: str
) -> None:
    for _ in range(2):
        async with one.listener("news", lambda: None) as connection:
            await ended_by_the_server(connection, empty_database)
    await one.ping()


async def test_the_error_within_a_connection_that_the_server_ends_is_the_one_that_is_raised(
    one: Database, empty_database: str
) -> None:
    async def fail() -> None:
        async with one.connection() as connection:
            await ended_by_the_server(connection, empty_database)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await one.ping()
