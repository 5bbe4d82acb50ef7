"""`connectra index` on the running services, and what becomes of documents that Elasticsearch refuses."""

import asyncio
import json
from uuid import uuid4

import asyncpg
import httpx
from connectra.write.v1 import index_service_pb2 as pb
from connectra.write.v1.index_service_pb2_grpc import IndexServiceStub
from connectra_client.exit_codes import ExitCode
from connectra_common.server.peers import channel
from connectra_write.indexer import main
from connectra_write.indexer.indexer import Tuning

from tests.support.contacts import is_count
from tests.support.postgres import drained
from tests.support.stack import Stack
from tests.support.wait import until
from tests.support.words import word


async def command(stack: Stack, *arguments: str) -> str:
    done = await asyncio.to_thread(stack.command, "index", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_rest_says_how_the_index_is(stack: Stack, api: httpx.AsyncClient) -> None:
    told = (await api.get("/common/index")).json()["data"]
    async with channel(stack.grpc["write"]) as opened:
        typed = await IndexServiceStub(opened).GetIndexStatus(pb.GetIndexStatusRequest())
    assert (told["dead_letters"], told["indexers"]) == (typed.dead_letters, typed.indexers)
    assert [(i["entity"], i["index_name"], i["previous"]) for i in told["indices"]] == [
        (i.entity, i.index_name, i.previous) for i in typed.indices
    ]
    assert {"documents", "rebuild", "check"} <= {*told["indices"][0]}


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
    assert json.loads(await command(stack, "status", "--json"))["dead_letters"] == 2
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
    assert await command(stack, "dead-letters") == ""


async def test_the_index_is_verified_and_rebuilt_by_command(
    stack: Stack, postgres: asyncpg.Connection, api: httpx.AsyncClient
) -> None:
    mark = word()
    person = "INSERT INTO contacts (uuid, first_name, last_name) VALUES ($1, 'Robert', $2)"
    await postgres.execute(person, str(uuid4()), mark)
    await until(lambda: is_count(api, mark, 1))
    assert "missing 0, ghost 0, stale 0, different 0" in await command(stack, "verify", "contact", "--repair")
    assert "done: contacts_index-v" in await command(stack, "reindex", "contact")
    await until(lambda: is_count(api, mark, 1))
    assert "live: contacts_index-v" in await command(stack, "rollback", "contact")
    assert "removed: contacts_index-v" in await command(stack, "drop-previous", "contact")
    refused = await asyncio.to_thread(stack.command, "index", "rollback", "contact")
    assert refused.returncode == ExitCode.CONFLICT
    assert "there is no previous contact index" in refused.stderr
    await until(lambda: is_count(api, mark, 1))


async def test_an_indexer_holds_no_more_connections_than_it_asks_for(postgres: asyncpg.Connection) -> None:
    held = """SELECT count(*) FROM pg_stat_activity
              WHERE datname = current_database() AND application_name = 'connectra-indexer'"""
    assert 2 <= await postgres.fetchval(held) <= Tuning().connections + main.OPERATIONS + main.OWN
