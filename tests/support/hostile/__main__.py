"""Callers in a process of their own: the target is read from stdin as JSON, what came of it is written to stdout.

`{"address": …, "key": …, "seeds": [7, 8], "seconds": 20}` → `{"answers": [["POST /contacts", "400", 12], …], "wrong": ["7-12: …"]}`
"""

import asyncio
import json
import sys
import time
from collections import Counter
from itertools import count
from random import Random
from typing import Any

from tests.support.hostile.callers import Target, one

# No answer to a caller, whatever it sends: 503 and 504 are those of a service without its stores, or of a call that takes too long.
BROKEN = ("500", "502", "503", "504", "INTERNAL", "UNKNOWN", "DATA_LOSS", "UNAVAILABLE", "DEADLINE_EXCEEDED")
# Longer than any caller waits by itself.
PATIENCE = 60


async def attack(target: Target, seeds: list[int], seconds: float) -> dict[str, Any]:
    """Calls until the time is over: for each seed one after the other, whose generator is made of the seed and a number."""
    answers, wrong = Counter[tuple[str, str]](), list[str]()
    until = time.monotonic() + seconds

    async def calls(seed: int) -> None:
        for number in count():
            if time.monotonic() > until:
                return
            name = f"{seed}-{number}"
            try:
                async with asyncio.timeout(PATIENCE):
                    found = await one(target, Random(name))
            except Exception as error:  # noqa: BLE001 - told, with what makes it again
                wrong.append(f"{name}: {error!r}")
            else:
                answers.update(found)
                wrong.extend(f"{name}: {called} {answer}" for called, answer in found if answer in BROKEN)

    await asyncio.gather(*(calls(seed) for seed in seeds))
    return {"answers": [[*key, count] for key, count in sorted(answers.items())], "wrong": wrong}


if __name__ == "__main__":
    given = json.load(sys.stdin)
    target = Target(given.pop("address"), given.pop("key"))
    json.dump(asyncio.run(attack(target, **given)), sys.stdout)
