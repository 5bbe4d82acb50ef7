"""All SQL of the jobs service. The caller opens the transaction.

Fencing: every claim takes a new `lease_token`; a worker's statements change a row only while it carries the worker's
token and still stands in the state the worker put it in. A worker that lost its lease changes nothing, and learns of
it from an empty result.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import asyncpg
import orjson
from connectra_common.db import audit, locks
from connectra_common.db.audit import Event
from connectra_common.db.database import Connection

from connectra_jobs import states
from connectra_jobs.models import CANCELLED, Job, JobFilter, JobInput, JsonObject, NewJob, Progress
from connectra_jobs.states import Pool

# Wakes the runners; a commit sends it.
CHANNEL = "jobs"

_COLUMNS = """id, uuid, job_type, data, status, job_response, retry_count, retry_interval, run_after, created_at,
    updated_at, attempts, progress, client"""

# Runtime errors that a response keeps.
MAX_ERRORS = 100
# Of `data` and `job_response`, 100 times both must fit into one answer.
MAX_LISTED_BYTES = 4096
MAX_LISTED_MEMBER_BYTES = 1024


def _listed(column: str) -> str:
    """A column of JSON as lists have it: without large members where it is large."""
    return f"""CASE WHEN octet_length({column}::text) <= {MAX_LISTED_BYTES} THEN {column} ELSE (
        SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each({column})
        WHERE octet_length(value::text) <= {MAX_LISTED_MEMBER_BYTES}) END AS {column}"""


_LISTED_COLUMNS = _COLUMNS.replace("job_response", _listed("job_response")).replace(" data", f" {_listed('data')}", 1)
# Whose jobs a statement sees; NULL: those of all.
_SEEN = "({0}::text IS NULL OR client = {0})"


def _among(names: Iterable[str]) -> str:
    return f"IN ({', '.join(map(repr, names))})"


# The states, as statements have them.
_IS_OPEN, _IS_FAILED = f"= '{states.OPEN}'", f"= '{states.FAILED}'"
_IS_WAITING, _IS_RUNNING = _among((states.OPEN, *states.QUEUED)), _among(states.RUNNING)
_IS_LEASED, _IS_UNDER_WAY = _among(states.LEASED), _among((states.OPEN, *states.LEASED))
_FENCE = "uuid = $1 AND lease_token = $2 AND lease_owner = $3"


@dataclass(frozen=True, slots=True)
class Claim:
    """A job a worker holds, and by what."""

    job: Job
    pool: Pool
    worker: str
    token: int
    # What an earlier run of an import read.
    input: JobInput | None = None
    # What it names belongs to another client.
    source_denied: bool = False

    @property
    def fence(self) -> tuple[str, int, str]:
        """The first parameters of every statement on the job."""
        return self.job.uuid, self.token, self.worker


@dataclass(frozen=True, slots=True)
class Expired:
    """A job whose lease ran out, locked by the sweep."""

    job: Job
    worker: str
    cancel_requested: bool
    # Workers lost in a row, before this one.
    lost: int
    failures: int


class UnderWay(NamedTuple):
    """Jobs of one type and state that have not ended: how many, how many of them a worker could begin now, the longest wait in
    seconds, and how many have a worker that is gone.
    """

    job_type: str
    status: str
    jobs: int
    waiting: int
    oldest: float
    expired: int


@dataclass(frozen=True, slots=True)
class Unreported:
    """An import that has ended without a worker; `token` is the fence of its last one."""

    job: Job
    input: JobInput
    token: int


@dataclass(frozen=True, slots=True)
class NotSearchable:
    """An import whose records the index may not have yet; its marks are not above `mark`."""

    id: int
    uuid: str
    mark: int


# A new job.
INSERT = f"""
    INSERT INTO jobs (uuid, job_type, data, retry_count, client, source_denied) VALUES ($1, $2, $3, $4, $5, $6)
    RETURNING {_COLUMNS}"""

# Jobs, newest first.
LIST = f"""
    SELECT {_LISTED_COLUMNS} FROM jobs
    WHERE ($1::text IS NULL OR job_type = $1) AND ($2::text[] IS NULL OR status = ANY($2))
        AND ($3::timestamptz IS NULL OR created_at >= $3) AND ($4::timestamptz IS NULL OR created_at < $4)
        AND ($5::timestamptz IS NULL OR (created_at, id) < ($5, $6)) AND {_SEEN.format("$9")}
    ORDER BY created_at DESC, id DESC LIMIT $7 OFFSET $8"""

# One job.
GET = f"SELECT {_COLUMNS} FROM jobs WHERE uuid = $1 AND {_SEEN.format('$2')}"

# A job cancelled: one that nobody runs ends here, and a worker that has just claimed it will find its token gone; one that runs is
# asked to stop; a failed one is not retried.
CANCEL = f"""
    UPDATE jobs SET cancel_requested = true, run_after = NULL, updated_at = now(),
        status = CASE WHEN status {_IS_WAITING} THEN '{states.FAILED}' ELSE status END,
        lease_owner = CASE WHEN status {_IS_RUNNING} THEN lease_owner END,
        lease_until = CASE WHEN status {_IS_RUNNING} THEN lease_until END,
        lease_token = CASE WHEN status {_IS_RUNNING} THEN lease_token ELSE lease_token + 1 END,
        job_response = CASE WHEN status {_IS_RUNNING} THEN job_response ELSE job_response || $2::jsonb END
    WHERE uuid = $1 AND (status {_IS_UNDER_WAY} OR (status {_IS_FAILED} AND run_after IS NOT NULL)) AND {_SEEN.format("$3")}
    RETURNING {_COLUMNS}"""

# A failed job made open again.
REOPEN = f"""
    UPDATE jobs SET status = '{states.OPEN}', cancel_requested = false, run_after = NULL, updated_at = now(),
        job_response = job_response - 'messages', files_removed_at = NULL
    WHERE uuid = $1 AND status {_IS_FAILED} AND {_SEEN.format("$2")}
    RETURNING {_COLUMNS}"""

# Wakes the runners when the transaction commits.
NOTIFY = "SELECT pg_notify($1, '')"

# Held to the end of the transaction.
LOCK_CLAIMS = "SELECT pg_advisory_xact_lock($1)"

# What a pool may claim: open jobs; failed ones whose time has come. A failed job without a time is not retried.
_CLAIMABLE = {
    states.FIRST_TIME.name: f"status {_IS_OPEN} AND NOT cancel_requested",
    states.RETRY.name: f"status {_IS_FAILED} AND run_after <= now()",
}

# Claims the oldest jobs of a pool, as many as workers are free and as the queue over all runners has room for.
CLAIM = {
    pool.name: f"""
    WITH picked AS (
        SELECT uuid FROM jobs
        WHERE {_CLAIMABLE[pool.name]} AND ($3::text[] IS NULL OR job_type = ANY($3))
        ORDER BY id
        LIMIT greatest(0, least($1, $2 - (
            SELECT count(*) FROM jobs WHERE status {_IS_LEASED})))
        FOR UPDATE SKIP LOCKED)
    UPDATE jobs SET status = $4, lease_owner = $5, lease_token = lease_token + 1,
        lease_until = now() + make_interval(secs => $6), updated_at = now()
    FROM picked WHERE jobs.uuid = picked.uuid
    RETURNING {_COLUMNS.replace("uuid", "jobs.uuid", 1)}, lease_token, input, source_denied"""
    for pool in states.POOLS.values()
}

# Seconds until the next retry is due; NULL when none waits.
NEXT_RETRY = f"""
    SELECT extract(epoch FROM min(run_after) - now())::float8 FROM jobs
    WHERE status {_IS_FAILED} AND run_after > now()"""

# A claimed job begins to run: one more attempt, with its own row. Rows are numbered apart from `attempts`, which does not
# count an attempt that was handed back. Asked again, because the answer was lost, it gives the attempt that was begun.
START = f"""
    WITH started AS (
        UPDATE jobs SET status = $5, attempts = attempts + 1, updated_at = now(),
            lease_until = now() + make_interval(secs => $6)
        WHERE {_FENCE} AND status = $4 RETURNING uuid),
    begun AS (
        INSERT INTO job_attempts (job_uuid, attempt, worker)
        SELECT uuid, (SELECT coalesce(max(attempt), 0) + 1 FROM job_attempts WHERE job_uuid = $1), $3 FROM started
        RETURNING attempt)
    SELECT attempt FROM begun
    UNION ALL
    SELECT attempt FROM job_attempts
    WHERE job_uuid = $1 AND ended_at IS NULL AND EXISTS (SELECT FROM jobs WHERE {_FENCE} AND status = $5)"""

# The heartbeat; also carries the progress.
RENEW = f"""
    UPDATE jobs SET lease_until = now() + make_interval(secs => $5), progress = $4,
        updated_at = CASE WHEN progress = $4 THEN updated_at ELSE now() END
    WHERE {_FENCE} AND status {_IS_RUNNING}
    RETURNING cancel_requested"""

# Whether a job that a worker holds is to be cancelled; locks it.
HELD = f"SELECT cancel_requested FROM jobs WHERE {_FENCE} AND status {_IS_LEASED} FOR UPDATE"

# Ends an attempt: the job moves to another state and nobody holds it any more. Without a delay there is no run_after.
RELEASE = f"""
    UPDATE jobs SET status = $4, job_response = coalesce($5, job_response),
        progress = coalesce($6, progress),
        run_after = now() + make_interval(secs => $7),
        attempts = attempts - $8, lost_runs = CASE WHEN $9 THEN 0 ELSE lost_runs END,
        searchable_after = coalesce($10, searchable_after), report_due = report_due AND NOT $11,
        lease_owner = NULL, lease_until = NULL, updated_at = now()
    WHERE {_FENCE} AND status {_IS_LEASED}
    RETURNING uuid"""

# Closes the row of an attempt.
END_ATTEMPT = """
    UPDATE job_attempts SET ended_at = clock_timestamp(), outcome = $3, error = $4
    WHERE job_uuid = $1 AND attempt = $2 AND ended_at IS NULL"""

# How many attempts of a job failed.
COUNT_FAILURES = "SELECT count(*) FROM job_attempts WHERE job_uuid = $1 AND outcome = 'failed'"

# Jobs whose lease ran out. A worker that is lost after its job got further than when the last one was begins a new row of losses.
EXPIRED = f"""
    SELECT {_COLUMNS}, lease_owner, lease_token, cancel_requested,
        (SELECT count(*) FROM job_attempts a WHERE a.job_uuid = jobs.uuid AND a.outcome = 'failed') AS failures,
        CASE WHEN coalesce((progress ->> 'bytes')::bigint, 0) > lost_at THEN 0 ELSE lost_runs END AS lost
    FROM jobs WHERE status {_IS_LEASED} AND lease_until < now()
    ORDER BY id LIMIT 100 FOR UPDATE OF jobs SKIP LOCKED"""

# Takes back a job from a worker that is gone.
TAKE_BACK = """
    UPDATE jobs SET status = $2, lease_owner = NULL, lease_until = NULL, lease_token = lease_token + 1,
        job_response = coalesce($3, job_response), updated_at = now(),
        run_after = now() + make_interval(secs => $4), lost_runs = $5,
        lost_at = greatest(lost_at, coalesce((progress ->> 'bytes')::bigint, 0))
    WHERE uuid = $1"""

# Closes the row of the attempt that a lost worker left open.
END_LOST_ATTEMPT = """
    UPDATE job_attempts SET ended_at = clock_timestamp(), outcome = $2, error = $3
    WHERE job_uuid = $1 AND ended_at IS NULL"""

# Buckets, other than the service's own, that recent jobs wrote to.
FOREIGN_BUCKETS = """
    SELECT DISTINCT data ->> 's3_bucket' FROM jobs
    WHERE updated_at > now() - interval '7 days' AND data ->> 's3_bucket' <> ''"""

# Which of these jobs nobody holds.
NOT_HELD = "SELECT uuid FROM jobs WHERE uuid = ANY($1) AND lease_until IS NULL"

# Jobs that have not ended, by type and state; of the failed ones, those that will be retried. Ended jobs, most of
# the table, are not read.
UNDER_WAY = f"""
    SELECT job_type, status, count(*) AS jobs,
        count(*) FILTER (WHERE lease_until IS NULL AND (run_after IS NULL OR run_after <= now())) AS waiting,
        coalesce(extract(epoch FROM now() - min(coalesce(run_after, updated_at)) FILTER (WHERE lease_until IS NULL)), 0)::float8
            AS oldest,
        count(*) FILTER (WHERE lease_until < now()) AS expired
    FROM jobs
    WHERE status {_IS_UNDER_WAY}
        OR (status {_IS_FAILED} AND run_after IS NOT NULL)
    GROUP BY job_type, status"""

# What an import reads. Its report is due from now on; how far it came with another file says nothing.
SET_INPUT = f"""
    UPDATE jobs SET input = $4, report_due = true,
        lost_at = CASE WHEN (input ->> 'generation')::int = $5 THEN lost_at ELSE 0 END
    WHERE {_FENCE} AND status {_IS_RUNNING}
    RETURNING uuid"""

# Imports that ended while nobody ran them: cancelled while they waited, or given up.
UNREPORTED = f"""
    SELECT {_COLUMNS}, input, lease_token FROM jobs
    WHERE report_due AND (status = '{states.COMPLETED}' OR (status {_IS_FAILED} AND run_after IS NULL))
    ORDER BY id LIMIT 10"""

# The report of such an import, unless it runs again.
REPORT = """
    UPDATE jobs SET job_response = job_response || $3::jsonb, searchable_after = coalesce($4, searchable_after),
        report_due = false, updated_at = now()
    WHERE uuid = $1 AND lease_token = $2 AND report_due AND lease_until IS NULL"""

# Imports of which it is not known yet that the index has all they stored.
NOT_SEARCHABLE = """
    SELECT id, uuid, searchable_after FROM jobs
    WHERE searchable_after IS NOT NULL AND id > $1 ORDER BY id LIMIT $2"""

# The index has what an import stored, unless it has run again.
SET_SEARCHABLE = """
    UPDATE jobs SET job_response = job_response || '{"searchable": true}', searchable_after = NULL, updated_at = now()
    WHERE uuid = $1 AND searchable_after = $2"""


class JobRepository:
    """The job table, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(self, uuid: str, job: NewJob, client: str | None = None, *, source_denied: bool = False) -> Job:
        """Stores a job of a client and wakes the runners at commit.

        Args:
            source_denied: what it would read belongs to another client.
        """
        row = await self._connection.fetchrow(
            *(INSERT, uuid, job.job_type, _dumped(job.data), job.retry_count, client, source_denied)
        )
        assert row is not None
        await self.notify()
        return _job(row)

    async def record(
        self, uuid: str, operation: str, values: Mapping[str, object] | None = None, *, actor: str | None = None
    ) -> None:
        """Adds what is done to a job to the audit trail; it commits with the transaction.

        Args:
            uuid: of the job.
            operation: what is done: create, cancel, retry, fetch or complete.
            values: what was given for it or came out of it, by name.
            actor: who does it; None: the caller.
        """
        await audit.record(self._connection, Event("job", uuid, operation, values or {}), actor)

    async def notify(self) -> None:
        """Wakes the runners at commit."""
        await self._connection.execute(NOTIFY, CHANNEL)

    async def find(self, condition: JobFilter) -> list[Job]:
        """Jobs, newest first, and one more than the limit when there are more."""
        rows = await self._connection.fetch(
            LIST,
            condition.job_type,
            condition.statuses,
            condition.created_after,
            condition.created_before,
            *(condition.cursor or (None, None)),
            condition.limit + 1,
            condition.skip,
            condition.client,
        )
        return [_job(row) for row in rows]

    async def get(self, uuid: str, client: str | None = None) -> Job | None:
        """One job, if it is this client's; None: anybody's."""
        return _optional(await self._connection.fetchrow(GET, uuid, client))

    async def cancel(self, uuid: str, client: str | None = None) -> Job | None:
        """Ends a waiting job, asks a running one to stop. None: it has ended, there is none, or it is another client's."""
        return _optional(await self._connection.fetchrow(CANCEL, uuid, _dumped({"messages": CANCELLED}), client))

    async def reopen(self, uuid: str, client: str | None = None) -> Job | None:
        """Makes a failed job open and wakes the runners at commit. None: it has not failed, there is none, or it is another client's."""
        row = await self._connection.fetchrow(REOPEN, uuid, client)
        await self.notify()
        return _optional(row)

    async def claim(
        self,
        pool: Pool,
        worker: str,
        *,
        free: int,
        queue_size: int,
        types: Sequence[str] | None,
        lease_seconds: float,
    ) -> list[Claim]:
        """Takes at most `free` jobs, oldest first, while fewer than `queue_size` are held over all runners."""
        await self._connection.execute(LOCK_CLAIMS, locks.CLAIM_JOBS)
        rows = await self._connection.fetch(
            CLAIM[pool.name], free, queue_size, types, pool.queued, worker, lease_seconds
        )
        return [
            Claim(_job(row), pool, worker, row["lease_token"], _input(row), row["source_denied"])
            for row in sorted(rows, key=lambda row: row["id"])
        ]

    async def next_retry(self) -> float | None:
        """Seconds until a failed job may be retried; None when none waits."""
        seconds: float | None = await self._connection.fetchval(NEXT_RETRY)
        return seconds

    async def start(self, claim: Claim, lease_seconds: float) -> int | None:
        """Begins an attempt and gives its number; None when the lease is lost."""
        number: int | None = await self._connection.fetchval(
            START, *claim.fence, claim.pool.queued, claim.pool.running, lease_seconds
        )
        return number

    async def renew(self, claim: Claim, progress: Progress, lease_seconds: float) -> bool | None:
        """Prolongs the lease; tells whether the job is to be cancelled, None when the lease is lost."""
        cancel: bool | None = await self._connection.fetchval(RENEW, *claim.fence, _dumped(progress), lease_seconds)
        return cancel

    async def complete(
        self,
        claim: Claim,
        attempt: int,
        response: JsonObject,
        progress: Progress,
        *,
        searchable_after: int | None = None,
    ) -> bool:
        """The attempt succeeded. False when the lease is lost.

        Args:
            searchable_after: the highest mark of what it stored.
        """
        released = await self._release(
            *(claim, attempt, states.COMPLETED, "completed"),
            response=response,
            progress=progress,
            searchable_after=searchable_after,
            reported=True,
        )
        if released:
            told = {name: value for name, value in response.items() if name in ("rows", "bytes", "s3_key")}
            await self.record(claim.job.uuid, "complete", told, actor=f"job:{claim.job.uuid}")
        return released

    async def fail(
        self,
        claim: Claim,
        attempt: int,
        error: str,
        response: JsonObject,
        progress: Progress,
        *,
        cancelled: bool = False,
        final: bool = False,
        searchable_after: int | None = None,
        reported: bool = False,
    ) -> bool:
        """The attempt failed, or was cancelled. Schedules the retry when one is left, and wakes the runners. False when the lease is lost.

        Args:
            final: a retry would not help.
            searchable_after: the highest mark of what it stored.
            reported: the response has all that its runs stored and rejected.
        """
        if (requested := await self._connection.fetchval(HELD, *claim.fence)) is None:
            return False
        delay = None
        if not (cancelled or requested or final):
            failures = 1 + await self._connection.fetchval(COUNT_FAILURES, claim.job.uuid)
            delay, response = after_failure(claim.job, failures, response)
        outcome = "cancelled" if cancelled else "failed"
        await self._release(
            *(claim, attempt, states.FAILED, outcome, error),
            response=response,
            progress=progress,
            delay=delay,
            searchable_after=searchable_after,
            reported=reported,
        )
        if delay is not None:
            await self.notify()
        return True

    async def hand_back(self, claim: Claim, attempt: int | None, progress: Progress | None) -> bool:
        """The worker stops: another may go on at once, and no attempt is burnt; a job that is to be cancelled ends. False when the lease
        is lost.
        """
        if (requested := await self._connection.fetchval(HELD, *claim.fence)) is None:
            return False
        if requested:
            response = {**claim.job.job_response, "messages": CANCELLED}
            return await self._release(
                claim, attempt, states.FAILED, "cancelled", CANCELLED, response=response, progress=progress
            )
        source = claim.pool.source
        await self._release(
            claim,
            attempt,
            source,
            "handed_back",
            progress=progress,
            delay=0 if source == states.FAILED else None,
            unburnt=0 if attempt is None else 1,
        )
        await self.notify()
        return True

    async def sweep(self) -> list[Expired]:
        """Takes back every job whose lease ran out. A lost attempt is not a failure, unless too many were lost in a row."""
        rows = await self._connection.fetch(EXPIRED)
        expired = [Expired(_job(r), r["lease_owner"], r["cancel_requested"], r["lost"], r["failures"]) for r in rows]
        for item in expired:
            await self._take_back(item)
        if expired:
            await self.notify()
        return expired

    async def under_way(self) -> list[UnderWay]:
        """Jobs that have not ended, counted by type and state."""
        return [UnderWay(*row) for row in await self._connection.fetch(UNDER_WAY)]

    async def foreign_buckets(self) -> list[str]:
        """Buckets, other than the service's own, that jobs of the last seven days named."""
        return [row[0] for row in await self._connection.fetch(FOREIGN_BUCKETS)]

    async def not_held(self, uuids: Sequence[str]) -> list[str]:
        """Which of the jobs no worker holds."""
        return [row[0] for row in await self._connection.fetch(NOT_HELD, uuids)]

    async def set_input(self, claim: Claim, given: JobInput) -> bool:
        """Stores what an import reads. False when the lease is lost."""
        stored = await self._connection.fetchval(SET_INPUT, *claim.fence, _dumped(asdict(given)), given.generation)
        return stored is not None

    async def unreported(self) -> list[Unreported]:
        """Imports that ended without a worker that could say what they did."""
        rows = await self._connection.fetch(UNREPORTED)
        return [Unreported(_job(row), JobInput(**orjson.loads(row["input"])), row["lease_token"]) for row in rows]

    async def report(self, of: Unreported, response: JsonObject, searchable_after: int | None) -> None:
        """Adds to the response of such an import."""
        await self._connection.execute(REPORT, of.job.uuid, of.token, _dumped(response), searchable_after)

    async def not_searchable(self, after: int, limit: int) -> list[NotSearchable]:
        """Imports of which it is not known yet that what they stored can be found, by id after `after`."""
        return [NotSearchable(*row) for row in await self._connection.fetch(NOT_SEARCHABLE, after, limit)]

    async def set_searchable(self, of: NotSearchable) -> None:
        """Notes that what an import stored can be found."""
        await self._connection.execute(SET_SEARCHABLE, of.uuid, of.mark)

    async def _release(
        self,
        claim: Claim,
        attempt: int | None,
        status: str,
        outcome: str,
        error: str | None = None,
        *,
        response: JsonObject | None = None,
        progress: Progress | None = None,
        delay: float | None = None,
        unburnt: int = 0,
        searchable_after: int | None = None,
        reported: bool = False,
    ) -> bool:
        released = await self._connection.fetchval(
            *(RELEASE, *claim.fence, status, _dumped(response), _dumped(progress), delay, unburnt),
            *(outcome == "failed", searchable_after, reported),
        )
        if released and attempt is not None:
            await self._connection.execute(END_ATTEMPT, claim.job.uuid, attempt, outcome, error)
        return released is not None

    async def _take_back(self, item: Expired) -> None:
        job = item.job
        outcome, error = "lost", f"the lease of worker {item.worker} ran out"
        status, delay, response = states.source_of(job.status), None, None
        ran = job.status in states.RUNNING
        if ran and item.cancel_requested:
            status, outcome, response = states.FAILED, "cancelled", {**job.job_response, "messages": CANCELLED}
        elif ran and item.lost + 1 > states.MAX_LOST_RUNS:
            status, outcome = states.FAILED, "failed"
            error = f"given up: {item.lost + 1} workers in a row died while they ran this job"
            delay, response = after_failure(job, item.failures + 1, add_error(job.job_response, error))
        elif status == states.FAILED:
            delay = 0
        lost = 0 if outcome == "failed" else item.lost + ran
        await self._connection.execute(TAKE_BACK, job.uuid, status, _dumped(response), delay, lost)
        if ran:
            await self._connection.execute(END_LOST_ATTEMPT, job.uuid, outcome, error)


