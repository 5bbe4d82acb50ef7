"""`connectra-jobs`: the API process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from connectra.jobs.v1.jobs_rest_pb2_grpc import add_JobsRestServiceServicer_to_server
from connectra.jobs.v1.jobs_service_pb2_grpc import add_JobsServiceServicer_to_server
from connectra_common.db.database import Database
from connectra_common.server.process import Process, begin, run
from connectra_common.settings import load
from connectra_common.storage import s3

from connectra_jobs.bulkheads import bulkheads
from connectra_jobs.monitor import job_monitor
from connectra_jobs.places import Places
from connectra_jobs.preview.service import PreviewService
from connectra_jobs.rest import JobsRestServicer
from connectra_jobs.retention.sweep import Retention
from connectra_jobs.service import JobsService
from connectra_jobs.servicer import JobsServicer
from connectra_jobs.settings import Settings
from connectra_jobs.uploads.service import UploadService

# Of the calls, and of readiness.
LEAST = 2


@asynccontextmanager
async def process(settings: Settings, shared: Database | None = None) -> AsyncIterator[Process]:
    """What the API consists of; its connections are closed with the block. `shared`: those that it uses instead of its own."""
    calls = settings.postgres.pool_size - 1
    async with (
        nullcontext(shared) if shared else Database.open(settings.postgres, "jobs", connections=calls) as database,
        nullcontext(shared) if shared else Database.own(settings.postgres, "jobs") as own,
        s3.client(settings.s3) as store,
    ):
        places = Places.of(settings.s3, settings.files)
        url_seconds = settings.files.download_url_ttl_minutes * 60
        service = JobsService(database, store, settings.s3, places, url_seconds)
        uploads = UploadService(database, store, settings.s3, settings.retention.unfinished_upload_days)
        retention = Retention(database, store, settings.s3, settings.retention)
        previews = PreviewService(database, store, settings.s3)
        yield Process(
            services=[
                (
                    JobsServicer(service, uploads, previews, places),
                    add_JobsServiceServicer_to_server,
                    "connectra.jobs.v1.JobsService",
                ),
                (
                    JobsRestServicer(service, uploads, previews, places),
                    add_JobsRestServiceServicer_to_server,
                    "connectra.jobs.v1.JobsRestService",
                ),
            ],
            # Not S3: without it, jobs can still be listed, watched, made and cancelled.
            checks={"postgres": own.ping},
            bulkhead_of=bulkheads(),
            housekeeping=[job_monitor(database), retention.loop()],
        )


async def serve(settings: Settings) -> None:
    """Runs until told to stop."""
    async with process(settings) as made:
        await run(made, settings.app, settings.server)


def main() -> None:
    """Entry point."""
    settings = load(Settings)
    settings.postgres.require(LEAST, "the jobs service")
    begin(settings.app, settings.tracing, "jobs")
    asyncio.run(serve(settings))
