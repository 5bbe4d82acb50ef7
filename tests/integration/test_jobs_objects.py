"""Objects that jobs read and write, on the real object store."""

import gzip
import hashlib
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from connectra_common.db.database import Database
from connectra_common.settings import PostgresSettings
from connectra_common.storage.s3 import ObjectStore
from connectra_jobs.repository import JobRepository
from connectra_jobs.settings import JobsSettings
from connectra_jobs.states import FIRST_TIME
from connectra_jobs.worker import content, objects
from connectra_jobs.worker.attempt import Attempt
from connectra_jobs.worker.content import UnreadableFile, open_content
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


class WithoutChecksums:
    """The store as one that knows no checksums of parts, as many do not."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def create_multipart_upload(self, **asked: Any) -> Any:
        del asked["ChecksumAlgorithm"]
        return await self._store.create_multipart_upload(**asked)

    async def upload_part(self, **asked: Any) -> dict[str, Any]:
        answer = await self._store.upload_part(**asked)
        return {name: value for name, value in answer.items() if not name.startswith("Checksum")}


async def test_a_store_need_not_give_checksums_back(attempt: Attempt, bucket: Bucket) -> None:
    key = bucket.settings.key("unchecked.csv")
    store: Any = WithoutChecksums(bucket.store)
    async with objects.Upload(attempt, store, bucket.name, key, "text/csv") as upload:
        await upload.write(b"x" * (9 * MIB))
        await upload.complete()
    assert (await bucket.store.head_object(Bucket=bucket.name, Key=key))["ContentLength"] == 9 * MIB


async def test_a_gzip_file_that_no_table_makes_is_not_unpacked_to_its_end(
    attempt: Attempt, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "ANY_RATIO_BYTES", 8 * MIB)
    key = bucket.settings.key("bomb.csv.gz")

    async def unpacked(text: bytes) -> int:
        packed = gzip.compress(text)
        await bucket.store.put_object(Bucket=bucket.name, Key=key, Body=packed, ContentType="text/csv")
        source = await objects.find(attempt, bucket.store, bucket.name, key)
        return sum([len(piece) async for piece in (await open_content(attempt, bucket.store, source)).read(0)])

    people = b"first_name,email\n" + b"ann,ann@x.example\n" * (MIB // 2)
    assert await unpacked(people[: 8 * MIB]) == 8 * MIB
    with pytest.raises(UnreadableFile, match="more than 200 times its size"):
        await unpacked(people)
    varied = b"".join(b"%d,%d@x.example\n" % (n, n) for n in range(MIB // 2))
    assert await unpacked(varied) == len(varied) > 8 * MIB
