"""What an import remembers of its file, and what a job says when it has ended, on the running stack."""

import csv
import io
import os
import signal
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.jobs import Job, create_job, download, ended, files_of, import_file, upload
from tests.support.s3 import Bucket
from tests.support.stack import Stack, frozen
from tests.support.wait import until
from tests.support.words import word


def people(tag: str, rows: int, *more: str) -> bytes:
    lines = (f"{tag} {n},{n}@{tag}.example" for n in range(rows))
    return "\n".join(["first_name,email", *lines, *more, ""]).encode()


async def lines_of(api: httpx.AsyncClient, job: Job, kind: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO((await download(api, job, kind)).decode(), newline="")))


async def stored(postgres: asyncpg.Connection, tag: str) -> int:
    count: int = await postgres.fetchval("SELECT count(*) FROM contacts WHERE email LIKE $1", f"%@{tag}.example")
    return count


async def applied(postgres: asyncpg.Connection, uuid: str) -> None:
    statement = "SELECT count(*) FROM import_batches WHERE job_uuid = $1"
    await until(lambda: postgres.fetchval(statement, uuid), pause=0.01)


async def test_a_retry_of_a_file_that_was_replaced_begins_again(
    api: httpx.AsyncClient, postgres: asyncpg.Connection, bucket: Bucket
) -> None:
    # The first one stops after a few batches; the second one has its columns in another order, the third fewer bytes than were read.
    old, new, short = word(), word(), word()
    key = await upload(api, people(old, 6_000, "bad", *(f"{old} {n},{n}@more.{old}.example" for n in range(9_000))))
    job = await create_job(api, "insert_csv_file", {"s3_key": key, "max_rejected": 0})
    failed = await ended(api, job["uuid"])
    assert failed["status"] == "failed"
    assert failed["job_response"]["rejected"] == 1
    assert 6_000 <= failed["job_response"]["created"] < 15_000

    reordered = "".join(["email,first_name\n", *(f"{n}@{new}.example,{new} {n}\n" for n in range(7_000))])
    for tag, data, rows in ((new, reordered.encode(), 7_000), (short, people(short, 2), 2)):
        await bucket.store.put_object(Bucket=bucket.name, Key=key, Body=data, ContentType="text/csv")
        await postgres.execute("UPDATE jobs SET status = 'failed' WHERE uuid = $1 AND status = 'failed'", job["uuid"])
        if tag == short:  # a completed job is not retried; this is what one that failed at its end looks like
            await postgres.execute("ALTER TABLE jobs DISABLE TRIGGER jobs_transition")
            await postgres.execute("UPDATE jobs SET status = 'failed' WHERE uuid = $1", job["uuid"])
            await postgres.execute("ALTER TABLE jobs ENABLE TRIGGER jobs_transition")
        assert (await api.post(f"/common/jobs/{job['uuid']}/retry")).status_code == 200
        done = await ended(api, job["uuid"])
        response = done["job_response"]
        assert done["status"] == "completed", response
        assert (response["rows"], response["created"], response["rejected"]) == (rows, rows, 0)
        assert "had been replaced since an earlier run" in response["messages"]
        assert await stored(postgres, tag) == rows
        assert set(await files_of(api, done)) == {"source"}


@pytest.mark.parametrize("retries", [0, 1])
async def test_a_file_that_is_replaced_while_it_is_read_fails_the_run(
    api: httpx.AsyncClient, postgres: asyncpg.Connection, bucket: Bucket, retries: int
) -> None:
    old, new = word(), word()
    key = await upload(api, people(old, 30_000))
    job = await create_job(api, "insert_csv_file", {"s3_key": key}, retry_count=retries)
    await applied(postgres, job["uuid"])
    await bucket.store.put_object(Bucket=bucket.name, Key=key, Body=people(new, 100), ContentType="text/csv")
    if retries:
        await until(lambda: postgres.fetchval("SELECT run_after FROM jobs WHERE uuid = $1", job["uuid"]))
        await postgres.execute("UPDATE jobs SET run_after = now() WHERE uuid = $1", job["uuid"])
        await postgres.execute("SELECT pg_notify('jobs', '')")
        await until(lambda: postgres.fetchval("SELECT status = 'completed' FROM jobs WHERE uuid = $1", job["uuid"]))
    done = await ended(api, job["uuid"])
    response = done["job_response"]
    assert "was replaced or removed while it was read" in response["runtime_errors"][0]
    if retries:
        assert (done["status"], response["rows"], await stored(postgres, new)) == ("completed", 100, 100)
    else:
        assert done["status"] == "failed"
        assert response["created"] == response["rows"] == await stored(postgres, old) > 0
        assert "rows read" in response["messages"]


