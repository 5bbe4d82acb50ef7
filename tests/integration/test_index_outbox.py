"""The outbox between writers and indexers, on the real database: no mark is lost, and no one waits long for anyone else."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from connectra_common.consistency import Kind, Token
from connectra_common.db.database import Database
from connectra_common.db.queues import QUEUE
from connectra_common.db.written import pending
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_common.settings import PostgresSettings
from connectra_write import marks
from connectra_write.indexer.indexer import Indexer, Tuning
from connectra_write.indexer.low_water import LowWater
from connectra_write.indexer.repository import SESSION, Claim, OutboxRepository, Queue
from connectra_write.marks import Lane, add_batch, are_many, newest, sweep_batches
from connectra_write.notifier import CHANNEL
from elasticsearch import AsyncElasticsearch

from tests.support.wait import until

LEASE = 30.0
CONTACTS = [Queue("contact", Lane.INTERACTIVE, 2_000)]


def uuid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


@pytest.fixture
async def second(empty_database: str, database: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """Another connection to the same database, as an indexer has it."""
    connection = await asyncpg.connect(empty_database, server_settings=SESSION)
    yield connection
    await connection.close()


async def add_contacts(database: asyncpg.Connection, *numbers: int, company: int | None = None) -> None:
    await database.execute(
        "INSERT INTO contacts (uuid, company_id, last_name) SELECT u, $2, 'x' FROM unnest($1::text[]) u",
        [uuid(n) for n in numbers],
        None if company is None else uuid(company),
    )


async def claims_of(outbox: OutboxRepository, limit: int = 1000, me: int = 1) -> list[Claim]:
    """Of all queues, one after another."""
    claims: list[Claim] = []
    queues = [Queue(entity, lane, limit) for lane in Lane for entity in ("company", "contact")]
    while found := await outbox.claim(me, queues, LEASE):
        claims += found
        if len(claims) >= limit:
            break
    return claims


async def left(database: asyncpg.Connection) -> set[str]:
    return {row["uuid"] for row in await database.fetch("SELECT uuid FROM outbox")}


async def test_what_is_marked_again_meanwhile_stays_and_is_free_at_once(database: asyncpg.Connection) -> None:
    outbox = OutboxRepository(database)
    await add_contacts(database, 1, 2)
    claims = await claims_of(outbox)
    assert await claims_of(outbox) == []
    await database.execute("UPDATE contacts SET title = 'x' WHERE uuid = $1", uuid(1))
    assert await outbox.done(claims) == []
    assert await left(database) == {uuid(1)}
    (again,) = await claims_of(outbox)
    assert (again.uuid, again.attempts) == (uuid(1), 1)


async def test_a_record_that_never_rests_does_not_hold_up_the_tokens_of_others(database: asyncpg.Connection) -> None:
    outbox = OutboxRepository(database)
    await add_contacts(database, 1)
    for _ in range(3):
        token = await database.fetchval("SELECT last_value FROM outbox_seq")
        claims = await claims_of(outbox)
        # A write to another record, and one more to the restless one.
        await database.execute("UPDATE contacts SET title = 'x' WHERE uuid = $1", uuid(1))
        own_token = await database.fetchval("SELECT last_value FROM outbox_seq")
        await outbox.done(claims)
        first = await database.fetchval("SELECT first_seq FROM outbox")
        assert token <= first <= own_token
        await add_contacts(database, 2)
        await database.execute("DELETE FROM contacts WHERE uuid = $1", uuid(2))
        await outbox.done([c for c in await claims_of(outbox) if c.uuid == uuid(2)])
        await database.execute("UPDATE outbox SET claimed_until = NULL")
    assert first > 1


async def test_an_old_claim_does_not_remove_a_row_that_went_and_came_back(database: asyncpg.Connection) -> None:
    outbox = OutboxRepository(database)
    await add_contacts(database, 1)
    old = await claims_of(outbox)
    await database.execute("UPDATE contacts SET title = 'x'")
    await outbox.done(await claims_of(outbox))
    assert await left(database) == set()
    await database.execute("UPDATE contacts SET title = 'y'")
    await outbox.done(old)
    await outbox.release(old, 60)
    assert not await outbox.to_dead_letters(old[0], "late")
    assert [claim.uuid for claim in await claims_of(outbox)] == [uuid(1)]


async def test_a_row_that_a_writer_holds_is_settled_when_he_lets_go(
    database: asyncpg.Connection, second: asyncpg.Connection
) -> None:
    outbox = OutboxRepository(second)
    await add_contacts(database, 1, 2)
    claims = await claims_of(outbox)
    writer = database.transaction()
    await writer.start()
    await database.execute("UPDATE contacts SET title = 'x' WHERE uuid = $1", uuid(1))
    held = await outbox.done(claims)
    assert [claim.uuid for claim in held] == [uuid(1)]
    await writer.rollback()
    assert await outbox.done(held) == []
    assert await left(database) == set()


async def test_what_a_dead_indexer_had_claimed_is_free_at_once(
    database: asyncpg.Connection, second: asyncpg.Connection, empty_database: str
) -> None:
    doomed = await asyncpg.connect(empty_database)
    dying, living = OutboxRepository(doomed), OutboxRepository(second)
    await add_contacts(database, 1, 2, 3)
    number, me = await dying.enter("here"), await living.enter("here")
    assert len(await claims_of(dying, 2, number)) == 2
    assert len(await claims_of(living, 10, me)) == 1
    assert await living.free_claims_of_the_dead(me) == []
    doomed.terminate()
    # The server notices on its own when the session is gone.
    await until(lambda: living.free_claims_of_the_dead(me), lambda freed: freed == [number], seconds=5, pause=0.01)
    assert len(await claims_of(living, 10, me)) == 2
    assert await database.fetchval("SELECT count(*) FROM indexers") == 1


async def test_the_first_mark_of_a_new_database_is_claimed(
    database: asyncpg.Connection, second: asyncpg.Connection
) -> None:
    await database.execute("ALTER SEQUENCE outbox_seq RESTART")  # as if nothing had been drawn from it
    outbox, low = OutboxRepository(second), LowWater()
    for _ in range(4):
        low.learn(await outbox.look(low.begin))
        await database.execute("SELECT pg_current_xact_id()")  # time goes on
    await add_contacts(database, 1)
    assert [claim.uuid for claim in await outbox.claim(1, CONTACTS, LEASE, low.number)] == [uuid(1)]


async def test_what_a_held_snapshot_keeps_is_not_walked_over_by_claims_and_a_late_mark_is_found(
    database: asyncpg.Connection, second: asyncpg.Connection, empty_database: str
) -> None:
    outbox, low = OutboxRepository(second), LowWater()
    reader, late = [await asyncpg.connect(empty_database) for _ in range(2)]
    snapshot, writing = reader.transaction(isolation="repeatable_read"), late.transaction()
    await snapshot.start()
    await reader.execute("SELECT 1")

    async def come_and_go(first: int) -> None:
        for start in range(first, first + 8_000, 1_000):
            await add_contacts(database, *range(start, start + 1_000))
            low.learn(await outbox.look(low.begin))
            assert await outbox.done(await outbox.claim(1, CONTACTS, LEASE, low.number)) == []

    async def buffers_of_a_claim(since: int) -> int:
        await database.execute("SET enable_seqscan = off")
        plan = await database.fetchval(
            f"""EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT ctid FROM outbox
                WHERE {QUEUE} = 0 AND first_seq >= {since} ORDER BY first_seq LIMIT 1"""
        )
        return int(json.loads(plan)[0]["Plan"]["Shared Hit Blocks"])

    await come_and_go(10_000)
    assert low.number > 1_000
    assert 2 * await buffers_of_a_claim(low.number) < await buffers_of_a_claim(0)

    await writing.start()
    await add_contacts(late, 1)
    number = await late.fetchval("SELECT first_seq FROM outbox WHERE uuid = $1", uuid(1))
    await come_and_go(30_000)
    assert low.number <= number
    await writing.commit()
    assert [claim.uuid for claim in await outbox.claim(1, CONTACTS, LEASE, low.number)] == [uuid(1)]
    for connection in (reader, late):
        await connection.close()


async def test_a_company_with_many_contacts_is_walked_in_slices_between_which_others_have_their_turn(
    database: asyncpg.Connection,
) -> None:
    outbox = OutboxRepository(database)
    await add_contacts(database, *range(1, 26), company=99)
    await database.execute("INSERT INTO companies (uuid, name) VALUES ($1, 'Big')", uuid(99))
    await outbox.done([c for c in await claims_of(outbox) if c.entity == "contact"])
    await database.execute("UPDATE outbox SET claimed_until = NULL")
    slices = []
    for turn in range(3):
        await add_contacts(database, 101 + turn)
        claims = await claims_of(outbox, 1000)
        (company,) = [c for c in claims if c.entity == "company"]
        slices.append({c.uuid for c in claims if c.entity == "contact" and c.uuid < uuid(100)})
        await outbox.done([c for c in claims if c.entity == "contact"])
        assert await outbox.fan_out_small([company], 5) == []
        walked = await outbox.fan_out_slice(company, 10)
        assert walked == (turn == 2)
        if not walked:
            # After everything that was queued, and after its own slice.
            newest = await database.fetchval("SELECT entity FROM outbox ORDER BY first_seq DESC LIMIT 1")
            assert newest == "company"
    await outbox.fanned_out([company])
    await outbox.done([company])
    slices.append({c.uuid for c in await claims_of(outbox)})
    assert [len(found) for found in slices] == [0, 10, 10, 5]
    assert set.union(*slices) == {uuid(n) for n in range(1, 26)}


async def test_a_walk_begins_anew_when_the_company_changes_again(database: asyncpg.Connection) -> None:
    outbox = OutboxRepository(database)
    await database.execute("INSERT INTO companies (uuid, name) VALUES ($1, 'Big')", uuid(99))
    await add_contacts(database, *range(1, 11), company=99)
    await database.execute("DELETE FROM outbox")
    await database.execute("UPDATE companies SET name = 'Bigger'")
    (company,) = await claims_of(outbox)
    await database.execute("UPDATE companies SET name = 'Biggest'")
    assert not await outbox.fan_out_slice(company, 4)
    (again,) = [c for c in await claims_of(outbox) if c.entity == "company"]
    assert (again.fan_out, again.fan_out_after) == (True, "")
    await database.execute("UPDATE companies SET phone_number = '+1'")  # not copied into contacts
    assert not await outbox.fan_out_slice(again, 4)
    (further,) = [c for c in await claims_of(outbox) if c.entity == "company"]
    assert (further.fan_out, further.fan_out_after) == (True, uuid(4))


async def test_contacts_written_together_with_their_company_are_not_indexed_twice(
    database: asyncpg.Connection,
) -> None:
    outbox = OutboxRepository(database)
    async with database.transaction():
        await database.execute("INSERT INTO companies (uuid, name) VALUES ($1, 'New')", uuid(99))
        await add_contacts(database, 1, 2, company=99)
    await add_contacts(database, 3, company=99)
    claims = await claims_of(outbox)
    company = [c for c in claims if c.entity == "company"]
    assert await outbox.fan_out_small(company, 5) == company
    await outbox.done(claims)
    assert await left(database) == {uuid(3)}


async def test_a_contact_that_comes_while_its_company_is_being_made_gets_its_copies(
    database: asyncpg.Connection, second: asyncpg.Connection
) -> None:
    outbox = OutboxRepository(second)
    making = database.transaction()
    await making.start()
    await database.execute("INSERT INTO companies (uuid, name) VALUES ($1, 'New')", uuid(99))
    await add_contacts(second, 1, company=99)
    claims = await claims_of(outbox)
    (without,), _ = await outbox.documents(CONTACT, [uuid(1)])
    await outbox.done(claims)
    await making.commit()
    (company,) = await claims_of(outbox)
    assert await outbox.fan_out_small([company], 5) == [company]
    assert {c.uuid for c in await claims_of(outbox)} == {uuid(1)}
    (with_company,), _ = await outbox.documents(CONTACT, [uuid(1)])
    assert with_company.version > without.version
    assert '"company_name":"New"' in (with_company.source or "")


async def test_versions_follow_the_order_of_commits_even_when_numbers_do_not(
    database: asyncpg.Connection, second: asyncpg.Connection
) -> None:
    outbox = OutboxRepository(second)
    await database.execute("INSERT INTO companies (uuid, name) VALUES ($1, 'Old')", uuid(99))
    await add_contacts(database, 1, company=99)
    slow = database.transaction()
    await slow.start()
    await database.execute("UPDATE contacts SET title = 'slow'")
    await second.execute("UPDATE companies SET name = 'Fast'")
    (first,), _ = await outbox.documents(CONTACT, [uuid(1)])
    await slow.commit()
    (then,), _ = await outbox.documents(CONTACT, [uuid(1)])
    assert then.version > first.version
    await second.execute("DELETE FROM contacts")
    (gone,), _ = await outbox.documents(CONTACT, [uuid(1)])
    assert gone.source is None
    assert gone.version > then.version


async def test_fan_out_gives_way_to_a_writer_at_once(database: asyncpg.Connection, second: asyncpg.Connection) -> None:
    outbox = OutboxRepository(second)
    await database.execute("INSERT INTO companies (uuid, name) VALUES ($1, 'Big')", uuid(99))
    await add_contacts(database, 1, company=99)
    claims = [c for c in await claims_of(outbox) if c.entity == "company"]
    async with database.transaction():
        await database.execute("UPDATE contacts SET title = 'x'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await outbox.fan_out_small(claims, 5)
        assert await database.fetchval("SELECT 1") == 1
    assert await outbox.fan_out_small(claims, 5) == claims


async def test_a_truncated_table_is_heard_by_the_contacts_too(database: asyncpg.Connection) -> None:
    outbox = OutboxRepository(database)
    await database.execute("INSERT INTO companies (uuid, name) VALUES ($1, 'Gone')", uuid(99))
    await add_contacts(database, 1, company=99)
    (before,), _ = await outbox.documents(CONTACT, [uuid(1)])
    await database.execute("DELETE FROM outbox")
    await database.execute("TRUNCATE companies")
    (company,) = await claims_of(outbox)
    assert await outbox.fan_out_small([company], 5) == []
    assert await outbox.fan_out_slice(company, 10)
    (after,), _ = await outbox.documents(CONTACT, [uuid(1)])
    assert after.version > before.version
    (deleted,), _ = await outbox.documents(COMPANY, [uuid(99)])
    assert deleted.source is None


async def test_what_the_planner_believes_of_the_outbox_does_not_matter(
    database: asyncpg.Connection, second: asyncpg.Connection
) -> None:
    # Vacuumed while almost empty: the statistics say that there are no rows, in the pages of many.
    await database.execute(
        "INSERT INTO outbox (entity, uuid) SELECT 'contact', 'old ' || n FROM generate_series(1, 40000) n"
    )
    await database.execute("DELETE FROM outbox WHERE uuid <> 'old 40000'")
    await database.execute("VACUUM ANALYZE outbox")
    await database.execute("DELETE FROM outbox")
    outbox = OutboxRepository(second)
    for start in range(0, 12_000, 2_000):
        await add_contacts(database, *range(start, start + 2_000))
        async with asyncio.timeout(20):
            await outbox.release(await claims_of(outbox, 2_000), 0)
            assert await outbox.done(await claims_of(outbox, 2_000)) == []
        assert await left(database) == set()


async def test_single_writes_come_before_bulks_and_bulks_before_repairs(database: asyncpg.Connection) -> None:
    outbox = OutboxRepository(database)
    for lane, number in ((2, 1), (1, 2), (0, 3)):
        async with database.transaction():
            await database.execute(f"SET LOCAL connectra.lane = '{lane}'")
            await add_contacts(database, number)
    await add_contacts(database, 4)
    queues = [Queue("contact", lane, 10) for lane in Lane]
    turns = [[claim.uuid for claim in await outbox.claim(1, queues, LEASE)] for _ in range(4)]
    assert turns == [[uuid(3), uuid(4)], [uuid(2)], [uuid(1)], []]


async def test_a_mark_that_is_made_again_keeps_the_better_lane_and_its_place(database: asyncpg.Connection) -> None:
    await add_contacts(database, 1)
    first = await database.fetchval("SELECT first_seq FROM outbox")
    async with database.transaction():
        await database.execute("SET LOCAL connectra.lane = '1'")
        await database.execute("UPDATE contacts SET title = 'x'")
        await add_contacts(database, 2)
    await database.execute("UPDATE contacts SET title = 'y' WHERE uuid = $1", uuid(2))
    rows = await database.fetch("SELECT lane, generation, first_seq FROM outbox ORDER BY uuid")
    assert [(row["lane"], row["generation"]) for row in rows] == [(0, 2), (0, 2)]
    assert rows[0]["first_seq"] == first


async def test_a_row_that_failed_keeps_nobody_behind_it_waiting(database: asyncpg.Connection) -> None:
    outbox = OutboxRepository(database)
    await add_contacts(database, 1, 2)
    failed = await outbox.claim(1, [Queue("contact", 0, 1)], LEASE)
    await outbox.release(failed, 60)
    assert [claim.uuid for claim in await claims_of(outbox)] == [uuid(2)]
    await database.execute("UPDATE contacts SET title = 'x' WHERE uuid = $1", uuid(1))
    assert [claim.uuid for claim in await claims_of(outbox)] == [uuid(1)]


async def test_long_documents_are_read_in_parts(database: asyncpg.Connection, second: asyncpg.Connection) -> None:
    outbox = OutboxRepository(second)
    await database.execute(
        """INSERT INTO companies (uuid, name, keywords)
           SELECT $1, 'Fat', array_agg(md5(n::text)) FROM generate_series(1, 3000) n""",
        uuid(99),
    )
    await add_contacts(database, *range(40), company=99)
    read, _ = await outbox.documents(CONTACT, [uuid(n) for n in range(40)], 300_000)
    assert 3 <= len(read) <= 5
    assert len((await outbox.documents(CONTACT, [uuid(n) for n in range(40)]))[0]) == 40


async def test_imports_wait_while_many_marks_of_bulks_do(database: asyncpg.Connection) -> None:
    assert not await marks.are_many(database, Lane.BULK, 2)
    await add_contacts(database, 1, 2, 3)
    assert not await marks.are_many(database, Lane.BULK, 2)
    await database.execute("UPDATE outbox SET lane = 1")
    assert await marks.are_many(database, Lane.BULK, 2)


async def test_however_many_processes_tell_of_writes_an_indexer_looks_no_more_often(
    database: asyncpg.Connection, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, claim, tuning = list[float](), OutboxRepository.claim, Tuning()

    async def counted(self: OutboxRepository, *arguments: Any) -> list[Claim]:
        looks.append(time.monotonic())
        return await claim(self, *arguments)

    monkeypatch.setattr(OutboxRepository, "claim", counted)
    settings = PostgresSettings(connection=empty_database, _env_file=None)
    stopping = asyncio.Event()
    async with (
        Database.open(settings, "indexer", session=SESSION, connections=tuning.connections) as opened,
        AsyncElasticsearch("http://127.0.0.1:1") as search,  # there is nothing to index
    ):
        running = asyncio.create_task(Indexer(opened, search, tuning).run(stopping))
        await until(lambda: asyncio.sleep(0, len(looks)))
        began, told = time.monotonic(), 0
        while time.monotonic() < began + 2:
            await database.execute(f"NOTIFY {CHANNEL}")
            told += 1
        seconds = time.monotonic() - began
        often = len([look for look in looks if look > began]) / seconds
        stopping.set()
        await running
    assert told > 5 * often
    assert often <= tuning.loops / tuning.pause_seconds + tuning.loops


async def test_marks_are_looked_up_one_by_one_whatever_the_planner_knows(
    database: asyncpg.Connection, second: asyncpg.Connection
) -> None:
    outbox, several = OutboxRepository(second), range(1, 4_001)
    companies = [uuid(n) for n in range(1, 101)]
    # As it is between two imports: the statistics are of an outbox of many pages and no rows.
    await add_contacts(database, *several)
    await database.execute("DELETE FROM outbox WHERE uuid <> $1", uuid(several[-1]))
    await database.execute("VACUUM ANALYZE outbox")
    await database.execute("DELETE FROM outbox")
    await database.execute("VACUUM ANALYZE outbox")
    await database.execute(f"SET connectra.lane = '{Lane.BULK.value}'")
    await database.execute("UPDATE contacts SET title = 'x'")
    await database.execute("INSERT INTO companies (uuid, name) SELECT u, 'Acme' FROM unnest($1::text[]) u", companies)
    await add_batch(database, await newest(database), companies, [uuid(n) for n in several])

    async def read_so_far() -> int:
        found = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'outbox'"
        return int(await second.fetchval(found))

    async def rows_read(work: Callable[[], Awaitable[object]]) -> int:
        transaction = second.transaction()
        await transaction.start()
        before = await read_so_far()
        await work()
        read = await read_so_far() - before
        await transaction.rollback()
        return read

    claims = await outbox.claim(1, [Queue("company", Lane.BULK, 50)], LEASE)
    everything = [Queue(entity, lane, 10) for lane in Lane for entity in ("company", "contact")]
    tokens = [Token(await newest(database), Kind.BATCH, "1"), Token(await newest(database))]
    work: dict[str, Callable[[], Awaitable[object]]] = {
        "claim": lambda: outbox.claim(2, everything, LEASE),
        "look": lambda: outbox.look(0),
        "fanned_out": lambda: outbox.fanned_out(claims),
        "done": lambda: outbox.done(claims),
        "give_back": lambda: outbox.give_back(claims),
        "sweep_batches": lambda: sweep_batches(second),
        "pending": lambda: pending(second, tokens),
        "are_many": lambda: are_many(second, Lane.BULK, 100),
    }
    assert {name: read for name, call in work.items() if (read := await rows_read(call)) > 450} == {}
