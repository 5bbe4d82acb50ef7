"""Objects that jobs write, on the real object store."""

import hashlib
import random
from collections.abc import AsyncIterator

import asyncpg
import pytest
from connectra_common.db.database import Database
from connectra_common.settings import PostgresSettings
from connectra_jobs.repository import JobRepository
from connectra_jobs.settings import JobsSettings
from connectra_jobs.states import FIRST_TIME
from connectra_jobs.worker import objects
from connectra_jobs.worker.attempt import Attempt
from pydantic import SecretStr

from tests.support.jobs import stored_job
from tests.support.s3 import Bucket

MIB = 1024**2


@pytest.fixture
async def attempt(database: asyncpg.Connection, empty_database: str) -> AsyncIterator[Attempt]:
    """A run of a job that has begun."""
    await stored_job(database, "open")
    async with Database.open(PostgresSettings(connection=SecretStr(empty_database)), "test") as opened:
        async with opened.transaction() as connection:
            (claim,) = await JobRepository(connection).claim(
                FIRST_TIME, "test", free=1, queue_size=1, types=None, lease_seconds=60
            )
        begun = Attempt(claim, opened, JobsSettings())
        await begun.start()
        yield begun


async def test_parts_grow_and_the_larger_ones_are_not_kept_in_memory(
    attempt: Attempt, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PARTS_OF_A_SIZE", 1)
    monkeypatch.setattr(objects, "MEMORY_BYTES", 8 * MIB)
    store, key = bucket.store, bucket.settings.key("grown.csv")
    data = random.Random(7).randbytes(41 * MIB + 17)
    async with objects.Upload(attempt, store, bucket.name, key, "text/csv") as upload:
        for begin in range(0, len(data), 3 * MIB + 1):
            await upload.write(data[begin : begin + 3 * MIB + 1])
        await upload.complete()
    head = await store.head_object(Bucket=bucket.name, Key=key)
    assert head["ETag"].strip('"').endswith("-3")  # 8, 16 and 17 MiB
    got = await store.get_object(Bucket=bucket.name, Key=key, Range=f"bytes=0-{len(data)}", IfMatch="*")
    assert hashlib.sha256(await got["Body"].read()).digest() == hashlib.sha256(data).digest()
