"""Search: six shapes of query, lists and counts, through the gateway, compared with the best that the two engines alone can do.

The floor is the same work without any of ours: a hand-written Elasticsearch body sent raw over a kept-open connection, then the rows by
one asyncpg statement. Both are measured in the same run, one after the other for each shape.
"""

import asyncio
import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import asyncpg
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_common.records.sql import json_object
from connectra_local.sample import sample_rows

from tests.bench.options import Options, load
from tests.support.stack import Stack

Json = dict[str, Any]
Shape = tuple[Json, Json]
CONNECTIONS = (1, 16)


def shapes(rng: random.Random, rows: list[dict[str, Any]]) -> dict[str, Callable[[], Shape]]:
    """By name: a function that makes a different query of that shape each time, as VQL and as the best Elasticsearch body for it."""

    def cell(name: str) -> str:
        while not (value := str(rng.choice(rows).get(name, ""))):
            pass
        return value

    def text(value: str, kind: str, **more: Any) -> Json:
        return {"text_matches": {"must": [{"filter_key": "title", "text_value": value, "search_type": kind, **more}]}}

    def exact() -> Shape:
        value = cell("title")
        return {"where": text(value, "exact"), **NEWEST}, {"match_phrase": {"title": value}}

    def shuffle() -> Shape:
        words = cell("title").split()
        word = words[-1]
        if len(word) > 5:
            at = rng.randrange(1, len(word) - 1)
            words[-1] = word[:at] + "x" + word[at + 1 :]
        value = " ".join(reversed(words))
        match = {"query": value, "operator": "and", "fuzziness": "AUTO"}
        return {"where": text(value, "shuffle", fuzzy=True), **NEWEST}, {"match": {"title": match}}

    def substring() -> Shape:
        words = [word for word in cell("title").split() if len(word) >= 3] or ["engineer"]
        word = rng.choice(words)
        begin = rng.randrange(max(1, len(word) - 5))
        value = word[begin : begin + 6]
        return {"where": text(value, "substring"), **NEWEST}, {"match_phrase": {"title.ngram": value}}

    def terms() -> Shape:
        field, values = "seniority", [cell("seniority"), cell("seniority")]
        return {"where": {"keyword_match": {"must": {field: values}}}, **NEWEST}, {"terms": {field: values}}

    def between() -> Shape:
        low = rng.randrange(1, 2_000)
        bounds = {"gte": low, "lt": low * 2}
        name = "company_employees_count"
        return {"where": {"range_query": {"must": {name: bounds}}}, **NEWEST}, {"range": {name: bounds}}

    def mixed() -> Shape:
        low, seniority, value = rng.randrange(1, 500), cell("seniority"), cell("title").split()[-1]
        where = text(value, "shuffle") | {
            "keyword_match": {"must": {"seniority": seniority}},
            "range_query": {"must": {"company_employees_count": {"gte": low}}},
        }
        body = [
            {"match": {"title": value}},
            {"term": {"seniority": seniority}},
            {"range": {"company_employees_count": {"gte": low}}},
        ]
        return {"where": where, "limit": 100, "company_config": {"populate": True}, **NEWEST}, {
            "bool": {"filter": body}
        }

    return {
        "exact phrase": exact,
        "shuffle + fuzzy": shuffle,
        "substring": substring,
        "keyword terms": terms,
        "range": between,
        "mixed, 100 rows": mixed,
    }


NEWEST = {"order_by": [{"order_by": "created_at", "order_direction": "desc"}]}
SORT = [{"created_at": "desc"}, {"uuid": "asc"}]
LEAN = {"_source": False, "stored_fields": "_none_", "track_total_hits": False}


def rows_sql(company: bool) -> str:
    record = json_object(CONTACT, "t", (), [("company", json_object(COMPANY, "c"))] if company else ())
    join = "LEFT JOIN companies c ON c.uuid = t.company_id" if company else ""
    return f"""
        SELECT json_agg({record} ORDER BY k.n)::text FROM unnest($1::text[]) WITH ORDINALITY AS k (uuid, n)
        JOIN contacts t ON t.uuid = k.uuid {join} WHERE t.deleted_at IS NULL"""


