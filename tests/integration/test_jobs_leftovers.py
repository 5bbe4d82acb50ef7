"""Multipart uploads that killed workers left unfinished."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
from connectra_common.db.database import Database
from connectra_common.settings import PostgresSettings
from connectra_common.storage import s3
from connectra_jobs.places import Places
from connectra_jobs.worker import leftovers
from connectra_jobs.worker.deps import Deps
from pydantic import SecretStr

from tests.support.jobs import stored_job
from tests.support.s3 import Bucket


@pytest.fixture
async def deps(bucket: Bucket, database: asyncpg.Connection, empty_database: str) -> AsyncIterator[Deps]:
    """What a worker is given, on a database and a key prefix of the test's own."""
    postgres = PostgresSettings(connection=SecretStr(empty_database))
    async with Database.open(postgres, "test") as opened:
        yield Deps(opened, bucket.store, bucket.settings, None, None, Places(bucket.name))  # type: ignore[arg-type]


async def uploads(deps: Deps) -> set[str]:
    bucket, prefix = deps.s3_settings.bucket, deps.s3_settings.key("")
    return {upload["Key"] async for upload in s3.list_uploads(deps.s3, bucket, prefix)}


async def test_only_uploads_of_jobs_that_nobody_holds_are_removed(deps: Deps, database: asyncpg.Connection) -> None:
    states = ("open", "failed", "completed", "processing", "retrying")
    keys = {status: deps.s3_settings.key(f"{await stored_job(database, status)}.csv") for status in states}
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
    await stored_job(database, "open", s3_bucket="no-such-bucket")
    assert await leftovers.sweep(deps) == 0