@pytest.mark.parametrize(
    "data", [b"", b"first_name,email\nbad\nworse\n", None], ids=["empty", "nothing to store", "missing"]
)
async def test_a_fault_of_the_file_ends_the_job_at_its_first_run(api: httpx.AsyncClient, data: bytes | None) -> None:
    key = f"{word()}.csv" if data is None else await upload(api, data)
    job = await ended(api, (await create_job(api, "insert_csv_file", {"s3_key": key}, retry_count=3))["uuid"])
    assert (job["status"], job["attempts"], job["run_after"]) == ("failed", 1, None)
    if data:
        assert "nothing in the file could be stored: 2 rows" in job["job_response"]["runtime_errors"][0]
        assert "in line 2: " in job["job_response"]["runtime_errors"][0]


async def test_a_file_without_rows_says_so(api: httpx.AsyncClient) -> None:
    response = (await import_file(api, b"first_name,email\n"))["job_response"]
    assert response["messages"] == "Import completed, but without a row. There was no row in the file"
    assert response["searchable"] is True


async def test_an_import_ends_when_it_is_stored_and_is_searchable_later(
    stack: Stack, api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    tag = word()
    query = {
        "where": {"text_matches": {"must": [{"text_value": tag, "filter_key": "first_name", "search_type": "exact"}]}}
    }
    with frozen(stack, "indexer"):
        job = await create_job(api, "insert_csv_file", {"s3_key": await upload(api, people(tag, 10))})

        async def is_stored() -> Any:
            found = (await api.get(f"/common/jobs/{job['uuid']}")).json()["data"]
            return found if found["status"] == "completed" else None

        response = (await until(is_stored))["job_response"]
        assert (response["created"], response["searchable"]) == (10, False)
        assert (await api.post("/contacts/count", json=query)).json()["count"] == 0
    response = (await ended(api, job["uuid"]))["job_response"]
    assert response["searchable"] is True
    assert (await api.post("/contacts/count", json=query)).json()["count"] == 10
    assert await postgres.fetchval("SELECT searchable_after FROM jobs WHERE uuid = $1", job["uuid"]) is None


async def test_an_import_that_is_cancelled_after_a_run_tells_what_it_did(
    stack: Stack, api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    tag = word()
    bad = (f"{tag} =1+1 {n}" for n in range(3))
    data = people(
        tag, 3_000, *(f"={line},x,y,z" for line in bad), *(f"{tag} {n},{n}@b.{tag}.example" for n in range(30_000))
    )
    job = await create_job(api, "insert_csv_file", {"s3_key": await upload(api, data)})
    rejected = "SELECT sum((counts ->> 'rejected')::int) FROM import_batches WHERE job_uuid = $1"
    await until(lambda: postgres.fetchval(rejected, job["uuid"]), pause=0.01)
    assert (await api.post(f"/common/jobs/{job['uuid']}/cancel")).status_code == 200
    os.kill(stack.parts()["first_time"]["pid"], signal.SIGTERM)

    async def reported() -> Job | None:
        found = (await api.get(f"/common/jobs/{job['uuid']}")).json()["data"]
        return dict(found) if "rejected_s3_key" in found["job_response"] else None

    done = await until(reported, seconds=60)
    response = done["job_response"]
    assert (done["status"], done["run_after"], response["rejected"]) == ("failed", None, 3)
    assert response["messages"].startswith("Cancelled by request. ")
    assert response["rows"] == response["created"] + 3
    header, *lines = await lines_of(api, done, "rejected")
    assert header == ["line", "reason", "first_name", "email"]
    # No spreadsheet calculates a cell of a report.
    assert [(line[0], line[2]) for line in lines] == [(str(3_002 + n), f"'={tag} =1+1 {n}") for n in range(3)]


async def test_the_pieces_of_a_report_are_removed_once_it_is_whole(
    api: httpx.AsyncClient, postgres: asyncpg.Connection, bucket: Bucket
) -> None:
    tag = word()
    rows = [row for n in range(3_000) for row in (f"{tag} {n},{n}@{tag}.example", f"bad,{n},x,y")]
    job = await import_file(api, "\n".join(["first_name,email", *rows, ""]).encode())
    _, *lines = await lines_of(api, job, "rejected")
    assert [int(line[0]) for line in lines] == [3 + 2 * n for n in range(3_000)]
    listed = await bucket.store.list_objects_v2(Bucket=bucket.name, Prefix=f"uploads/{job['uuid']}")
    assert [found["Key"] for found in listed["Contents"]] == [job["job_response"]["rejected_s3_key"]]
    # All batches but the last have given their rows away.
    kept = "SELECT count(*) FROM import_batches WHERE job_uuid = $1 AND rejected <> '[]'"
    assert await postgres.fetchval(kept, job["uuid"]) <= 1
