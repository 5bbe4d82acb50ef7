"""The object store: S3 or anything that speaks its protocol."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import IO, Any, Protocol, TypeAlias

import aioboto3
import structlog
from botocore.config import Config
from botocore.exceptions import ClientError
from prometheus_client import Counter

from connectra_common.settings import S3Settings

log = structlog.get_logger()

REQUESTS = Counter("connectra_s3_requests_total", "Requests, by operation and HTTP status.", ["operation", "status"])
BYTES = Counter("connectra_s3_bytes_total", "Bytes of objects, `in` from the store and `out` to it.", ["direction"])

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 60


Reply: TypeAlias = Mapping[str, Any]


class ObjectStore(Protocol):
    """The part of an S3 client that Connectra uses. Names and members of replies are those of the S3 API.

    Raises:
        botocore.exceptions.ClientError: from any method; the store refused.
        botocore.exceptions.BotoCoreError: from any method; the store was not reached, or its reply is not to be trusted.
    """

    async def head_bucket(self, *, Bucket: str) -> Reply: ...

    async def head_object(self, *, Bucket: str, Key: str) -> Reply: ...

    async def get_object(self, *, Bucket: str, Key: str, Range: str, IfMatch: str) -> Reply: ...

    async def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> Reply: ...

    async def delete_object(self, *, Bucket: str, Key: str) -> Reply: ...

    async def list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = ...) -> Reply: ...

    async def list_multipart_uploads(
        self, *, Bucket: str, Prefix: str, KeyMarker: str = ..., UploadIdMarker: str = ...
    ) -> Reply: ...

    async def create_multipart_upload(
        self, *, Bucket: str, Key: str, ContentType: str = ..., ChecksumAlgorithm: str = ...
    ) -> Reply: ...

    async def upload_part(
        self, *, Bucket: str, Key: str, UploadId: str, PartNumber: int, Body: IO[bytes], ChecksumAlgorithm: str
    ) -> Reply: ...

    async def list_parts(self, *, Bucket: str, Key: str, UploadId: str, PartNumberMarker: int = ...) -> Reply: ...

    async def complete_multipart_upload(
        self, *, Bucket: str, Key: str, UploadId: str, MultipartUpload: Mapping[str, object]
    ) -> Reply: ...

    async def abort_multipart_upload(self, *, Bucket: str, Key: str, UploadId: str) -> Reply: ...

    async def generate_presigned_url(
        self, ClientMethod: str, *, Params: Mapping[str, object], ExpiresIn: int
    ) -> str: ...


@asynccontextmanager
async def client(settings: S3Settings) -> AsyncIterator[ObjectStore]:
    """An S3 client (aioboto3); make one per process and keep it: each has its own connections."""
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
        # Buckets in the path, which S3-compatible stores support without wildcard DNS names.
        s3={"addressing_style": "path" if settings.endpoint else "auto"},
    )
    # None means the authorities the system trusts.
    verify = str(settings.ssl_ca_file) if settings.ssl_ca_file else None
    async with session.client("s3", endpoint_url=settings.endpoint_url, config=config, verify=verify) as s3:
        s3.meta.events.register("after-call.s3", _count)
        s3.meta.events.register("after-call-error.s3", _count_error)
        if settings.debug:
            s3.meta.events.register("before-call.s3", _begin_with_path if settings.debug == "values" else _begin)
            s3.meta.events.register("after-call.s3", _log)
            s3.meta.events.register("after-call-error.s3", _log_error)
        yield s3


def code_of(error: ClientError) -> str:
    """The store's code of an error, such as `NoSuchUpload`."""
    return str(error.response.get("Error", {}).get("Code"))


async def size_of(s3: ObjectStore, bucket: str, key: str) -> int | None:
    """Bytes of an object; None: there is none."""
    try:
        return int((await s3.head_object(Bucket=bucket, Key=key))["ContentLength"])
    except ClientError as error:
        if code_of(error) in ("404", "NoSuchKey"):
            return None
        raise


async def list_uploads(s3: ObjectStore, bucket: str, prefix: str) -> AsyncIterator[Reply]:
    """Unfinished uploads in parts below a prefix."""
    marker: dict[str, str] = {}
    while True:
        page = await s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix, **marker)
        for upload in page.get("Uploads", ()):
            yield upload
        if not page.get("IsTruncated"):
            return
        marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


async def list_parts(s3: ObjectStore, bucket: str, key: str, upload_id: str) -> AsyncIterator[Reply]:
    """The parts of an unfinished upload, in order."""
    marker: dict[str, int] = {}
    while True:
        page = await s3.list_parts(Bucket=bucket, Key=key, UploadId=upload_id, **marker)
        for part in page.get("Parts", ()):
            yield part
        if not page.get("IsTruncated"):
            return
        marker = {"PartNumberMarker": int(page["NextPartNumberMarker"])}


async def abort_upload(s3: ObjectStore, bucket: str, key: str, upload_id: str) -> None:
    """Removes an upload and its parts; one that is gone already is fine."""
    try:
        await s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
    except ClientError as error:
        if code_of(error) not in ("NoSuchUpload", "404"):
            raise


async def list_objects(s3: ObjectStore, bucket: str, prefix: str) -> AsyncIterator[tuple[str, int]]:
    """Key and size of each object below a prefix."""
    more: dict[str, str] = {}
    while True:
        page = await s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)
        for found in page.get("Contents", ()):
            yield found["Key"], found["Size"]
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def _count(model: Any, http_response: Any, **_: Any) -> None:
    REQUESTS.labels(model.name, http_response.status_code).inc()


def _count_error(event_name: str, **_: Any) -> None:
    REQUESTS.labels(event_name.rpartition(".")[2], "error").inc()


def _begin(context: Any, **_: Any) -> None:
    context["connectra_began"] = time.monotonic()


def _begin_with_path(params: Any, context: Any, **_: Any) -> None:
    _begin(context)
    context["connectra_logged"] = {"path": params["url_path"]}


def _log(model: Any, http_response: Any, context: Any, **_: Any) -> None:
    log.info("s3", operation=model.name, status=http_response.status_code, **_told(context))


def _log_error(event_name: str, exception: Exception, context: Any, **_: Any) -> None:
    log.info("s3", operation=event_name.rpartition(".")[2], error=repr(exception), **_told(context))


def _told(context: Any) -> dict[str, Any]:
    began: float = context["connectra_began"]
    return {"ms": round(1000 * (time.monotonic() - began), 2), **context.get("connectra_logged", {})}


async def ping(s3: ObjectStore, settings: S3Settings) -> None:
    """Raises when the bucket cannot be reached."""
    await s3.head_bucket(Bucket=settings.bucket)


async def presigned_put(s3: ObjectStore, settings: S3Settings, key: str) -> str:
    """A URL that accepts one object by PUT, for `upload_url_ttl_hours`."""
    return await s3.generate_presigned_url(
        "put_object", Params={"Bucket": settings.bucket, "Key": key}, ExpiresIn=settings.upload_url_ttl_hours * 3600
    )
