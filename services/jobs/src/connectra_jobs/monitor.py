"""Jobs in numbers, for Prometheus. Read from the table, so every API process shows the same."""

from connectra_common.db.database import Database
from connectra_common.server.background import Background, every
from prometheus_client import Gauge

from connectra_jobs.models import JOB_TYPES
from connectra_jobs.repository import JobRepository
from connectra_jobs.states import COMPLETED, POOLS, STATES

JOBS = Gauge(
    "connectra_jobs", "Jobs that have not ended; of those that failed, such as will be retried.", ["job_type", "status"]
)
WAITING = Gauge("connectra_jobs_waiting", "Jobs that a worker could begin now.", ["pool"])
OLDEST = Gauge("connectra_jobs_oldest_waiting_seconds", "How long the longest of them has been waiting.", ["pool"])
EXPIRED = Gauge("connectra_jobs_expired_leases", "Jobs whose worker is gone and that nobody has taken back yet.")

INTERVAL_SECONDS = 5.0
_POOLS = {pool.source: pool.name for pool in POOLS.values()}
_UNENDED = tuple(state for state in STATES if state != COMPLETED)


def job_monitor(database: Database) -> Background:
    """A loop that keeps the gauges true to within a few seconds."""
    return every(INTERVAL_SECONDS, lambda: _measure(database), "count jobs", at_start=True)


async def _measure(database: Database) -> None:
    async with database.connection() as connection:
        rows = await JobRepository(connection).under_way()
    counts = {(kind, state): 0 for kind in JOB_TYPES for state in _UNENDED}
    counts |= {(row.job_type, row.status): row.jobs for row in rows}
    JOBS.clear()
    for labels, number in counts.items():
        JOBS.labels(*labels).set(number)
    for state, pool in _POOLS.items():
        waiting = [row for row in rows if row.status == state and row.waiting]
        WAITING.labels(pool).set(sum(row.waiting for row in waiting))
        OLDEST.labels(pool).set(max((row.oldest for row in waiting), default=0))
    EXPIRED.set(sum(row.expired for row in rows))
