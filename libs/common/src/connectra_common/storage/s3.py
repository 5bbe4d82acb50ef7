"""The object store: S3 or anything that speaks its protocol."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aioboto3
from botocore.config import Config

from connectra_common.settings import S3Settings

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 60


@asynccontextmanager
async def client(settings: S3Settings) -> AsyncIterator[Any]:
    """An S3 client (aioboto3); make one a process and keep it: each has its own connections."""
    session = aioboto3.Session(
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key.get_secret_value(),
        region_name=settings.region,
    )
    config = Config(
        signature_version="s3v4",
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 4},
        max_pool_connections=32,
        # Buckets in the path: what S3-compatible stores understand without wildcard names.
        s3={"addressing_style": "path" if settings.endpoint else "auto"},
    )
    # None is the authorities this system trusts.
    verify = str(settings.ssl_ca_file) if settings.ssl_ca_file else None
    async with session.client("s3", endpoint_url=settings.endpoint_url, config=config, verify=verify) as s3:
        yield s3


async def ping(s3: Any, settings: S3Settings) -> None:
    """Raises when the bucket cannot be reached."""
    await s3.head_bucket(Bucket=settings.bucket)


async def presigned_put(s3: Any, settings: S3Settings, key: str) -> str:
    """A URL that takes one object by PUT, for `upload_url_ttl_hours`."""
    return str(
        await s3.generate_presigned_url(
            "put_object", Params={"Bucket": settings.bucket, "Key": key}, ExpiresIn=settings.upload_url_ttl_hours * 3600
        )
    )
