"""Runners that are stopped or killed in the middle of an import: the job still ends as if nothing had happened."""

import os
import signal

import asyncpg
import httpx
import pytest

from tests.support.jobs import create_job, ended, upload
from tests.support.stack import Stack
from tests.support.wait import until
from tests.support.words import word

ROWS = 20_000


@pytest.mark.parametrize(("number", "outcome"), [(signal.SIGTERM, "handed_back"), (signal.SIGKILL, "lost")])
async def test_an_import_goes_on_where_its_worker_ended(
    stack: Stack, api: httpx.AsyncClient, number: signal.Signals, outcome: str
) -> None:
    tag = word()
    lines = (f"{tag} {n},{n}@{tag}.example\n" for n in range(ROWS))
    data = ("first_name,email\n" + "".join(lines)).encode()
    pid = stack.parts()["first_time"]["pid"]
    uuid = (await create_job(api, "insert_csv_file", {"s3_key": await upload(api, data)}))["uuid"]

    database = await asyncpg.connect(stack.postgres)
    try:
        applied = "SELECT count(*) FROM import_batches WHERE job_uuid = $1"
        await until(lambda: database.fetchval(applied, uuid), pause=0.01)
        os.kill(pid, number)

        job = await ended(api, uuid, seconds=120)
        assert job["status"] == "completed", job["job_response"]
        counts = {name: job["job_response"][name] for name in ("rows", "created", "updated", "unchanged", "rejected")}
        assert counts == {"rows": ROWS, "created": ROWS, "updated": 0, "unchanged": 0, "rejected": 0}
        assert await database.fetchval("SELECT count(*) FROM contacts WHERE email LIKE $1", f"%@{tag}.example") == ROWS
        runs = await database.fetch("SELECT outcome FROM job_attempts WHERE job_uuid = $1 ORDER BY attempt", uuid)
        assert [run["outcome"] for run in runs] == [outcome, "completed"]
        assert job["attempts"] == (1 if outcome == "handed_back" else 2)
    finally:
        await database.close()
