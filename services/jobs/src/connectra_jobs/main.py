"""`connectra-jobs`: the API process."""

import asyncio

from connectra.jobs.v1 import jobs_rest_pb2_grpc, jobs_service_pb2_grpc
from connectra_common.db import engine as db
from connectra_common.server import process
from connectra_common.settings import load
from connectra_common.storage import s3

from connectra_jobs.monitor import job_monitor
from connectra_jobs.rest import JobsRestService
from connectra_jobs.service import Jobs
from connectra_jobs.servicer import JobsService
from connectra_jobs.settings import Settings

PACKAGE = "connectra.jobs.v1"


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM."""
    engine = db.create_engine(settings.postgres, "jobs")
    async with s3.client(settings.s3) as store:
        jobs = Jobs(engine, store, settings.s3)
        await process.run(
            process.Process(
                services=[
                    (
                        JobsService(jobs),
                        jobs_service_pb2_grpc.add_JobsServiceServicer_to_server,
                        f"{PACKAGE}.JobsService",
                    ),
                    (
                        JobsRestService(jobs),
                        jobs_rest_pb2_grpc.add_JobsRestServiceServicer_to_server,
                        f"{PACKAGE}.JobsRestService",
                    ),
                ],
                checks={"postgres": lambda: db.ping(engine), "s3": lambda: s3.ping(store, settings.s3)},
                background=[job_monitor(engine)],
            ),
            settings.app,
            settings.server,
        )
    await engine.dispose()


def main() -> None:
    """Entry point."""
    settings = load(Settings)
    process.begin(settings.app, settings.tracing, "jobs")
    asyncio.run(serve(settings))
