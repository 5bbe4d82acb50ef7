"""Files from clients to the object store: by one PUT, or in parts when they are large. Only URLs pass here, never bytes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from botocore.exceptions import ClientError
from connectra_common.call import current
from connectra_common.db.database import Database
from connectra_common.errors import FieldViolation, ValidationFailed, WrongState
from connectra_common.records.ids import checked_uuid
from connectra_common.refusals import UploadNotFound
from connectra_common.settings import S3Settings
from connectra_common.storage import s3
from connectra_common.storage.s3 import ObjectStore

from connectra_jobs.uploads.models import MAX_PARTS, Part, PartUrl, Upload, UploadUrl, problems
from connectra_jobs.uploads.repository import UploadRepository
from connectra_jobs.uploads.requests import CreateUploadBody, check_filename

# Signing takes a third of a millisecond; other calls come in between.
SIGNED_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class UploadState:
    """An upload, and how much of it the store has."""

    upload: Upload
    expires: datetime | None
    completed: bool
    parts: Sequence[Part] = ()


class UploadService:
    """The uses of uploads, on one database and one object store.

    Args:
        unfinished_days: after so many days housekeeping aborts an upload in parts that is not complete; 0: never.
    """

    def __init__(self, database: Database, store: ObjectStore, settings: S3Settings, unfinished_days: int) -> None:
        self._database, self._store, self._settings = database, store, settings
        self._unfinished_days = unfinished_days

    @property
    def url_seconds(self) -> int:
        """How long URLs are valid."""
        return self._settings.upload_url_ttl_hours * 3600

    async def create_url(self, filename: str) -> UploadUrl:
        """A URL that takes one file by PUT, under a key that the service chooses.

        Raises:
            ValidationFailed: a name that cannot stand in a key.
        """
        if not filename.strip():
            raise ValidationFailed.of([FieldViolation("filename", "filename query parameter is required")])
        uuid, key = self._named(filename)
        async with self._database.transaction() as connection:
            await UploadRepository(connection).insert(uuid, current().client, self._settings.bucket, key)
        url = await s3.presigned_put(self._store, self._settings, key)
        return UploadUrl(url, key, self._settings.upload_url_ttl_hours)

    async def create(self, wanted: CreateUploadBody) -> UploadState:
        """Begins an upload in parts, under a key that the service chooses.

        Raises:
            ValidationFailed: a name that cannot stand in a key.
        """
        uuid, key = self._named(wanted.filename)
        # Without a checksum algorithm, which would oblige the client to send a checksum with every part.
        begun = await self._store.create_multipart_upload(Bucket=self._settings.bucket, Key=key)
        async with self._database.transaction() as connection:
            upload = await UploadRepository(connection).insert(
                uuid,
                current().client,
                self._settings.bucket,
                key,
                begun["UploadId"],
                wanted.size_bytes,
                wanted.chosen_part_size,
            )
        return self._state(upload)

    async def part_urls(self, uuid: str, part_numbers: Sequence[int]) -> list[PartUrl]:
        """A URL for each of these parts.

        Raises:
            ValidationFailed: the file has no such part.
            NotFound, WrongState: it is complete.
        """
        upload, store_id = await self._unfinished(uuid)
        most = upload.part_count or MAX_PARTS
        if beyond := [number for number in part_numbers if number > most]:
            problem = f"part {beyond[0]} is beyond the end of the file, which has {most:,} parts of {upload.part_size:,} bytes"
            raise ValidationFailed.at("part_numbers", problem)
        urls = []
        for position, number in enumerate(part_numbers):
            if position % SIGNED_AT_ONCE == SIGNED_AT_ONCE - 1:
                await asyncio.sleep(0)
            url = await self._store.generate_presigned_url(
                "upload_part",
                Params={
                    "Bucket": upload.bucket,
                    "Key": upload.s3_key,
                    "UploadId": store_id,
                    "PartNumber": number,
                },
                ExpiresIn=self.url_seconds,
            )
            urls.append(PartUrl(number, url))
        return urls

    async def state(self, uuid: str) -> UploadState:
        """What the store has of an upload: what is missing can be sent later, by anybody who has this client's key.

        Raises:
            ValidationFailed, NotFound.
        """
        upload = await self._get(uuid)
        if upload.completed_at:
            return self._state(upload, completed=True)
        if upload.store_id:
            try:
                return self._state(upload, parts=await self._parts(upload, upload.store_id))
            except ClientError as error:
                if s3.code_of(error) != "NoSuchUpload":
                    raise
        return self._state(upload, completed=await self._size(upload) is not None)

    async def complete(self, uuid: str) -> tuple[Upload, int]:
        """Makes the parts an object, once all are there; again gives the same answer. Also returns the size in bytes.

        Raises:
            ValidationFailed, NotFound.
            WrongState: parts are missing, too small, or not as many bytes as were announced.
        """
        upload = await self._get(uuid)
        if not upload.completed_at:
            if not upload.store_id:
                raise WrongState("this upload is one PUT, which needs no completion")
            try:
                await self._complete(upload, upload.store_id)
            except (ClientError, WrongState) as error:
                gone = isinstance(error, ClientError) and s3.code_of(error) == "NoSuchUpload"
                if isinstance(error, ClientError) and not gone:
                    raise
                # Completed by another call, after which the store has no parts any more, unless there is no object.
                if await self._size(upload) is None:
                    raise UploadNotFound(upload.uuid) if gone else error from None
            async with self._database.transaction() as connection:
                await UploadRepository(connection).complete(upload.uuid)
        size = await self._size(upload)
        if size is None:  # somebody removed the object
            raise UploadNotFound(upload.uuid)
        return upload, size

    async def abort(self, uuid: str) -> None:
        """Gives an unfinished upload up; its parts are removed.

        Raises:
            ValidationFailed, NotFound, WrongState: it is complete.
        """
        upload, store_id = await self._unfinished(uuid)
        await s3.abort_upload(self._store, upload.bucket, upload.s3_key, store_id)
        async with self._database.transaction() as connection:
            await UploadRepository(connection).delete(upload.uuid)

    def _named(self, filename: str) -> tuple[str, str]:
        uuid = str(uuid4())
        key = self._settings.key(f"{uuid}_{filename}")
        check_filename(filename, key)
        return uuid, key

    def _state(self, upload: Upload, *, completed: bool = False, parts: Sequence[Part] = ()) -> UploadState:
        unfinished = upload.store_id and not completed and self._unfinished_days
        expires = upload.created_at + timedelta(days=self._unfinished_days) if unfinished else None
        return UploadState(upload, expires, completed, parts)

    async def _get(self, uuid: str) -> Upload:
        uuid = checked_uuid(uuid, "upload_id")
        async with self._database.connection() as connection:
            upload = await UploadRepository(connection).get(uuid, current().client)
        if upload is None:
            raise UploadNotFound(uuid)
        return upload

    async def _unfinished(self, uuid: str) -> tuple[Upload, str]:
        upload = await self._get(uuid)
        if upload.completed_at or upload.store_id is None:
            raise WrongState(
                "the upload is complete" if upload.completed_at else "this upload is one PUT, without parts"
            )
        return upload, upload.store_id

    async def _complete(self, upload: Upload, store_id: str) -> None:
        parts = await self._parts(upload, store_id)
        for text, details in problems(upload, parts):
            raise WrongState(f"the upload is not complete: {text}", details=details)
        named = [{"PartNumber": part.part_number, "ETag": part.etag} for part in parts]
        await self._store.complete_multipart_upload(
            Bucket=upload.bucket, Key=upload.s3_key, UploadId=store_id, MultipartUpload={"Parts": named}
        )

    async def _parts(self, upload: Upload, store_id: str) -> list[Part]:
        found = [part async for part in s3.list_parts(self._store, upload.bucket, upload.s3_key, store_id)]
        # Some stores list every part that was sent under a number; the last one counts, and of those in one second the largest.
        order = sorted(found, key=lambda part: (part["LastModified"], part["Size"]))
        newest = {part["PartNumber"]: part for part in order}
        return [Part(number, newest[number]["Size"], newest[number]["ETag"]) for number in sorted(newest)]

    async def _size(self, upload: Upload) -> int | None:
        return await s3.size_of(self._store, upload.bucket, upload.s3_key)
