"""All SQL of the jobs service. Whoever calls opens the transaction.

Fencing: every claim takes a new `lease_token`; a worker's statements change a row only while it carries the worker's
token and still stands in the state the worker put it in. A worker that lost its lease changes nothing, and learns it
from an empty result.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from connectra_common.db import locks
from sqlalchemy import BigInteger, DateTime, RowMapping, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from connectra_jobs import states
from connectra_jobs.models import Job, JobFilter, NewJob
from connectra_jobs.states import Pool

# Wakes the runners; a commit sends it.
CHANNEL = "jobs"

_COLUMNS = """id, uuid, job_type, data, status, job_response, retry_count, retry_interval, run_after, created_at,
    updated_at, attempts, progress"""


def _among(names: Iterable[str]) -> str:
    return f"IN ({', '.join(map(repr, names))})"


# The states, as statements have them.
_IS_OPEN, _IS_FAILED = f"= '{states.OPEN}'", f"= '{states.FAILED}'"
_IS_WAITING, _IS_RUNNING = _among((states.OPEN, *states.QUEUED)), _among(states.RUNNING)
_IS_LEASED, _IS_UNDER_WAY = _among(states.LEASED), _among((states.OPEN, *states.LEASED))
_FENCE = "uuid = :uuid AND lease_token = :token AND lease_owner = :worker"


@dataclass(frozen=True, slots=True)
class Claim:
    """A job a worker holds, and by what."""

    job: Job
    pool: Pool
    worker: str
    token: int

    @property
    def fence(self) -> dict[str, Any]:
        """Parameters of every statement on the job."""
        return {"uuid": self.job.uuid, "token": self.token, "worker": self.worker}


@dataclass(frozen=True, slots=True)
class Expired:
    """A job whose lease ran out, locked by the sweep."""

    job: Job
    worker: str
    cancel_requested: bool
    # Runs lost in a row, before this one.
    lost: int
    failures: int


# A new job.
INSERT = text(f"""
    INSERT INTO jobs (uuid, job_type, data, retry_count) VALUES (:uuid, :job_type, :data, :retry_count)
    RETURNING {_COLUMNS}""").bindparams(bindparam("data", type_=JSONB))

# Jobs, newest first.
LIST = text(f"""
    SELECT {_COLUMNS} FROM jobs
    WHERE (:job_type IS NULL OR job_type = :job_type) AND (:statuses IS NULL OR status = ANY(:statuses))
        AND (:after IS NULL OR created_at >= :after) AND (:before IS NULL OR created_at < :before)
        AND (:behind IS NULL OR (created_at, id) < (:behind, :behind_id))
    ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :skip""").bindparams(
    bindparam("job_type", type_=Text()),
    bindparam("statuses", type_=ARRAY(Text())),
    bindparam("after", type_=DateTime(timezone=True)),
    bindparam("before", type_=DateTime(timezone=True)),
    bindparam("behind", type_=DateTime(timezone=True)),
    bindparam("behind_id", type_=BigInteger()),
)

# One job.
GET = text(f"SELECT {_COLUMNS} FROM jobs WHERE uuid = :uuid")

# A job that nobody runs, cancelled: it ends here. A worker that has just claimed it will find its token gone.
CANCEL_WAITING = text(f"""
    UPDATE jobs SET status = '{states.FAILED}', cancel_requested = true, run_after = NULL, lease_owner = NULL,
        lease_until = NULL, lease_token = lease_token + 1, job_response = job_response || :response, updated_at = now()
    WHERE uuid = :uuid AND status {_IS_WAITING}
    RETURNING {_COLUMNS}""").bindparams(bindparam("response", type_=JSONB))

# A failed job that would be retried, cancelled.
CANCEL_RETRIES = text(f"""
    UPDATE jobs SET cancel_requested = true, run_after = NULL, job_response = job_response || :response,
        updated_at = now()
    WHERE uuid = :uuid AND status {_IS_FAILED} AND run_after IS NOT NULL AND NOT cancel_requested
    RETURNING {_COLUMNS}""").bindparams(bindparam("response", type_=JSONB))

# A running job, asked to stop.
CANCEL_RUNNING = text(f"""
    UPDATE jobs SET cancel_requested = true, updated_at = now()
    WHERE uuid = :uuid AND status {_IS_RUNNING}
    RETURNING {_COLUMNS}""")

# A failed job made open again.
REOPEN = text(f"""
    UPDATE jobs SET status = '{states.OPEN}', cancel_requested = false, run_after = NULL, updated_at = now(),
        job_response = job_response - 'messages'
    WHERE uuid = :uuid AND status {_IS_FAILED}
    RETURNING {_COLUMNS}""")

# Wakes the runners when the transaction commits.
NOTIFY = text("SELECT pg_notify(:channel, '')")

# Held to the end of the transaction.
LOCK_CLAIMS = text("SELECT pg_advisory_xact_lock(:lock)")

# What a pool may claim: open jobs; failed ones with retries left whose time has come.
_CLAIMABLE = {
    states.FIRST_TIME.name: f"status {_IS_OPEN}",
    states.RETRY.name: f"""status {_IS_FAILED} AND retry_count > 0 AND (run_after IS NULL OR run_after <= now())
        AND retry_count >= (
            SELECT count(*) FROM job_attempts a WHERE a.job_uuid = jobs.uuid AND a.outcome = 'failed')""",
}

# Claims the oldest jobs of a pool, as many as workers are free and as the queue over all runners has room for.
CLAIM = {
    pool.name: text(f"""
    WITH picked AS (
        SELECT uuid FROM jobs
        WHERE {_CLAIMABLE[pool.name]} AND NOT cancel_requested AND (:types IS NULL OR job_type = ANY(:types))
        ORDER BY id
        LIMIT greatest(0, least(:free, :queue_size - (
            SELECT count(*) FROM jobs WHERE status {_IS_LEASED})))
        FOR UPDATE SKIP LOCKED)
    UPDATE jobs SET status = :queued, lease_owner = :worker, lease_token = lease_token + 1,
        lease_until = now() + make_interval(secs => :lease_seconds), updated_at = now()
    FROM picked WHERE jobs.uuid = picked.uuid
    RETURNING {_COLUMNS.replace("uuid", "jobs.uuid", 1)}, lease_token""").bindparams(
        bindparam("types", type_=ARRAY(Text()))
    )
    for pool in states.POOLS.values()
}

# Seconds until the next retry is due; NULL when none waits.
NEXT_RETRY = text(f"""
    SELECT extract(epoch FROM min(run_after) - now())::float8 FROM jobs
    WHERE status {_IS_FAILED} AND retry_count > 0 AND NOT cancel_requested AND run_after > now()""")

# A claimed job begins to run: one more attempt, with a row of its own. Runs are numbered apart from `attempts`, since a
# run that was handed back is not counted there.
START = text(f"""
    WITH started AS (
        UPDATE jobs SET status = :running, attempts = attempts + 1, updated_at = now(),
            lease_until = now() + make_interval(secs => :lease_seconds)
        WHERE {_FENCE} AND status = :queued RETURNING uuid)
    INSERT INTO job_attempts (job_uuid, attempt, worker)
    SELECT uuid, (SELECT coalesce(max(attempt), 0) + 1 FROM job_attempts WHERE job_uuid = :uuid), :worker FROM started
    RETURNING attempt""")

# The heartbeat; also carries the progress.
RENEW = text(f"""
    UPDATE jobs SET lease_until = now() + make_interval(secs => :lease_seconds), progress = :progress,
        updated_at = CASE WHEN progress = :progress THEN updated_at ELSE now() END
    WHERE {_FENCE} AND status {_IS_RUNNING}
    RETURNING cancel_requested""").bindparams(bindparam("progress", type_=JSONB))

# Ends a run: the job goes on to another state and nobody holds it any more. Without a delay there is no run_after.
RELEASE = text(f"""
    UPDATE jobs SET status = :status, job_response = coalesce(:response, job_response),
        progress = coalesce(:progress, progress),
        run_after = now() + make_interval(secs => :delay),
        attempts = attempts - :unburnt, lease_owner = NULL, lease_until = NULL, updated_at = now()
    WHERE {_FENCE} AND status {_IS_LEASED}
    RETURNING uuid""").bindparams(
    bindparam("response", type_=JSONB(none_as_null=True)),
    bindparam("progress", type_=JSONB(none_as_null=True)),
)

# Closes the row of a run.
END_ATTEMPT = text("""
    UPDATE job_attempts SET ended_at = clock_timestamp(), outcome = :outcome, error = :error
    WHERE job_uuid = :uuid AND attempt = :attempt AND ended_at IS NULL""")

# Runs of a job that ended in failure.
COUNT_FAILURES = text("SELECT count(*) FROM job_attempts WHERE job_uuid = :uuid AND outcome = 'failed'")

# Jobs whose lease ran out, with what is known of their runs.
EXPIRED = text(f"""
    SELECT {_COLUMNS}, lease_owner, lease_token, cancel_requested,
        (SELECT count(*) FROM job_attempts a WHERE a.job_uuid = jobs.uuid AND a.outcome = 'failed') AS failures,
        (SELECT count(*) FROM job_attempts a WHERE a.job_uuid = jobs.uuid AND a.outcome = 'lost'
            AND a.attempt > coalesce((SELECT max(f.attempt) FROM job_attempts f
                WHERE f.job_uuid = jobs.uuid AND f.outcome = 'failed'), 0)) AS lost
    FROM jobs WHERE status {_IS_LEASED} AND lease_until < now()
    ORDER BY id LIMIT 100 FOR UPDATE OF jobs SKIP LOCKED""")

# Takes back a job from a worker that is gone.
TAKE_BACK = text("""
    UPDATE jobs SET status = :status, lease_owner = NULL, lease_until = NULL, lease_token = lease_token + 1,
        job_response = coalesce(:response, job_response), updated_at = now(),
        run_after = now() + make_interval(secs => :delay)
    WHERE uuid = :uuid""").bindparams(bindparam("response", type_=JSONB(none_as_null=True)))

# Closes the row of the run that a lost worker left open.
END_LOST_ATTEMPT = text("""
    UPDATE job_attempts SET ended_at = clock_timestamp(), outcome = :outcome, error = :error
    WHERE job_uuid = :uuid AND ended_at IS NULL""")

# Buckets other than the service's own that jobs wrote to of late.
FOREIGN_BUCKETS = text("""
    SELECT DISTINCT data ->> 's3_bucket' FROM jobs
    WHERE updated_at > now() - interval '7 days' AND data ->> 's3_bucket' <> ''""")

# Those of some jobs that nobody holds.
NOT_HELD = text("SELECT uuid FROM jobs WHERE uuid = ANY(:uuids) AND lease_until IS NULL").bindparams(
    bindparam("uuids", type_=ARRAY(Text()))
)

# Jobs that have not ended, by type and state; of those that failed, such as will be retried. What has ended, most of the table, is
# not read.
UNDER_WAY = text(f"""
    SELECT job_type, status, count(*) AS jobs,
        count(*) FILTER (WHERE lease_until IS NULL AND (run_after IS NULL OR run_after <= now())) AS waiting,
        coalesce(extract(epoch FROM now() - min(coalesce(run_after, updated_at)) FILTER (WHERE lease_until IS NULL)), 0)::float8
            AS oldest,
        count(*) FILTER (WHERE lease_until < now()) AS expired
    FROM jobs
    WHERE status {_IS_UNDER_WAY}
        OR (status {_IS_FAILED} AND run_after IS NOT NULL)
    GROUP BY job_type, status""")

# Rejected rows of an import in the order of the file, a batch at a time.
REJECTED = text("""
    SELECT batch_number, rejected FROM import_batches
    WHERE job_uuid = :uuid AND batch_number > :after AND rejected <> '[]'
    ORDER BY batch_number LIMIT 1""")


async def insert(connection: AsyncConnection, uuid: str, job: NewJob) -> Job:
    """Stores a job and wakes the runners at commit."""
    parameters = {"uuid": uuid, "job_type": job.job_type, "data": job.data, "retry_count": job.retry_count}
    row = (await connection.execute(INSERT, parameters)).mappings().one()
    await notify(connection)
    return _job(row)


async def notify(connection: AsyncConnection) -> None:
    """Wakes the runners at commit."""
    await connection.execute(NOTIFY, {"channel": CHANNEL})


async def find(connection: AsyncConnection, condition: JobFilter) -> list[Job]:
    """Jobs, newest first, and one more than the limit when there are more."""
    behind, behind_id = condition.cursor or (None, None)
    parameters = {
        "job_type": condition.job_type,
        "statuses": list(condition.statuses) if condition.statuses else None,
        "after": condition.created_after,
        "before": condition.created_before,
        "behind": behind,
        "behind_id": behind_id,
        "limit": condition.limit + 1,
        "skip": condition.skip,
    }
    return [_job(row) for row in (await connection.execute(LIST, parameters)).mappings()]


async def get(connection: AsyncConnection, uuid: str) -> Job | None:
    """One job."""
    row = (await connection.execute(GET, {"uuid": uuid})).mappings().one_or_none()
    return _job(row) if row else None


async def cancel(connection: AsyncConnection, uuid: str, message: str) -> Job | None:
    """Ends a waiting job, asks a running one to stop. None: it has ended, or there is none."""
    response = {"messages": message}
    for statement, parameters in (
        (CANCEL_WAITING, {"uuid": uuid, "response": response}),
        (CANCEL_RETRIES, {"uuid": uuid, "response": response}),
        (CANCEL_RUNNING, {"uuid": uuid}),
    ):
        if row := (await connection.execute(statement, parameters)).mappings().one_or_none():
            return _job(row)
    return None


async def reopen(connection: AsyncConnection, uuid: str) -> Job | None:
    """Makes a failed job open and wakes the runners at commit. None: it has not failed, or there is none."""
    row = (await connection.execute(REOPEN, {"uuid": uuid})).mappings().one_or_none()
    await notify(connection)
    return _job(row) if row else None


async def claim(
    connection: AsyncConnection,
    pool: Pool,
    worker: str,
    *,
    free: int,
    queue_size: int,
    types: Sequence[str] | None,
    lease_seconds: float,
) -> list[Claim]:
    """Takes at most `free` jobs, oldest first, while fewer than `queue_size` are held over all runners."""
    await connection.execute(LOCK_CLAIMS, {"lock": locks.CLAIM_JOBS})
    parameters = {
        "free": free,
        "queue_size": queue_size,
        "types": list(types) if types else None,
        "queued": pool.queued,
        "worker": worker,
        "lease_seconds": float(lease_seconds),
    }
    rows = (await connection.execute(CLAIM[pool.name], parameters)).mappings().all()
    return [Claim(_job(row), pool, worker, row["lease_token"]) for row in sorted(rows, key=lambda row: row["id"])]


async def next_retry(connection: AsyncConnection) -> float | None:
    """Seconds until a failed job may be retried; None when none waits."""
    return (await connection.execute(NEXT_RETRY)).scalar()


async def start(connection: AsyncConnection, claim: Claim, lease_seconds: float) -> int | None:
    """Begins a run and gives its number; None when the lease is lost."""
    pool = claim.pool
    parameters = {**claim.fence, "queued": pool.queued, "running": pool.running, "lease_seconds": float(lease_seconds)}
    return (await connection.execute(START, parameters)).scalar()


async def renew(
    connection: AsyncConnection, claim: Claim, progress: dict[str, Any], lease_seconds: float
) -> bool | None:
    """Prolongs the lease; tells whether the job is to be cancelled, None when the lease is lost."""
    parameters = {**claim.fence, "progress": progress, "lease_seconds": float(lease_seconds)}
    return (await connection.execute(RENEW, parameters)).scalar()


async def complete(
    connection: AsyncConnection, claim: Claim, attempt: int, response: dict[str, Any], progress: dict[str, Any]
) -> bool:
    """The run succeeded. False when the lease is lost."""
    return await _release(
        connection, claim, attempt, states.COMPLETED, "completed", response=response, progress=progress
    )


async def fail(
    connection: AsyncConnection,
    claim: Claim,
    attempt: int,
    error: str,
    response: dict[str, Any],
    progress: dict[str, Any],
    *,
    cancelled: bool = False,
) -> bool:
    """The run failed, or was cancelled. Schedules the retry when one is left. False when the lease is lost."""
    delay = None
    if not cancelled:
        failures = 1 + ((await connection.execute(COUNT_FAILURES, {"uuid": claim.job.uuid})).scalar() or 0)
        delay, response = after_failure(claim.job, failures, response)
    outcome = "cancelled" if cancelled else "failed"
    return await _release(
        connection, claim, attempt, states.FAILED, outcome, error, response=response, progress=progress, delay=delay
    )


async def hand_back(
    connection: AsyncConnection, claim: Claim, attempt: int | None, progress: dict[str, Any] | None
) -> bool:
    """The worker stops: another may go on at once, and no attempt is burnt. False when the lease is lost."""
    source = claim.pool.source
    released = await _release(
        connection,
        claim,
        attempt,
        source,
        "handed_back",
        progress=progress,
        delay=0 if source == states.FAILED else None,
        unburnt=0 if attempt is None else 1,
    )
    await notify(connection)
    return released


async def sweep(connection: AsyncConnection) -> list[Expired]:
    """Takes back every job whose lease ran out. A lost run is no failure, unless too many were lost in a row."""
    rows = (await connection.execute(EXPIRED)).mappings().all()
    expired = [Expired(_job(r), r["lease_owner"], r["cancel_requested"], r["lost"], r["failures"]) for r in rows]
    for item in expired:
        await _take_back(connection, item)
    if expired:
        await notify(connection)
    return expired


async def under_way(connection: AsyncConnection) -> Sequence[RowMapping]:
    """Rows of (job_type, status, jobs, waiting, oldest in seconds, expired)."""
    return (await connection.execute(UNDER_WAY)).mappings().all()


async def foreign_buckets(connection: AsyncConnection) -> list[str]:
    """Buckets, other than the service's own, that jobs of the last days named."""
    return list((await connection.execute(FOREIGN_BUCKETS)).scalars())


