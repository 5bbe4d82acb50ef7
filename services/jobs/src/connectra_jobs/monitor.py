"""Jobs in numbers, for Prometheus. Read from the table, so every API process shows the same."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from connectra_common.errors import from_exception
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncEngine

from connectra_jobs import repository
from connectra_jobs.models import JOB_TYPES
from connectra_jobs.states import FAILED, FIRST_TIME, OPEN, POOLS, RETRY

log = structlog.get_logger()

JOBS = Gauge(
    "connectra_jobs", "Jobs that have not ended; of those that failed, such as will be retried.", ["job_type", "status"]
)
WAITING = Gauge("connectra_jobs_waiting", "Jobs that a worker could begin now.", ["pool"])
OLDEST = Gauge("connectra_jobs_oldest_waiting_seconds", "How long the longest of them has been waiting.", ["pool"])
EXPIRED = Gauge("connectra_jobs_expired_leases", "Jobs whose worker is gone and that nobody has taken back yet.")

INTERVAL_SECONDS = 5.0
_POOLS = {OPEN: FIRST_TIME.name, FAILED: RETRY.name}
_STATES = (OPEN, FAILED, *(state for pool in POOLS.values() for state in (pool.queued, pool.running)))


def job_monitor(engine: AsyncEngine) -> Callable[[asyncio.Event], Coroutine[Any, Any, None]]:
    """A background loop that keeps the gauges true to within a few seconds."""

    async def run(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await _measure(engine)
            except Exception as error:  # noqa: BLE001 - the next turn tries again
                log.warning("jobs not counted", reason=from_exception(error).reason)
            try:
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await stopping.wait()
            except TimeoutError:
                continue

    return run


async def _measure(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        rows = await repository.under_way(connection)
    counts = {(kind, state): 0 for kind in JOB_TYPES for state in _STATES}
    counts |= {(row["job_type"], row["status"]): row["jobs"] for row in rows}
    JOBS.clear()
    for labels, number in counts.items():
        JOBS.labels(*labels).set(number)
    for state, pool in _POOLS.items():
        waiting = [row for row in rows if row["status"] == state and row["waiting"]]
        WAITING.labels(pool).set(sum(row["waiting"] for row in waiting))
        OLDEST.labels(pool).set(max((row["oldest"] for row in waiting), default=0))
    EXPIRED.set(sum(row["expired"] for row in rows))