async def run(target: Stack, options: Options) -> list[Json]:
    """One line per shape, kind and number of connections."""
    await load(target, options.rows)
    rng = random.Random(7)
    found: list[Json] = []
    async with AsyncExitStack() as opened:
        gateway = await opened.enter_async_context(
            aiohttp.ClientSession(target.gateway, headers={"x-api-key": target.api_key}, connector=connector())
        )
        engine = await opened.enter_async_context(aiohttp.ClientSession(target.elasticsearch, connector=connector()))
        pool = await opened.enter_async_context(asyncpg.create_pool(target.postgres, min_size=4, max_size=16))

        async def ours(path: str, document: Json) -> None:
            async with gateway.post(path, json=document) as answer:
                body = await answer.read()
                if answer.status != 200:
                    raise RuntimeError(body.decode())

        async def raw(path: str, body: Json) -> Json:
            async with engine.post(path, json=body) as answer:
                return json.loads(await answer.read())  # type: ignore[no-any-return]

        async def floor_list(query: Json, size: int) -> None:
            body = {"query": {"bool": {"filter": [query]}}, "size": size, "sort": SORT, **LEAN}
            answer = await raw("/contacts_index/_search?filter_path=hits.hits.sort", body)
            uuids = [hit["sort"][1] for hit in answer.get("hits", {}).get("hits", [])]
            await pool.fetchval(rows_sql(size == 100), uuids)

        async def floor_count(query: Json) -> None:
            await raw("/contacts_index/_count?filter_path=count", {"query": {"bool": {"filter": [query]}}})

        made = {
            name: [make() for _ in range(options.requests)]
            for name, make in shapes(rng, list(sample_rows(min(options.rows, 5_000)))).items()
        }

        def sides(queries: list[Shape]) -> dict[str, tuple[Call, Call]]:
            size = queries[0][0].get("limit", 25)
            return {
                "list": (lambda q: ours("/contacts", q[0]), lambda q: floor_list(q[1], size)),
                "count": (lambda q: ours("/contacts/count", q[0]), lambda q: floor_count(q[1])),
            }

        for queries in made.values():  # warms up the engines for both sides
            for calls in sides(queries).values():
                for call in calls:
                    await measure(queries, call, max(CONNECTIONS))
        for name, queries in made.items():
            for kind, (mine, floor) in sides(queries).items():
                for connections in CONNECTIONS:
                    a, b = await measure(queries, mine, connections), await measure(queries, floor, connections)
                    found.append({"shape": name, "kind": kind, "connections": connections, **compare(a, b)})
    return found


Call = Callable[[Shape], Awaitable[None]]


async def measure(made: list[Shape], call: Call, connections: int) -> tuple[list[float], float]:
    """Milliseconds of each query in turn, and queries a second; the first calls warm up and do not count."""
    for query in made[: max(3, connections)]:
        await call(query)
    made = made * (1 if connections == 1 else 4)
    times = [0.0] * len(made)
    waiting = iter(enumerate(made))

    async def client() -> None:
        for n, query in waiting:
            began = time.perf_counter()
            await call(query)
            times[n] = (time.perf_counter() - began) * 1_000

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return times, len(times) / (time.perf_counter() - began)


def compare(ours: tuple[list[float], float], floor: tuple[list[float], float]) -> Json:
    # Paired by query: queries of one shape differ from each other by tens of milliseconds.
    over = statistics.median(a - b for a, b in zip(ours[0], floor[0], strict=True))
    return {
        "p50_ms": round(statistics.median(ours[0]), 2),
        "floor_p50_ms": round(statistics.median(floor[0]), 2),
        "over_floor_ms": round(over, 2),
        "per_second": round(ours[1]),
        "floor_per_second": round(floor[1]),
        "of_floor": round(ours[1] / floor[1], 2),
    }


def connector() -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(limit=max(CONNECTIONS))
