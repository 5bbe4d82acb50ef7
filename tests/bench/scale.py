"""What becomes slower as the data grows: the same measurements at 100,000 contacts, a million, and as many more as `--rows` asks for.

Each step imports what is missing and, beside the last of it, writes single contacts and searches for them with their tokens. Figures that
should not grow are rows a second of the import, claims of the outbox and tokens.
"""

import asyncio
import contextlib
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import asyncpg
import httpx
import psutil
from connectra_local.sample import sample_rows
from connectra_write.indexer.repository import SESSION, OutboxRepository, Queue
from connectra_write.marks import Lane

from tests.bench import filters, search, suggest
from tests.bench.jobs import Bench, opened, people
from tests.bench.options import Options
from tests.support.contacts import named, person
from tests.support.postgres import drained
from tests.support.stack import Stack
from tests.support.words import word

SIZES = (100_000, 1_000_000, 2_000_000, 5_000_000)
# The import that is measured at each size, and the pause between two single writes beside it.
MEASURED_ROWS, PAUSE_SECONDS = 50_000, 0.1
CLAIMS, CLAIMED = 30, 2_000
MARK = """
    INSERT INTO outbox (entity, uuid, lane)
    SELECT 'contact', uuid, $1 FROM contacts WHERE deleted_at IS NULL ORDER BY id DESC LIMIT $2"""
TOKEN = "x-consistency-token"
Line = dict[str, Any]


async def run(target: Stack, options: Options) -> list[Line]:
    """One line per figure: its value at each size, and the last over the first."""
    sizes = [size for size in SIZES if size <= options.rows] or [options.rows]
    found: dict[str, list[float]] = {}
    async with opened(target) as bench:
        for size in sizes:
            for figures in (await grow(bench, size), await at_rest(bench, options)):
                for name, value in figures.items():
                    found.setdefault(name, []).append(round(value, 2))
    columns = [f"{size:,}" for size in sizes]
    return [
        {"what": name, **dict(zip(columns, values, strict=True)), "growth": round(values[-1] / max(values[0], 0.01), 2)}
        for name, values in found.items()
    ]


async def grow(bench: Bench, size: int) -> dict[str, float]:
    """Imports up to this many contacts, the last of them beside single writes."""
    stored = await bench.connection.fetchval("SELECT count(*) FROM contacts")
    if (missing := size - MEASURED_ROWS - stored) > 0:
        await bench.run(("insert_csv_file", {"s3_key": await bench.put(people(missing, 0))}))
    key = await bench.put(people(MEASURED_ROWS, 0))
    seconds: list[float] = []
    async with single_writes(bench.api, seconds):
        (job,), until_searchable = await bench.run(("insert_csv_file", {"s3_key": key}))
    until_stored = job["job_response"]["seconds"]
    for table in ("contacts", "companies"):
        await bench.connection.execute(f"VACUUM ANALYZE {table}")
    quantiles = statistics.quantiles(seconds, n=20)
    return {
        "import: rows/s until searchable": MEASURED_ROWS / until_searchable,
        "import: rows/s until stored": MEASURED_ROWS / until_stored,
        "import: s of index lag at its end": until_searchable - until_stored,
        "beside it, write and search with token: p50 ms": quantiles[9] * 1_000,
        "beside it, write and search with token: p95 ms": quantiles[-1] * 1_000,
    }


@asynccontextmanager
async def single_writes(api: httpx.AsyncClient, seconds: list[float]) -> AsyncIterator[None]:
    """Writes single contacts while the block runs; appends the seconds until a search with the token found each."""

    async def write() -> None:
        while True:
            name, began = word(), time.perf_counter()
            made = await api.post("/contacts/create", json=person(name))
            answer = await api.post("/contacts/count", json=named(name), headers={TOKEN: made.headers[TOKEN]})
            assert answer.json() == {"count": 1, "success": True}, answer.text
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(PAUSE_SECONDS)

    task = asyncio.create_task(write())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def at_rest(bench: Bench, options: Options) -> dict[str, float]:
    """What is measured when nothing else is going on."""
    await drained(bench.connection, seconds=3_600, pause=0.2)
    figures = await single_calls(bench.api, options.requests)
    figures |= await claims(bench)
    figures |= await searches(bench.target, options.requests)
    figures |= await filter_values(bench.api, options.requests)
    for name, times in (await suggest.measure(bench.api, options.requests)).items():
        figures[f"suggest, {name}: p95 ms"] = statistics.quantiles(times, n=20)[-1]
    return figures | await sizes_of(bench)


async def single_calls(api: httpx.AsyncClient, requests: int) -> dict[str, float]:
    """A write, and a write that is searched for with its token."""
    writes: list[float] = []
    with_token: list[float] = []
    for _ in range(requests):
        name, began = word(), time.perf_counter()
        made = await api.post("/contacts/create", json=person(name))
        writes.append(time.perf_counter() - began)
        await api.post("/contacts/count", json=named(name), headers={TOKEN: made.headers[TOKEN]})
        with_token.append(time.perf_counter() - began)
    return {
        "write: p50 ms": statistics.median(writes) * 1_000,
        "write: p95 ms": statistics.quantiles(writes, n=20)[-1] * 1_000,
        "write and search with token: p50 ms": statistics.median(with_token) * 1_000,
        "write and search with token: p95 ms": statistics.quantiles(with_token, n=20)[-1] * 1_000,
    }


