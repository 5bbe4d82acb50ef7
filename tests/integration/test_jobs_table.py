"""The job table on a real PostgreSQL: who may hold a job, and what a worker that lost it can still do."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import yaml
from connectra_common.db.database import Database
from connectra_common.settings import PostgresSettings
from connectra_jobs.models import Cursor, Job, JobFilter, NewJob
from connectra_jobs.repository import CHANNEL, Claim, JobRepository, add_error
from connectra_jobs.states import FIRST_TIME, MAX_LOST_RUNS, RETRY, Pool
from pydantic import SecretStr

from tests.support.paths import ROOT
from tests.support.postgres import migrated, new_database, plain_engine
from tests.support.stack import Stack


@pytest.fixture(scope="module")
async def database(stack: Stack) -> AsyncIterator[Database]:
    """A migrated database of its own, which no runner of the stack uses."""
    async with new_database(stack.postgres) as url:
        await (await migrated(plain_engine(url))).dispose()
        async with Database.open(PostgresSettings(connection=SecretStr(url)), "test") as opened:
            yield opened


@pytest.fixture
async def table(database: Database) -> "Table":
    """The table, empty."""
    async with database.connection() as connection:
        await connection.execute("TRUNCATE jobs CASCADE")
    return Table(database)


class Table:
    """The repository, each call in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            async with self.database.transaction() as connection:
                return await getattr(JobRepository(connection), name)(*arguments, **named)

        return call

    async def add(self, retry_count: int = 0, job_type: str = "insert_csv_file") -> Job:
        return await self.insert(str(uuid4()), NewJob(job_type, {"s3_key": "a"}, retry_count))  # type: ignore[no-any-return]

    async def take(self, pool: Pool = FIRST_TIME, worker: str = "w", **named: Any) -> list[Claim]:
        options: dict[str, Any] = {"free": 1, "queue_size": 100, "types": None, "lease_seconds": 60} | named
        return await self.claim(pool, worker, **options)  # type: ignore[no-any-return]

    async def running(self, pool: Pool = FIRST_TIME, worker: str = "w") -> tuple[Claim, int]:
        (claim,) = await self.take(pool, worker)
        return claim, await self.start(claim, 60)

    async def execute(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(statement, *parameters)]

    async def let_expire(self) -> None:
        await self.execute("UPDATE jobs SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL")

    async def job(self, uuid: str) -> dict[str, Any]:
        (row,) = await self.execute("SELECT * FROM jobs WHERE uuid = $1", uuid)
        return row | {name: json.loads(row[name]) for name in ("data", "job_response", "progress")}

    async def attempts(self, uuid: str) -> list[tuple[int, str | None, str | None]]:
        rows = await self.execute("SELECT * FROM job_attempts WHERE job_uuid = $1 ORDER BY attempt", uuid)
        return [(row["attempt"], row["outcome"], row["error"]) for row in rows]


async def test_no_job_is_claimed_by_two_however_many_runners_ask(table: Table) -> None:
    added = [(await table.add()).uuid for _ in range(40)]
    free = asyncio.Semaphore(8)

    async def runner(name: str) -> list[str]:
        taken: list[str] = []
        while True:
            async with free:
                claims = await table.take(worker=name, free=3)
            if not claims:
                return taken
            taken += [claim.job.uuid for claim in claims]

    taken = await asyncio.gather(*(runner(f"w{n}") for n in range(6)))
    assert sorted(uuid for uuids in taken for uuid in uuids) == sorted(added)


async def test_the_oldest_come_first_and_only_the_types_asked_for(table: Table) -> None:
    first, export, second = await table.add(), await table.add(job_type="export_csv_file"), await table.add()
    assert [c.job.uuid for c in await table.take(free=5, types=["insert_csv_file"])] == [first.uuid, second.uuid]
    assert [c.job.uuid for c in await table.take(free=5)] == [export.uuid]


async def test_the_queue_limit_holds_over_all_runners(table: Table) -> None:
    for _ in range(10):
        await table.add()
    claims = await asyncio.gather(*(table.take(worker=f"w{n}", free=2, queue_size=3) for n in range(4)))
    assert sum(map(len, claims)) == 3
    assert await table.take(queue_size=3) == []


async def test_a_run_goes_through_the_documented_states(table: Table) -> None:
    uuid = (await table.add()).uuid
    (claim,) = await table.take()
    assert (await table.job(uuid))["status"] == "in_queue"
    attempt = await table.start(claim, 60)
    row = await table.job(uuid)
    assert (row["status"], row["attempts"], row["lease_owner"]) == ("processing", 1, "w")
    assert await table.renew(claim, {"rows": 5}, 60) is False
    assert await table.complete(claim, attempt, {"rows": 9}, {"rows": 9})
    row = await table.job(uuid)
    assert (row["status"], row["job_response"], row["lease_until"]) == ("completed", {"rows": 9}, None)
    assert await table.attempts(uuid) == [(1, "completed", None)]


