"""`connectra-jobs`: the API process."""

import asyncio
from dataclasses import dataclass

from connectra.jobs.v1 import jobs_rest_pb2_grpc, jobs_service_pb2_grpc
from connectra_common import settings
from connectra_common.db import engine as db
from connectra_common.server import process
from connectra_common.storage import s3

from connectra_jobs.monitor import job_monitor
from connectra_jobs.rest import JobsRestService
from connectra_jobs.service import Jobs
from connectra_jobs.servicer import JobsService

PACKAGE = "connectra.jobs.v1"


@dataclass(frozen=True)
class Config:
    """What the process needs."""

    app: settings.AppSettings
    tracing: settings.TracingSettings
    server: settings.ServerSettings
    postgres: settings.PostgresSettings
    s3: settings.S3Settings


async def serve(config: Config) -> None:
    """Serves until SIGTERM."""
    engine = db.create_engine(config.postgres, "jobs")
    async with s3.client(config.s3) as store:
        jobs = Jobs(engine, store, config.s3)
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
                checks={"postgres": lambda: db.ping(engine), "s3": lambda: s3.ping(store, config.s3)},
                background=[job_monitor(engine)],
            ),
            config.app,
            config.server,
        )
    await engine.dispose()


def main() -> None:
    """Entry point."""
    config = settings.load(Config)
    process.begin(config.app, config.tracing, "jobs")
    asyncio.run(serve(config))
