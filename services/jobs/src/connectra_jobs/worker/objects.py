"""Objects of the store as streams: reading from an offset, writing without knowing the size."""

import asyncio
import contextlib
import io
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import IO, Any, Protocol, TypeVar

import structlog
from botocore.exceptions import ClientError
from connectra_common.storage import s3
from connectra_common.storage.s3 import BYTES, ObjectStore, Reply

from connectra_jobs.worker.attempt import Holder, JobFailed, RunFailed

log = structlog.get_logger()

T = TypeVar("T")

READ_BYTES = 1024 * 1024
PART_BYTES = 8 * 1024 * 1024
# Parts in a row that have the same size; the next ones have twice as much.
PARTS_OF_A_SIZE = 1_000
# Larger parts wait in a temporary file rather than in memory.
MEMORY_BYTES = 32 * 1024 * 1024
# Of S3, as is the greatest number of parts: 10,000.
MAX_OBJECT_BYTES = 5 * 1024**4


class Reading(Protocol):
    """Who reads: repeats a call, which must be safe to repeat, as long as it has patience."""

    async def persist(self, call: Callable[[], Awaitable[T]], /) -> T: ...


@dataclass(frozen=True, slots=True)
class Source:
    """An object as it was when the attempt began."""

    bucket: str
    key: str
    size: int
    etag: str
    version: str | None = None


