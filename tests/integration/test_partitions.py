"""What is kept for a time: partitions, answers to repeated requests, and records that were deleted."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from connectra_common.call import IdempotencyKey
from connectra_common.db import idempotency, partitions
from connectra_common.errors import Conflict
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_write.records import deleted

KEY = IdempotencyKey("c", "k")
AGES = "SELECT extract(days FROM now() - at)::int FROM audit ORDER BY at"


async def partition(database: asyncpg.Connection, table: str, starts: str, ends: str) -> str:
    """Makes a partition, as housekeeping did long ago; the bounds are SQL."""
    name = f"{table}_then_{abs(hash((starts, ends)))}"
    await database.execute(
        f"""DO $$ BEGIN EXECUTE format('CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM (%L) TO (%L)', {starts}, {ends}); END $$"""
    )
    return name


async def test_partitions_are_made_ahead_and_dropped_when_all_their_rows_are_old(database: asyncpg.Connection) -> None:
    old = await partition(database, "audit", "now() - interval '50 days'", "now() - interval '40 days'")
    young = await partition(database, "audit", "now() - interval '39 days'", "now() - interval '25 days'")
    await database.execute(
        """INSERT INTO audit (at, actor, entity, uuid, operation, row_version)
           SELECT now() - make_interval(days => age), 'x', 'contact', age::text, 'create', 1
           FROM unnest('{60,45,35,28,15,0}'::int[]) age"""
    )
    assert await partitions.keep(database, "audit", None) == []
    assert await partitions.keep(database, "audit", timedelta(30)) == [old]
    # Of those that no partition was made for, the old ones go one by one.
    assert [row[0] for row in await database.fetch(AGES)] == [35, 28, 15, 0]
    assert await database.fetchval("SELECT count(*) FROM " + young) == 2
    assert await database.fetchval("SELECT count(*) FROM audit_default") == 1
    # Weeks ahead are there, and another call has nothing to make.
    ahead = "SELECT max(ends) - now() > interval '14 days', count(*) FROM partitions('audit')"
    before = await database.fetchrow(ahead)
    assert await partitions.keep(database, "audit", timedelta(30)) == []
    assert await database.fetchrow(ahead) == before
    assert before is not None
    assert before[0]


async def test_two_that_keep_partitions_at_once_do_it_once_and_who_reads_is_not_disturbed(
    database: asyncpg.Connection, empty_database: str
) -> None:
    old = await partition(database, "audit", "now() - interval '50 days'", "now() - interval '40 days'")
    others = [await asyncpg.connect(empty_database) for _ in range(2)]
    async with database.transaction():
        await database.fetchval("SELECT count(*) FROM audit")
        dropped = await asyncio.gather(*(partitions.keep(other, "audit", timedelta(30)) for other in others))
        assert dropped == [[], []]
    assert await partitions.keep(others[0], "audit", timedelta(30)) == [old]
    for other in others:
        await other.close()


async def test_the_ledger_of_a_job_that_is_there_stays(database: asyncpg.Connection) -> None:
    then = await partition(database, "import_batches", "now() - interval '200 days'", "now() - interval '150 days'")
    await database.execute("INSERT INTO jobs (uuid, job_type) VALUES ('j', 'insert_csv_file')")
    await database.execute(
        f"""INSERT INTO {then} (job_uuid, batch_number, byte_start, byte_end, next_line, counts, consistency_token, created_at)
            VALUES ('j', 1, 0, 1, 2, '{{}}', 1, now() - interval '160 days')"""
    )
    assert await partitions.keep(database, "import_batches", timedelta(90)) == []
    await database.execute("DELETE FROM jobs")
    assert await partitions.keep(database, "import_batches", timedelta(90)) == [then]


async def test_keys_are_forgotten_after_24_hours(database: asyncpg.Connection) -> None:
    async with database.transaction():
        assert await idempotency.reserve(database, KEY, "hash") is None
        await idempotency.keep(database, KEY, "hash", '{"b": 1, "a": 2}')
    assert await idempotency.reserve(database, KEY, "hash") == '{"b": 1, "a": 2}'
    with pytest.raises(Conflict):
        await idempotency.reserve(database, KEY, "other")
    await database.execute("UPDATE kept_answers SET created_at = now() - interval '24 hours 1 second'")
    async with database.transaction():
        assert await idempotency.reserve(database, KEY, "other") is None
        await idempotency.keep(database, KEY, "other", "{}")
    assert await idempotency.reserve(database, KEY, "other") == "{}"


async def test_a_key_is_used_once_also_when_a_partition_ends_meanwhile(
    database: asyncpg.Connection, empty_database: str
) -> None:
    for row in await database.fetch("SELECT name FROM partitions('kept_answers')"):
        await database.execute(f"DROP TABLE {row[0]}")
    bound = await database.fetchval("SELECT quote_literal(now() + interval '300 milliseconds') || '::timestamptz'")
    names = [
        await partition(database, "kept_answers", *bounds)
        for bounds in ((f"{bound} - interval '1 day'", bound), (bound, f"{bound} + interval '1 day'"))
    ]
    other = await asyncpg.connect(empty_database)

    async def second() -> str | None:
        async with other.transaction():
            return await idempotency.reserve(other, KEY, "hash")

    async with database.transaction():
        assert await idempotency.reserve(database, KEY, "hash") is None
        await database.execute("SELECT pg_sleep(0.35)")
        waiting = asyncio.create_task(second())
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        await idempotency.keep(database, KEY, "hash", "first")
    assert await waiting == "first"
    async with other.transaction():
        assert await idempotency.reserve(other, KEY, "hash") == "first"
        await idempotency.keep(other, IdempotencyKey("c", "k2"), "hash", "later")
    assert [await database.fetchval(f"SELECT count(*) FROM {name}") for name in names] == [1, 1]
    await other.close()


async def test_records_that_were_deleted_long_ago_go_and_leave_no_value(database: asyncpg.Connection) -> None:
    await database.execute("INSERT INTO companies (uuid, name) VALUES ('c1', 'Old'), ('c2', 'Young'), ('c3', 'Live')")
    await database.execute("INSERT INTO contacts (uuid, email, company_id) VALUES ('p1', 'a@x.com', 'c1')")
    await database.execute("UPDATE companies SET deleted_at = now() - interval '31 days' WHERE uuid = 'c1'")
    await database.execute("UPDATE companies SET deleted_at = now() - interval '29 days' WHERE uuid = 'c2'")
    await database.execute("UPDATE contacts SET deleted_at = now() - interval '31 days'")
    await database.execute("DELETE FROM outbox")
    for entity in (CONTACT, COMPANY):
        assert await deleted.remove(database, entity, timedelta(30)) == 1
        assert await deleted.remove(database, entity, timedelta(30)) == 0
    assert [row[0] for row in await database.fetch("SELECT uuid FROM companies ORDER BY 1")] == ["c2", "c3"]
    # The indexer hears of them, after all that others wait for; nobody is found by their keys.
    assert {tuple(row) for row in await database.fetch("SELECT uuid, lane FROM outbox")} == {("c1", 2), ("p1", 2)}
    assert await database.fetchval("SELECT count(*) FROM match_keys") == 0
    last = await database.fetch("SELECT uuid, actor, operation, changes FROM audit ORDER BY id DESC LIMIT 2")
    assert [tuple(row) for row in last] == [("c1", "retention", "delete", None), ("p1", "retention", "delete", None)]
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await deleted.remove(database, COMPANY, timedelta(hours=1))
