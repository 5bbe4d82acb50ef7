"""A database that was empty a moment ago: plans made then must not have whole tables read once they have grown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import connectra_query.connections
import connectra_query.repository
import connectra_write.connections
import connectra_write.records.repository
import pytest
from connectra_common.db.database import Connection
from connectra_common.records import keys
from connectra_common.records.fields import CONTACT
from connectra_common.settings import PostgresSettings
from connectra_write.records.identities import KeyChange
from pydantic import SecretStr

# PostgreSQL makes a plan for any values after five for given ones.
CALLS = 8


@pytest.fixture
def settings(database: asyncpg.Connection, empty_database: str) -> PostgresSettings:
    return PostgresSettings(connection=SecretStr(empty_database), _env_file=None)


@asynccontextmanager
async def reads_no_table(connection: Connection) -> AsyncIterator[None]:
    """A transaction in which no table is read as a whole."""
    async with connection.transaction():
        yield
        scans = await connection.fetch("SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE seq_scan > 0")
        assert [tuple(row) for row in scans] == []


async def test_writes_look_records_up_by_their_keys(settings: PostgresSettings) -> None:
    async with (
        connectra_write.connections.Connections.open(settings, {}) as connections,
        connections.singles.connection() as connection,
        reads_no_table(connection),
    ):
        records = connectra_write.records.repository.RecordRepository(connection)
        for n in range(CALLS):
            uuid, key = str(uuid4()), keys.number(CONTACT, keys.Key(keys.EMAIL, f"{n}@example.com"))
            assert await records.known(CONTACT, [key], [uuid]) == []
            await records.lock_keys([key])
            await records.create(CONTACT, {"uuid": uuid, "email": f"{n}@example.com"}, KeyChange([key], []))
            await records.update(CONTACT, uuid, {"title": "Engineer"}, None)
            assert len(await records.known(CONTACT, [key], [uuid])) == 1


async def test_pages_look_records_up_by_their_uuids(settings: PostgresSettings) -> None:
    async with (
        connectra_query.connections.Connections.open(settings) as connections,
        connections.pages.connection() as connection,
        reads_no_table(connection),
    ):
        records = connectra_query.repository.RecordRepository(connection)
        for _ in range(CALLS):
            uuids = [str(uuid4()) for _ in range(25)]
            assert (await records.page(CONTACT, uuids, ["[]"] * 25, ("uuid",), ("uuid",)))[1] == 0
            assert await records.get(CONTACT, uuids[0], ("uuid",)) is None
            assert await records.many(CONTACT, uuids, ("uuid",)) == (b"[]", set())