async def not_held(connection: AsyncConnection, uuids: Sequence[str]) -> list[str]:
    """Those of the jobs that no worker holds."""
    return list((await connection.execute(NOT_HELD, {"uuids": list(uuids)})).scalars())


async def rejected_rows(connection: AsyncConnection, uuid: str) -> AsyncIterator[list[dict[str, Any]]]:
    """Rejected rows of an import (line, reason, record), a batch at a time, in the order of the file."""
    after = -1
    while row := (await connection.execute(REJECTED, {"uuid": uuid, "after": after})).mappings().one_or_none():
        after = row["batch_number"]
        yield _json(row["rejected"])


def after_failure(job: Job, failures: int, response: dict[str, Any]) -> tuple[int | None, dict[str, Any]]:
    """Seconds to the retry, None when none is left; then the response says so."""
    if failures <= job.retry_count:
        return states.retry_delay(job.retry_interval, failures), response
    if job.retry_count:
        response = {**response, "messages": f"Failed for good: all {job.retry_count} retries are used up"}
    return None, response


def add_error(response: dict[str, Any], error: str) -> dict[str, Any]:
    """A job_response with one more runtime error; they accumulate over the runs."""
    errors = [*response.get("runtime_errors", []), error]
    return {**{k: v for k, v in response.items() if k != "messages"}, "runtime_errors": errors}


