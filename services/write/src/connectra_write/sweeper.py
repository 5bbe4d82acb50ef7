"""Keeps the stored filter values true: what no record has any more vanishes from them within minutes."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any

import structlog
from connectra_common.db.filter_values import FilterValueSweep
from connectra_common.errors import from_exception
from sqlalchemy.ext.asyncio import AsyncEngine

log = structlog.get_logger()

INTERVAL_SECONDS = 60
# Of a minute: what a very large installation may spend on it; the next turn goes on.
BUDGET_SECONDS = 5


def filter_value_sweeper(engine: AsyncEngine) -> Callable[[asyncio.Event], Coroutine[Any, Any, None]]:
    """A background loop; any number of processes may have one, of which one at a time works."""
    sweep = FilterValueSweep(engine)

    async def run(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await stopping.wait()
            except TimeoutError:
                await _once(sweep)

    return run


async def _once(sweep: FilterValueSweep) -> None:
    try:
        swept = await sweep.run(BUDGET_SECONDS)
    except Exception as error:  # noqa: BLE001 - the next turn tries again
        log.warning("filter values not swept", reason=from_exception(error).reason, error=repr(error))
        return
    if any(changes := {name: n for name, n in asdict(swept).items() if name != "filters" and n}):
        log.info("filter values swept", **changes)
