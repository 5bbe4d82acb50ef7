"""Stored filter values are counted by what statements change: exactly, whoever writes, and without reading a table for it."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from connectra_common.call import Call
from connectra_common.db.database import Database
from connectra_common.errors import ConnectraError
from connectra_common.records.fields import COMPANY, CONTACT, ENTITIES, Entity, Type
from connectra_common.settings import PostgresSettings
from connectra_query.filters.service import FilterService, FilterValuesRequest
from connectra_query.search.engine import Search
from connectra_write.consistency import ConsistencyTokens
from connectra_write.filter_values.counts import add_up
from connectra_write.filter_values.repository import SLICE, Change, FilterValueRepository
from connectra_write.imports.parse import ImportBatch
from connectra_write.imports.service import ImportService
from connectra_write.notifier import Notifier
from connectra_write.records.service import RecordService
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.postgres import migrated, plain_engine, upgraded

Counts = dict[tuple[str, str, str, str], int]
"""By entity, filter, value and display value."""


class NoIndex(Search):
    """What has no part in stored values."""

    def __init__(self) -> None:
        pass


@pytest.fixture
async def process(engine: AsyncEngine, empty_database: str) -> AsyncIterator[Database]:
    """The connections of a process to a new database."""
    async with Database.open(PostgresSettings(connection=empty_database, _env_file=None), "write") as opened:
        yield opened


async def counted(database: asyncpg.Connection) -> Counts:
    """What is stored."""
    rows = await database.fetch("SELECT service, filter_key, value, display_value, uses FROM filters_data")
    return {tuple(row)[:4]: row["uses"] for row in rows}


async def truth(database: asyncpg.Connection) -> Counts:
    """What the live records have."""
    found: Counter[tuple[str, str, str, str]] = Counter()
    for entity in ENTITIES.values():
        for row in await database.fetch(f"SELECT * FROM {entity.table} WHERE deleted_at IS NULL"):
            for field in entity.stored_filters:
                if field.name == "uuid":
                    if row["name"]:
                        found[entity.name, "uuid", row["uuid"], row["name"]] += 1
                    continue
                value = row[field.name]
                for one in value or [] if field.type is Type.LIST else [value]:
                    if one and one.strip() and len(one) <= 500:
                        found[entity.name, field.name, one, one] += 1
    return dict(found)


async def offered(process: Database, entity: Entity, key: str, **more: Any) -> list[tuple[str, str]]:
    request = FilterValuesRequest(filter_key=key, limit=100, **more)
    return await FilterService(process, NoIndex()).values(entity.name, request, Call())


async def test_values_are_exact_whatever_concurrent_writers_do(process: Database, database: asyncpg.Connection) -> None:
    notifier = Notifier(process)
    records = RecordService(process, process, ConsistencyTokens(process), notifier)
    imports = ImportService(process, notifier)
    uuids = [str(uuid4()) for _ in range(12)]
    running = True

    def contact(rng: random.Random) -> dict[str, Any]:
        words = ("bonn", "rome", "oslo", None)
        lists = [rng.choice(words[:3]) for _ in range(rng.randrange(3))]
        return {"city": rng.choice(words), "title": rng.choice(words), "departments": lists}

    def company(rng: random.Random) -> dict[str, Any]:
        return {
            "name": rng.choice(("acme", "bolt", "core")),
            "keywords": [rng.choice("xyz")],
            "city": rng.choice(("bonn", "rome")),
        }

    async def one(rng: random.Random) -> None:
        entity, made = rng.choice(((CONTACT, contact), (COMPANY, company)))
        uuid = rng.choice(uuids)
        line = f"{rng.choice('ab')},{rng.choice(('bonn', 'rome'))},{rng.choice('ab')}@x.de,{rng.choice(('boss', 'chef'))}".encode()
        columns = ("company", "company_city", "email", "title")
        changes: list[Callable[[], Awaitable[Any]]] = [
            lambda: records.create(entity, {"uuid": uuid, **made(rng)}),
            lambda: records.update(entity, uuid, made(rng)),
            lambda: records.upsert(entity, {"uuid": uuid, **made(rng)}),
            lambda: records.delete(entity, uuid),
            lambda: records.batch_upsert(entity, [{"uuid": u, **made(rng)} for u in rng.sample(uuids, 6)]),
            lambda: imports.apply(ImportBatch(str(uuid4()), 0, line, columns, ",", 2, 0, len(line))),
        ]
        with suppress(ConnectraError):  # there is such a record, or none, or it changes all the time
            await rng.choice(changes)()

    async def writer(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(40):
            await one(rng)

    async def adding() -> None:
        while running:
            await add_up(process)

    adder = asyncio.create_task(adding())
    await asyncio.gather(*(writer(seed) for seed in range(6)))
    running = False
    await adder
    await writer(6)  # these are noted only
    expected = await truth(database)
    assert len(expected) > 20
    for entity in ENTITIES.values():
        for field in entity.stored_filters:
            listed = [(v, shown) for e, key, v, shown in expected if (e, key) == (entity.name, field.name)]
            assert await offered(process, entity, field.name) == sorted(listed, key=lambda pair: (pair[1], pair[0]))
    await add_up(process)
    assert await counted(database) == expected


async def test_plain_sql_counts_as_well(process: Database, database: asyncpg.Connection) -> None:
    async def check(sql: str, *cities: str) -> None:
        await database.execute(sql)
        for _ in range(2):
            assert [value for value, _ in await offered(process, CONTACT, "city")] == list(cities)
            await add_up(process)
        assert await counted(database) == await truth(database)

    await check(
        """INSERT INTO contacts (id, uuid, city, departments) VALUES
           (10001, 'a', 'bonn', '{it, it, hr}'), (10002, 'b', 'bonn', NULL), (10003, 'c', ' ', '{}'), (10004, 'd', 'rome', '{it}')""",
        *("bonn", "rome"),
    )
    await check("UPDATE contacts SET city = 'oslo' WHERE id = 10001", "bonn", "oslo", "rome")
    await check("UPDATE contacts SET deleted_at = now() WHERE id = 10004", "bonn", "oslo")
    await check("UPDATE contacts SET deleted_at = NULL, id = 10005 WHERE id = 10004", "bonn", "oslo", "rome")
    await check("DELETE FROM contacts WHERE id = 10002", "oslo", "rome")
    many = [str(number) for number in range(1000, 1041)]
    await check(
        "INSERT INTO contacts (uuid, city) SELECT n::text, n::text FROM generate_series(1000, 1040) n",
        *many,
        "oslo",
        "rome",
    )
    more = "INSERT INTO contacts (uuid, title) SELECT 'x' || n, 'title ' || n FROM generate_series(1, 2500) n"
    await check(more, *many, "oslo", "rome")
    await check("TRUNCATE contacts")


async def test_a_company_is_offered_by_the_name_it_has(process: Database, database: asyncpg.Connection) -> None:
    await database.execute("INSERT INTO companies (uuid, name) VALUES ('a', 'Acme'), ('b', 'Bolt')")
    for name in ("Core", "Dyne"):
        await add_up(process)
        await database.execute("UPDATE companies SET name = $1 WHERE uuid = 'a'", name)
        assert await offered(process, COMPANY, "uuid") == [("b", "Bolt"), ("a", name)]
        assert await offered(process, COMPANY, "uuid", search_text="acme") == []
        assert await offered(process, COMPANY, "uuid", search_text=name[1:].upper()) == [("a", name)]
    await database.execute("UPDATE companies SET name = 'x' WHERE uuid = 'a'")
    await database.execute("UPDATE companies SET name = 'Dyne' WHERE uuid = 'a'")
    await add_up(process)
    assert await offered(process, COMPANY, "uuid") == [("b", "Bolt"), ("a", "Dyne")]


async def test_a_company_keeps_its_name_wherever_the_changes_are_cut(
    process: Database, database: asyncpg.Connection
) -> None:
    await database.execute("INSERT INTO companies (uuid, name) VALUES ('a', 'Acme')")
    await add_up(process)
    # As many values as are taken together, but one: what the company has less comes with the next ones.
    await database.execute(
        """INSERT INTO filter_value_changes (entity, filter_keys, filter_values, changes)
           SELECT 'contact', array_fill('title'::text, n), array_fill('cto'::text, n), array_fill(1::bigint, n)
           FROM (SELECT ARRAY[$1::int]) AS many (n)""",
        SLICE - 1,
    )
    await database.execute("UPDATE companies SET name = 'Bolt', city = 'bonn' WHERE uuid = 'a'")
    await add_up(process)
    assert await offered(process, COMPANY, "uuid") == [("a", "Bolt")]


async def test_adding_up_reads_no_records_and_waits_for_no_writer(
    process: Database, database: asyncpg.Connection
) -> None:
    await database.execute("INSERT INTO contacts (uuid, city) VALUES ('a', 'bonn')")
    async with asyncio.timeout(10), database.transaction():
        await database.execute("LOCK contacts, companies IN ACCESS EXCLUSIVE MODE")
        assert await add_up(process) == 1
        # Who writes the same value does not wait for another who has not committed either.
        await database.execute("UPDATE contacts SET city = 'rome'")
        assert await add_up(process) == 0
    assert await add_up(process) == 2


async def test_adding_up_does_not_depend_on_what_the_planner_believed(
    process: Database, database: asyncpg.Connection
) -> None:
    await database.execute("VACUUM ANALYZE filter_value_changes")
    async with process.connection() as connection:
        repository = FilterValueRepository(connection)
        for _ in range(8):  # until the plan is kept, for an empty table
            assert await repository.take() == []
        await database.execute(
            """INSERT INTO filter_value_changes (entity, filter_keys, filter_values, changes)
               SELECT 'contact', '{title,city}', ARRAY['title ' || n % 300, 'city ' || n % 50], '{1,1}'
               FROM generate_series(1, 30000) n"""
        )
        async with asyncio.timeout(30):
            taken = [change async for change in _all(repository)]
    assert sum(change.uses for change in taken) == 60_000


async def _all(repository: FilterValueRepository) -> AsyncIterator[Change]:
    while changes := await repository.take():
        for change in changes:
            yield change


async def test_what_there_is_already_is_counted_by_the_migration(empty_database: str) -> None:
    engine = plain_engine(empty_database)
    await upgraded(engine, "0018")
    database = await asyncpg.connect(empty_database)
    await database.execute("INSERT INTO companies (uuid, name, keywords) VALUES ('a', 'Acme', '{x, y}')")
    await database.execute(
        "INSERT INTO contacts (uuid, city) SELECT n::text, 'city ' || n % 1500 FROM generate_series(1, 4000) n"
    )
    await database.execute(
        """INSERT INTO filters_data (uuid, filter_key, service, value, display_value)
           VALUES ('gone', 'city', 'contact', 'gone', 'gone')"""
    )
    await migrated(engine)
    async with Database.open(PostgresSettings(connection=empty_database, _env_file=None), "write") as process:
        assert await offered(process, COMPANY, "keywords") == [("x", "x"), ("y", "y")]
        await add_up(process)
        # One of no record is left, and seen by nobody.
        expected = await truth(database) | {("contact", "city", "gone", "gone"): 0}
        assert await counted(database) == expected
        assert await offered(process, CONTACT, "city", search_text="gone") == []
        # It may be repeated at any time.
        await database.execute("UPDATE filters_data SET uses = 7")
        await database.execute("SELECT recount_filter_values()")
        await add_up(process)
        assert await counted(database) == expected
    await database.close()
    await engine.dispose()


async def test_every_stored_filter_of_the_catalogue_is_counted(process: Database, database: asyncpg.Connection) -> None:
    for entity in ENTITIES.values():
        cells = {f.name: f"'{{{f.name}}}'" if f.type is Type.LIST else f"'{f.name}'" for f in entity.stored_filters}
        cells |= {"uuid": "'u'"} | ({"name": "'name'"} if entity is COMPANY else {})
        await database.execute(f"INSERT INTO {entity.table} ({', '.join(cells)}) VALUES ({', '.join(cells.values())})")
    await add_up(process)
    keys = {(entity, key) for entity, key, _, _ in await counted(database)}
    assert keys == {(entity.name, field.name) for entity in ENTITIES.values() for field in entity.stored_filters}
