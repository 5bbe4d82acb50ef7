"""A process's connections, when the server ends some of them, does not answer, or waits for what somebody has locked."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any, cast
from urllib.parse import urlsplit

import asyncpg
import pytest
from connectra_common.call import Call, bound
from connectra_common.db import database
from connectra_common.db.database import KEEPALIVE_IDLE, UNDO_SECONDS, Connection, Database, connect_options
from connectra_common.errors import DatabaseUnavailable, from_exception
from connectra_common.settings import PostgresSettings
from pydantic import SecretStr

from tests.support.postgres import stopped
from tests.support.relay import Relay
from tests.support.wait import until


@pytest.fixture
async def one(empty_database: str) -> AsyncIterator[Database]:
    """A database of which the process may have one connection."""
    settings = PostgresSettings(connection=SecretStr(empty_database), pool_size=1)
    async with Database.open(settings, "test") as opened:
        yield opened


@pytest.fixture
async def other(empty_database: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else, with a table of the database."""
    connection = await asyncpg.connect(empty_database)
    await connection.execute("CREATE TABLE news (text text)")
    yield connection
    await connection.close()


async def backends(other: asyncpg.Connection) -> int:
    """Of the process, in this database."""
    await other.execute("SELECT pg_stat_clear_snapshot()")  # in a transaction they would be as they were
    return int(
        await other.fetchval(
            """SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'connectra-test'"""
        )
    )


async def ended_by_the_server(connection: Connection, dsn: str) -> None:
    broken = asyncio.Event()
    connection.add_termination_listener(lambda _: broken.set())
    other = await asyncpg.connect(dsn)
    await other.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
    await other.close()
    async with asyncio.timeout(10):
        await broken.wait()


async def test_a_copy_that_is_given_up_leaves_nothing_to_who_comes_next(
    one: Database, other: asyncpg.Connection
) -> None:
    async def copy(begun: asyncio.Event) -> None:
        async def take(_: bytes) -> None:
            begun.set()

        async with one.connection() as connection:
            await connection.copy_from_query("SELECT repeat('x', 10000) FROM generate_series(1, 9999)", output=take)

    # The driver forgets a copy that is cancelled between the arrival of a piece and its taking.
    for turns in range(30):
        given_up = asyncio.create_task(copy(begun := asyncio.Event()))
        await begun.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        async with one.connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1
    await until(lambda: backends(other), lambda left: left == 1, seconds=10)


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


@pytest.mark.parametrize("kind", ["connection", "transaction", "session"])
async def test_what_is_given_up_while_it_waits_for_a_lock_leaves_no_backend_and_changes_nothing(
    one: Database, other: asyncpg.Connection, kind: str
) -> None:
    async def write() -> None:
        async with getattr(one, kind)() as connection:
            await connection.execute("INSERT INTO news VALUES ('late')")

    async with other.transaction():
        await other.execute("LOCK TABLE news IN SHARE MODE")
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await write()
        assert await backends(other) <= 1
        # Its place is free, though the lock is still held.
        await one.ping()
    assert await other.fetchval("SELECT count(*) FROM news") == 0


@pytest.mark.parametrize("kind", ["connection", "transaction", "session"])
async def test_a_backend_that_does_not_answer_costs_who_meets_it_and_nobody_after(
    one: Database, other: asyncpg.Connection, kind: str
) -> None:
    async with one.connection() as connection:
        pid = connection.get_server_pid()

    async def write() -> None:
        async with getattr(one, kind)() as connection:
            await connection.execute("INSERT INTO news VALUES ('late')")
            # Of a session the statement does not end either.
            await connection.execute("SELECT pg_sleep(60)")

    began = time.monotonic()
    with stopped(pid):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await write()
        assert time.monotonic() - began < 3 * UNDO_SECONDS
        await one.ping()


async def test_connections_that_a_host_between_has_forgotten_delay_a_call_and_break_none(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = urlsplit(empty_database)
    async with Relay.to(url.hostname or "", url.port or 5432) as relay:
        login, _, _ = url.netloc.rpartition("@")
        through = SecretStr(url._replace(netloc=f"{login}@{relay.address}").geturl())
        async with Database.open(PostgresSettings(connection=through, pool_size=3, _env_file=None), "test") as opened:
            async with opened.connection(), opened.connection(), opened.connection():
                pass
            relay.forget()
            monkeypatch.setattr(database, "RESTED_SECONDS", 0)
            async with asyncio.timeout(2 * database.ANSWER_SECONDS):
                await opened.ping()
            monkeypatch.undo()
            # Those beside it were given up with it.
            async with asyncio.timeout(1), opened.connection() as first, opened.connection() as second:
                assert [await one.fetchval("SELECT 1") for one in (first, second)] == [1, 1]


async def test_a_backend_whose_client_is_gone_does_not_wait_on(other: asyncpg.Connection, empty_database: str) -> None:
    settings = PostgresSettings(connection=SecretStr(empty_database), _env_file=None)
    gone = await asyncpg.connect(empty_database, **connect_options(settings, "test"))
    async with other.transaction():
        await other.execute("LOCK TABLE news IN SHARE MODE")
        waiting = asyncio.create_task(gone.execute("INSERT INTO news VALUES ('late')"))
        await until(lambda: other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        gone.terminate()
        await asyncio.gather(waiting, return_exceptions=True)
        await until(lambda: backends(other), lambda count: count == 0, seconds=10)
    assert await other.fetchval("SELECT count(*) FROM news") == 0


async def test_the_server_ends_a_statement_once_its_call_has_ended(empty_database: str) -> None:
    settings = PostgresSettings(connection=SecretStr(empty_database), _env_file=None)
    async with Database.open(settings, "test", connections=1, limited=True) as database:

        async def limits(seconds: float | None, kind: str = "connection") -> tuple[str, str]:
            with bound(Call.read({}, "", seconds)):
                async with getattr(database, kind)() as connection:
                    row: Any = await connection.fetchrow(
                        "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
                    )
            return row[0], row[1]

        assert await limits(29.9) == ("30s", "27s")
        assert await limits(0.3) == ("1s", "900ms")
        # A session goes on with the connection of a call.
        assert await limits(None, "session") == ("10min", "27s")
        assert await limits(None) == ("10min", "27s")
        assert await limits(5000) == ("10min", "27s")


async def test_who_waits_too_long_for_a_lock_is_told_so(empty_database: str, other: asyncpg.Connection) -> None:
    settings = PostgresSettings(connection=SecretStr(empty_database), _env_file=None)
    async with other.transaction(), Database.open(settings, "test", connections=1, limited=True) as database:
        await other.execute("LOCK TABLE news IN SHARE MODE")
        with bound(Call.read({}, "", 0.9)), pytest.raises(asyncpg.LockNotAvailableError) as refused:
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO news VALUES ('late')")
    error = from_exception(refused.value)
    assert isinstance(error, DatabaseUnavailable)
    assert "locked" in error.message


async def test_a_host_that_is_gone_is_noticed(one: Database) -> None:
    async with one.connection() as connection:
        connected: socket.socket = cast(Any, connection)._transport.get_extra_info("socket")
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEPALIVE_IDLE
        assert await connection.fetchval("SHOW tcp_keepalives_idle") == str(KEEPALIVE_IDLE)
