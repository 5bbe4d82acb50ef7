"""The gateway: what Envoy adds to a call of the typed door, and how many REST calls go through it, with the CPU time of each process.

`added_ms` compares the same gRPC call, made in turn through Envoy and directly. CPU is ms a call: Envoy, the query service, the stores.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import grpc
import psutil
from connectra.query.v1.query_service_pb2 import ListContactsRequest
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.requests import read
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto

from tests.bench.options import Options, load
from tests.support.stack import Stack

Json = dict[str, Any]
Call = Callable[[], Awaitable[object]]
CONNECTIONS = 16
GOAL_MS = 1.0
PARTS = {"gateway": "envoy", "query": "query", "postgres": "postgres", "elasticsearch": "elasticsearch"}


async def run(target: Stack, options: Options) -> list[Json]:
    """One line for what Envoy adds, one per kind of REST call."""
    await load(target, options.rows)
    processes = {PARTS[name]: psutil.Process(part["pid"]) for name, part in target.parts().items() if name in PARTS}
    found = [await added(target, target.grpc["query"], options.requests)]
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    headers = {"x-api-key": target.api_key}
    async with aiohttp.ClientSession(target.gateway, headers=headers, connector=connector) as session:

        async def ask(method: str, path: str, body: Json | None = None) -> Any:
            async with session.request(method, path, json=body) as answer:
                text = await answer.read()
                if answer.status != 200:
                    raise RuntimeError(text.decode())
                return text

        uuid = json.loads(await ask("POST", "/contacts", {"limit": 1}))["data"][0]["uuid"]
        kinds: dict[str, Call] = {
            "/health": lambda: ask("GET", "/health"),
            "a contact": lambda: ask("GET", f"/contacts/{uuid}"),
            "a page of 100": lambda: ask("POST", "/contacts", {"limit": 100}),
        }
        for name, call in kinds.items():
            found.append(await many(name, call, 8 * options.requests, processes))
    return found


async def added(target: Stack, query: str, requests: int) -> Json:
    """A page of 25 by the typed door, in turn through Envoy and directly."""
    request = ListContactsRequest(query=to_proto(read(Vql, {"limit": 25}).model))
    metadata = (("x-api-key", target.api_key),)
    times: dict[str, list[float]] = {target.gateway.removeprefix("http://"): [], query: []}
    channels = {address: grpc.aio.insecure_channel(address) for address in times}
    stubs = {address: QueryServiceStub(channel) for address, channel in channels.items()}
    for turn in range(requests + 20):  # the first ones warm up
        for address, stub in stubs.items():
            began = time.perf_counter()
            await stub.ListContacts(request, metadata=metadata)
            if turn >= 20:
                times[address].append(time.perf_counter() - began)
    for channel in channels.values():
        await channel.close()
    through, direct = (statistics.median(taken) * 1000 for taken in times.values())
    return row("a page of 25, typed", 1, p50=through, direct=direct)


async def many(name: str, call: Call, requests: int, processes: dict[str, psutil.Process]) -> Json:
    """`requests` calls at sixteen connections."""
    for _ in range(CONNECTIONS):
        await call()
    taken: list[float] = []
    waiting = iter(range(requests))

    async def client() -> None:
        for _ in waiting:
            began = time.perf_counter()
            await call()
            taken.append(time.perf_counter() - began)

    before, began = cpu(processes), time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    seconds, after = time.perf_counter() - began, cpu(processes)
    used = {part: (after[part] - before[part]) / requests * 1000 for part in processes}
    return row(name, CONNECTIONS, p50=statistics.median(taken) * 1000, rate=requests / seconds, used=used)


def row(
    name: str, connections: int, *, p50: float, direct: float = 0, rate: float = 0, used: dict[str, float] | None = None
) -> Json:
    """A line of the table."""
    return {
        "call": name,
        "connections": connections,
        "p50_ms": round(p50, 2),
        "direct_p50_ms": round(direct, 2) if direct else "",
        "added_ms": round(p50 - direct, 2) if direct else "",
        "goal_ms": GOAL_MS if direct else "",
        "per_second": round(rate) if rate else "",
        **{f"{part}_cpu_ms": round(used[part], 3) if used else "" for part in PARTS.values()},
    }


def cpu(processes: dict[str, psutil.Process]) -> dict[str, float]:
    """CPU seconds of each part so far, with its children."""
    found = {}
    for part, process in processes.items():
        family = [process, *process.children(recursive=True)]
        found[part] = sum(sum(member.cpu_times()[:2]) for member in family)
    return found
