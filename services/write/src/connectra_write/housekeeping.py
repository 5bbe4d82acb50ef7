"""What the write service clears away once a minute: filter values that no record has any more, old entries of the audit trail."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict
from typing import Any

import structlog
from connectra_common.db import audit
from connectra_common.db.engine import transaction
from connectra_common.errors import from_exception
from sqlalchemy.ext.asyncio import AsyncEngine

from connectra_write.filter_values.sweep import FilterValueSweep

log = structlog.get_logger()

INTERVAL_SECONDS = 60
# Of a minute: what a very large installation may spend on it; the next turn goes on.
BUDGET_SECONDS = 5


Background = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def filter_value_sweeper(engine: AsyncEngine) -> Background:
    """A background loop; any number of processes may have one, of which one at a time works."""
    sweep = FilterValueSweep(engine)

    async def work() -> None:
        swept = await sweep.run(BUDGET_SECONDS)
        if any(changes := {name: n for name, n in asdict(swept).items() if name != "filters" and n}):
            log.info("filter values swept", **changes)

    return _every_minute("filter values", work)


def audit_sweeper(engine: AsyncEngine, days: int) -> Background:
    """A background loop that removes entries older than so many days; 0 keeps them all."""

    async def work() -> None:
        swept = audit.SWEEP_SLICE if days else 0
        while swept == audit.SWEEP_SLICE:
            async with transaction(engine) as connection:
                swept = await audit.sweep(connection, days)

    return _every_minute("audit trail", work)


def _every_minute(what: str, work: Callable[[], Awaitable[None]]) -> Background:
    async def run(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await stopping.wait()
            except TimeoutError:
                try:
                    await work()
                except Exception as error:  # noqa: BLE001 - the next turn tries again
                    log.warning("not swept", what=what, reason=from_exception(error).reason, error=repr(error))

    return run