class SourceReplaced(RunFailed):
    """The object is no longer what the attempt began to read. Another attempt begins with what is there now."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the object '{key}' was replaced or removed while it was read")


async def find(reading: Reading, s3: ObjectStore, bucket: str, key: str, *, denied: bool = False) -> Source:
    """Looks the object up.

    Args:
        reading: who reads.
        s3: the store.
        bucket: where it is.
        key: its name.
        denied: it is another client's.

    Raises:
        JobFailed: there is none, or it may not be read, which nobody is to learn.
    """
    missing = JobFailed(f"there is no object '{key}' in the bucket '{bucket}'")
    try:
        head = await reading.persist(lambda: s3.head_object(Bucket=bucket, Key=key))
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status in (400, 401, 403):
            log.warning("the store refuses an object", bucket=bucket, key=key, status=status)
        if status in (400, 401, 403, 404):
            raise missing from None
        raise
    if denied:
        raise missing
    return Source(bucket, key, head["ContentLength"], head["ETag"], head.get("VersionId"))


async def check_unchanged(attempt: Holder, s3: ObjectStore, source: Source) -> None:
    """A store goes on sending an object that is replaced meanwhile: only a look tells. One that is gone was read all the same.

    Raises:
        SourceReplaced.
    """
    try:
        head = await attempt.persist(lambda: s3.head_object(Bucket=source.bucket, Key=source.key))
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
            return
        raise
    if (head["ETag"], head["ContentLength"]) != (source.etag, source.size):
        raise SourceReplaced(source.key)


async def read(reading: Reading, s3: ObjectStore, source: Source, offset: int) -> AsyncGenerator[bytes]:
    """The bytes from an offset on; a stream that breaks is opened again where it broke.

    Raises:
        SourceReplaced.
    """
    body: Any = None

    async def more() -> bytes:
        nonlocal body
        try:
            if body is None:
                answer = await s3.get_object(
                    Bucket=source.bucket, Key=source.key, Range=f"bytes={offset}-", IfMatch=source.etag
                )
                body = answer["Body"]
            data: bytes = await body.read(READ_BYTES)
            if not data:
                raise ConnectionError("the stream ended early")
            return data
        except BaseException:
            _close(body)
            body = None
            raise

    try:
        while offset < source.size:
            data = await reading.persist(more)
            offset += len(data)
            BYTES.labels("in").inc(len(data))
            yield data
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in (404, 412, 416):
            raise SourceReplaced(source.key) from None
        raise
    finally:
        _close(body)


def part_bytes(number: int) -> int:
    """Size of a part by its number, from 1: S3 takes 10,000 parts, and a file whose size nobody knows yet may have 5 TiB."""
    return PART_BYTES << (number - 1) // PARTS_OF_A_SIZE


class UploadLost(ConnectionError):
    """The upload is gone, with its parts: the file is to be written again from its beginning."""


class Upload:
    """Writes one object, in parts, one of which is under way while the next is filled.

    Nothing of it is visible before `complete`. Use as a context; leaving it without `complete` removes every trace. Entering it
    removes what earlier attempts left, so that a worker that lost the job cannot complete its own any more.

    Raises:
        UploadLost: from any method.
        LeaseLost, HandBack, Cancelled: when the job must not go on.
    """

    def __init__(self, attempt: Holder, s3: ObjectStore, bucket: str, key: str, content_type: str) -> None:
        self._attempt, self._s3 = attempt, s3
        self._object = {"Bucket": bucket, "Key": key}
        self._content_type = content_type
        self._filling = _part(1)
        self._upload_id = ""  # none begun
        self._number = 1  # of the part that is filled
        self._parts: list[dict[str, object]] = []
        self._sending: asyncio.Task[None] | None = None
        self.size = 0

    async def __aenter__(self) -> "Upload":
        await self._attempt.persist(self._attempt.renew)
        await self._attempt.persist(self._abort_earlier)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sending:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        self._filling.close()
        if self._upload_id:
            with contextlib.suppress(Exception):
                await self._s3.abort_multipart_upload(**self._object, UploadId=self._upload_id)

    async def write(self, data: bytes) -> None:
        """Appends."""
        self.size += len(data)
        if self.size > MAX_OBJECT_BYTES:
            raise JobFailed(f"the file is larger than {MAX_OBJECT_BYTES // 1024**4} TiB, the most that the store takes")
        rest = memoryview(data)
        while rest:
            full = part_bytes(self._number)
            room = full - self._filling.tell()
            self._filling.write(rest[:room])
            rest = rest[room:]
            if self._filling.tell() == full:
                part, number = self._filling, self._number
                self._number, self._filling = number + 1, _part(number + 1)
                await self._sent()
                self._sending = asyncio.create_task(self._send_part(number, part))

    async def complete(self) -> None:
        """Makes the whole object visible under its key; only a worker that still holds the job can."""
        await self._sent()
        if self.size:
            if self._filling.tell():
                await self._send_part(self._number, self._filling)
            await self._attempt.persist(self._attempt.renew)
            await self._attempt.persist(self._complete_multipart)
        else:  # an upload has a part, and a part has a byte
            await self._attempt.persist(self._attempt.renew)
            await self._attempt.persist(
                lambda: self._s3.put_object(**self._object, Body=b"", ContentType=self._content_type)
            )
        self._upload_id = ""

    async def _sent(self) -> None:
        if self._sending:
            await self._sending
            self._sending = None

    async def _abort_earlier(self) -> None:
        async for upload in s3.list_uploads(self._s3, self._object["Bucket"], self._object["Key"]):
            if upload["Key"] == self._object["Key"]:
                await s3.abort_upload(self._s3, self._object["Bucket"], upload["Key"], upload["UploadId"])

    async def _send_part(self, number: int, part: IO[bytes]) -> None:
        if not self._upload_id:
            # Checksums are asked for and given back, or neither: what every server takes.
            created = await self._attempt.persist(
                lambda: self._s3.create_multipart_upload(
                    **self._object, ContentType=self._content_type, ChecksumAlgorithm="CRC32"
                )
            )
            self._upload_id = created["UploadId"]
        size = part.tell()

        async def send() -> Reply:
            part.seek(0)
            return await self._s3.upload_part(
                **self._object, UploadId=self._upload_id, PartNumber=number, Body=part, ChecksumAlgorithm="CRC32"
            )

        with part:
            try:
                sent = await self._attempt.persist(send)
            except ClientError as error:
                raise UploadLost("the upload is gone") if s3.code_of(error) == "NoSuchUpload" else error from None
        BYTES.labels("out").inc(size)
        # Not every store gives the checksum back.
        checksum = {"ChecksumCRC32": sent["ChecksumCRC32"]} if "ChecksumCRC32" in sent else {}
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"], **checksum})

    async def _complete_multipart(self) -> None:
        try:
            await self._s3.complete_multipart_upload(
                **self._object, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
            )
        except ClientError as error:
            if s3.code_of(error) != "NoSuchUpload":
                raise
            # An earlier try succeeded and only its answer was lost, or the upload was removed.
            if await s3.size_of(self._s3, self._object["Bucket"], self._object["Key"]) != self.size:
                raise UploadLost("the upload is gone") from None


def _part(number: int) -> IO[bytes]:
    """Where a part is put together."""
    return io.BytesIO() if part_bytes(number) <= MEMORY_BYTES else tempfile.TemporaryFile()


def _close(body: Any) -> None:
    if body is not None:
        body.close()
