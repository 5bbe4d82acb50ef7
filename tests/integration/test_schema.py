"""Migrations, and what the database itself enforces: versions, the outbox, the states of a job."""

import asyncio
from itertools import product

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from connectra_common.db import migrate
from connectra_common.db.tables import metadata
from connectra_common.records import keys
from connectra_common.records.fields import COMPANY as COMPANY_
from connectra_common.records.fields import CONTACT as CONTACT_
from connectra_common.records.fields import ENTITIES, Entity, Field, Type
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.postgres import migrated, plain_engine, upgraded

COMPANY, CONTACT = "0" * 8 + "-0000-0000-0000-" + "0" * 12, "1" * 8 + "-0000-0000-0000-" + "0" * 12


async def test_two_that_migrate_at_once_do_it_once(empty_database: str) -> None:
    engine = plain_engine(empty_database)

    async def upgrade() -> str | None:
        async with migrate.locked(engine) as connection:
            before, after = await migrate.upgrade(connection)
        assert after == migrate.head()
        return before

    assert {*await asyncio.gather(*(upgrade() for _ in range(3)))} == {None, migrate.head()}
    assert await upgrade() == migrate.head()
    await engine.dispose()


async def test_the_tables_are_what_the_code_believes_them_to_be(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[object]:
        partition = text("SELECT relname FROM pg_class WHERE relispartition")
        partitions = set(connection.scalars(partition))

        def ours(thing: object, name: str | None, kind: str, *_: object) -> bool:
            return not (kind == "table" and name in partitions)

        options = {"compare_type": True, "compare_server_default": True, "include_object": ours}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_27_filters_are_those_of_the_catalogue(database: asyncpg.Connection) -> None:
    rows = await database.fetch("SELECT id, service, key, display_name, NOT direct_derived FROM filters ORDER BY id")
    catalogue = [
        (f.filter.id, e.name, f.name, f.filter.label, f.filter.stored)
        for e in ENTITIES.values()
        for f in e.fields
        if f.filter
    ]
    assert [tuple(row) for row in rows] == sorted(catalogue)
    assert len(rows) == 27


def first_value(entity: Entity, field: Field) -> str:
    live, order = f"{field.name} IS NOT NULL", field.name
    if field.type is not Type.INTEGER:
        live, order = f"{field.name} <> '' AND octet_length({field.name}) <= 1000", f'{field.name} COLLATE "C"'
    return f"SELECT {field.name} FROM {entity.table} WHERE deleted_at IS NULL AND {live} ORDER BY {order} LIMIT 1"


# What the indexes of records are for: each costs every write of its table, and on contacts most of all.
QUESTIONS = {
    "contacts_pkey": "SELECT * FROM contacts WHERE id > 5 ORDER BY id LIMIT 10",
    "contacts_uuid_key": "SELECT * FROM contacts WHERE uuid = ANY('{a, b}')",
    # The walk over a company's contacts.
    "contacts_company_id_uuid_idx": "SELECT uuid FROM contacts WHERE company_id = 'a' AND uuid > 'b' ORDER BY uuid LIMIT 10",
    "companies_pkey": "SELECT * FROM companies WHERE id > 5 ORDER BY id LIMIT 10",
    "companies_uuid_key": "SELECT * FROM companies WHERE uuid = ANY('{a, b}')",
    # Those that are removed for good; few records are deleted.
    **{
        f"{e.table}_deleted_at_idx": f"SELECT uuid FROM {e.table} WHERE deleted_at < now() ORDER BY deleted_at LIMIT 10"
        for e in ENTITIES.values()
    },
    # Values to choose from.
    **{f"{e.table}_{f.name}_values_idx": first_value(e, f) for e in ENTITIES.values() for f in e.column_filters},
}


async def test_each_index_of_records_answers_a_question(database: asyncpg.Connection) -> None:
    rows = await database.fetch("SELECT indexname FROM pg_indexes WHERE tablename IN ('contacts', 'companies')")
    assert {row[0] for row in rows} == set(QUESTIONS)
    await database.execute("SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off")
    for name, question in QUESTIONS.items():
        plan = "\n".join(row[0] for row in await database.fetch(f"EXPLAIN {question}"))
        assert f" using {name} " in plan, plan


async def outbox(database: asyncpg.Connection) -> dict[tuple[str, str], tuple[int, bool]]:
    rows = await database.fetch("SELECT entity, uuid, generation, fan_out FROM outbox")
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


async def insert(database: asyncpg.Connection) -> None:
    await database.execute("INSERT INTO companies (uuid, name) VALUES ($1, 'Acme')", COMPANY)
    await database.execute("INSERT INTO contacts (uuid, company_id) VALUES ($1, $2)", CONTACT, COMPANY)


async def test_any_writer_marks_what_it_changes_once_however_often(database: asyncpg.Connection) -> None:
    await insert(database)
    assert await outbox(database) == {("company", COMPANY): (1, True), ("contact", CONTACT): (1, False)}
    await database.execute("UPDATE contacts SET title = 'x'")
    await database.execute("DELETE FROM contacts")
    assert (await outbox(database))["contact", CONTACT] == (3, False)
    await database.execute("DELETE FROM outbox")
    await database.execute("TRUNCATE companies")
    assert await outbox(database) == {("company", COMPANY): (1, True)}


@pytest.mark.parametrize(
    ("change", "fans_out"),
    [
        ("UPDATE companies SET name = 'Bolt'", True),
        ("UPDATE companies SET technologies = '{go}'", True),
        ("UPDATE companies SET deleted_at = now()", True),
        ("DELETE FROM companies", True),
        ("UPDATE companies SET phone_number = '+1'", False),
    ],
)
async def test_a_company_concerns_its_contacts_when_a_copied_field_changes(
    database: asyncpg.Connection, change: str, fans_out: bool
) -> None:
    await insert(database)
    await database.execute("DELETE FROM outbox")
    await database.execute(change)
    assert await outbox(database) == {("company", COMPANY): (1, fans_out)}


async def test_a_company_that_comes_after_its_contacts_concerns_them(database: asyncpg.Connection) -> None:
    await database.execute("INSERT INTO contacts (uuid, company_id) VALUES ($1, $2)", CONTACT, COMPANY)
    await database.execute("INSERT INTO companies (uuid) VALUES ($1)", COMPANY)
    assert (await outbox(database))["company", COMPANY] == (1, True)


async def test_versions_only_grow_and_a_uuid_never_changes(database: asyncpg.Connection) -> None:
    await insert(database)
    first = await database.fetchval("SELECT row_version FROM companies")
    await database.execute("UPDATE companies SET row_version = 0")
    assert await database.fetchval("SELECT row_version FROM companies") > first
    with pytest.raises(asyncpg.CheckViolationError, match="uuid of a record cannot change"):
        await database.execute("UPDATE companies SET uuid = $1", CONTACT)


async def test_a_job_goes_only_from_state_to_state_as_declared(database: asyncpg.Connection) -> None:
    await database.execute("INSERT INTO jobs (uuid, job_type) VALUES ($1, 'insert_csv_file')", COMPANY)
    with pytest.raises(asyncpg.CheckViolationError, match="cannot go from open to completed"):
        await database.execute("UPDATE jobs SET status = 'completed'")
    with pytest.raises(asyncpg.CheckViolationError, match="lease"):
        await database.execute("UPDATE jobs SET status = 'in_queue'")
    await database.execute("UPDATE jobs SET status = 'in_queue', lease_until = now()")


async def keys_of(database: asyncpg.Connection) -> set[tuple[int, int]]:
    return {(row[0], row[1]) for row in await database.fetch("SELECT key, record_id FROM match_keys")}


def key(entity: Entity, kind: str, value: str) -> int:
    found = keys.read(entity, kind, value)
    assert found
    return keys.number(entity, found)


async def test_the_keys_of_records_follow_whoever_writes_them(database: asyncpg.Connection) -> None:
    await database.execute(
        "INSERT INTO contacts (id, uuid, email, linkedin_url) VALUES (1, $1, ' Jane@Acme.com', $2)",
        *(CONTACT, "https://de.linkedin.com/in/Jane/?x=1"),
    )
    await database.execute(
        "INSERT INTO companies (id, uuid, normalized_domain) VALUES (1, $1, 'www.Acme.com')", COMPANY
    )
    domain = (key(COMPANY_, "domain", "acme.com"), 1)
    url = (key(CONTACT_, "url", "http://www.linkedin.com/in/jane"), 1)
    assert await keys_of(database) == {(key(CONTACT_, "email", "jane@acme.com"), 1), url, domain}
    await database.execute("UPDATE contacts SET email = 'x@y.de', title = 'x'")
    assert await keys_of(database) == {(key(CONTACT_, "email", "x@y.de"), 1), url, domain}
    await database.execute("UPDATE contacts SET email = NULL")
    assert await keys_of(database) == {url, domain}
    await database.execute("DELETE FROM contacts")
    await database.execute("DELETE FROM companies")
    assert await keys_of(database) == set()


async def test_records_get_their_keys_by_the_migration(empty_database: str) -> None:
    engine = plain_engine(empty_database)
    await upgraded(engine, "0005")
    database = await asyncpg.connect(empty_database)
    await database.execute("INSERT INTO companies (uuid, normalized_domain) VALUES ($1, 'xn--mller-kva.de')", COMPANY)
    await database.execute("INSERT INTO contacts (uuid, linkedin_url) VALUES ($1, $2)", CONTACT, "x.com/in/J%C3%A9an/")
    await migrated(engine)
    wanted = {(key(COMPANY_, "domain", "müller.de"), 1), (key(CONTACT_, "url", "x.com/in/JÉAN"), 1)}
    assert await keys_of(database) >= wanted
    await database.close()
    await engine.dispose()


async def test_the_database_makes_the_numbers_of_plain_keys_as_the_services_do(database: asyncpg.Connection) -> None:
    hosts = ("acme.com", "WWW.Acme.com", "de.linkedin.com", "www.linkedin.com", "linkedin.com", "Jane@acme.com", "")
    paths = ("", "/", "/in", "/in/", "/in/Jane", "/in/jane/", "/company/a-b?x=/y", "/in/x#top")
    for start, host, path in product(("", "https://", "HTTP://", "//", " "), hosts, paths):
        for kind in (keys.EMAIL, keys.DOMAIN, keys.URL):
            value = f"{start}{host}{path}"
            if found := keys.read(CONTACT_, kind, value):
                number = await database.fetchval("SELECT match_key('contact', $1, $2)", kind, value)
                assert number == keys.number(CONTACT_, found), (kind, value)
