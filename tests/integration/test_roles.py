"""What the role of each process may do in the database, and what it may not."""

import os
from collections.abc import AsyncIterator

import asyncpg
import pytest
from connectra_common.db import roles
from connectra_local.config import ROLES
from connectra_local.parts import SERVICES

from tests.support.stack import TEST_POSTGRES, Stack

PREFIX = "connectra"
UUID = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
async def granted(database: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """The owner's connection to a new database in which the roles have their rights, and one company is."""
    await roles.create(database, PREFIX)
    await roles.grant(database, PREFIX)
    await database.execute("INSERT INTO companies (uuid, name) VALUES ($1, 'Acme')", UUID)
    yield database
    await database.execute("RESET ROLE")


async def become(connection: asyncpg.Connection, process: str) -> None:
    await connection.execute(f"SET ROLE {roles.name_of(process, PREFIX)}")


RECORDS = [
    f"{change} {table}{rest}"
    for table in ("companies", "contacts")
    for change, rest in (("DELETE FROM", ""), ("UPDATE", " SET city = 'x'"), ("INSERT INTO", " (uuid) VALUES ('x')"))
]
DEFINED = [
    "ALTER TABLE companies DISABLE TRIGGER companies_audit_updated",
    "ALTER TABLE contacts DISABLE TRIGGER ALL",
    "DROP TRIGGER contacts_audit_deleted ON contacts",
    "SET session_replication_role = replica",
    "CREATE OR REPLACE FUNCTION audit_actor() RETURNS text LANGUAGE sql AS $$ SELECT 'client:another' $$",
    "CREATE TABLE mine (x text)",
    "TRUNCATE contacts",
    "DROP TABLE contacts",
    "TRUNCATE audit",
    "UPDATE audit SET actor = 'x'",
    "INSERT INTO audit (actor, entity, uuid, operation, row_version) VALUES ('x', 'company', 'x', 'update', 1)",
    "SELECT audit_exempt()",
    "SELECT audit_event('client:another', 'r', 'company', 'x', 'update', NULL)",
    "CREATE ROLE mine SUPERUSER",
    "SELECT rolpassword FROM pg_authid",
]
EVENT = "SELECT audit_event('client:another', 'r', 'job', 'x', 'create', NULL)"
REFUSED = {
    "query": [*RECORDS, *(f"SELECT FROM {t}" for t in ("jobs", "uploads", "kept_answers", "import_batches")), "DELETE FROM audit"],
    "write": [*(one for one in RECORDS if one.startswith("DELETE")), "SELECT FROM jobs", "DELETE FROM outbox", "DELETE FROM audit"],
    "indexer": [*RECORDS, "SELECT FROM audit", "SELECT FROM jobs", "SELECT FROM match_keys"],
    "jobs": [*RECORDS, "SELECT FROM companies", "SELECT FROM contacts", "SELECT FROM audit", "UPDATE job_transitions SET to_status = 'x'"],
    "worker": [*RECORDS, "SELECT FROM contacts", "DELETE FROM jobs", "INSERT INTO jobs (uuid) VALUES ('x')", "SELECT FROM uploads"],
    "ops": [*RECORDS, "SELECT email FROM contacts", "SELECT data FROM jobs", "DELETE FROM audit", "UPDATE jobs SET status = 'open'", EVENT],
    "keda": [*RECORDS, "SELECT FROM contacts", "SELECT data FROM jobs", "UPDATE jobs SET status = 'open'", EVENT],
}  # fmt: skip


@pytest.mark.parametrize("process", roles.RIGHTS)
async def test_a_role_may_do_nothing_that_its_process_has_no_need_of(granted: asyncpg.Connection, process: str) -> None:
    await become(granted, process)
    allowed = []
    for statement in (*DEFINED, *REFUSED[process]):
        try:
            async with granted.transaction():
                await granted.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            continue
        allowed.append(statement)
    assert allowed == []


async def test_what_triggers_write_needs_no_right_of_the_writer(granted: asyncpg.Connection) -> None:
    await become(granted, "write")
    await granted.execute("UPDATE companies SET normalized_domain = 'acme.com'")
    await become(granted, "indexer")
    await granted.execute("UPDATE companies SET row_version = row_version")

    await granted.execute("RESET ROLE")
    assert await granted.fetchval("SELECT generation FROM outbox WHERE uuid = $1", UUID) == 3
    assert await granted.fetchval("SELECT count(*) FROM match_keys") == 1
    assert await granted.fetchval("SELECT array_agg(operation ORDER BY id) FROM audit") == ["create", "update"]


async def test_no_writer_leaves_the_trail_or_adds_to_it_by_itself(granted: asyncpg.Connection) -> None:
    await become(granted, "write")
    await granted.execute("SET connectra.audit = 'off'")
    await granted.execute("UPDATE companies SET city = 'Bonn'")

    await granted.execute("CREATE TEMPORARY TABLE mine (uuid text, row_version bigint)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="function audit_inserted"):
        await granted.execute(
            """CREATE TRIGGER forge AFTER INSERT ON mine REFERENCING NEW TABLE AS changed
               FOR EACH STATEMENT EXECUTE FUNCTION audit_inserted('company')"""
        )

    # The owner may turn it off, and let the write service do so.
    await granted.execute("RESET ROLE")
    assert await granted.fetchval("SELECT count(*) FROM audit") == 2
    await roles.grant(granted, PREFIX, audited=False)
    await become(granted, "write")
    await granted.execute("UPDATE companies SET city = 'Köln'")
    await granted.execute("RESET ROLE")
    assert await granted.fetchval("SELECT count(*) FROM audit") == 2


async def test_the_processes_that_need_it_record_what_is_no_change_of_a_record(granted: asyncpg.Connection) -> None:
    for process in ("query", "write", "indexer", "jobs", "worker"):
        await become(granted, process)
        await granted.execute(EVENT)
    await granted.execute("RESET ROLE")
    assert await granted.fetchval("SELECT count(*) FROM audit WHERE entity = 'job'") == 5


async def test_a_right_that_was_taken_from_the_list_is_taken_from_the_role(granted: asyncpg.Connection) -> None:
    await granted.execute("GRANT DELETE, UPDATE (city) ON companies TO connectra_query")
    await granted.execute("GRANT USAGE ON outbox_seq TO connectra_query")
    await roles.grant(granted, PREFIX)

    await become(granted, "query")
    for statement in ("DELETE FROM companies", "UPDATE companies SET city = 'x'", "SELECT nextval('outbox_seq')"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await granted.execute(statement)
    assert await granted.fetchval("SELECT name FROM companies") == "Acme"


async def test_an_owner_who_may_not_create_roles_is_told_which_are_missing(granted: asyncpg.Connection) -> None:
    await become(granted, "write")
    assert await roles.create(granted, "other") == [f"other_{process}" for process in roles.RIGHTS]
    assert await roles.create(granted, PREFIX) == []


@pytest.mark.skipif(TEST_POSTGRES in os.environ, reason="the stack makes logins only on a server of its own")
async def test_each_process_of_the_stack_logs_in_as_its_role(stack: Stack, postgres: asyncpg.Connection) -> None:
    rows = await postgres.fetch(
        "SELECT DISTINCT application_name, usename FROM pg_stat_activity WHERE application_name LIKE 'connectra-%'"
    )
    seen = {row["application_name"].rpartition("-")[2]: row["usename"] for row in rows}
    expected = {name: roles.name_of(ROLES.get(name, name), PREFIX) for name in SERVICES}
    assert seen.items() <= expected.items()
    assert {"write", "indexer", "jobs"} <= seen.keys()
