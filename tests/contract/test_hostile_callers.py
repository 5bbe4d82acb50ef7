"""Callers who mean harm, at the gateway of the real stack: nothing breaks, restarts or grows, and a client beside them hardly notices.

What they send is made from seeds (`tests/support/hostile`), some of them new in every run. CONNECTRA_TEST_SEED and CONNECTRA_TEST_SECONDS
repeat a run, or make it another length.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections import Counter
from random import SystemRandom
from typing import Any

import httpx
import psutil
import pytest
from connectra_common.rights import ALL, Right
from connectra_gateway import clients

from tests.support.gateway import Gateway, RunGateway
from tests.support.http import client, until_status
from tests.support.stack import Stack
from tests.support.words import word

OURS = ("query", "write", "indexer", "jobs", "first_time", "retry")
# More than the largest bodies that each process may hold at once.
MEMORY = 256 * 1024 * 1024
# Calls of the other client.
PER_SECOND = 8
# How much longer a call of it may take than without them, and what is no matter in any case.
TIMES, SECONDS = 10, 1.0
OLD_SEEDS = [1, 2]


class Beside:
    """A client that searches, gets and writes at a steady pace, whatever the answers take."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self._api, self._mark = api, word()
        self.seconds: list[float] = []
        self.wrong: list[str] = []

    async def call(self, until: "asyncio.Task[Any]") -> None:
        """Calls until the task is done."""
        async with asyncio.TaskGroup() as running:
            number = 0
            while not until.done():
                running.create_task(self._one(number))
                number += 1
                await asyncio.sleep(1 / PER_SECOND)

    async def _one(self, number: int) -> None:
        name = f"{self._mark}.{number // 4}@example.com"
        began = time.perf_counter()
        match number % 4:
            case 0:
                reply = await self._api.post(
                    "/contacts/upsert", json={"first_name": "ann", "last_name": self._mark, "email": name}
                )
            case 1:
                reply = await self._api.post(
                    "/contacts", json={"filters": {"field": "last_name", "operator": "eq", "value": self._mark}}
                )
            case 2:
                reply = await self._api.get("/companies/filters")
            case _:
                reply = await self._api.post("/companies", json={"limit": 10})
        self.seconds.append(time.perf_counter() - began)
        if reply.status_code not in (200, 201):
            self.wrong.append(f"{reply.status_code} {reply.text[:200]}")

    @property
    def p99(self) -> float:
        """Seconds within which 99 of 100 calls were answered."""
        return statistics.quantiles(self.seconds, n=100)[98]


async def memory(processes: dict[str, psutil.Process], until: "asyncio.Task[Any]") -> dict[str, int]:
    """The most that each process had."""
    most: Counter[str] = Counter()
    while not until.done():
        for name, process in processes.items():
            most[name] = max(most[name], process.memory_info().rss)
        await asyncio.sleep(0.5)
    return most


def errors(stack: Stack) -> set[str]:
    """What the processes have logged as an error."""
    logs = {name: (stack.home / "logs" / f"{name}.log").read_text(errors="replace") for name in OURS}
    return {
        f"{name}: {line[:500]}" for name, log in logs.items() for line in log.splitlines() if '"level": "error"' in line
    }


async def attack(gateway: Gateway, seeds: list[int], seconds: float) -> dict[str, Any]:
    """The callers, in a process of their own."""
    key = clients.add(gateway.keys_file, "hostile", ALL - {Right.ADMIN}).key
    async with client(gateway.url, key) as api:
        await until_status(api, 404, "GET", "/nothing")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.hostile"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    given = {"address": gateway.target, "key": key, "seeds": seeds, "seconds": seconds}
    told, _ = await process.communicate(json.dumps(given).encode())
    return dict(json.loads(told))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seconds", [20, pytest.param(600, marks=pytest.mark.long)])
async def test_hostile_callers_harm_nobody(
    stack: Stack, run_gateway: RunGateway, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = await asyncio.to_thread(run_gateway, **stack.addresses())
    seconds = float(os.environ.get("CONNECTRA_TEST_SECONDS", seconds))
    new = int(os.environ.get("CONNECTRA_TEST_SEED", SystemRandom().randrange(10**6)))
    parts, logged = stack.parts(), errors(stack)
    (envoy,) = psutil.Process(gateway.process.pid).children()
    processes = {"gateway": envoy} | {name: psutil.Process(parts[name]["pid"]) for name in OURS}
    async with client(gateway.url, gateway.api_key, timeout=60) as api:
        alone = Beside(api)
        await alone.call(asyncio.create_task(asyncio.sleep(5)))
        before = {name: process.memory_info().rss for name, process in processes.items()}
        attacked = asyncio.create_task(attack(gateway, [*OLD_SEEDS, new, new + 1], seconds))
        beside = Beside(api)
        _, most = await asyncio.gather(beside.call(attacked), memory(processes, attacked))
        done = await attacked
    grown = {name: (most[name] - before[name]) // 2**20 for name in processes}
    with capsys.disabled():
        total = sum(count for *_, count in done["answers"])
        print(
            f"\nseed {new}: {total} calls, p99 of others {alone.p99:.3f} s before, {beside.p99:.3f} s beside; MiB more: {grown}"
        )
    assert done["wrong"] == []
    assert beside.wrong == []
    assert errors(stack) - logged == set()
    assert {n: (p["pid"], p["restarts"]) for n, p in stack.parts().items()} == {
        n: (p["pid"], p["restarts"]) for n, p in parts.items()
    }
    assert envoy.is_running()
    assert {name: mib for name, mib in grown.items() if mib > MEMORY // 2**20} == {}
    assert beside.p99 < max(SECONDS, TIMES * alone.p99)
