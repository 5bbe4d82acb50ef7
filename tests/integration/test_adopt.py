"""`connectra migrate --adopt`: a database of the documented tables, made by another implementation, becomes ours without losing a row."""

import asyncio
import json
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from connectra_common.db import migrate
from connectra_common.errors import Conflict
from connectra_ops.migrate import adopt
from connectra_ops.migrate.adopt import SCHEMA, SHAPE, State
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.postgres import PREDECESSOR, migrated, new_database, plain_engine
from tests.support.stack import Stack, connectra, program
from tests.support.wait import until


@pytest.fixture
async def old(empty_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a new database as the predecessor left it."""
    connection = await asyncpg.connect(empty_database)
    await connection.execute(PREDECESSOR)
    yield connection
    await connection.close()


@pytest.fixture
async def engine(empty_database: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the database as it is."""
    made = plain_engine(empty_database, connect_args={"server_settings": {"TimeZone": "UTC"}})
    yield made
    await made.dispose()


async def contents(connection: asyncpg.Connection, schema: str = "public") -> dict[str, dict[int, dict[str, Any]]]:
    """Every documented column of every row, by table and id."""
    found = {}
    for table, columns in SHAPE.items():
        # As JSON, since Python's datetime ends at year 9999.
        rows = f"SELECT id, to_json(t)::text FROM (SELECT {', '.join(columns)} FROM {schema}.{table}) t"
        found[table] = {row[0]: json.loads(row[1]) for row in await connection.fetch(rows)}
    return found


async def take_over(engine: AsyncEngine, dry_run: bool = False) -> adopt.Report:
    async with migrate.locked(engine) as connection:
        return await adopt.adopt(connection, print, dry_run=dry_run)


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (value, after[name]) for name, value in before.items() if value != after[name]}


async def test_every_row_is_there_afterwards_and_as_it_was(old: asyncpg.Connection, engine: AsyncEngine) -> None:
    before = await contents(old)
    assert len(before["companies"]) + len(before["contacts"]) == 3001
    await take_over(engine)
    after = await contents(old)
    assert await contents(old, SCHEMA) == before
    for table in ("companies", "contacts", "filters_data", "jobs"):
        assert after[table].keys() == before[table].keys()
        for id_, row in before[table].items():
            changed = differences(row, after[table][id_])
            if not row["uuid"]:
                assert len(changed.pop("uuid")[1]) == 36
            for name in ("created_at", "updated_at"):
                if name in row and row[name] is None:
                    assert changed.pop(name)[1] is not None
            if table == "jobs":
                was, now = changed.pop("status", ("", ""))
                assert now == ("failed" if was else "")
                response = changed.pop("job_response", ("", {}))[1]
                assert ("at the take-over" in str(response)) == bool(was)
                if was or (row["status"] == "failed" and row["retry_count"] <= 0):  # it is not retried by itself
                    assert changed.pop("run_after")[1] is None
                changed = {name: values for name, values in changed.items() if values not in ((None, {}), (-1, 0))}
            assert changed == {}, (table, id_)


async def test_the_database_is_ours_then(old: asyncpg.Connection, engine: AsyncEngine) -> None:
    await take_over(engine)
    # The index is rebuilt from the tables; the indexer only gets the records that it will refuse.
    odd = "SELECT count(*) FROM companies WHERE created_at >= '10000-01-01' OR updated_at >= '10000-01-01'"
    assert await old.fetchval("SELECT count(*) FROM outbox") == await old.fetchval(odd) == 25
    assert await old.fetchval("SELECT count(*) FROM audit") == 0
    assert not await old.fetchval("SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O'")
    assert await old.fetchval("SELECT count(DISTINCT record_id) FROM match_keys") > 2000
    for table in SHAPE:
        newest = await old.fetchval(f"SELECT max(id) FROM {table}")
        assert await old.fetchval("SELECT nextval(pg_get_serial_sequence($1, 'id'))", table) > newest
    filters = {(r["service"], r["key"]): dict(r) for r in await old.fetch("SELECT * FROM filters")}
    assert len(filters) == 27 + 1
    city, shoes = filters["company", "city"], filters["contact", "shoe_size"]
    assert (city["id"], city["display_name"], city["active"]) == (40, "Town", False)
    assert (shoes["id"], shoes["active"]) == (2, False)
    assert not await old.fetchval(
        "SELECT count(*) FROM jobs WHERE status = 'failed' AND job_response::text LIKE '%take-over%' AND NOT cancel_requested"
    )


async def test_what_is_odd_is_counted_and_a_dry_run_changes_nothing(
    old: asyncpg.Connection, engine: AsyncEngine
) -> None:
    before = await contents(old)
    report = await take_over(engine, dry_run=True)
    assert await contents(old) == before
    assert await old.fetchval("SELECT to_regclass('outbox') IS NULL AND to_regnamespace($1) IS NULL", SCHEMA)
    assert report.rows == {table: len(rows) for table, rows in before.items()}
    assert report.left == ["contacts.notes"]
    found = {(f.table, f.what.partition(";")[0]): f.count for f in report.findings}
    assert found == {
        ("companies", "no uuid"): 1,
        ("companies", "uuid in upper case"): 10,
        ("companies", "not a valid uuid"): 10,
        ("companies", "no name"): 20,
        ("companies", "negative number"): 50,
        ("companies", "domain of several companies"): 798,
        ("companies", "no created_at or updated_at"): 59,
        ("companies", "a time that no index takes"): 25,
        ("contacts", "no uuid"): 20,
        ("contacts", "uuid in upper case"): 20,
        ("contacts", "e-mail address of several contacts"): found["contacts", "e-mail address of several contacts"],
        ("contacts", "not a valid e-mail address"): 80,
        ("contacts", "company that is not there"): found["contacts", "company that is not there"],
        ("filters", "no service or key"): 1,
        ("filters", "duplicate key"): 1,
        ("filters_data", "shows a uuid instead of a name"): 100,
        ("filters_data", "no value"): 66,
        ("jobs", "no uuid"): 1,
        ("jobs", "claimed or running"): 40,
        ("jobs", "failed with retries left"): 6,
        ("jobs", "unknown status"): 10,
        ("jobs", "negative retry_count"): 16,
    }
    assert found["contacts", "company that is not there"] > 400
    assert await take_over(engine) == report


