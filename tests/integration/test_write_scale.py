"""Writes beside writes: what waits for what, and what is not written at all. On a database of their own, without indexers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import pytest
from connectra_common.db.database import Database
from connectra_common.records.fields import COMPANY, CONTACT, ENTITIES, Entity
from connectra_common.settings import PostgresSettings
from connectra_write.consistency import ConsistencyTokens
from connectra_write.notifier import Notifier
from connectra_write.records import batches, writing
from connectra_write.records.repository import RecordRepository
from connectra_write.records.service import RecordService

from tests.support.words import word

WHOLE: dict[Entity, dict[str, Any]] = {
    CONTACT: {
        "first_name": "Ann",
        "email": "ann@acme.com",
        "departments": ["it", "hr"],
        "city": "Bonn",
        "linkedin_url": "https://www.linkedin.com/in/ann",
    },
    COMPANY: {
        "name": "Acme",
        "website": "https://acme.com",
        "keywords": ["a", "b"],
        "employees_count": 5,
        "normalized_domain": "acme.com",
    },
}


@pytest.fixture
async def opened(database: asyncpg.Connection, empty_database: str) -> AsyncIterator[Database]:
    async with Database.open(PostgresSettings(connection=empty_database, _env_file=None), "write") as opened:
        yield opened


@pytest.fixture
async def records(opened: Database) -> RecordService:
    return RecordService(opened, opened, ConsistencyTokens(opened), Notifier(opened))


async def traces(database: asyncpg.Connection) -> Mapping[str, Any]:
    """All that a change would leave."""
    row = await database.fetchrow(
        """SELECT (SELECT count(*) FROM outbox) AS marks, (SELECT last_value FROM outbox_seq) AS mark,
                  (SELECT count(*) FROM audit) AS audit, (SELECT count(*) FROM match_keys) AS keys,
                  (SELECT string_agg(t::text, ',') FROM contacts t) AS contacts,
                  (SELECT string_agg(t::text, ',') FROM companies t) AS companies"""
    )
    assert row is not None
    return dict(row)


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=lambda entity: entity.name)
async def test_values_that_a_record_has_already_are_not_written(
    records: RecordService, database: asyncpg.Connection, entity: Entity
) -> None:
    whole = WHOLE[entity]
    stored = await records.upsert(entity, whole)
    uuid = await database.fetchval(f"SELECT uuid FROM {entity.table}")
    await database.execute("DELETE FROM outbox")
    before = await traces(database)
    some = {"city": None, **dict(list(whole.items())[:2])} if entity is COMPANY else dict(list(whole.items())[2:])
    answers = [
        await records.update(entity, uuid, {}),
        await records.update(entity, uuid, whole),
        await records.update(entity, uuid, some, versions=[stored.version]),
        await records.upsert(entity, whole),
        await records.upsert(entity, {"uuid": uuid, **some}),
    ]
    assert (await records.batch_upsert(entity, [whole, some | {"uuid": uuid}])).updated == 2
    assert await traces(database) == before
    for answer in answers:
        assert (answer.record, answer.version, answer.is_new) == (stored.record, stored.version, False)
    changed = await records.update(entity, uuid, {"city": "Rome"})
    assert changed.version > stored.version


async def test_a_key_that_was_computed_and_is_given_now_counts_although_no_value_changes(
    records: RecordService, database: asyncpg.Connection
) -> None:
    await records.upsert(COMPANY, {"name": "Acme", "website": "https://acme.com"})
    assert await database.fetchval("SELECT count(*) FROM match_keys") == 0
    uuid = await database.fetchval("SELECT uuid FROM companies")
    await records.update(COMPANY, uuid, {"normalized_domain": "acme.com"})
    assert await database.fetchval("SELECT count(*) FROM match_keys") == 1
    assert not (await records.upsert(COMPANY, {"name": "Other", "normalized_domain": "acme.com"})).is_new


async def test_the_order_in_which_a_client_names_fields_makes_no_other_statement(database: asyncpg.Connection) -> None:
    repository = RecordRepository(database)
    record = {"uuid": "00000000-0000-0000-0000-000000000001", "title": "a", "city": "b", "country": "c"}
    await repository.create(CONTACT, record)

    async def statements() -> int:
        return int(await database.fetchval("SELECT count(*) FROM pg_prepared_statements"))

    counts = set()
    for turn in range(4):
        names = [*record][turn:] + [*record][:turn]
        changed = {name: record[name] + str(turn) if name != "uuid" else record[name] for name in names}
        assert await repository.update(CONTACT, record["uuid"], changed, None)
        counts.add(await statements())
    assert len(counts) == 1


async def test_bulks_of_other_keys_and_single_writes_do_not_wait_for_a_bulk_that_is_not_done(
    records: RecordService, opened: Database
) -> None:
    def new() -> list[dict[str, Any]]:
        mark = word()
        return [{"email": f"{mark}{n}@x.com", "title": "engineer", "city": "bonn"} for n in range(2_000)]

    await records.upsert(CONTACT, {"email": f"{word()}@x.com", "title": "engineer", "city": "bonn"})
    held = batches.sort_out(CONTACT, new())
    async with opened.transaction() as connection:
        await writing.write(RecordRepository(connection), held, batches.RECORDS)
        async with asyncio.timeout(20):
            bulks = asyncio.gather(*(records.batch_upsert(CONTACT, new()) for _ in range(2)))
            assert (await records.upsert(CONTACT, {"email": f"{word()}@x.com", "title": "engineer"})).is_new
            assert [outcome.created for outcome in await bulks] == [2_000, 2_000]
