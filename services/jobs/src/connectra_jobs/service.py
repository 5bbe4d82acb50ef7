"""What the jobs service does: a method for each use, called by both APIs."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, replace
from uuid import uuid4

import orjson
import structlog
from connectra_common.call import IdempotencyKey, current
from connectra_common.db import idempotency
from connectra_common.db.database import Connection, Database
from connectra_common.errors import WrongState
from connectra_common.records.ids import checked_uuid
from connectra_common.refusals import JobNotFound
from connectra_common.settings import S3Settings
from connectra_common.storage import s3
from connectra_common.storage.s3 import ObjectStore

from connectra_jobs.files import disposition
from connectra_jobs.models import (
    IMPORT,
    Created,
    Cursor,
    FileKind,
    Job,
    JobFile,
    JobFilter,
    JobPage,
    NewJob,
)
from connectra_jobs.owners import SourceRepository, owner_of, require_right
from connectra_jobs.places import Places
from connectra_jobs.repository import JobRepository

log = structlog.get_logger()

WATCH_INTERVAL_SECONDS = 0.5


class JobsService:
    """The uses of the service, on one database and one object store. A caller sees its own jobs, an administrator those of all; for
    others they do not exist.

    Args:
        url_seconds: how long a file can be fetched by its URL.
    """

    def __init__(
        self, database: Database, store: ObjectStore, s3_settings: S3Settings, places: Places, url_seconds: int
    ) -> None:
        self._database, self._store, self._s3_settings = database, store, s3_settings
        self._places, self._url_seconds = places, url_seconds

    async def create(self, job: NewJob, key: IdempotencyKey | None = None) -> Created:
        """Stores a job; durable when it returns, and the runners are awake.

        With an idempotency key the same request again within 24 h stores nothing and gets the first answer.

        Raises:
            MissingRight: the caller may not import, or not export.
            IdempotencyKeyReused: by another request.
        """
        call = current()
        require_right(call, job.job_type)
        async with self._database.transaction() as connection:
            request = idempotency.request_hash("job", asdict(job))
            if key and (earlier := await idempotency.reserve(connection, key, request)):
                return Created(Job.from_json(orjson.loads(earlier)), replayed=True)
            denied = job.job_type == IMPORT and await SourceRepository(connection, self._s3_settings).denied(
                call, self._places.bucket_of(job.data), str(job.data["s3_key"])
            )
            stored = await JobRepository(connection).insert(
                str(uuid4()), job, call.client or None, source_denied=denied
            )
            await self._record(connection, stored, "create", {"job_type": job.job_type, **job.data})
            if key:
                await idempotency.keep(connection, key, request, orjson.dumps(stored.to_json()).decode())
        return Created(stored)

    async def find(self, condition: JobFilter) -> JobPage:
        """A page of jobs, newest first, without what is large in them."""
        condition = replace(condition, client=owner_of(current()))
        async with self._database.connection() as connection:
            jobs = await JobRepository(connection).find(condition)
        page = jobs[: condition.limit]
        return JobPage(page, str(Cursor(page[-1].created_at, page[-1].id)) if len(jobs) > len(page) else None)

    async def get(self, uuid: str) -> Job:
        """One job as it stands now.

        Raises:
            ValidationFailed, NotFound.
        """
        uuid = checked_uuid(uuid)
        async with self._database.connection() as connection:
            return _found(await JobRepository(connection).get(uuid, owner_of(current())), uuid)

    async def watch(self, uuid: str) -> AsyncGenerator[Job]:
        """The job now, then after every change, until it has ended for good. What changes twice in half a second is seen once.

        Raises:
            ValidationFailed, NotFound.
        """
        seen = None
        while True:
            job = await self.get(uuid)
            if job != seen:
                yield job
            if job.ended:
                return
            seen = job
            await asyncio.sleep(WATCH_INTERVAL_SECONDS)

    async def cancel(self, uuid: str) -> Job:
        """Ends a job that waits, asks one that runs to stop at its next batch.

        Raises:
            ValidationFailed, NotFound; WrongState when it has ended.
        """
        uuid, owner = checked_uuid(uuid), owner_of(current())
        async with self._database.transaction() as connection:
            jobs = JobRepository(connection)
            if job := await jobs.cancel(uuid, owner):
                await self._record(connection, job, "cancel")
                return job
            job = _found(await jobs.get(uuid, owner), uuid)
            raise WrongState(f"the job has ended already ({job.status})", details={"status": job.status})

    async def retry(self, uuid: str) -> Job:
        """Makes a failed job run again now, whatever is left of its retries.

        Raises:
            ValidationFailed, NotFound; WrongState when it has not failed.
            MissingRight: the caller may not import, or not export.
        """
        call = current()
        uuid, owner = checked_uuid(uuid), owner_of(call)
        async with self._database.transaction() as connection:
            jobs = JobRepository(connection)
            job_type = _found(await jobs.get(uuid, owner), uuid).job_type
            if owner is not None:
                require_right(call, job_type)
            if job := await jobs.reopen(uuid, owner):
                await self._record(connection, job, "retry")
                return job
            job = _found(await jobs.get(uuid, owner), uuid)
            raise WrongState(
                f"only a failed job can be retried; this one is {job.status}", details={"status": job.status}
            )

    async def files(self, uuid: str) -> list[JobFile]:
        """The job's files that exist, with URLs that expire; of an import's source only if the job's client uploaded it.

        Raises:
            ValidationFailed, NotFound.
        """
        job = await self.get(uuid)
        bucket, source = self._places.bucket_of(job.data), job.data.get("s3_key")
        if not self._places.allows(bucket):
            return []
        async with self._database.connection() as connection:
            sources = SourceRepository(connection, self._s3_settings)
            uploaded = bool(source) and await sources.uploaded(job.client, bucket, str(source))
        candidates: list[tuple[FileKind, object]] = [
            ("source", source if uploaded else None),
            ("result", job.job_response.get("s3_key")),
            ("rejected", job.job_response.get("rejected_s3_key")),
            ("left_out", job.job_response.get("left_out_s3_key")),
        ]
        found = [await self._file(job, bucket, kind, str(key)) for kind, key in candidates if key]
        files = [file for file in found if file]
        if files:
            async with self._database.transaction() as connection:
                await self._record(connection, job, "fetch", {"files": [file.kind for file in files]})
        return files

    async def _file(self, job: Job, bucket: str, kind: FileKind, key: str) -> JobFile | None:
        size = await s3.size_of(self._store, bucket, key)
        if size is None:
            return None
        named = {"Bucket": bucket, "Key": key, "ResponseContentDisposition": disposition(job, kind, key)}
        url = await self._store.generate_presigned_url("get_object", Params=named, ExpiresIn=self._url_seconds)
        return JobFile(kind, key, size, url)

    async def _record(
        self, connection: Connection, job: Job, operation: str, values: Mapping[str, object] | None = None
    ) -> None:
        log.info("job", operation=operation, job=job.uuid, job_type=job.job_type, owner=job.client)
        await JobRepository(connection).record(job.uuid, operation, values)


def _found(job: Job | None, uuid: str) -> Job:
    if job is None:
        raise JobNotFound(uuid)
    return job
