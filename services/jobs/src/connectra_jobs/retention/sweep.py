"""What is older than the settings keep it: jobs with their runs and ledger, files that they wrote, files of clients.

Nothing is touched but what the service made: rows of its tables, objects under keys that it gave out, and objects whose names begin
with the uuid of a job. Any number of processes may sweep; each job and file is removed in a transaction that has locked its row.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import aiohttp
import structlog
from botocore.exceptions import BotoCoreError, ClientError
from connectra_common.db import partitions
from connectra_common.db.database import Connection, Database
from connectra_common.server.background import Background, every
from connectra_common.settings import S3Settings
from connectra_common.storage import s3
from connectra_common.storage.s3 import ObjectStore
from prometheus_client import Counter

from connectra_jobs.models import JsonObject
from connectra_jobs.retention.repository import RetentionRepository
from connectra_jobs.settings import RetentionSettings

log = structlog.get_logger()

REMOVED = Counter(
    "connectra_jobs_removed_total", "What retention removed: jobs, job_files, uploads, unfinished_uploads.", ["kind"]
)

INTERVAL_SECONDS = 600.0
# What one look finds; further ones follow at once.
SLICE = 200
# A transaction waits for the store no longer than this: PostgreSQL ends one that is idle for 30 s.
ITEM_SECONDS = 20.0
_AWAY = (BotoCoreError, ClientError, aiohttp.ClientError, OSError)  # TimeoutError is an OSError


class Retention:
    """Removes what is due, on one database and one object store."""

    def __init__(
        self, database: Database, store: ObjectStore, s3_settings: S3Settings, settings: RetentionSettings
    ) -> None:
        self._database, self._store = database, store
        self._s3_settings, self._settings = s3_settings, settings

    def loop(self) -> Background:
        """Sweeps every ten minutes."""
        return every(INTERVAL_SECONDS, self.sweep, "retention", at_start=True)

    async def sweep(self) -> dict[str, int]:
        """Removes everything that is due; returns how much of what."""
        keep = self._settings
        removed = {"unfinished_uploads": 0, "uploads": 0, "job_files": 0, "jobs": 0}
        if days := keep.unfinished_upload_days:
            removed["unfinished_uploads"] = await self._each(
                lambda found: found.unfinished_uploads(days, SLICE), self._remove_unfinished
            )
        if days := keep.file_days:
            hours = self._s3_settings.upload_url_ttl_hours
            removed["uploads"] = await self._each(lambda found: found.uploads(days, hours, SLICE), self._remove_upload)
            removed["job_files"] = await self._each(
                lambda found: found.jobs_with_files(days, SLICE), self._remove_files
            )
        removed["jobs"] = await self._remove_jobs()
        async with self._database.connection() as connection:
            # Those of the ledger, when no job is left that they are of.
            days_kept = timedelta(keep.job_days) if keep.job_days else None
            await partitions.keep(connection, "import_batches", days_kept)
        for kind, number in removed.items():
            REMOVED.labels(kind).inc(number)
        if any(removed.values()):
            log.info("retention", **{kind: number for kind, number in removed.items() if number})
        return removed

    async def _each(
        self,
        find: Callable[[RetentionRepository], Awaitable[list[str]]],
        remove: Callable[[Connection, str], Awaitable[bool]],
    ) -> int:
        """Removes what is found, until nothing is or the store is away. Returns how many."""
        removed, found = 0, SLICE
        while found == SLICE:
            async with self._database.connection() as connection:
                due = await find(RetentionRepository(connection))
            found = 0
            for uuid in due:
                try:
                    async with asyncio.timeout(ITEM_SECONDS), self._database.transaction() as connection:
                        found += await remove(connection, uuid)
                except _AWAY as error:
                    log.warning("retention: cannot remove", uuid=uuid, error=repr(error))
            removed += found
        return removed

    async def _remove_jobs(self) -> int:
        days, removed, found = self._settings.job_days, 0, SLICE
        while days and found == SLICE:
            async with self._database.transaction() as connection:
                jobs = RetentionRepository(connection)
                found = await jobs.remove_jobs(days, SLICE, files_stay=not self._settings.file_days)
            removed += found
        return removed

    async def _remove_files(self, connection: Connection, uuid: str) -> bool:
        jobs = RetentionRepository(connection)
        if (job := await jobs.lock_job(uuid, self._settings.file_days)) is None:
            return False
        data, response = job
        bucket = str(data.get("s3_bucket") or self._s3_settings.bucket)
        try:
            for key in await self._files_of(uuid, bucket, response):
                await self._store.delete_object(Bucket=bucket, Key=key)
        except ClientError as error:
            # A bucket of a customer's own may be gone or closed to us by now; to ask again would not help.
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") not in (403, 404):
                raise
            log.info("retention: files out of reach", job=uuid, bucket=bucket, code=s3.code_of(error))
        await jobs.files_removed(uuid)
        return True

    async def _files_of(self, uuid: str, bucket: str, response: JsonObject) -> set[str]:
        """Keys of what a job wrote: those that its response names, and others that begin with its uuid."""
        named = {str(value) for name, value in response.items() if name.endswith("s3_key")}
        ours = {key for key in named if key.rpartition("/")[2].startswith(f"{uuid}.")}
        prefix = self._s3_settings.key(f"{uuid}.")
        return ours | {key async for key, _ in s3.list_objects(self._store, bucket, prefix)}

    async def _remove_unfinished(self, connection: Connection, uuid: str) -> bool:
        uploads = RetentionRepository(connection)
        if (file := await uploads.lock_upload(uuid)) is None or file.store_id is None:
            return False
        await s3.abort_upload(self._store, file.bucket, file.s3_key, file.store_id)
        if await s3.size_of(self._store, file.bucket, file.s3_key) is not None:
            await uploads.upload_completed(uuid)
        else:
            await uploads.remove_upload(uuid)
        return True

    async def _remove_upload(self, connection: Connection, uuid: str) -> bool:
        uploads = RetentionRepository(connection)
        if (file := await uploads.lock_upload(uuid)) is None:
            return False
        await self._store.delete_object(Bucket=file.bucket, Key=file.s3_key)
        await uploads.remove_upload(uuid)
        return True