async def test_two_at_once_do_it_once_and_a_third_has_nothing_to_do(
    old: asyncpg.Connection, engine: AsyncEngine
) -> None:
    reports = await asyncio.gather(take_over(engine), take_over(engine))
    assert {r.state for r in reports} == {State.PREDECESSOR, State.ADOPTED}
    after = await contents(old)
    assert (await take_over(engine)).state is State.ADOPTED
    assert await contents(old) == after


async def test_what_is_something_else_is_refused_and_left_alone(empty_database: str, engine: AsyncEngine) -> None:
    assert (await take_over(engine)).state is State.EMPTY
    other = await asyncpg.connect(empty_database)
    await other.execute(
        PREDECESSOR + "ALTER TABLE companies DROP COLUMN city, ALTER keywords TYPE text; CREATE TABLE outbox (id int)"
    )
    problems = "companies.keywords is of type text.*companies has no column city.*outbox is there already"
    with pytest.raises(Conflict, match=problems):
        await take_over(engine)
    await other.execute("DROP TABLE outbox; DROP TABLE companies")
    with pytest.raises(Conflict, match="there is no table companies"):
        await take_over(engine)
    await other.close()


async def test_rows_that_no_index_takes_are_named_before_anything_is_done(
    old: asyncpg.Connection, engine: AsyncEngine
) -> None:
    await old.execute(
        "UPDATE contacts SET email = (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 100) n) WHERE id = 7"
    )
    before = await contents(old)
    assert (await take_over(engine, dry_run=True)).blocked
    with pytest.raises(Conflict, match=r"contacts: .*more than 2600 bytes.*\(7\)"):
        await take_over(engine)
    assert await contents(old) == before


async def definitions(connection: asyncpg.Connection) -> set[str]:
    """Of all indexes and unique constraints."""
    return {row[0] for row in await connection.fetch("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'")}


async def test_the_indexes_are_those_of_a_new_database(
    stack: Stack, old: asyncpg.Connection, engine: AsyncEngine
) -> None:
    await take_over(engine)
    async with new_database(stack.postgres) as dsn:
        other = plain_engine(dsn)
        await migrated(other)
        await other.dispose()
        new = await asyncpg.connect(dsn)
        assert await definitions(old) == await definitions(new)
        await new.close()


async def test_killed_in_the_middle_it_goes_on_where_it_was(
    stack: Stack, old: asyncpg.Connection, empty_database: str
) -> None:
    environment = {**stack.environment, **stack.stores(), "PG_DB_CONNECTION": empty_database}
    before = await contents(old)
    refused = connectra(environment, "migrate")
    assert (refused.returncode, "migrate --adopt" in refused.stderr) == (1, True)
    # The command is held where it inserts contacts: by then it has taken the companies over.
    await old.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_lock(42); RETURN NULL; END'"
    )
    await old.execute(
        """CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
               IF to_regclass('public.contacts') IS NOT NULL AND to_regclass('public.audit') IS NOT NULL THEN
                   EXECUTE 'CREATE OR REPLACE TRIGGER wait AFTER INSERT ON public.contacts FOR EACH STATEMENT EXECUTE FUNCTION wait()';
               END IF; END $$;
           CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION slow();
           SELECT pg_advisory_lock(42)"""
    )
    command = [program("connectra"), "migrate", "--adopt"]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=DEVNULL, stderr=DEVNULL)

    async def waiting() -> int | None:
        assert process.returncode is None
        waiter: int | None = await old.fetchval(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted"
        )
        return waiter

    pid = await until(waiting)
    process.kill()
    await process.wait()
    await old.execute("SELECT pg_terminate_backend($1)", pid)
    await old.execute("DROP EVENT TRIGGER slow; DROP TRIGGER wait ON contacts; SELECT pg_advisory_unlock(42)")
    assert await contents(old, SCHEMA) == before
    copied = "SELECT ARRAY[(SELECT count(*) FROM companies), (SELECT count(*) FROM contacts)]"
    assert await old.fetchval(copied) == [1001, 0]

    unfinished = connectra(environment, "migrate")
    assert (unfinished.returncode, "migrate --adopt" in unfinished.stderr) == (1, True)
    done = connectra(environment, "migrate", "--adopt")
    assert done.returncode == 0, done.stderr
    assert {"companies            1,001 rows", "contacts             2,000 rows"} <= set(done.stdout.splitlines())
    assert "40 claimed or running" in done.stdout
    assert await old.fetchval(copied) == [1001, 2000]
    assert await contents(old, SCHEMA) == before
    assert "taken over already" in connectra(environment, "migrate", "--adopt").stdout
    assert connectra(environment, "migrate").returncode == 0
