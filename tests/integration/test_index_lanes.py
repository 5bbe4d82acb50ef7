"""Nothing slow, stuck or huge keeps other changes from the index."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

import asyncpg
import grpc
import httpx
import psutil
import pytest
from connectra.query.v1 import query_service_pb2 as query_pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.server.peers import channel
from connectra_write.imports import service
from prometheus_client.parser import text_string_to_metric_families

from tests.support.contacts import is_count, named, person, row
from tests.support.jobs import import_file
from tests.support.observability import metrics_urls
from tests.support.postgres import drained, is_drained
from tests.support.stack import Stack
from tests.support.wait import until
from tests.support.words import word

TOKEN, WAITS = "x-consistency-token", "waits for a consistency token"


async def test_single_writes_are_indexed_before_the_bulks_that_were_there_first(
    postgres: asyncpg.Connection, api: httpx.AsyncClient
) -> None:
    mark = word()
    await drained(postgres)
    async with postgres.transaction():
        await postgres.execute("SET LOCAL connectra.lane = '1'")
        await postgres.execute(
            "INSERT INTO contacts (uuid, last_name) SELECT gen_random_uuid()::text, $1 FROM generate_series(1, 8000)",
            mark,
        )

    async def is_indexed(uuid: str) -> bool:
        return not await postgres.fetchval("SELECT EXISTS (SELECT FROM outbox WHERE uuid = $1)", uuid)

    for _ in range(3):
        uuid = (await api.post("/contacts/create", json=person(word()))).json()["data"]["uuid"]
        await until(partial(is_indexed, uuid), pause=0.02)
        assert await postgres.fetchval("SELECT count(*) FROM outbox WHERE lane = 1") > 1_000
    await postgres.execute("DELETE FROM contacts WHERE last_name = $1", mark)


async def test_a_bulk_is_made_searchable_at_its_end_rather_than_all_the_time(
    postgres: asyncpg.Connection, stack: Stack
) -> None:
    async def refreshes() -> int:
        async with httpx.AsyncClient(base_url=stack.elasticsearch) as engine:
            found = (await engine.get("/contacts_index/_stats/refresh")).json()
        return int(found["_all"]["primaries"]["refresh"]["external_total"])

    mark = word()
    await drained(postgres)
    before = await refreshes()
    async with postgres.transaction():
        await postgres.execute("SET LOCAL connectra.lane = '1'")
        await postgres.execute(
            "INSERT INTO contacts (uuid, last_name) SELECT gen_random_uuid()::text, $1 FROM generate_series(1, 12000)",
            mark,
        )
    await drained(postgres, seconds=240)
    assert await refreshes() - before <= 5
    await postgres.execute("DELETE FROM contacts WHERE last_name = $1", mark)


def of_people(rows: int) -> bytes:
    """A CSV file of people of thousands of companies."""
    mark = word()
    lines = (f"{mark} {n % 5000},Bonn,5,ann{n},{mark},ann{n}@{mark}.example,Engineer" for n in range(rows))
    return "\n".join(["company,company_city,employees,first_name,last_name,email,title", *lines]).encode()


@pytest.mark.long
async def test_beside_a_large_import_a_write_is_found_within_a_second_and_200_who_wait_harm_nobody(
    postgres: asyncpg.Connection, api: httpx.AsyncClient, stack: Stack
) -> None:
    """A search that waits for its own write is answered; 200 that wait for one that nobody indexes cost the others nothing."""
    seconds: dict[str, list[float]] = {"write and search": [], "search": [], "search beside 200 who wait": []}
    held = str(uuid4())

    async def timed(kind: str, work: Awaitable[None]) -> None:
        began = time.monotonic()
        await work
        seconds[kind].append(time.monotonic() - began)

    async def write_and_search() -> None:
        name = word()
        made = await api.post("/contacts/create", json=person(name))
        assert made.status_code == 201, made.text
        answer = await api.post("/contacts/count", json=named(name), headers={TOKEN: made.headers[TOKEN]})
        assert answer.json() == {"count": 1, "success": True}, answer.text

    async def search() -> None:
        assert (await api.post("/contacts", json=named("nobody"))).status_code == 200

    async def wait_in_vain(query: QueryServiceStub, number: int) -> None:
        of_others = (("x-client-id", f"waiter {number % 4}"), ("x-client-rights", "read"))
        token = (TOKEN, f"{2**62}.contact.{held}")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await query.CountContacts(query_pb.CountContactsRequest(), metadata=(*of_others, token))
        assert refused.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)

    job = asyncio.create_task(import_file(api, of_people(500_000), seconds=3_000))
    await postgres.execute(
        "INSERT INTO outbox (entity, uuid, claimed_until) VALUES ('contact', $1, now() + interval '1 day')", held
    )
    async with channel(stack.grpc["query"]) as opened:
        query = QueryServiceStub(opened)
        while not job.done():
            await timed("write and search", write_and_search())
            await timed("search", search())
            if len(seconds["search"]) % 10 == 0:
                waiting = asyncio.gather(*(wait_in_vain(query, number) for number in range(200)))
                while not waiting.done():
                    await timed("search beside 200 who wait", search())
                    await timed("write and search", write_and_search())
                await waiting
    await postgres.execute("DELETE FROM outbox WHERE uuid = $1", held)
    assert (await job)["job_response"]["created"] == 505_000
    p95 = {kind: statistics.quantiles(values, n=20)[-1] for kind, values in seconds.items()}
    print({kind: (len(seconds[kind]), round(value, 3)) for kind, value in p95.items()})
    assert p95["write and search"] < 1
    assert p95["search beside 200 who wait"] < 3 * p95["search"]


async def test_200_of_a_few_clients_who_wait_leave_places_for_others(
    postgres: asyncpg.Connection, api: httpx.AsyncClient, stack: Stack
) -> None:
    async def running() -> float:
        async with httpx.AsyncClient() as http:
            text = (await http.get(metrics_urls(stack)["query"])).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        (waits,) = [s.value for s in samples if s.labels.get("kind") == WAITS and s.name == "connectra_calls_running"]
        return waits

    held = str(uuid4())
    await postgres.execute(
        "INSERT INTO outbox (entity, uuid, claimed_until) VALUES ('contact', $1, now() + interval '1 day')", held
    )
    token = (TOKEN, f"{2**62}.contact.{held}")
    async with channel(stack.grpc["query"]) as opened:
        query = QueryServiceStub(opened)
        waiting = [
            query.CountContacts(
                query_pb.CountContactsRequest(),
                metadata=(("x-client-id", f"waiter {number % 4}"), ("x-client-rights", "read"), token),
            )
            for number in range(200)
        ]
        await until(running, lambda number: number >= 128)
        name = word()
        made = await api.post("/contacts/create", json=person(name))
        async with asyncio.timeout(2):
            answer = await api.post("/contacts/count", json=named(name), headers={TOKEN: made.headers[TOKEN]})
        assert answer.json() == {"count": 1, "success": True}, answer.text
        assert not any(call.done() for call in waiting)
        for call in waiting:
            call.cancel()
    await postgres.execute("DELETE FROM outbox WHERE uuid = $1", held)


@asynccontextmanager
async def waiting_bulks(postgres: asyncpg.Connection, number: int) -> AsyncIterator[None]:
    """Marks of bulks that no indexer takes."""
    await postgres.execute(
        """INSERT INTO outbox (entity, uuid, lane, claimed_until)
           SELECT 'contact', 'waiting ' || n, 1, now() + interval '1 hour' FROM generate_series(1, $1) n""",
        number,
    )
    try:
        yield
    finally:
        await postgres.execute("DELETE FROM outbox WHERE starts_with(uuid, 'waiting ')")


async def test_an_import_waits_for_indexers_that_are_far_behind_but_not_for_ever(
    postgres: asyncpg.Connection, api: httpx.AsyncClient
) -> None:
    mark = word()
    file = "\n".join(["company,company_city,employees,first_name,last_name,email,title", row(mark, 1)]).encode()
    async with waiting_bulks(postgres, service.MOST_MARKS + 1):
        began = time.monotonic()
        job = await import_file(api, file)
        assert job["status"] == "completed"
        assert job["job_response"]["created"] == 2
        assert job["progress"]["index_wait_seconds"] >= 5
        assert time.monotonic() - began > service.WAIT_SECONDS
    began = time.monotonic()
    assert (await import_file(api, file))["status"] == "completed"
    assert time.monotonic() - began < service.WAIT_SECONDS


@pytest.fixture
async def search(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.elasticsearch) as client:
        yield client


async def dead(postgres: asyncpg.Connection) -> int:
    number: int = await postgres.fetchval("SELECT count(*) FROM dead_letters")
    return number


async def test_a_few_documents_that_are_refused_one_by_one_are_buried_only_where_others_are_taken(
    search: httpx.AsyncClient, postgres: asyncpg.Connection, api: httpx.AsyncClient
) -> None:
    mark, before = word(), await dead(postgres)
    await drained(postgres)
    # Nothing says that this is the index's fault, but that it takes no document at all.
    broken = {"index": {"default_pipeline": word()}}
    assert (await search.put("/contacts_index/_settings", json=broken)).is_success
    attempts = "SELECT coalesce(max(attempts), 0) FROM outbox WHERE entity = 'contact'"
    await postgres.execute("INSERT INTO contacts (uuid, last_name) VALUES (gen_random_uuid()::text, $1)", mark)
    await until(lambda: postgres.fetchval(attempts), lambda tried: tried > 4)
    await postgres.execute("INSERT INTO contacts (uuid, last_name) VALUES (gen_random_uuid()::text, $1)", mark)
    assert await dead(postgres) == before
    assert (await search.put("/contacts_index/_settings", json={"index": {"default_pipeline": "_none"}})).is_success
    await until(lambda: is_count(api, mark, 2))
    assert await dead(postgres) == before


async def test_while_an_index_takes_nothing_nothing_is_buried_and_the_other_goes_on(
    search: httpx.AsyncClient, postgres: asyncpg.Connection, api: httpx.AsyncClient
) -> None:
    mark, before = word(), await dead(postgres)
    await drained(postgres)
    (name,) = (await search.get("/_alias/companies_index")).json()
    assert (await search.post(f"/{name}/_close")).is_success
    insert = "INSERT INTO companies (uuid, name) SELECT gen_random_uuid()::text, $1 FROM generate_series(1, $2)"
    await postgres.execute(insert, mark, 3_000)
    attempts = "SELECT count(*) FROM outbox WHERE entity = 'company' AND attempts > 0"
    await until(lambda: postgres.fetchval(attempts), lambda tried: tried > 1)
    await postgres.execute("INSERT INTO contacts (uuid, last_name) VALUES ($1, $2)", str(uuid4()), mark)
    await until(lambda: is_count(api, mark, 1), seconds=5)
    assert await dead(postgres) == before
    assert await postgres.fetchval("SELECT count(*) FROM outbox WHERE entity = 'company'") == 3_000
    assert (await search.post(f"/{name}/_open")).is_success
    await drained(postgres)
    assert await dead(postgres) == before


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
        "INSERT INTO contacts (uuid, company_id) SELECT gen_random_uuid()::text, $1 FROM generate_series(1, 100)",
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
    assert (most - before) >> 20 < 120


async def test_the_comparison_rests_while_bulks_wait_for_the_index(postgres: asyncpg.Connection) -> None:
    async def noted() -> list[asyncpg.Record]:
        return await postgres.fetch(
            "SELECT entity, updated_at FROM index_operations WHERE kind = 'check' AND ended_at IS NULL ORDER BY entity"
        )

    first = await until(noted, lambda rows: len(rows) == 2)
    await until(
        noted, lambda rows: all(now["updated_at"] > then["updated_at"] for now, then in zip(rows, first, strict=True))
    )
    async with waiting_bulks(postgres, 2_000):
        await asyncio.sleep(4)  # longer than a slice and the pause between two rounds
        before = await noted()
        await asyncio.sleep(4)
        assert await noted() == before
