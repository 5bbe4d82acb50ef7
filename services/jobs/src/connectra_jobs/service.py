"""What the jobs service does: a method for each use, called by both APIs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from uuid import uuid4

import orjson
from botocore.exceptions import ClientError, ParamValidationError
from connectra_common.call import IdempotencyKey
from connectra_common.db import idempotency
from connectra_common.db.database import Database
from connectra_common.errors import WrongState
from connectra_common.records.ids import checked_uuid
from connectra_common.refusals import JobNotFound
from connectra_common.settings import S3Settings
from connectra_common.storage.s3 import ObjectStore

from connectra_jobs.models import (
    Created,
    Cursor,
    FileKind,
    Job,
    JobFile,
    JobFilter,
    JobPage,
    NewJob,
)
from connectra_jobs.repository import JobRepository

WATCH_INTERVAL_SECONDS = 0.5


class JobsService:
    """The uses of the service, on one database and one object store."""

    def __init__(self, database: Database, s3: ObjectStore, s3_settings: S3Settings) -> None:
        self._database, self._s3, self._s3_settings = database, s3, s3_settings

    async def create(self, job: NewJob, key: IdempotencyKey | None = None) -> Created:
        """Stores a job; durable when it returns, and the runners are awake.

        With an idempotency key the same request again within 24 h stores nothing and gets the first answer.

        Raises:
            IdempotencyKeyReused: by another request.
        """
        async with self._database.transaction() as connection:
            request = idempotency.request_hash("job", asdict(job))
            if key and (earlier := await idempotency.reserve(connection, key, request)):
                return Created(Job.from_json(orjson.loads(earlier)), replayed=True)
            stored = await JobRepository(connection).insert(str(uuid4()), job)
            if key:
                await idempotency.keep(connection, key, orjson.dumps(stored.to_json()).decode())
        return Created(stored)

    async def find(self, condition: JobFilter) -> JobPage:
        """A page of jobs, newest first."""
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
            return _found(await JobRepository(connection).get(uuid), uuid)

    async def watch(self, uuid: str) -> AsyncIterator[Job]:
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
        uuid = checked_uuid(uuid)
        async with self._database.transaction() as connection:
            jobs = JobRepository(connection)
            if job := await jobs.cancel(uuid):
                return job
            job = _found(await jobs.get(uuid), uuid)
            raise WrongState(f"the job has ended already ({job.status})", details={"status": job.status})

    async def retry(self, uuid: str) -> Job:
        """Makes a failed job run again now, whatever is left of its retries.

        Raises:
            ValidationFailed, NotFound; WrongState when it has not failed.
        """
        uuid = checked_uuid(uuid)
        async with self._database.transaction() as connection:
            jobs = JobRepository(connection)
            if job := await jobs.reopen(uuid):
                return job
            job = _found(await jobs.get(uuid), uuid)
            raise WrongState(
                f"only a failed job can be retried; this one is {job.status}", details={"status": job.status}
            )

    async def files(self, uuid: str) -> list[JobFile]:
        """The job's files that exist, with URLs that expire.

        Raises:
            ValidationFailed, NotFound.
        """
        job = await self.get(uuid)
        bucket = str(job.data.get("s3_bucket") or self._s3_settings.bucket)
        candidates: list[tuple[FileKind, object]] = [
            ("source", job.data.get("s3_key")),
            ("result", job.job_response.get("s3_key")),
            ("rejected", job.job_response.get("rejected_s3_key")),
            ("left_out", job.job_response.get("left_out_s3_key")),
        ]
        files = [await self._file(bucket, kind, str(key)) for kind, key in candidates if key]
        return [file for file in files if file]

    async def _file(self, bucket: str, kind: FileKind, key: str) -> JobFile | None:
        try:
            head = await self._s3.head_object(Bucket=bucket, Key=key)
        except ParamValidationError:  # a name that no store takes, which jobs of adopted tables may have
            return None
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                return None
            raise
        url = await self._s3.generate_presigned_url(
            "get_object",
            Params={"Bucket": bucket, "Key": key},
            ExpiresIn=self._s3_settings.upload_url_ttl_hours * 3600,
        )
        return JobFile(kind, key, head["ContentLength"], str(url))


def _found(job: Job | None, uuid: str) -> Job:
    if job is None:
        raise JobNotFound(uuid)
    return job