async def claims(bench: Bench) -> dict[str, float]:
    """Claims of a full batch from a queue with ten batches, by nobody who is alive, and all of it indexed afterwards."""
    connection = await asyncpg.connect(bench.target.postgres, server_settings=SESSION)
    milliseconds: list[float] = []
    try:
        outbox, queue = OutboxRepository(connection), Queue("contact", Lane.REPAIR.value, CLAIMED)
        # Never committed, so that no indexer takes them.
        await connection.transaction().start()
        await connection.execute(MARK, Lane.REPAIR.value, 10 * CLAIMED)
        for _ in range(CLAIMS):
            began = time.perf_counter()
            claimed = await outbox.claim(0, [queue], 60)
            milliseconds.append((time.perf_counter() - began) * 1_000)
            await outbox.give_back(claimed)
    finally:
        await connection.close()
    began = time.perf_counter()
    await bench.connection.execute(MARK, Lane.REPAIR.value, 10 * CLAIMED)
    await bench.connection.execute("NOTIFY outbox")
    await drained(bench.connection, seconds=600, pause=0.02)
    return {
        "claim of 2,000: p50 ms": statistics.median(milliseconds),
        "indexer: documents/s": 10 * CLAIMED / (time.perf_counter() - began),
    }


async def searches(target: Stack, requests: int) -> dict[str, float]:
    """Lists and counts of each shape, one after the other."""
    rng, rows, figures = random.Random(7), list(sample_rows(5_000)), {}
    async with aiohttp.ClientSession(target.gateway, headers={"x-api-key": target.api_key}) as gateway:
        for name, make in search.shapes(rng, rows).items():
            made = [make() for _ in range(requests)]
            for kind, path in (("list", "/contacts"), ("count", "/contacts/count")):

                async def ask(query: search.Shape, path: str = path) -> None:
                    async with gateway.post(path, json=query[0]) as answer:
                        body = await answer.read()
                        assert answer.status == 200, body

                times, _ = await search.measure(made, ask, 1)
                figures[f"{kind}, {name}: p50 ms"] = statistics.median(times)
                figures[f"{kind}, {name}: p95 ms"] = statistics.quantiles(times, n=20)[-1]
    return figures


async def filter_values(api: httpx.AsyncClient, requests: int) -> dict[str, float]:
    """Pages of the values of all filters together."""
    rng = random.Random(7)
    times: dict[str, list[float]] = {}
    for service in ("companies", "contacts"):
        for key in [row["key"] for row in (await api.get(f"/{service}/filters")).json()["data"]]:
            first = await api.post(f"/{service}/filters/data", json={"filter_key": key, "limit": 100})
            values = [row["display_value"] for row in first.json()["data"]] or ["none"]
            for name, make in filters.kinds(rng, values).items():
                for _ in range(max(requests // 20, 2)):
                    began = time.perf_counter()
                    answer = await api.post(f"/{service}/filters/data", json={"filter_key": key, **make()})
                    assert answer.status_code == 200, answer.text
                    times.setdefault(name, []).append((time.perf_counter() - began) * 1_000)
    return {f"filter values, {name}: p95 ms": statistics.quantiles(took, n=20)[-1] for name, took in times.items()}


async def sizes_of(bench: Bench) -> dict[str, float]:
    """Disk of tables and indices, memory of processes."""
    figures: dict[str, float] = {}
    rows = await bench.connection.fetch(
        """SELECT relname AS name, pg_table_size(oid) AS own, pg_indexes_size(oid) AS indexes FROM pg_class
           WHERE relname = ANY ($1::text[])""",
        ["companies", "contacts", "match_keys", "filters_data", "outbox"],
    )
    for row in rows:
        figures[f"disk, {row['name']}: MiB"] = row["own"] / 2**20
        figures[f"disk, indexes of {row['name']}: MiB"] = row["indexes"] / 2**20
    total = "SELECT pg_database_size(current_database())"
    figures["disk, whole database: MiB"] = await bench.connection.fetchval(total) / 2**20
    async with httpx.AsyncClient(base_url=bench.target.elasticsearch) as engine:
        for index in (await engine.get("/_cat/indices/*_index*?format=json&bytes=b")).json():
            figures[f"disk, index of {index['index'].partition('_')[0]}: MiB"] = int(index["store.size"]) / 2**20
    for name, part in bench.target.parts().items():
        if part.get("pid"):
            process = psutil.Process(part["pid"])
            own = [process, *process.children(recursive=True)]
            figures[f"memory, {name}: MiB"] = sum(p.memory_info().rss for p in own) / 2**20
    return figures
