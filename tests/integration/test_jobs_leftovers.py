"""Multipart uploads that killed workers left unfinished."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from connectra_common.db.database import Database
from connectra_common.settings import PostgresSettings, S3Settings
from connectra_common.storage import s3
from connectra_jobs.worker import leftovers
from connectra_jobs.worker.deps import Deps
from pydantic import SecretStr

from tests.support.stack import Stack


@pytest.fixture
async def deps(stack: Stack, database: asyncpg.Connection, empty_database: str) -> AsyncIterator[Deps]:
    """What a worker is given, on a database and a key prefix of the test's own."""
    settings = S3Settings(
        access_key=stack.s3.access_key,
        secret_key=SecretStr(stack.s3.secret_key),
        bucket=stack.s3.bucket,
        endpoint=urlsplit(stack.s3.endpoint).netloc,
        ssl=False,
        upload_prefix=f"test-{uuid4().hex}",
    )
    postgres = PostgresSettings(connection=SecretStr(empty_database))
    async with s3.client(settings) as store, Database.open(postgres, "test") as opened:
        yield Deps(opened, store, settings, None, None)  # type: ignore[arg-type]


async def uploads(deps: Deps) -> set[str]:
    bucket, prefix = deps.s3_settings.bucket, deps.s3_settings.key("")
    return {upload["Key"] async for upload in leftovers.list_uploads(deps.s3, bucket, prefix)}


async def test_only_uploads_of_jobs_that_nobody_holds_are_removed(deps: Deps, database: asyncpg.Connection) -> None:
    kinds = {"open": None, "failed": None, "completed": None, "processing": "1 h", "retrying": "1 h"}
    keys = {}
    for status, lease in kinds.items():
        uuid = str(uuid4())
        await database.execute(
            """INSERT INTO jobs (uuid, job_type, status, lease_until)
               VALUES ($1, 'export_csv_file', $2, now() + $3::text::interval)""",
            *(uuid, status, lease),
        )
        keys[status] = deps.s3_settings.key(f"{uuid}.csv")
    keys["rejected"] = keys["failed"].replace(".csv", ".rejected.csv")
    keys["packed"] = keys["failed"].replace(".csv", ".ndjson.gz")
    keys["another's"] = deps.s3_settings.key(f"{uuid4()}.csv")
    keys["a customer's"] = keys["failed"].replace(".csv", "_people.csv")
    for key in keys.values():
        await deps.s3.create_multipart_upload(Bucket=deps.s3_settings.bucket, Key=key)
    assert await uploads(deps) == set(keys.values())

    assert await leftovers.sweep(deps) == 5
    kept = {name for name, key in keys.items() if key in await uploads(deps)}
    assert kept == {"processing", "retrying", "another's", "a customer's"}
    assert await leftovers.sweep(deps) == 0


async def test_a_bucket_that_is_not_there_stops_nothing(deps: Deps, database: asyncpg.Connection) -> None:
    await database.execute(
        """INSERT INTO jobs (uuid, job_type, data) VALUES ($1, 'export_csv_file', '{"s3_bucket": "no-such-bucket"}')""",
        str(uuid4()),
    )
    assert await leftovers.sweep(deps) == 0
