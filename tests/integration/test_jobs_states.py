"""Any order of claims, runs, deaths, sweeps, cancellations and retries, against a model of who holds a job."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import pytest
from connectra_common.db import database as db
from connectra_common.db.database import Database
from connectra_common.settings import PostgresSettings
from connectra_jobs.models import NewJob
from connectra_jobs.repository import Claim, JobRepository
from connectra_jobs.states import FIRST_TIME, MAX_LOST_RUNS, POOLS, RUNNING, Pool, source_of
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import SecretStr

from tests.support.postgres import migrated, new_database, plain_engine
from tests.support.stack import Stack

T = TypeVar("T")


@dataclass
class Held:
    """A claim that a worker once got and may have lost since."""

    claim: Claim
    attempt: int | None = None


@dataclass
class Model:
    """What is expected of a job."""

    uuid: str
    retry_count: int
    status: str = "open"
    holder: Held | None = None
    expired: bool = False
    cancel_requested: bool = False
    # None, later, or now: when it may be retried.
    due: str | None = None
    attempts: int = 0
    done: int = 0
    # Workers lost in a row, and how far the job was by the last of them.
    lost: int = 0
    lost_at: int = 0
    outcomes: list[str | None] = field(default_factory=list)

    @property
    def failures(self) -> int:
        return self.outcomes.count("failed")

    def claimable(self, pool: Pool) -> bool:
        if self.cancel_requested or self.status != pool.source:
            return False
        return pool is FIRST_TIME or self.due == "now"

    def let_go(self, status: str, outcome: str | None = None, due: str | None = None) -> None:
        self.status, self.holder, self.expired, self.due = status, None, False, due
        if outcome:
            self.outcomes[-1] = outcome

    def fail(self, final: bool = False) -> None:
        retried = self.failures + 1 <= self.retry_count and not (final or self.cancel_requested)
        self.let_go("failed", "failed", "later" if retried else None)
        self.lost = 0


class Jobs(RuleBasedStateMachine):
    """Drives the repository as runners, the sweep and users do."""

    loop: asyncio.Runner
    database: Database
    url: str

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Model] = []
        self.held: list[Held] = []

    @initialize()
    def empty(self) -> None:
        self.execute("TRUNCATE jobs CASCADE")

    @rule(retry_count=st.integers(0, 2))
    def add(self, retry_count: int) -> None:
        job = self.call("insert", str(uuid4()), NewJob("insert_csv_file", {"s3_key": "a"}, retry_count))
        self.jobs.append(Model(job.uuid, retry_count))

    @rule(pool=st.sampled_from(list(POOLS.values())), free=st.integers(1, 3), queue_size=st.integers(1, 4))
    def claim(self, pool: Pool, free: int, queue_size: int) -> None:
        holding = sum(job.holder is not None for job in self.jobs)
        wanted = [job for job in self.jobs if job.claimable(pool)][: max(0, min(free, queue_size - holding))]
        worker = uuid4().hex
        claims = self.call("claim", pool, worker, free=free, queue_size=queue_size, types=None, lease_seconds=600)
        assert [claim.job.uuid for claim in claims] == [job.uuid for job in wanted]
        for claim, job in zip(claims, wanted, strict=True):
            job.holder, job.status = Held(claim), pool.queued
            self.held.append(job.holder)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        held, job = self.some_worker(data)
        attempt = self.call("start", held.claim, 600)
        if job.holder is not held:
            assert attempt is None
        elif held.attempt:  # asked again, because the answer was lost
            assert attempt == held.attempt
        else:
            held.attempt, job.status, job.expired = attempt, held.claim.pool.running, False
            job.attempts += 1
            job.outcomes.append(None)
            assert attempt == len(job.outcomes)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), done=st.integers(0, 3))
    def renew(self, data: st.DataObject, done: int) -> None:
        held, job = self.some_worker(data)
        answer = self.call("renew", held.claim, {"bytes": done}, 600)
        running = job.holder is held and job.status in RUNNING
        assert answer is (job.cancel_requested if running else None)
        if running:
            job.expired, job.done = False, done

    @precondition(lambda self: any(held.attempt for held in self.held))
    @rule(data=st.data(), end=st.sampled_from(["complete", "fail", "fail for good", "cancelled"]))
    def end(self, data: st.DataObject, end: str) -> None:
        held, job = self.some_worker(data, started=True)
        if end == "complete":
            done = self.call("complete", held.claim, held.attempt, {"rows": 1}, {})
        else:
            options = {"cancelled": end == "cancelled", "final": end == "fail for good"}
            done = self.call("fail", held.claim, held.attempt, "no", {}, {}, **options)
        assert done == (job.holder is held)
        if done and end == "complete":
            job.let_go("completed", "completed")
        elif done and end == "cancelled":
            job.let_go("failed", "cancelled")
        elif done:
            job.fail(final=end == "fail for good")
        if done:
            job.done = 0

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def hand_back(self, data: st.DataObject) -> None:
        held, job = self.some_worker(data)
        done = self.call("hand_back", held.claim, held.attempt, None)
        assert done == (job.holder is held)
        if done and job.cancel_requested:
            job.let_go("failed", "cancelled")
        elif done:
            job.attempts -= held.attempt is not None
            source = held.claim.pool.source
            job.let_go(source, "handed_back" if held.attempt else None, "now" if source == "failed" else None)

    @precondition(lambda self: any(job.holder for job in self.jobs))
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from([job for job in self.jobs if job.holder]))
        self.execute("UPDATE jobs SET lease_until = now() - interval '1 s' WHERE uuid = $1", job.uuid)
        job.expired = True

    @rule()
    def sweep(self) -> None:
        expired = [job for job in self.jobs if job.expired]
        assert [item.job.uuid for item in self.call("sweep")] == [job.uuid for job in expired]
        for job in expired:
            source, ran = source_of(job.status), job.status in RUNNING
            job.lost = (0 if job.done > job.lost_at else job.lost) + ran
            job.lost_at = max(job.lost_at, job.done)
            if ran and job.cancel_requested:
                job.let_go("failed", "cancelled")
            elif ran and job.lost > MAX_LOST_RUNS:
                job.fail()
            else:
                job.let_go(source, "lost" if ran else None, "now" if source == "failed" else None)

    @precondition(lambda self: any(job.due == "later" for job in self.jobs))
    @rule()
    def time_passes(self) -> None:
        self.execute("UPDATE jobs SET run_after = now() WHERE run_after IS NOT NULL")
        for job in self.jobs:
            job.due = "now" if job.due else None

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        answer = self.call("cancel", job.uuid)
        if job.status in ("open", "in_queue", "retry_in_queued"):
            job.let_go("failed")
        elif job.status == "failed" and job.due and not job.cancel_requested:
            job.due = None
        elif job.status not in RUNNING:
            assert answer is None
            return
        assert answer.status == job.status
        job.cancel_requested = True

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        answer = self.call("reopen", job.uuid)
        assert (answer is not None) == (job.status == "failed")
        if answer:
            job.let_go("open")
            job.cancel_requested = False

    @invariant()
    def the_table_is_what_was_expected(self) -> None:
        rows = {row["uuid"]: row for row in self.execute("SELECT *, run_after > now() AS later FROM jobs")}
        runs: dict[str, list[str | None]] = {}
        for run in self.execute("SELECT * FROM job_attempts ORDER BY job_uuid, attempt"):
            assert (run["outcome"] is None) == (run["ended_at"] is None)
            runs.setdefault(run["job_uuid"], []).append(run["outcome"])
        assert set(rows) == {job.uuid for job in self.jobs}
        for job in self.jobs:
            row = rows[job.uuid]
            assert (row["status"], row["attempts"], row["cancel_requested"]) == (
                job.status,
                job.attempts,
                job.cancel_requested,
            )
            assert (row["lost_runs"], row["lost_at"]) == (job.lost, job.lost_at)
            if job.cancel_requested and not job.holder:
                assert (job.status, job.due) in (("failed", None), ("completed", None))
            assert row["lease_owner"] == (job.holder.claim.worker if job.holder else None)
            assert {None: None, True: "later", False: "now"}[row["later"]] == job.due
            assert runs.get(job.uuid, []) == job.outcomes

    def some_worker(self, data: st.DataObject, started: bool = False) -> tuple[Held, Model]:
        """Any worker that ever held a job, however long ago, and the job."""
        held = data.draw(st.sampled_from([held for held in self.held if held.attempt or not started]))
        return held, next(job for job in self.jobs if job.uuid == held.claim.job.uuid)

    def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        async def work() -> Any:
            async with self.database.transaction() as connection:
                return await getattr(JobRepository(connection), name)(*arguments, **named)

        return self.run(work())

    def execute(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        async def work() -> list[dict[str, Any]]:
            async with self.database.connection() as connection:
                return [dict(row) for row in await connection.fetch(statement, *parameters)]

        return self.run(work())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(work)


@pytest.fixture
def machine(stack: Stack) -> Iterator[type[Jobs]]:
    """The machine on a database of its own, which no runner of the stack uses."""
    opened = AsyncExitStack()

    async def open_database() -> tuple[str, Database]:
        url = await opened.enter_async_context(new_database(stack.postgres))
        await (await migrated(plain_engine(url))).dispose()
        settings = PostgresSettings(connection=SecretStr(url))
        return url, await opened.enter_async_context(Database.open(settings, "test"))

    with asyncio.Runner() as runner:
        url, database = runner.run(open_database())
        yield type("JobsHere", (Jobs,), {"loop": runner, "database": database, "url": url})
        runner.run(opened.aclose())


def test_whatever_happens_a_job_has_one_holder_and_a_stale_worker_changes_nothing(machine: type[Jobs]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_a_worker_that_is_frozen_in_a_transaction_holds_its_locks_for_a_while_only(
    machine: type[Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "IDLE_TRANSACTION_SECONDS", 1)

    async def claimed_by_another() -> list[str]:
        arguments: dict[str, Any] = {"free": 1, "queue_size": 10, "types": None, "lease_seconds": 1}
        claims: list[Claim] = []
        async with Database.open(PostgresSettings(connection=SecretStr(machine.url)), "frozen") as frozen:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError):  # of a transaction that ended while it slept
                async with frozen.transaction() as asleep, machine.database.transaction() as awake:
                    assert len(await JobRepository(asleep).claim(FIRST_TIME, "frozen", **arguments)) == 1
                    async with asyncio.timeout(10):
                        claims = await JobRepository(awake).claim(FIRST_TIME, "awake", **arguments)
        return [claim.job.uuid for claim in claims]

    async def stored() -> str:
        async with machine.database.transaction() as connection:
            await connection.execute("TRUNCATE jobs CASCADE")
            return (await JobRepository(connection).insert(str(uuid4()), NewJob("insert_csv_file", {}))).uuid

    assert machine.loop.run(stored()) in machine.loop.run(claimed_by_another())
