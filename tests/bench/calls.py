"""What a call costs, in microseconds of CPU by process: through the gateway at sixteen connections, and by hand on the raw engines.

`nothing` is a call to a gRPC server of Python that does nothing, without gateway: what a service costs before any line of ours. CPU counts
until the index has what was written. Where a process has no figure it took less than a microsecond a call.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

import aiohttp
import asyncpg
import grpc
import psutil
from connectra_common.records import ids, keys
from connectra_common.records.fields import CONTACT
from connectra_write import marks
from connectra_write.records.identities import KeyChange
from connectra_write.records.repository import RecordRepository

from tests.bench.nothing import LISTENING, METHOD
from tests.bench.options import Options, load
from tests.bench.search import LEAN, SORT, rows_sql
from tests.support.postgres import drained
from tests.support.stack import Stack
from tests.support.words import word

Json = dict[str, Any]
Call = Callable[[int], Awaitable[object]]
CONNECTIONS = 16
# Columns, and the parts of the stack in them.
PARTS = {
    "envoy": "gateway",
    "query": "query",
    "write": "write",
    "indexer": "indexer",
    "postgres": "postgres",
    "elasticsearch": "elasticsearch",
}
CONDITION = {"keyword_match": {"must": {"seniority": ["director", "vp"]}}}
CLAUSE = {"bool": {"filter": [{"terms": {"seniority": ["director", "vp"]}}]}}


async def run(target: Stack, options: Options) -> list[Json]:
    """One line for each kind of call and side."""
    await load(target, options.rows)
    parts = target.parts()
    processes = {"client": psutil.Process(), **{name: psutil.Process(parts[p]["pid"]) for name, p in PARTS.items()}}
    found: list[Json] = []
    async with AsyncExitStack() as opened:
        server, nothing = await opened.enter_async_context(nothing_server())
        processes["nothing"] = server
        connection = await opened.enter_async_context(asyncpg.create_pool(target.postgres, min_size=1, max_size=1))
        sides = {
            "nothing": nothing,
            **await opened.enter_async_context(through_the_gateway(target)),
            **await opened.enter_async_context(by_hand(target)),
        }
        for name, call in sides.items():
            found.append(await measured(name, call, 8 * options.requests, processes, connection))
    return found


@asynccontextmanager
async def nothing_server() -> AsyncIterator[tuple[psutil.Process, Call]]:
    """A process that answers empty messages."""
    command = (sys.executable, "-m", "tests.bench.nothing")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode().removeprefix(LISTENING)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{int(line)}") as channel:
            ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
            yield psutil.Process(process.pid), lambda _: ask(b"")
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def through_the_gateway(target: Stack) -> AsyncIterator[dict[str, Call]]:
    """REST calls."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    headers = {"x-api-key": target.api_key}
    mark = word()
    async with aiohttp.ClientSession(target.gateway, headers=headers, connector=connector) as session:

        async def ask(method: str, path: str, body: Json | None = None) -> Any:
            async with session.request(method, path, json=body) as answer:
                text = await answer.read()
                if answer.status >= 300:
                    raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()}")
                return text

        uuids = [row["uuid"] for row in json.loads(await ask("POST", "/contacts", {"limit": 100}))["data"]]
        query = {"where": CONDITION}
        yield {
            "health": lambda n: ask("GET", "/health"),
            "get": lambda n: ask("GET", f"/contacts/{uuids[n % 100]}"),
            "count": lambda n: ask("POST", "/contacts/count", query),
            "list of 25": lambda n: ask("POST", "/contacts", {**query, "limit": 25}),
            "list of 100 with company": lambda n: ask(
                "POST", "/contacts", {**query, "limit": 100, "company_config": {"populate": True}}
            ),
            "create": lambda n: ask("POST", "/contacts/create", contact(mark, n)),
            "update": lambda n: ask("PUT", f"/contacts/{uuids[n % 100]}", {"title": f"Engineer {n}"}),
            "upsert": lambda n: ask("POST", "/contacts/upsert", contact(mark, n + 10**6)),
        }