async def test_a_worker_that_lost_its_lease_changes_nothing(table: Table) -> None:
    uuid = (await table.add()).uuid
    stale, attempt = await table.running(worker="stale")
    await table.let_expire()
    await table.sweep()
    fresh, again = await table.running(worker="fresh")
    before, attempts = await table.job(uuid), await table.attempts(uuid)

    assert await table.renew(stale, {"rows": 1}, 60) is None
    assert not await table.complete(stale, attempt, {"rows": 1}, {})
    assert not await table.fail(stale, attempt, "no", {}, {})
    assert not await table.hand_back(stale, attempt, {})
    assert await table.start(stale, 60) is None
    assert (await table.job(uuid), await table.attempts(uuid)) == (before, attempts)
    assert attempts == [(1, "lost", "the lease of worker stale ran out"), (2, None, None)]
    assert await table.complete(fresh, again, {}, {})


async def test_even_before_it_is_claimed_again(table: Table) -> None:
    await table.add()
    stale, attempt = await table.running()
    await table.let_expire()
    await table.sweep()
    assert await table.renew(stale, {}, 60) is None
    assert not await table.complete(stale, attempt, {}, {})


async def test_the_sweep_leaves_current_leases_alone(table: Table) -> None:
    await table.add()
    await table.running()
    assert await table.sweep() == []


async def test_a_job_that_kills_its_workers_fails_in_the_end(table: Table) -> None:
    uuid = (await table.add()).uuid
    for _ in range(MAX_LOST_RUNS + 1):
        await table.running()
        await table.let_expire()
        await table.sweep()
    row = await table.job(uuid)
    assert row["status"] == "failed"
    assert row["job_response"]["runtime_errors"] == ["given up: 6 workers in a row died while they ran this job"]
    assert await table.take(RETRY) == []


async def test_a_job_that_gets_further_before_each_loss_is_not_given_up(table: Table) -> None:
    uuid = (await table.add()).uuid
    for lost in range(1, 2 * MAX_LOST_RUNS):
        claim, _ = await table.running()
        await table.renew(claim, {"bytes": lost}, 60)
        await table.let_expire()
        await table.sweep()
    assert (await table.job(uuid))["status"] == "open"


async def test_a_start_whose_answer_was_lost_begins_nothing_twice(table: Table) -> None:
    uuid = (await table.add()).uuid
    claim, attempt = await table.running()
    assert await table.start(claim, 60) == attempt
    assert (await table.job(uuid))["attempts"] == 1
    assert await table.attempts(uuid) == [(attempt, None, None)]


@pytest.mark.parametrize("pool", [FIRST_TIME, RETRY], ids=lambda pool: pool.name)
async def test_a_cancelled_job_that_is_handed_back_ends(table: Table, pool: Pool) -> None:
    uuid = (await table.add(retry_count=1)).uuid
    claim, attempt = await table.running()
    if pool is RETRY:
        await table.fail(claim, attempt, "first", {}, {})
        await table.execute("UPDATE jobs SET run_after = now()")
        claim, attempt = await table.running(RETRY)
    await table.cancel(uuid)
    assert await table.hand_back(claim, attempt, {"rows": 7})
    job = await table.get(uuid)
    assert (job.status, job.ended, job.job_response["messages"]) == ("failed", True, "Cancelled by request")
    assert (await table.attempts(uuid))[-1] == (attempt, "cancelled", "Cancelled by request")
    assert await table.take(pool) == []


async def test_a_failure_that_will_be_retried_wakes_the_runners(table: Table) -> None:
    await table.add(retry_count=1)
    claim, attempt = await table.running()
    woken = asyncio.Event()
    async with table.database.listener(CHANNEL, woken.set):
        await table.fail(claim, attempt, "no", {}, {})
        await asyncio.wait_for(woken.wait(), 10)


async def test_a_permanent_fault_is_not_retried_whatever_is_allowed(table: Table) -> None:
    uuid = (await table.add(retry_count=3)).uuid
    claim, attempt = await table.running()
    await table.fail(claim, attempt, "empty", {}, {}, final=True)
    assert (await table.get(uuid)).ended
    assert await table.next_retry() is None


async def test_handing_back_burns_no_attempt(table: Table) -> None:
    uuid = (await table.add()).uuid
    claim, attempt = await table.running()
    assert await table.hand_back(claim, attempt, {"rows": 7})
    row = await table.job(uuid)
    assert (row["status"], row["attempts"], row["progress"]) == ("open", 0, {"rows": 7})
    _, again = await table.running()
    assert again == 2
    assert await table.attempts(uuid) == [(1, "handed_back", None), (2, None, None)]