def after_failure(job: Job, failures: int, response: JsonObject) -> tuple[int | None, JsonObject]:
    """Seconds to the retry, None when none is left; then the response says so."""
    if failures <= job.retry_count:
        return states.retry_delay(job.retry_interval, failures), response
    if job.retry_count:
        used_up = f"Failed for good: all {job.retry_count} retries are used up"
        response = {**response, "messages": sentences(used_up, response.get("messages"))}
    return None, response


def add_error(response: JsonObject, error: str) -> JsonObject:
    """A job_response with one more runtime error; the last ones of all attempts are kept."""
    earlier = response.get("runtime_errors")
    errors = [*earlier, error][-MAX_ERRORS:] if isinstance(earlier, list) else [error]
    return {**{k: v for k, v in response.items() if k != "messages"}, "runtime_errors": errors}


def sentences(*parts: object) -> str:
    """One text of those that say something."""
    return ". ".join(str(part) for part in parts if part)


def _optional(row: asyncpg.Record | None) -> Job | None:
    return _job(row) if row else None


def _job(row: asyncpg.Record) -> Job:
    return Job(
        id=row["id"],
        uuid=row["uuid"],
        job_type=row["job_type"],
        data=orjson.loads(row["data"]),
        status=row["status"],
        job_response=orjson.loads(row["job_response"]),
        retry_count=row["retry_count"],
        retry_interval=row["retry_interval"],
        run_after=row["run_after"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        attempts=row["attempts"],
        progress=orjson.loads(row["progress"]),
        client=row["client"],
    )


def _input(row: asyncpg.Record) -> JobInput | None:
    return JobInput(**orjson.loads(row["input"])) if row["input"] else None


def _dumped(value: Mapping[str, object] | None) -> str | None:
    # Not orjson: it refuses numbers beyond 64 bits, which jsonb takes.
    return None if value is None else json.dumps(value)
