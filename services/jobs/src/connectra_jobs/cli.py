"""`connectra jobs first_time` and `connectra jobs retry`: the runners."""

import asyncio

from connectra.query.v1 import query_service_pb2_grpc
from connectra.write.internal.v1 import import_service_pb2_grpc
from connectra_common.db.database import Database
from connectra_common.server import peers, process
from connectra_common.settings import load
from connectra_common.storage import s3

from connectra_jobs.places import Places
from connectra_jobs.settings import RunnerSettings
from connectra_jobs.states import FIRST_TIME, RETRY, Pool
from connectra_jobs.worker.deps import Deps
from connectra_jobs.worker.pool import WorkerPool

MIN_CONNECTIONS = 3


def first_time() -> None:
    """Run new jobs, PARALLEL_JOBS at once, until SIGTERM.

    Examples:
        connectra jobs first_time
    """
    settings = runner_settings()
    asyncio.run(serve(settings, FIRST_TIME, settings.jobs.parallel_jobs))


def retry() -> None:
    """Run failed jobs again when their time has come, one at once, until SIGTERM.

    Examples:
        connectra jobs retry
    """
    asyncio.run(serve(runner_settings(), RETRY, 1))


def runner_settings() -> RunnerSettings:
    """What a runner reads. Ends the process when it has no connection besides those that listen and tell whether it is ready."""
    settings = load(RunnerSettings)
    settings.postgres.require(MIN_CONNECTIONS, "a runner")
    return settings


async def serve(settings: RunnerSettings, pool: Pool, workers: int) -> None:
    """A runner process: the pool, and a health service on GRPC_LISTEN."""
    name = f"jobs-{pool.name}"
    process.begin(settings.app, settings.tracing, name)
    async with (
        Database.open(settings.postgres, name, connections=settings.postgres.pool_size - 1) as database,
        Database.own(settings.postgres, name) as own,
        s3.client(settings.s3) as store,
        peers.channel(settings.peers.write_internal, settings.peers) as write,
        peers.channel(settings.peers.query, settings.peers) as query,
    ):
        deps = Deps(
            database,
            store,
            settings.s3,
            import_service_pb2_grpc.ImportServiceStub(write),
            query_service_pb2_grpc.QueryServiceStub(query),
            Places.of(settings.s3, settings.files),
        )
        worker_pool = WorkerPool(pool, workers, deps, settings.jobs, settings.server.drain_seconds)
        await process.run(
            process.Process(
                checks={"postgres": own.ping, "s3": lambda: s3.ping(store, settings.s3)},
                background=[worker_pool.run],
            ),
            settings.app,
            settings.server,
        )
