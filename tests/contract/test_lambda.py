"""The API as a Lambda function that stands still, ends, or gets more than it may. What it answers is in test_table."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import httpx
import psutil
import pytest

from tests.support.dockerfiles import LAMBDA, environment
from tests.support.function import ANYBODY, MAX_PAYLOAD_BYTES, NEEDS_EMULATOR, Function, RunFunction
from tests.support.gateway import API_KEY
from tests.support.relay import Relay
from tests.support.stack import Stack
from tests.support.wait import until

pytestmark = NEEDS_EMULATOR

# Longer than any of its connections may rest: 4 s of the adapter's, 15 of those to Elasticsearch, 12 of those to S3.
FROZEN_SECONDS = 17
# What Lambda leaves a function to end, from SIGTERM to SIGKILL.
ENDS_SECONDS = 2
READY_SECONDS = 3
MIB = 1024 * 1024


@pytest.fixture(scope="module")
async def function(run_function: RunFunction) -> Function:
    return await asyncio.to_thread(run_function, user=ANYBODY)


@pytest.fixture
async def postgres(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(stack.postgres)
    yield connection
    await connection.close()


async def backends(postgres: asyncpg.Connection) -> int:
    """Those of functions."""
    await postgres.execute("SELECT pg_stat_clear_snapshot()")  # in a transaction they would be as they were
    return int(
        await postgres.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'connectra-api'")
    )


async def works(http: httpx.AsyncClient) -> None:
    """A write, a search by Elasticsearch, and a call to S3."""
    made = await http.post("/companies/create", json={"name": f"Frozen {uuid4().hex}"})
    assert made.status_code == 201, made.text
    conditions = {"text_matches": {"must": [{"filter_key": "name", "text_value": "frozen", "search_type": "exact"}]}}
    found = await http.post("/companies", json={"where": conditions})
    assert found.status_code == 200, found.text
    health = (await http.get("/health/db")).json()
    assert {name: check["status"] for name, check in health["checks"].items()} == dict.fromkeys(
        ("postgres", "elasticsearch", "s3"), "ok"
    )


async def test_it_runs_as_anybody_without_rights_on_a_root_that_it_cannot_write(function: Function) -> None:
    async with function.client(API_KEY) as http:
        await works(http)
    members = function.members()
    assert {one.name().split(":")[0] for one in members} >= {"lambda-adapter", "envoy"}
    assert {one.uids().effective for one in members} == {ANYBODY}
    assert not [line for line in function.log.read_text().splitlines() if "Read-only file system" in line]


async def test_it_holds_two_connections_to_the_database_and_does_nothing_between_calls(
    function: Function, postgres: asyncpg.Connection
) -> None:
    async with function.client(API_KEY) as http:
        for _ in range(3):
            await works(http)
    assert 1 <= await backends(postgres) <= 2
    assert environment(LAMBDA)["PG_POOL_SIZE"] == "2"


async def test_the_call_after_a_long_freeze_is_answered_whatever_became_of_its_connections(
    run_function: RunFunction, stack: Stack
) -> None:
    database, search = httpx.URL(stack.postgres), httpx.URL(stack.elasticsearch)
    async with (
        Relay.to(database.host, database.port or 5432) as of_database,
        Relay.to(search.host, search.port or 9200) as of_search,
    ):
        login = database.userinfo.decode()
        settings = {
            "PG_DB_CONNECTION": f"postgresql://{login}@{of_database.address}{database.path}",
            "ELASTICSEARCH_CONNECTION": f"http://{of_search.address}",
        }
        function = await asyncio.to_thread(run_function, user=ANYBODY, **settings)
        async with function.client(API_KEY) as http:
            await works(http)
            with function.frozen():
                of_database.forget()
                of_search.forget()
                await asyncio.sleep(FROZEN_SECONDS)  # the time itself is what is tried
            began = time.monotonic()
            await works(http)
            assert time.monotonic() - began < 5
            for _ in range(8):
                with function.frozen():
                    await asyncio.sleep(0.3)
                await works(http)


@pytest.mark.parametrize(
    ("path", "limit"), [("/companies/create", MIB), ("/companies/bulk", 4 * MIB)], ids=["single", "bulk"]
)
async def test_a_body_that_is_too_large_is_a_413_in_the_envelope_and_one_that_is_not_is_read(
    function: Function, path: str, limit: int
) -> None:
    def body(size: int) -> bytes:
        return b'{"nothing":"' + b"x" * (size - len(b'{"nothing":""}')) + b'"}'

    async with function.client(API_KEY) as http:
        packed = {"content-type": "application/json"}, {"content-type": "application/octet-stream"}
        for headers in packed:
            read = await http.post(path, content=body(limit), headers=headers)
            assert read.status_code == 400, read.text
            refused = await http.post(path, content=body(limit + 1), headers=headers)
            assert (refused.status_code, refused.json()["error_code"]) == (413, "PAYLOAD_TOO_LARGE")
            assert refused.json()["details"] == {"max_bytes": limit}
    # What Lambda itself refuses is beyond that, as text and as base64.
    assert 4 * limit / 3 < MAX_PAYLOAD_BYTES


async def test_what_runs_when_it_is_told_to_end_is_stored_as_a_whole_or_not_at_all(
    run_function: RunFunction, postgres: asyncpg.Connection
) -> None:
    function = await asyncio.to_thread(run_function, user=ANYBODY)
    run = uuid4().hex
    async with function.client(API_KEY) as http:
        made = (await http.post("/companies/create", json={"name": f"Ending {run}"})).json()["data"]
        changed = {"uuid": made["uuid"], "name": f"Ending {run}", "city": "Ulm"}
        others = [{"name": f"Ending {run} {number}"} for number in range(500)]
        async with postgres.transaction():
            await postgres.execute("SELECT 1 FROM companies WHERE uuid = $1 FOR UPDATE", made["uuid"])
            bulk = asyncio.create_task(http.post("/companies/bulk", json={"companies": [*others, changed]}))

            async def waits() -> int:
                return int(await postgres.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

            await until(waits, seconds=20)
            members = function.members()
            function.tell(signal.SIGTERM)
            _, alive = await asyncio.to_thread(psutil.wait_procs, members, timeout=ENDS_SECONDS)
            for member in alive:
                member.kill()
            await until(waits, lambda number: number == 0, seconds=20)
    bulk.cancel()
    await asyncio.gather(bulk, return_exceptions=True)
    stored = await postgres.fetchval(
        "SELECT count(*) FROM companies WHERE name LIKE $1 AND uuid <> $2", f"Ending {run}%", made["uuid"]
    )
    city = await postgres.fetchval("SELECT city FROM companies WHERE uuid = $1", made["uuid"])
    assert (stored, city) in ((0, None), (len(others), "Ulm"))


async def test_it_is_ready_on_one_core_in_less_than_three_seconds(run_function: RunFunction) -> None:
    """In seconds of CPU, of which a core has one each second: what else this machine does meanwhile does not count."""
    function = await asyncio.to_thread(run_function, user=ANYBODY, before=("taskset", "--cpu-list", "0"))
    async with function.client() as http:
        assert (await http.get("/health")).status_code == 200
    spent = sum(sum(one.cpu_times()[:2]) for one in function.members())
    assert spent < READY_SECONDS
