"""A search box through the gateway: what `suggest` takes for each further character that somebody types, one request after the other.

Made for many contacts (`--rows 1000000`), where each kind of text shall take less than 30 ms at p95.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from connectra_local.sample import sample_rows

from tests.bench.options import Options, load
from tests.support.http import client
from tests.support.stack import Stack

GOAL_MS = 30
Json = dict[str, Any]
COLUMNS = {"contacts": ("title", "company", "last_name", "city"), "companies": ("company", "industry", "company_city")}


def kinds(rng: random.Random, entity: str, rows: list[dict[str, Any]]) -> dict[str, Callable[[], str]]:
    """By name: a function that makes a text of that kind, as it stands in the box at some moment."""

    def value() -> str:
        while not (text := str(rng.choice(rows).get(rng.choice(COLUMNS[entity]), "")).partition(",")[0]):
            pass
        return text

    def several() -> str:
        while " " not in (text := value()):
            pass
        first, _, rest = text.partition(" ")
        return f"{first} {rest[: rng.randrange(1, 4)]}"

    return {
        "a letter": lambda: value()[:1],
        "two or three": lambda: value()[: rng.randrange(2, 4)],
        "a word": lambda: value().split()[0],
        "words": several,
        "nothing": lambda: f"{value()[:2]}zzq{rng.randrange(10_000)}",
    }


async def run(target: Stack, options: Options) -> list[Json]:
    """One line per kind of text: milliseconds."""
    await load(target, options.rows)
    found = []
    async with client(target.gateway, target.api_key, timeout=60) as api:
        for name, times in (await measure(api, options.requests)).items():
            p95 = statistics.quantiles(times, n=20)[-1]
            line = {"text": name, "p50_ms": round(statistics.median(times), 1), "p95_ms": round(p95, 1)}
            found.append({**line, "goal": f"< {GOAL_MS}" if p95 < GOAL_MS else f"missed: < {GOAL_MS}"})
    return found


async def measure(api: httpx.AsyncClient, requests: int) -> dict[str, list[float]]:
    """Milliseconds of so many requests of each kind, by entity and kind."""
    rng, rows = random.Random(7), list(sample_rows(5_000))
    return {
        f"{entity}, {name}": [await _asked(api, entity, make()) for _ in range(requests)]
        for entity, name, make in _kinds(rng, rows)
    }


def _kinds(rng: random.Random, rows: list[dict[str, Any]]) -> Iterator[tuple[str, str, Callable[[], str]]]:
    for entity in COLUMNS:
        for name, make in kinds(rng, entity, rows).items():
            yield entity, name, make


async def _asked(api: httpx.AsyncClient, entity: str, text: str) -> float:
    began = time.perf_counter()
    answer = await api.post(f"/{entity}/suggest", json={"text": text})
    assert answer.status_code == 200, answer.text
    return (time.perf_counter() - began) * 1_000
