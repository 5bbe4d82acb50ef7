"""SQL of retention. The caller opens the transaction.

What is found is locked one by one when it is removed, so that any number of processes may sweep at once.
"""

from dataclasses import dataclass

import orjson
from connectra_common.db.database import Connection, rows_of

from connectra_jobs import states
from connectra_jobs.models import JsonObject

# Nobody will run it again, and its response is written.
_ENDED = f"(status = '{states.COMPLETED}' OR (status = '{states.FAILED}' AND run_after IS NULL)) AND NOT report_due"
_FILES_DUE = f"{_ENDED} AND files_removed_at IS NULL AND updated_at < now() - make_interval(days => $1)"

# Jobs whose files are due.
JOBS_WITH_FILES = f"SELECT uuid FROM jobs WHERE {_FILES_DUE} ORDER BY updated_at LIMIT $2"

# One of them, unless another process has it or it runs again.
LOCK_JOB = f"SELECT data, job_response FROM jobs WHERE {_FILES_DUE} AND uuid = $2 FOR UPDATE SKIP LOCKED"

# Its files are gone.
FILES_REMOVED = "UPDATE jobs SET files_removed_at = now() WHERE uuid = $1"

# Jobs that are due, with their runs (by cascade) and ledger. Where files are not kept forever, they go first.
REMOVE_JOBS = f"""
    WITH due AS (
        SELECT uuid FROM jobs
        WHERE {_ENDED} AND updated_at < now() - make_interval(days => $1) AND ($2 OR files_removed_at IS NOT NULL)
        ORDER BY updated_at LIMIT $3 FOR UPDATE SKIP LOCKED),
    ledger AS (DELETE FROM import_batches USING due WHERE job_uuid = due.uuid),
    records AS (DELETE FROM import_records USING due WHERE job_uuid = due.uuid)
    DELETE FROM jobs USING due WHERE jobs.uuid = due.uuid"""

# Uploads that nobody completed.
UNFINISHED_UPLOADS = """
    SELECT uuid FROM uploads
    WHERE store_id IS NOT NULL AND completed_at IS NULL AND created_at < now() - make_interval(days => $1)
    ORDER BY created_at LIMIT $2"""

# Uploaded files that no job reads or has read lately. Until its URL expires, a file may still come.
UPLOADS = f"""
    SELECT uuid FROM uploads u
    WHERE (store_id IS NULL OR completed_at IS NOT NULL)
        AND greatest(created_at, completed_at) < now() - make_interval(days => $1, hours => $2)
        AND NOT EXISTS (
            SELECT FROM jobs WHERE data ->> 's3_key' = u.s3_key AND coalesce(data ->> 's3_bucket', '') IN ('', u.bucket)
                AND NOT ({_ENDED} AND updated_at < now() - make_interval(days => $1)))
    ORDER BY created_at LIMIT $3"""

# One of them, unless another process has it.
LOCK_UPLOAD = "SELECT bucket, s3_key, store_id FROM uploads WHERE uuid = $1 FOR UPDATE SKIP LOCKED"

# It is complete after all: the answer to the store's was lost.
UPLOAD_COMPLETED = "UPDATE uploads SET completed_at = now() WHERE uuid = $1"

# Its object or its parts are gone.
REMOVE_UPLOAD = "DELETE FROM uploads WHERE uuid = $1"


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """Where a client's file is; `store_id` is that of its parts."""

    bucket: str
    s3_key: str
    store_id: str | None


class RetentionRepository:
    """What is due, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def jobs_with_files(self, days: int, limit: int) -> list[str]:
        """Jobs that ended so many days ago and whose files may still be there, oldest first."""
        return [row[0] for row in await self._connection.fetch(JOBS_WITH_FILES, days, limit)]

    async def lock_job(self, uuid: str, days: int) -> tuple[JsonObject, JsonObject] | None:
        """Data and response of one of them. None: another process removes its files, or they are not due any more."""
        row = await self._connection.fetchrow(LOCK_JOB, days, uuid)
        return (orjson.loads(row["data"]), orjson.loads(row["job_response"])) if row else None

    async def files_removed(self, uuid: str) -> None:
        """Notes that a job's files are gone."""
        await self._connection.execute(FILES_REMOVED, uuid)

    async def remove_jobs(self, days: int, limit: int, *, files_stay: bool) -> int:
        """Removes jobs that ended at least that many days ago; returns how many. Their files must be gone, unless files are kept."""
        return rows_of(await self._connection.execute(REMOVE_JOBS, days, files_stay, limit))

    async def unfinished_uploads(self, days: int, limit: int) -> list[str]:
        """Uploads in parts that were begun so many days ago and are not complete."""
        return [row[0] for row in await self._connection.fetch(UNFINISHED_UPLOADS, days, limit)]

    async def uploads(self, days: int, url_hours: int, limit: int) -> list[str]:
        """Uploaded files that are so old, and that no job has read for as long."""
        return [row[0] for row in await self._connection.fetch(UPLOADS, days, url_hours, limit)]

    async def lock_upload(self, uuid: str) -> UploadedFile | None:
        """One of them. None: another process removes it."""
        row = await self._connection.fetchrow(LOCK_UPLOAD, uuid)
        return UploadedFile(*row) if row else None

    async def upload_completed(self, uuid: str) -> None:
        """Notes that an upload is complete."""
        await self._connection.execute(UPLOAD_COMPLETED, uuid)

    async def remove_upload(self, uuid: str) -> None:
        """Forgets an upload."""
        await self._connection.execute(REMOVE_UPLOAD, uuid)
