"""Migrations of a database that is in use: writers hardly notice, and what was killed goes on."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from connectra_common.call import IdempotencyKey
from connectra_common.db import idempotency, migrate
from connectra_common.errors import Unavailable
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.postgres import plain_engine, upgraded
from tests.support.wait import until


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries and pauses that a test can wait for."""
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 1)
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.2)


@pytest.fixture
async def fresh(empty_database: str) -> AsyncIterator[AsyncEngine]:
    """An engine on an empty database."""
    engine = plain_engine(empty_database)
    yield engine
    await engine.dispose()


@pytest.fixture
async def sessions(empty_database: str) -> AsyncIterator[list[asyncpg.Connection]]:
    """Three sessions on that database."""
    opened = [await asyncpg.connect(empty_database) for _ in range(3)]
    yield opened
    for session in opened:
        await session.close()


async def upgrade(engine: AsyncEngine, told: list[str], patience: float = 60) -> None:
    async with migrate.locked(engine) as connection:
        await migrate.upgrade(connection, told.append, patience)


async def add_contacts(session: asyncpg.Connection, number: int) -> None:
    await session.execute(
        """INSERT INTO contacts (uuid, email, title) SELECT gen_random_uuid(), md5(random()::text) || '@x.com', 't'
           FROM generate_series(1, $1)""",
        number,
    )


async def test_beside_a_long_transaction_writers_pass_and_the_operator_is_told_who_is_in_the_way(
    fresh: AsyncEngine, sessions: list[asyncpg.Connection]
) -> None:
    # The next migration changes triggers, which takes a lock that no writer shares.
    await upgraded(fresh, "0005")
    idle, writer, _ = sessions
    told: list[str] = []
    transaction = idle.transaction()
    await transaction.start()
    await add_contacts(idle, 1)
    with pytest.raises(Unavailable, match="end that session"):
        await upgrade(fresh, told, patience=0)
    upgrading = asyncio.create_task(upgrade(fresh, told))
    for _ in range(10):
        async with asyncio.timeout(2 * migrate.LOCK_SECONDS):
            await add_contacts(writer, 1)
        await asyncio.sleep(0)
    await until(lambda: _told(told, f"session {idle.get_server_pid()}"))
    await until(lambda: _told(told, "next try"))
    await transaction.commit()
    await upgrading
    assert await writer.fetchval("SELECT version_num FROM alembic_version") == migrate.head()
    assert await writer.fetchval("SELECT count(*) FROM contacts c JOIN match_keys k ON k.record_id = c.id") == 11


async def _told(told: list[str], what: str) -> bool:
    return any(what in line for line in told)


async def test_two_that_wait_for_each_other_and_build_indexes_are_not_in_the_way(
    fresh: AsyncEngine, sessions: list[asyncpg.Connection]
) -> None:
    told: list[str] = []
    await asyncio.gather(*(upgrade(fresh, told) for _ in range(3)))
    assert await sessions[0].fetchval("SELECT version_num FROM alembic_version") == migrate.head()


async def test_an_index_that_was_left_unfinished_is_built_again(
    fresh: AsyncEngine, sessions: list[asyncpg.Connection]
) -> None:
    await upgraded(fresh, "0016")
    reader, watcher, writer = sessions
    await add_contacts(watcher, 10)
    # A build waits for older snapshots, and keeps no writer waiting meanwhile.
    snapshot = reader.transaction(isolation="repeatable_read")
    await snapshot.start()
    await reader.fetchval("SELECT count(*) FROM contacts")
    upgrading = asyncio.create_task(upgrade(fresh, []))
    invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    unfinished = await until(lambda: watcher.fetchval(invalid))
    await add_contacts(writer, 10)
    await watcher.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index")
    with pytest.raises(Exception, match=r"terminat|closed|reconnect"):
        await upgrading
    assert await watcher.fetchval(invalid) == unfinished
    await snapshot.rollback()
    await upgrade(fresh, [])
    assert await watcher.fetchval(invalid) is None
    assert await watcher.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = $1::text::regclass", unfinished)


async def test_the_trail_and_the_ledger_become_partitions_beside_a_writer(
    fresh: AsyncEngine, sessions: list[asyncpg.Connection]
) -> None:
    await upgraded(fresh, "0017")
    database, writer, _ = sessions
    await add_contacts(database, 1000)
    await database.execute(
        """INSERT INTO import_batches (job_uuid, batch_number, byte_start, byte_end, next_line, counts, consistency_token)
           SELECT 'j', n, 0, 1, 2, '{}', n FROM generate_series(1, 100) n"""
    )
    await database.execute(
        "INSERT INTO idempotency_keys (client, key, request_hash, response) VALUES ('c', 'k', 'h', '\"a\"')"
    )
    before = await database.fetch("SELECT * FROM audit ORDER BY id")
    ledger = await database.fetch("SELECT * FROM import_batches ORDER BY batch_number")
    stop, written = asyncio.Event(), 0

    async def write() -> None:
        nonlocal written
        while not stop.is_set():
            await add_contacts(writer, 1)
            written += 1

    writing = asyncio.create_task(write())
    await upgrade(fresh, [])
    stop.set()
    await writing
    after = await database.fetch("SELECT * FROM audit ORDER BY id")
    assert [dict(row) for row in after[: len(before)]] == [dict(row) for row in before]
    assert (len(after), written > 0) == (len(before) + written, True)
    assert len({row["id"] for row in after}) == len(after)
    assert await database.fetch("SELECT * FROM import_batches ORDER BY batch_number") == ledger
    # What follows is in them too, in turn.
    await add_contacts(database, 1)
    assert await database.fetchval("SELECT max(id) FROM audit") > after[-1]["id"]
    assert await database.fetchval("SELECT count(*) FROM audit_default") == 0
    async with database.transaction():
        assert await idempotency.reserve(database, IdempotencyKey("c", "k"), "h") == "a"


async def test_an_update_of_what_is_not_indexed_makes_no_index_entries(database: asyncpg.Connection) -> None:
    await add_contacts(database, 1000)
    async with database.transaction():
        await database.execute("UPDATE contacts SET title = 'x' WHERE id % 20 = 0")
        done = await database.fetchrow(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'contacts'"
        )
    assert done is not None
    assert (done["n_tup_upd"], done["n_tup_hot_upd"]) == (50, 50)
