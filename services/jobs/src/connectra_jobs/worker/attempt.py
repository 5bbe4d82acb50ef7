"""One attempt at a job: its lease and heartbeat, its progress, and when to stop."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

import aiohttp
import grpc
import structlog
import tenacity
from connectra_common import telemetry
from connectra_common.db.database import Database
from connectra_common.errors import ConnectraError, DeadlineExceeded, Unavailable, from_exception
from grpc_status import rpc_status
from prometheus_client import Counter

from connectra_jobs.models import Job, JobInput, JsonObject, Progress
from connectra_jobs.repository import Claim, JobRepository
from connectra_jobs.settings import JobsSettings

log = structlog.get_logger()

T = TypeVar("T")

ATTEMPTS = Counter("connectra_job_attempts_total", "Runs that ended, by outcome.", ["job_type", "outcome"])
ROWS = Counter("connectra_job_rows_total", "Rows read by imports and written by exports.", ["job_type"])

PROGRESS_INTERVAL_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 5.0
_TRANSIENT_CODES = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
)
# Without details of ours these come from the transport: the peer was killed in the middle of an answer.
_TRANSPORT_CODES = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED)


class RunFailed(Exception):
    """The attempt cannot succeed. The text is for the job's owner."""


class JobFailed(RunFailed):
    """Nor would a retry help."""


class Stopped(Exception):
    """The attempt ends without a result."""


class LeaseLost(Stopped):
    """Another worker may hold the job by now: nothing may be changed any more."""


class HandBack(Stopped):
    """This process stops; another worker goes on."""


class Cancelled(Stopped):
    """The job's owner asked for it."""


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later."""
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code() in _TRANSIENT_CODES or (
            error.code() in _TRANSPORT_CODES and rpc_status.from_call(error) is None  # type: ignore[arg-type]
        )
    if isinstance(error, (Stopped, RunFailed)):
        return False
    return isinstance(error, aiohttp.ClientError) or isinstance(from_exception(error), (Unavailable, DeadlineExceeded))


def describe(error: BaseException) -> str:
    """The error for the job's owner, without a driver's text."""
    if isinstance(error, grpc.aio.AioRpcError):
        return str(error.details() or error.code().name)
    if isinstance(error, RunFailed):
        return str(error)
    if isinstance(error, aiohttp.ClientError):
        error = ConnectionError()
    known: ConnectraError = from_exception(error)
    return known.message


def explain(error: BaseException) -> JsonObject:
    """The error for the log: with its traceback, unless it says no more than that something is away."""
    return {"error": describe(error), "exc_info": None if is_transient(error) else error}


class Holder(Protocol):
    """Who may write the files of a job."""

    async def persist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Makes a call to something that may be away."""

    async def renew(self) -> None:
        """Makes sure that it still may."""


