"""The object store of a stack, below a prefix of the test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

from connectra_common.settings import S3Settings
from connectra_common.storage import s3
from connectra_common.storage.s3 import ObjectStore
from pydantic import SecretStr

from tests.support.stack import Stack


@dataclass(frozen=True)
class Bucket:
    """A client, and the settings with the prefix."""

    store: ObjectStore
    settings: S3Settings

    @property
    def name(self) -> str:
        return self.settings.bucket

    async def keys(self) -> set[str]:
        """Keys of the objects below the prefix, without it."""
        prefix = self.settings.key("")
        return {key.removeprefix(prefix) async for key, _ in s3.list_objects(self.store, self.name, prefix)}


@asynccontextmanager
async def bucket_of(stack: Stack) -> AsyncIterator[Bucket]:
    """The stack's bucket."""
    settings = S3Settings(
        access_key=stack.s3.access_key,
        secret_key=SecretStr(stack.s3.secret_key),
        bucket=stack.s3.bucket,
        endpoint=urlsplit(stack.s3.endpoint).netloc,
        ssl=False,
        upload_prefix=f"test-{uuid4().hex}",
    )
    async with s3.client(settings) as store:
        yield Bucket(store, settings)
