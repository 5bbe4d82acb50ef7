"""Pages of filter values through the gateway: every filter, first pages and deep ones, searches that match many values, one, or none.

Made for many contacts (`--rows 1000000`), where each kind of page shall take less than 100 ms at p95.
"""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from tests.bench.options import Options, load
from tests.support.http import client
from tests.support.stack import Stack

GOAL_MS = 100
Json = dict[str, Any]


def kinds(rng: random.Random, values: list[str]) -> dict[str, Callable[[], Json]]:
    """By name: a function that makes a different request of that kind each time, so that no answer is cached."""

    def piece() -> str:
        value = rng.choice(values)
        start = rng.randrange(max(1, len(value) - 3))
        return value[start : start + 3]

    return {
        "pages": lambda: {"page": rng.randrange(1, 40)},
        "deep": lambda: {"page": rng.randrange(200, 4_000)},
        "much": lambda: {"search_text": piece()},
        "one": lambda: {"search_text": rng.choice(values)},
        "nothing": lambda: {"search_text": uuid4().hex[: rng.randrange(8, 32)]},
    }


async def run(target: Stack, options: Options) -> list[Json]:
    """One line per filter: p95 of each kind in milliseconds."""
    await load(target, options.rows)
    rng, found = random.Random(7), []
    async with client(target.gateway, target.api_key, timeout=60) as api:

        async def ask(service: str, body: Json) -> tuple[list[Json], float]:
            began = time.perf_counter()
            answer = await api.post(f"/{service}/filters/data", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()["data"], (time.perf_counter() - began) * 1_000

        for service in ("companies", "contacts"):
            for key in [row["key"] for row in (await api.get(f"/{service}/filters")).json()["data"]]:
                first, _ = await ask(service, {"filter_key": key, "limit": 100})
                values = [row["display_value"] for row in first] or ["none"]
                line: Json = {"filter": f"{service} {key}"}
                for name, make in kinds(rng, values).items():
                    times = [
                        (await ask(service, {"filter_key": key, **make()}))[1] for _ in range(options.requests // 4)
                    ]
                    line[name] = round(statistics.quantiles(times, n=20)[-1], 1)
                worst = max(value for name, value in line.items() if name != "filter")
                found.append({**line, "goal": f"< {GOAL_MS}" if worst < GOAL_MS else f"missed: < {GOAL_MS}"})
    return found
