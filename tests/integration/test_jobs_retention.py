"""What is removed when it is old enough, and what never is."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
from connectra_common.db.database import Database
from connectra_common.settings import PostgresSettings
from connectra_common.storage import s3
from connectra_jobs.retention import sweep
from connectra_jobs.retention.sweep import Retention
from connectra_jobs.settings import RetentionSettings
from pydantic import SecretStr

from tests.support.jobs import stored_job
from tests.support.s3 import Bucket

NOTHING = {"jobs": 0, "job_files": 0, "uploads": 0, "unfinished_uploads": 0}


@pytest.fixture
async def opened(database: asyncpg.Connection, empty_database: str) -> AsyncIterator[Database]:
    async with Database.open(PostgresSettings(connection=SecretStr(empty_database)), "test") as connections:
        yield connections


async def put(bucket: Bucket, *names: str) -> None:
    for name in names:
        key = bucket.settings.key(name)
        await bucket.store.put_object(Bucket=bucket.name, Key=key, Body=b"x", ContentType="text/csv")


async def uploaded(
    database: asyncpg.Connection, bucket: Bucket, name: str, days: int, store_id: str | None = None
) -> str:
    """The uuid of an upload that was begun so many days ago."""
    uuid = str(uuid4())
    await database.execute(
        """INSERT INTO uploads (uuid, client, bucket, s3_key, store_id, created_at)
           VALUES ($1, '', $2, $3, $4, now() - make_interval(days => $5))""",
        *(uuid, bucket.name, bucket.settings.key(name), store_id, days),
    )
    return uuid


def retention(opened: Database, bucket: Bucket, **days: int) -> Retention:
    settings = RetentionSettings.model_validate({"job_days": 0, "file_days": 0, "unfinished_upload_days": 0, **days})
    return Retention(opened, bucket.store, bucket.settings, settings)


async def uuids(database: asyncpg.Connection, table: str) -> set[str]:
    return {row[0] for row in await database.fetch(f"SELECT uuid FROM {table}")}


async def test_ended_jobs_go_with_their_runs_and_ledger(
    database: asyncpg.Connection, opened: Database, bucket: Bucket
) -> None:
    jobs = {
        name: await stored_job(database, status, days=days)
        for name, status, days in (
            ("old", "completed", 11),
            ("old failure", "failed", 11),
            ("retried", "failed", 11),
            ("young", "completed", 9),
            ("waiting", "open", 99),
            ("running", "processing", 99),
        )
    }
    await database.execute("UPDATE jobs SET retry_count = 1, run_after = now() WHERE uuid = $1", jobs["retried"])
    for uuid in jobs.values():
        await database.execute("INSERT INTO job_attempts (job_uuid, attempt, worker) VALUES ($1, 1, 'w')", uuid)
        await database.execute(
            """INSERT INTO import_batches (job_uuid, batch_number, byte_start, byte_end, next_line, counts, consistency_token)
               VALUES ($1, 0, 0, 1, 2, '{}', 1)""",
            uuid,
        )
        await database.execute(
            "INSERT INTO import_records VALUES ($1, 0, 'contact', 1, B'1'::bit(512), B'0'::bit(512))", uuid
        )
    assert await retention(opened, bucket).sweep() == NOTHING
    sweeps = [retention(opened, bucket, job_days=10).sweep() for _ in range(3)]
    assert sum(removed["jobs"] for removed in await asyncio.gather(*sweeps)) == 2
    kept = set(jobs.values()) - {jobs["old"], jobs["old failure"]}
    assert await uuids(database, "jobs") == kept
    for table in ("job_attempts", "import_batches", "import_records"):
        assert {row[0] for row in await database.fetch(f"SELECT job_uuid FROM {table}")} == kept


async def test_files_that_a_job_wrote_go_before_the_job(
    database: asyncpg.Connection, opened: Database, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "SLICE", 2)
    old = [await stored_job(database, "completed", days=11) for _ in range(5)]
    young = await stored_job(database, "completed", days=1)
    foreign = await stored_job(database, "completed", days=11, s3_bucket="no-such-bucket")
    gone = [f"{uuid}{kind}" for uuid in old for kind in (".csv", ".rejected.csv", ".rejected.000001.csv")]
    kept = [f"{young}.csv", f"{old[0]}_people.csv", f"{uuid4()}.csv", "notes.txt"]
    await put(bucket, *gone, *kept)
    # A response may name a file that is somebody else's.
    response = json.dumps({"s3_key": bucket.settings.key("notes.txt")})
    await database.execute("UPDATE jobs SET job_response = $2 WHERE uuid = $1", old[0], response)

    assert (await retention(opened, bucket, job_days=10, file_days=12).sweep()) == NOTHING
    removed = await retention(opened, bucket, job_days=30, file_days=10).sweep()
    assert removed == {**NOTHING, "job_files": 6}
    assert await bucket.keys() == set(kept)
    assert await uuids(database, "jobs") == {*old, young, foreign}
    assert await retention(opened, bucket, job_days=30, file_days=10).sweep() == NOTHING
    assert (await retention(opened, bucket, job_days=10, file_days=10).sweep())["jobs"] == 6


async def test_uploaded_files_go_when_no_job_has_read_them_for_long(
    database: asyncpg.Connection, opened: Database, bucket: Bucket
) -> None:
    names = ("old", "read lately", "waited for", "read long ago", "young", "not ours")
    await put(bucket, *names)
    for name in names[:4]:
        await uploaded(database, bucket, name, 15)
    await uploaded(database, bucket, "young", 5)
    await uploaded(database, bucket, "never sent", 15)
    for name, status, days in (
        ("read lately", "failed", 3),
        ("waited for", "open", 15),
        ("read long ago", "failed", 14),
    ):
        await stored_job(database, status, "insert_csv_file", days=days, s3_key=bucket.settings.key(name))

    assert (await retention(opened, bucket, file_days=10).sweep())["uploads"] == 3
    assert await bucket.keys() == {"read lately", "waited for", "young", "not ours"}
    assert len(await uuids(database, "uploads")) == 3


async def test_unfinished_uploads_are_aborted(database: asyncpg.Connection, opened: Database, bucket: Bucket) -> None:
    ids = {}
    for name, days in (("old", 8), ("young", 6), ("not ours", None)):
        key = bucket.settings.key(name)
        ids[name] = (await bucket.store.create_multipart_upload(Bucket=bucket.name, Key=key))["UploadId"]
        if days:
            await uploaded(database, bucket, name, days, ids[name])
    # Complete in the store, and nobody noted it.
    await put(bucket, "complete")
    complete = await uploaded(database, bucket, "complete", 8, "gone")

    assert (await retention(opened, bucket, unfinished_upload_days=7).sweep())["unfinished_uploads"] == 2
    left = {u["UploadId"] async for u in s3.list_uploads(bucket.store, bucket.name, bucket.settings.key(""))}
    assert left == {ids["young"], ids["not ours"]}
    assert await database.fetchval("SELECT completed_at IS NOT NULL FROM uploads WHERE uuid = $1", complete)
    assert await bucket.keys() == {"complete"}