@asynccontextmanager
async def by_hand(target: Stack) -> AsyncIterator[dict[str, Call]]:
    """The same work without any process of ours: statements on bare connections, bodies sent to Elasticsearch."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    mark = word()
    async with (
        aiohttp.ClientSession(target.elasticsearch, connector=connector) as engine,
        asyncpg.create_pool(target.postgres, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool,
    ):
        uuids = [
            row["uuid"] for row in await pool.fetch("SELECT uuid FROM contacts WHERE deleted_at IS NULL LIMIT 100")
        ]

        async def ask(path: str, body: Json) -> Json:
            async with engine.post(path, json=body) as answer:
                return json.loads(await answer.read())  # type: ignore[no-any-return]

        async def page(size: int) -> None:
            body = {"query": CLAUSE, "size": size, "sort": SORT, **LEAN}
            answer = await ask("/contacts_index/_search?filter_path=hits.hits.sort", body)
            await pool.fetchval(rows_sql(size == 100), [hit["sort"][1] for hit in answer["hits"]["hits"]])

        async def write(work: Callable[[RecordRepository], Awaitable[object]]) -> None:
            async with pool.acquire() as connection:
                await work(RecordRepository(connection))
                await marks.newest(connection)

        def create(n: int) -> Awaitable[object]:
            values = contact(mark, n)
            identified = {**values, "uuid": ids.contact_uuid(values["first_name"], mark, None, values["email"])}
            key = KeyChange([keys.number(CONTACT, keys.Key(keys.EMAIL, values["email"]))], [])
            return write(lambda records: records.create(CONTACT, identified, key))

        one = rows_sql(company=False)
        yield {
            "get, by hand": lambda n: pool.fetchval(one, [uuids[n % 100]]),
            "count, by hand": lambda n: ask("/contacts_index/_count?filter_path=count", {"query": CLAUSE}),
            "list of 25, by hand": lambda n: page(25),
            "list of 100 with company, by hand": lambda n: page(100),
            "create, by hand": create,
            "update, by hand": lambda n: write(
                lambda records: records.update(CONTACT, uuids[n % 100], {"title": f"engineer {n}"}, None)
            ),
        }


def contact(mark: str, n: int) -> Json:
    """A contact as people make them."""
    return {
        "first_name": f"ann{n}",
        "last_name": mark,
        "email": f"ann{n}@{mark}.example",
        "title": f"engineer {n % 100}",
        "departments": ["engineering"],
        "city": "bonn",
        "country": "germany",
        "seniority": "senior",
    }


async def measured(
    name: str, call: Call, requests: int, processes: dict[str, psutil.Process], connection: asyncpg.Pool
) -> Json:
    """`requests` calls, sixteen at a time."""
    numbers = count()
    for _ in range(CONNECTIONS):
        await call(next(numbers))
    await drained(connection)
    taken: list[float] = []

    async def client(mine: Iterable[int]) -> None:
        for _ in mine:
            began = time.perf_counter()
            await call(next(numbers))
            taken.append(time.perf_counter() - began)

    before, began = cpu(processes), time.perf_counter()
    waiting = iter(range(requests))
    await asyncio.gather(*(client(waiting) for _ in range(CONNECTIONS)))
    seconds = time.perf_counter() - began
    await drained(connection)
    after = cpu(processes)
    return {
        "call": name,
        "per_second": round(requests / seconds),
        "p50_ms": round(statistics.median(taken) * 1e3, 1),
        "p99_ms": round(statistics.quantiles(taken, n=100)[-1] * 1e3, 1),
        **{f"{part} µs": round((after[part] - before[part]) / requests * 1e6) or "" for part in processes},
    }


def cpu(processes: dict[str, psutil.Process]) -> dict[str, float]:
    """CPU seconds of each so far, with its children."""
    return {name: sum(sum(member.cpu_times()[:2]) for member in family(process)) for name, process in processes.items()}


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and, unless it is this one, its children."""
    return [process] if process == psutil.Process() else [process, *process.children(recursive=True)]