async def _release(
    connection: AsyncConnection,
    claim: Claim,
    attempt: int | None,
    status: str,
    outcome: str,
    error: str | None = None,
    *,
    response: dict[str, Any] | None = None,
    progress: dict[str, Any] | None = None,
    delay: float | None = None,
    unburnt: int = 0,
) -> bool:
    parameters = {
        **claim.fence,
        "status": status,
        "response": response,
        "progress": progress,
        "delay": None if delay is None else float(delay),
        "unburnt": unburnt,
    }
    released = (await connection.execute(RELEASE, parameters)).first() is not None
    if released and attempt is not None:
        ended = {"uuid": claim.job.uuid, "attempt": attempt, "outcome": outcome, "error": error}
        await connection.execute(END_ATTEMPT, ended)
    return released


async def _take_back(connection: AsyncConnection, item: Expired) -> None:
    job = item.job
    outcome, error = "lost", f"the lease of worker {item.worker} ran out"
    status, delay, response = states.source_of(job.status), None, None
    ran = job.status in states.RUNNING
    if ran and item.cancel_requested:
        status, outcome, response = states.FAILED, "cancelled", {**job.job_response, "messages": "Cancelled by request"}
    elif ran and item.lost + 1 > states.MAX_LOST_RUNS:
        status, outcome = states.FAILED, "failed"
        error = f"given up: {item.lost + 1} workers in a row died while they ran this job"
        delay, response = after_failure(job, item.failures + 1, add_error(job.job_response, error))
    elif status == states.FAILED:
        delay = 0
    parameters = {
        "uuid": job.uuid,
        "status": status,
        "response": response,
        "delay": None if delay is None else float(delay),
    }
    await connection.execute(TAKE_BACK, parameters)
    if ran:
        await connection.execute(END_LOST_ATTEMPT, {"uuid": job.uuid, "outcome": outcome, "error": error})


def _job(row: RowMapping) -> Job:
    return Job(
        id=row["id"],
        uuid=row["uuid"],
        job_type=row["job_type"],
        data=_json(row["data"]),
        status=row["status"],
        job_response=_json(row["job_response"]),
        retry_count=row["retry_count"],
        retry_interval=row["retry_interval"],
        run_after=row["run_after"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        attempts=row["attempts"],
        progress=_json(row["progress"]),
    )


def _json(value: Any) -> Any:
    # Textual statements have no result types, and what the driver gives depends on its codecs.
    return orjson.loads(value) if isinstance(value, (str, bytes)) else value
