"""Multipart uploads that a killed worker left behind: invisible, but billed by size."""

import re

import structlog
from botocore.exceptions import ClientError
from connectra_common.storage import s3

from connectra_jobs.repository import JobRepository
from connectra_jobs.worker.deps import Deps

log = structlog.get_logger()

INTERVAL_SECONDS = 600
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Files that a job writes.
_OURS = re.compile(rf"({_UUID})(?:\.(?:rejected|left_out))?\.(?:csv|ndjson)(?:\.gz)?")


async def sweep(deps: Deps) -> int:
    """Aborts the uploads of jobs that nobody runs; returns how many.

    An attempt makes its upload while it holds the job. So an upload that is there, of a job that is then found to be held by nobody,
    is left over. Uploads that belong to no job of this database are left alone.
    """
    async with deps.database.connection() as connection:
        buckets = {deps.s3_settings.bucket, *await JobRepository(connection).foreign_buckets()}
    aborted = 0
    for bucket in sorted(buckets):
        try:
            aborted += await _sweep(deps, bucket)
        except ClientError as error:  # a bucket of a customer's own may be gone, or closed to us
            log.info("cannot look for leftovers", bucket=bucket, code=s3.code_of(error))
    return aborted


async def _sweep(deps: Deps, bucket: str) -> int:
    prefix = deps.s3_settings.key("")
    uploads: dict[str, list[tuple[str, str]]] = {}
    async for upload in s3.list_uploads(deps.s3, bucket, prefix):
        if found := _OURS.fullmatch(upload["Key"].removeprefix(prefix)):
            uploads.setdefault(found[1], []).append((upload["Key"], upload["UploadId"]))
    if not uploads:
        return 0
    async with deps.database.connection() as connection:
        idle = await JobRepository(connection).not_held(list(uploads))
    left = [upload for uuid in idle for upload in uploads[uuid]]
    for key, upload_id in left:
        await s3.abort_upload(deps.s3, bucket, key, upload_id)
        log.info("upload of a dead run removed", bucket=bucket, key=key)
    return len(left)