class Attempt:
    """A job in the hands of a worker. Use as a context: the heartbeat beats inside of it."""

    def __init__(self, claim: Claim, database: Database, settings: JobsSettings) -> None:
        self.claim = claim
        self.settings = settings
        self.progress: Progress = dict(claim.job.progress)
        self.number: int | None = None
        # What the response of a job has even if the attempt fails; `reported`: that is all there is to say of its runs.
        self.known: JsonObject = {}
        self.reported = False
        # Token of what an import stored.
        self.searchable_after: int | None = None
        self._database = database
        self._lock = asyncio.Lock()
        self._stop: Stopped | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[Any] | None = None
        self._renewed = self._written = 0.0
        # When the attempt last got further than ever before, and how far that was.
        self._advanced, self._furthest = 0.0, 0
        self._rows = int(self.progress.get("rows", 0))

    @property
    def job(self) -> Job:
        """The job as it was claimed."""
        return self.claim.job

    async def start(self) -> None:
        """Begins the attempt.

        Raises:
            LeaseLost: somebody took the job back in the meantime.
        """
        asked = time.monotonic()
        async with self._database.transaction() as connection:
            self.number = await JobRepository(connection).start(self.claim, self.settings.lease_seconds)
        if self.number is None:
            raise LeaseLost
        self._renewed = asked

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Keeps the lease alive; a lost one cancels the task that is inside."""
        self._task = asyncio.current_task()
        heart = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            heart.cancel()
            self._task = None
            await asyncio.gather(heart, return_exceptions=True)

    def stop(self, reason: Stopped) -> None:
        """Asks the attempt to end at its next checkpoint, for the first reason given."""
        if self._stop is None or isinstance(reason, LeaseLost):
            self._stop = reason
        self._stopping.set()

    @property
    def stop_reason(self) -> Stopped | None:
        """Why the attempt was asked to end."""
        return self._stop

    async def checkpoint(self, **progress: int) -> None:
        """Called between two pieces of work, after which progress is `progress`: may the next one be done?

        Raises:
            LeaseLost, HandBack, Cancelled: no.
        """
        self.progress.update(progress)
        self._count_rows(progress.get("rows", self._rows))
        self._raise_stop()
        now = time.monotonic()
        if (done := progress.get("bytes", 0)) > self._furthest:
            self._advanced, self._furthest = now, done
        # A process that was suspended learns here that its lease is gone, before it can do harm.
        if now - self._renewed > self.settings.lease_seconds:
            await self.persist(self.renew)
        elif now - self._written > PROGRESS_INTERVAL_SECONDS:
            try:
                await self.renew()
            except LeaseLost:
                raise
            except Exception as error:  # noqa: BLE001 - the lease still holds, and the heartbeat goes on trying
                log.debug("progress not stored", job=self.job.uuid, error=describe(error))
        self._raise_stop()

    async def pause(self, seconds: float) -> None:
        """Waits, but not beyond the moment the attempt is asked to end.

        Raises:
            LeaseLost, HandBack, Cancelled.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        self._raise_stop()

    async def persist(self, call: Callable[[], Awaitable[T]], patience_seconds: float | None = None) -> T:
        """Repeats a call, which must be safe to repeat, while what it needs is away.

        Raises:
            what the call raises for good, or still raises `patience_seconds` after it was first made, or after the attempt last got
            further than ever before; what `pause` raises.
        """
        patience = patience_seconds or self.settings.patience_seconds

        def is_over(state: tenacity.RetryCallState) -> bool:
            return time.monotonic() - max(state.start_time, self._advanced) > patience

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(is_transient),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=MAX_BACKOFF_SECONDS),
            stop=is_over,
            sleep=self.pause,
            before_sleep=self._log_retry,
            reraise=True,
        )

        async def once() -> T:  # tenacity knows a coroutine function, but not a lambda that makes a coroutine
            return await call()

        result: T = await retrying(once)
        return result

    async def renew(self) -> None:
        """Prolongs the lease and stores the progress.

        Raises:
            LeaseLost.
        """
        async with self._lock:
            # Counted from before the question: the database's own clock starts later.
            asked = time.monotonic()
            with telemetry.untraced():
                async with self._database.transaction() as connection:
                    cancel = await JobRepository(connection).renew(
                        self.claim, self.progress, self.settings.lease_seconds
                    )
            if cancel is None:
                self.stop(LeaseLost())
                raise LeaseLost
            self._renewed = self._written = asked
        if cancel:
            self.stop(Cancelled())

    async def remember(self, given: JobInput) -> None:
        """Stores what an import reads, for the attempts to come.

        Raises:
            LeaseLost.
        """
        async with self._lock, self._database.transaction() as connection:
            stored = await JobRepository(connection).set_input(self.claim, given)
        if not stored:
            self.stop(LeaseLost())
            raise LeaseLost

    async def complete(self, response: JsonObject) -> bool:
        """Ends the attempt with success. False when the lease is lost."""
        async with self._lock, self._database.transaction() as connection:
            ended = await JobRepository(connection).complete(
                *(self.claim, self._begun_number, response, self.progress), searchable_after=self.searchable_after
            )
        return self._count_attempt("completed", ended)

    async def fail(self, error: str, response: JsonObject, *, cancelled: bool = False, final: bool = False) -> bool:
        """Ends the attempt without success; `final`: a retry would not help. False when the lease is lost."""
        async with self._lock, self._database.transaction() as connection:
            ended = await JobRepository(connection).fail(
                *(self.claim, self._begun_number, error, response, self.progress),
                cancelled=cancelled,
                final=final,
                searchable_after=self.searchable_after,
                reported=self.reported,
            )
        return self._count_attempt("cancelled" if cancelled else "failed", ended)

    async def hand_back(self) -> bool:
        """Gives the job to whoever takes it next. False when the lease is lost."""
        async with self._lock, self._database.transaction() as connection:
            ended = await JobRepository(connection).hand_back(self.claim, self.number, self.progress)
        return self._count_attempt("handed_back", ended)

    @property
    def _begun_number(self) -> int:
        assert self.number is not None
        return self.number

    def _count_rows(self, rows: int) -> None:
        # An export that starts over goes back.
        ROWS.labels(self.job.job_type).inc(max(rows - self._rows, 0))
        self._rows = rows

    def _count_attempt(self, outcome: str, ended: bool) -> bool:
        if ended:
            ATTEMPTS.labels(self.job.job_type, outcome).inc()
        return ended

    def _raise_stop(self) -> None:
        if self._stop is not None:
            raise self._stop

    async def _beat(self) -> None:
        pause = self.settings.lease_seconds / 3
        while True:
            await asyncio.sleep(pause)
            try:
                await self.renew()
                pause = self.settings.lease_seconds / 3
            except LeaseLost:
                if self._task:
                    self._task.cancel()
                return
            except Exception as error:  # noqa: BLE001 - the database is away; the lease may still be saved
                log.warning("heartbeat failed", job=self.job.uuid, **explain(error))
                pause = min(1.0, self.settings.lease_seconds / 10)

    def _log_retry(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None and state.attempt_number in (1, 5, 20):
            log.warning(
                "dependency away, trying again", job=self.job.uuid, tries=state.attempt_number, error=describe(error)
            )
