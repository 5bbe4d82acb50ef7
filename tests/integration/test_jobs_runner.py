"""Runners that are stopped and killed in the middle of an import: the job ends as if nothing had happened."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

ROWS = 20_000


@pytest.mark.parametrize(("number", "outcome"), [(signal.SIGTERM, "handed_back"), (signal.SIGKILL, "lost")])
async def test_an_import_goes_on_where_its_worker_ended(
    stack: Any, api: httpx.AsyncClient, finished: Callable[..., Any], number: signal.Signals, outcome: str
) -> None:
    tag = uuid4().hex
    lines = (f"{tag} {n},{n}@{tag}.example\n" for n in range(ROWS))
    data = ("first_name,email\n" + "".join(lines)).encode()
    upload = (await api.get("/common/upload-url", params={"filename": "large.csv"})).json()
    async with httpx.AsyncClient(trust_env=False) as store:
        (await store.put(upload["upload_url"], content=data)).raise_for_status()
    body = {"job_type": "insert_csv_file", "job_data": {"s3_key": upload["s3_key"]}}
    uuid = (await api.post("/common/jobs/create", json=body)).json()["data"]["uuid"]

    database = await asyncpg.connect(stack.postgres)
    try:
        async with asyncio.timeout(60):
            # The condition is in another process.
            while not await database.fetchval("SELECT count(*) FROM import_batches WHERE job_uuid = $1", uuid):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        os.kill(stack.parts()["first_time"]["pid"], number)

        ended = await finished(uuid, 120)
        assert ended["status"] == "completed", ended["job_response"]
        counts = {name: ended["job_response"][name] for name in ("rows", "created", "updated", "unchanged", "rejected")}
        assert counts == {"rows": ROWS, "created": ROWS, "updated": 0, "unchanged": 0, "rejected": 0}
        assert await database.fetchval("SELECT count(*) FROM contacts WHERE email LIKE $1", f"%@{tag}.example") == ROWS
        runs = await database.fetch("SELECT outcome FROM job_attempts WHERE job_uuid = $1 ORDER BY attempt", uuid)
        assert [run["outcome"] for run in runs] == [outcome, "completed"]
        assert ended["attempts"] == (1 if outcome == "handed_back" else 2)
    finally:
        await database.close()