async def test_retries_come_after_their_time_and_as_many_as_allowed(table: Table) -> None:
    uuid = (await table.add(retry_count=2)).uuid
    claim, attempt = await table.running()
    await table.fail(claim, attempt, "first", add_error({}, "first"), {})
    for retry, seconds in ((1, 30), (2, 60)):
        row = (await table.execute("SELECT extract(epoch FROM run_after - updated_at)::int AS delay FROM jobs"))[0]
        assert row["delay"] == seconds
        assert await table.take(RETRY) == []
        assert 0 < await table.next_retry() <= seconds
        await table.execute("UPDATE jobs SET run_after = now()")
        # A run that was handed back or lost in between does not count as a failure.
        claim, attempt = await table.running(RETRY)
        assert (await table.job(uuid))["status"] == "retrying"
        await table.hand_back(claim, attempt, None)
        await table.running(RETRY)
        await table.let_expire()
        await table.sweep()
        claim, attempt = await table.running(RETRY)
        await table.fail(claim, attempt, f"retry {retry}", add_error(claim.job.job_response, f"retry {retry}"), {})
    row = await table.job(uuid)
    assert (row["status"], row["run_after"]) == ("failed", None)
    assert row["job_response"]["runtime_errors"] == ["first", "retry 1", "retry 2"]
    assert "all 2 retries are used up" in row["job_response"]["messages"]
    assert await table.take(RETRY) == []


async def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_asked(table: Table) -> None:
    waiting, running = (await table.add()).uuid, None
    assert (await table.cancel(waiting)).status == "failed"
    assert await table.take() == []
    assert await table.cancel(waiting) is None

    running = (await table.add(retry_count=3)).uuid
    claim, attempt = await table.running()
    assert (await table.cancel(running)).status == "processing"
    assert await table.renew(claim, {}, 60) is True
    assert await table.fail(claim, attempt, "no", {"messages": "no"}, {}, cancelled=True)
    assert await table.take(RETRY) == []
    assert await table.attempts(running) == [(1, "cancelled", "no")]


async def test_a_failed_job_can_be_opened_again(table: Table) -> None:
    uuid = (await table.add()).uuid
    claim, attempt = await table.running()
    await table.fail(claim, attempt, "no", {}, {})
    assert (await table.reopen(uuid)).status == "open"
    claim, attempt = await table.running()
    assert await table.complete(claim, attempt, {}, {})
    assert await table.reopen(uuid) is None


async def test_autoscaling_counts_the_jobs_that_a_pool_runs_or_could_take(table: Table) -> None:
    scaled = yaml.safe_load_all((ROOT / "deploy/k8s/components/keda/scaled-objects.yaml").read_text())
    queries = {
        item["metadata"]["name"]: item["spec"]["triggers"][0]["metadata"]["query"]
        for item in scaled
        if item["kind"] == "ScaledObject"
    }

    async def counts() -> tuple[int, int]:
        first_time, retry = [(await table.execute(queries[name]))[0]["count"] for name in ("first-time", "retry")]
        return first_time, retry

    assert await counts() == (0, 0)
    await table.add(retry_count=1)
    assert await counts() == (1, 0)
    claim, attempt = await table.running()
    assert await counts() == (1, 0)
    await table.fail(claim, attempt, "first", {}, {})
    assert await counts() == (0, 0)  # its time has not come
    await table.execute("UPDATE jobs SET run_after = now()")
    assert await counts() == (0, 1)
    claim, attempt = await table.running(RETRY)
    assert await counts() == (0, 1)
    await table.fail(claim, attempt, "again", {}, {})
    assert await counts() == (0, 0)  # no retry is left


async def test_lists_are_newest_first_and_filtered(table: Table) -> None:
    uuids = [(await table.add()).uuid for _ in range(3)]
    await table.take()
    assert [job.uuid for job in await table.find(JobFilter())] == uuids[::-1]
    assert [job.uuid for job in await table.find(JobFilter(statuses=("in_queue",)))] == uuids[:1]
    assert [job.uuid for job in await table.find(JobFilter(job_type="export_csv_file"))] == []
    # One row beyond the limit tells that there are more.
    assert [job.uuid for job in await table.find(JobFilter(limit=1))] == uuids[:0:-1]
    newest = (await table.find(JobFilter()))[0]
    following = JobFilter(cursor=Cursor(newest.created_at, newest.id))
    assert [job.uuid for job in await table.find(following)] == uuids[1::-1]
    assert [job.uuid for job in await table.find(JobFilter(skip=2))] == uuids[:1]
    assert [job.uuid for job in await table.find(JobFilter(created_after=newest.created_at))] == uuids[2:]
    assert [job.uuid for job in await table.find(JobFilter(created_before=newest.created_at))] == uuids[1::-1]


@pytest.mark.parametrize("status", ["completed", "processing", "retrying", "retry_in_queued", "nonsense"])
async def test_the_database_refuses_a_transition_that_is_not_declared(table: Table, status: str) -> None:
    await table.add()
    with pytest.raises(asyncpg.PostgresError, match="cannot go from open to"):
        await table.execute("UPDATE jobs SET status = $1, lease_until = now()", status)


async def test_the_database_refuses_a_held_state_without_lease(table: Table) -> None:
    await table.add()
    with pytest.raises(asyncpg.PostgresError, match="lease"):
        await table.execute("UPDATE jobs SET status = 'in_queue'")
