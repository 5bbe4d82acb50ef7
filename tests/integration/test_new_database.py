"""A database that was empty a moment ago: plans made then must not have whole tables read once they have grown, nor those made before
there are statistics of what it has now.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import connectra_query.connections
import connectra_query.export.repository
import connectra_query.repository
import connectra_write.connections
import connectra_write.indexer.repository
import connectra_write.records.repository
import pytest
from connectra_common.db.database import Connection, Database
from connectra_common.records import keys
from connectra_common.records.fields import CONTACT
from connectra_common.settings import PostgresSettings
from connectra_common.vql.ast import And, Query
from connectra_query.export.repository import Layout
from connectra_write.indexer.operations.repository import OperationRepository
from connectra_write.indexer.repository import OutboxRepository, Queue
from connectra_write.marks import Lane
from connectra_write.records.identities import KeyChange
from pydantic import SecretStr

# PostgreSQL makes a plan for any values after five for given ones.
CALLS = 8
COMPANY_UUID = "00000000-0000-0000-0000-000000000001"


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


@pytest.fixture
async def without_statistics(database: asyncpg.Connection) -> None:
    """A company with ten thousand contacts of which there are no statistics, as right after an import."""
    await database.execute(
        f"""ALTER TABLE contacts SET (autovacuum_enabled = off);
            ALTER TABLE outbox SET (autovacuum_enabled = off);
            ALTER TABLE index_catch_up SET (autovacuum_enabled = off);
            INSERT INTO companies (uuid, name) VALUES ('{COMPANY_UUID}', 'Big');
            INSERT INTO contacts (uuid, company_id) SELECT gen_random_uuid(), '{COMPANY_UUID}' FROM generate_series(1, 10000);
            INSERT INTO index_catch_up (entity, uuid) SELECT 'contact', uuid FROM contacts"""
    )


@asynccontextmanager
async def reads_few(connection: Connection, most: int) -> AsyncIterator[None]:
    """A transaction that fails if it has read more than `most` rows of any table."""
    async with connection.transaction():
        yield
        read = await connection.fetch(
            "SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows FROM pg_stat_xact_user_tables"
        )
        assert {row["relname"]: row["rows"] for row in read if row["rows"] > most} == {}


@pytest.fixture
async def indexer(settings: PostgresSettings) -> AsyncIterator[Connection]:
    """A connection of an indexer."""
    session = connectra_write.indexer.repository.SESSION
    async with Database.open(settings, "indexer", session, connections=1) as opened, opened.connection() as connection:
        yield connection


@pytest.mark.usefixtures("without_statistics")
async def test_a_walk_over_the_records_reads_slice_by_slice(indexer: Connection) -> None:
    records = OperationRepository(indexer)
    async with reads_few(indexer, 2_500):
        for after in map(str, range(CALLS)):
            documents, _ = await records.slice(CONTACT, after, 100)
            uuids = [document.uuid for document in documents]
            assert len(uuids) == 100
            assert [uuid for uuid, _ in await records.versions(CONTACT, after, 100)] == uuids
            assert [listed.uuid for listed in await records.listed(CONTACT, after, 100)] == uuids


@pytest.mark.usefixtures("without_statistics")
async def test_an_indexer_reads_the_marks_that_it_claims(indexer: Connection) -> None:
    outbox = OutboxRepository(indexer)
    async with reads_few(indexer, 1_000):
        assert len(await outbox.claim(1, [Queue("contact", Lane.INTERACTIVE, 100)], 30)) == 100
        [company] = await outbox.claim(1, [Queue("company", Lane.INTERACTIVE, 100)], 30)
        assert not await outbox.fan_out_slice(company, 100)


@pytest.mark.usefixtures("without_statistics")
async def test_an_export_reads_page_by_page(settings: PostgresSettings) -> None:
    query = Query(CONTACT, And(()), sort=(), size=25, skip=0, cursor=None, columns=("uuid",), company_columns=None)
    async with (
        connectra_query.connections.Connections.open(settings) as connections,
        connections.streams.connection() as connection,
    ):
        export = connectra_query.export.repository.ExportRepository(connection, query, Layout())
        after, last = 0, await export.last()
        async with reads_few(connection, 2_500):
            for _ in range(CALLS):
                end = await export.page_end(after, last, 100)
                assert end is not None
                assert (await export.page(after, end)).rows == 100
                after = end
