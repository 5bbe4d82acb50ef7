"""`connectra index` on the running services, and what becomes of documents that Elasticsearch refuses."""

import asyncio
from uuid import uuid4

import asyncpg
import httpx
import psutil
from connectra_write.indexer.indexer import Tuning

from tests.support.contacts import is_count
from tests.support.postgres import drained, is_drained
from tests.support.stack import Stack
from tests.support.wait import until
from tests.support.words import word


async def command(stack: Stack, *arguments: str) -> str:
    done = await asyncio.to_thread(stack.command, "index", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_what_is_refused_is_listed_with_its_reason_until_it_is_repaired(
    stack: Stack, postgres: asyncpg.Connection, api: httpx.AsyncClient
) -> None:
    mark, bad = word(), str(uuid4())
    insert = "INSERT INTO contacts (uuid, last_name, created_at) VALUES ($1, $2, $3::text::timestamptz)"
    # Plain SQL can store anything: a year of five digits, an id too long for Elasticsearch, one that breaks JSON.
    strange = f'"{mark}\\n{{}}'
    await postgres.execute(insert, bad, mark, "20000-01-01")
    await postgres.execute(insert, mark + "x" * 600, mark, "2000-01-01")
    await postgres.execute(insert, strange, mark, "2000-01-01")
    await postgres.execute(insert, str(uuid4()), mark, "2000-01-01")

    async def dead() -> dict[str, str]:
        rows = await postgres.fetch("SELECT uuid, reason FROM dead_letters")
        return {row["uuid"]: row["reason"] for row in rows}

    async def both() -> bool:
        return len(await dead()) == 2

    await until(both)
    await until(lambda: is_count(api, mark, 2))
    reasons = await dead()
    assert "created_at" in reasons[bad]
    assert "too long" in reasons[mark + "x" * 600]

    listed = await command(stack, "dead-letters")
    assert "failed to parse field" in " ".join(listed.split()) or "created_at" in listed
    assert "dead letters   2" in await command(stack, "status")
    assert "1 queued for indexing" in await command(stack, "replay", bad)

    await drained(postgres)
    assert len(await dead()) == 2
    await postgres.execute("UPDATE contacts SET created_at = now() WHERE uuid = $1", bad)
    await postgres.execute("DELETE FROM contacts WHERE uuid LIKE '%xxx'")
    await until(lambda: is_count(api, mark, 3))
    await drained(postgres)
    await postgres.execute("DELETE FROM contacts WHERE uuid = $1", strange)
    await until(lambda: is_count(api, mark, 2))
    assert await dead() == {}
    assert "no dead letters" in await command(stack, "dead-letters")


async def test_the_index_is_verified_and_rebuilt_by_command(
    stack: Stack, postgres: asyncpg.Connection, api: httpx.AsyncClient
) -> None:
    mark = word()
    await postgres.execute("INSERT INTO contacts (uuid, last_name) VALUES ($1, $2)", str(uuid4()), mark)
    await until(lambda: is_count(api, mark, 1))
    assert "missing 0, ghost 0, stale 0, different 0" in await command(stack, "verify", "contact", "--repair")
    assert "done: contacts_index-v" in await command(stack, "reindex", "contact")
    await until(lambda: is_count(api, mark, 1))
    assert "live: contacts_index-v" in await command(stack, "rollback", "contact")
    assert "removed: contacts_index-v" in await command(stack, "drop-previous", "contact")
    refused = await asyncio.to_thread(stack.command, "index", "rollback", "contact")
    assert refused.returncode == 1
    assert "there is no previous contact index" in refused.stderr
    await until(lambda: is_count(api, mark, 1))


async def test_an_indexer_holds_no_more_connections_than_it_asks_for(postgres: asyncpg.Connection) -> None:
    held = """SELECT count(*) FROM pg_stat_activity
              WHERE datname = current_database() AND application_name = 'connectra-indexer'"""
    assert 2 <= await postgres.fetchval(held) <= Tuning().connections


async def test_while_an_index_takes_nothing_nothing_is_buried_and_the_other_goes_on(
    stack: Stack, postgres: asyncpg.Connection, api: httpx.AsyncClient
) -> None:
    mark, before = word(), await postgres.fetchval("SELECT count(*) FROM dead_letters")

    async with httpx.AsyncClient(base_url=stack.elasticsearch) as search:
        await drained(postgres)
        (name,) = (await search.get("/_alias/companies_index")).json()
        assert (await search.post(f"/{name}/_close")).is_success
        insert = "INSERT INTO companies (uuid, name) SELECT gen_random_uuid()::text, $1 FROM generate_series(1, $2)"
        await postgres.execute(insert, mark, 3_000)
        attempts = "SELECT count(*) FROM outbox WHERE entity = 'company' AND attempts > 0"
        await until(lambda: postgres.fetchval(attempts), lambda tried: tried > 1)
        await postgres.execute("INSERT INTO contacts (uuid, last_name) VALUES ($1, $2)", str(uuid4()), mark)
        await until(lambda: is_count(api, mark, 1), seconds=5)
        assert await postgres.fetchval("SELECT count(*) FROM dead_letters") == before
        assert await postgres.fetchval("SELECT count(*) FROM outbox WHERE entity = 'company'") == 3_000
        assert (await search.post(f"/{name}/_open")).is_success
    await drained(postgres)
    assert await postgres.fetchval("SELECT count(*) FROM dead_letters") == before


async def test_a_company_with_very_much_in_it_is_copied_into_its_contacts_in_little_memory(
    stack: Stack, postgres: asyncpg.Connection
) -> None:
    process = psutil.Process(stack.parts()["indexer"]["pid"])
    before, most, company = process.memory_info().rss, 0, str(uuid4())
    await postgres.execute(
        """INSERT INTO companies (uuid, name, keywords)
           SELECT $1, 'Fat', array_agg(repeat(md5(n::text), 6)) FROM generate_series(1, 5000) n""",
        company,
    )
    await drained(postgres)
    await postgres.execute(
        "INSERT INTO contacts (uuid, company_id) SELECT gen_random_uuid()::text, $1 FROM generate_series(1, 300)",
        company,
    )

    async def is_done() -> bool:
        nonlocal most
        most = max(most, process.memory_info().rss)
        return await is_drained(postgres)

    await until(is_done, pause=0.02)
    await postgres.execute("DELETE FROM contacts WHERE company_id = $1", company)
    await postgres.execute("DELETE FROM companies WHERE uuid = $1", company)
    await drained(postgres)
    assert (most - before) >> 20 < 150
