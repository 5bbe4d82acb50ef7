"""A pool of workers on the job table.

claim ─▶ attempt ─▶ completed | failed | handed back        (at most `workers` at once)
sweep: leases that ran out are taken back               (every half lease)
tidy: uploads of killed workers are removed             (every ten minutes)
listen: NOTIFY wakes the pool                           (at the latest the ticker does)
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable

import asyncpg
import grpc
import structlog
from connectra_common import telemetry
from connectra_common.call import Call, bound
from connectra_common.errors import ConnectraError
from connectra_common.server.background import every, first_of

from connectra_jobs.models import CANCELLED, JOB_TYPES, JsonObject
from connectra_jobs.repository import CHANNEL, Claim, JobRepository, add_error, sentences
from connectra_jobs.requests import ImportData, read_data
from connectra_jobs.settings import JobsSettings
from connectra_jobs.states import RETRY, Pool
from connectra_jobs.worker import leftovers, reports
from connectra_jobs.worker.attempt import (
    ATTEMPTS,
    Attempt,
    Cancelled,
    HandBack,
    JobFailed,
    LeaseLost,
    RunFailed,
    describe,
    explain,
)
from connectra_jobs.worker.deps import Deps
from connectra_jobs.worker.exporter import run_export
from connectra_jobs.worker.follower import Follower
from connectra_jobs.worker.importer import run_import

log = structlog.get_logger()

RECONNECT_SECONDS = 1.0
LISTENER_CHECK_SECONDS = 15.0
HAND_BACK_SECONDS = 2.0
# Errors whose text for the job's owner says all there is to know.
_EXPECTED = (RunFailed, ConnectraError, grpc.aio.AioRpcError)


class WorkerPool:
    """A pool of workers.

    Args:
        pool: which jobs it takes.
        workers: how many it runs at once.
        drain_seconds: how long it may go on after the stop.
    """

    def __init__(
        self,
        pool: Pool,
        workers: int,
        deps: Deps,
        settings: JobsSettings,
        drain_seconds: float = 10,
    ) -> None:
        self._pool, self._workers, self._deps = pool, workers, deps
        self._settings, self._drain_seconds = settings, drain_seconds
        # New at each start: no process comes back under the name of one that is gone.
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._types = [settings.job_type] if settings.job_type in JOB_TYPES else None
        self._wake = asyncio.Event()
        self._attempts: dict[asyncio.Task[None], Attempt] = {}
        self._follower = Follower(deps)

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until the event is set, then hands back what it holds."""
        log.info("pool started", lane=self._pool.name, workers=self._workers, worker=self.worker, types=self._types)
        rest = min(self._settings.lease_seconds / 2, self._settings.ticker_interval_minutes * 60)
        loops = (
            every(rest, self._sweep, "take back expired leases", at_start=True),
            every(RECONNECT_SECONDS, self._listen, "listen for new jobs", at_start=True),
            every(leftovers.INTERVAL_SECONDS, lambda: leftovers.sweep(self._deps), "remove leftovers", at_start=True),
            every(rest, lambda: reports.finish(self._deps), "report imports that ended alone", at_start=True),
            self._follower.run,
        )
        helpers = [asyncio.create_task(loop(stopping)) for loop in loops]
        try:
            while not stopping.is_set():
                self._wake.clear()
                await first_of(self._wake, stopping, seconds=await self._fill())
        finally:
            for task in helpers:
                task.cancel()
            await self._hand_back_all()
            await asyncio.gather(*helpers, return_exceptions=True)
        log.info("pool stopped", lane=self._pool.name, worker=self.worker)

    async def _fill(self) -> float:
        """Claims as many jobs as workers are free. Returns the seconds after which to look again, woken or not."""
        free = self._workers - len(self._attempts)
        wait = self._settings.ticker_interval_minutes * 60
        if free <= 0:
            return wait
        try:
            async with self._deps.database.transaction() as connection:
                claims = await JobRepository(connection).claim(
                    self._pool,
                    self.worker,
                    free=free,
                    queue_size=self._settings.job_in_queue_size,
                    types=self._types,
                    lease_seconds=self._settings.lease_seconds,
                )
            for claim in claims:
                self._launch(claim)
            if self._pool is RETRY and not claims:
                async with self._deps.database.connection() as connection:
                    due = await JobRepository(connection).next_retry()
                wait = wait if due is None else min(wait, max(due, 0) + 0.05)
        except Exception as error:  # noqa: BLE001 - the database is away; the pool outlives that
            log.warning("claim failed", **explain(error))
            return RECONNECT_SECONDS
        return wait

    def _launch(self, claim: Claim) -> None:
        attempt = Attempt(claim, self._deps.database, self._settings)
        task = asyncio.create_task(self._work(attempt), name=f"job {claim.job.uuid}")
        self._attempts[task] = attempt
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._attempts.pop(task, None)
        self._wake.set()
        self._follower.wake()
        if not task.cancelled() and (error := task.exception()):
            log.error("worker broke; the lease will run out", exc_info=error)

    async def _work(self, attempt: Attempt) -> None:
        job = attempt.job
        # The job's uuid is also its request id: it finds the log lines of the services that an attempt calls.
        named = structlog.contextvars.bound_contextvars(job=job.uuid, job_type=job.job_type)
        with bound(Call(request_id=job.uuid)), named, telemetry.trace(f"job {job.job_type}", job=job.uuid):
            try:
                await attempt.persist(attempt.start)
                log.info("run started", attempt=attempt.number, worker=self.worker)
                async with attempt.beating():
                    await self._run_to_end(attempt)
            except LeaseLost:
                log.warning("lease lost; the job belongs to another")
            except (HandBack, asyncio.CancelledError):
                if isinstance(attempt.stop_reason, LeaseLost):
                    log.warning("lease lost; the job belongs to another")
                else:
                    await self._hand_back(attempt)

    async def _run_to_end(self, attempt: Attempt) -> None:
        """Runs the job and stores how it ended; while that cannot be stored, the lease is kept."""
        errors = attempt.job.job_response.get("runtime_errors")
        kept: JsonObject = {"runtime_errors": errors} if errors else {}
        end: Callable[[], Awaitable[bool]]
        try:
            response = kept | await self._execute(attempt)
            end = lambda: attempt.complete(response)  # noqa: E731
            log.info("run completed", **{k: v for k, v in response.items() if k in ("rows", "bytes", "seconds")})
        except Cancelled:
            response = {**attempt.job.job_response, **attempt.known}
            response["messages"] = sentences(CANCELLED, attempt.known.get("messages"))
            end = lambda: attempt.fail(CANCELLED, response, cancelled=True)  # noqa: E731
            log.info("run cancelled")
        except (HandBack, LeaseLost):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the job failed by it
            text = describe(error)
            log.warning("run failed", **({"error": text} if isinstance(error, _EXPECTED) else explain(error)))
            final = isinstance(error, JobFailed)
            response = add_error(attempt.job.job_response, text) | attempt.known
            end = lambda: attempt.fail(text, response, final=final)  # noqa: E731
        if not await attempt.persist(end):
            log.warning("lease lost; the result is dropped")

    async def _execute(self, attempt: Attempt) -> JsonObject:
        data = read_data(attempt.job.job_type, attempt.job.data, self._deps.places)
        if isinstance(data, ImportData):
            return await run_import(attempt, data, self._deps)
        return await run_export(attempt, data, self._deps)

    async def _hand_back_all(self) -> None:
        """Asks every attempt to stop at its next checkpoint. One that does not get there in time is cut off, which is as safe."""
        tasks = list(self._attempts)
        for attempt in self._attempts.values():
            attempt.stop(HandBack())
        if not tasks:
            return
        log.info("handing back", jobs=len(tasks))
        _, late = await asyncio.wait(tasks, timeout=max(self._drain_seconds - 2 * HAND_BACK_SECONDS, 0.1))
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _hand_back(self, attempt: Attempt) -> None:
        try:
            async with asyncio.timeout(HAND_BACK_SECONDS):
                released = await attempt.hand_back()
            log.info("job handed back" if released else "lease lost; the job belongs to another")
        except Exception as error:  # noqa: BLE001 - the lease will run out
            log.warning("could not hand back", **explain(error))

    async def _sweep(self) -> None:
        """Takes expired leases back. After an outage of the database live workers first get time to renew theirs."""
        try:
            async with self._deps.database.transaction() as connection:
                for item in await JobRepository(connection).sweep():
                    ATTEMPTS.labels(item.job.job_type, "lost").inc()
                    log.warning("lease expired", job=item.job.uuid, status=item.job.status, worker=item.worker)
        except Exception:
            await asyncio.sleep(self._settings.lease_seconds)
            raise

    async def _listen(self) -> None:
        """Wakes the pool on NOTIFY, until the connection breaks."""
        async with self._deps.database.listener(CHANNEL, self._wake.set) as connection:
            broken = asyncio.Event()
            connection.add_termination_listener(lambda _: broken.set())
            self._wake.set()  # for what came while nobody listened
            while not await first_of(broken, seconds=LISTENER_CHECK_SECONDS):
                await connection.execute("SELECT 1", timeout=5)  # notices a peer that is gone without a word
        self._wake.set()
        raise asyncpg.InterfaceError("the listening connection is gone")
