"""The states of a job and the way from one to the next, as the table `job_transitions` declares them.

    open ─▶ in_queue ─▶ processing ─▶ completed
                                  └─▶ failed ─▶ retry_in_queued ─▶ retrying ─▶ completed | failed

A job goes back where it was claimed from (`open`, or `failed` for a retry) when its lease expires or its worker stops.
"""

from dataclasses import dataclass

OPEN = "open"
COMPLETED = "completed"
FAILED = "failed"
MAX_RETRY_DELAY_SECONDS = 3600

# A job that loses more workers than this in a row kills them: it fails.
MAX_LOST_RUNS = 5


@dataclass(frozen=True, slots=True)
class Pool:
    """The states a pool takes its jobs through."""

    name: str
    source: str
    queued: str
    running: str


FIRST_TIME = Pool("first_time", OPEN, "in_queue", "processing")
RETRY = Pool("retry", FAILED, "retry_in_queued", "retrying")
POOLS = {pool.name: pool for pool in (FIRST_TIME, RETRY)}
QUEUED = tuple(pool.queued for pool in POOLS.values())
RUNNING = tuple(pool.running for pool in POOLS.values())
# In a worker's hands.
LEASED = (*QUEUED, *RUNNING)
# All there are, in the order of a job's life.
STATES = (OPEN, FIRST_TIME.queued, FIRST_TIME.running, COMPLETED, FAILED, RETRY.queued, RETRY.running)


def source_of(status: str) -> str:
    """Where a leased job goes back to."""
    return next(pool.source for pool in POOLS.values() if status in (pool.queued, pool.running))


def retry_delay(interval_seconds: int, failures: int) -> int:
    """Seconds between the n-th failure (from 1) and the retry: doubling, at most an hour."""
    # The exponent is bounded first: 2**(n-1) of a large n takes forever.
    doublings = min(max(failures, 1) - 1, 32)
    return int(min(max(interval_seconds, 0) * 2**doublings, MAX_RETRY_DELAY_SECONDS))
