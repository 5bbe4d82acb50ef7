"""`connectra jobs first_time` and `connectra jobs retry`: the runners."""

import asyncio
from dataclasses import dataclass

import typer
from connectra.query.v1 import query_service_pb2_grpc
from connectra.write.v1 import write_service_pb2_grpc
from connectra_common import settings
from connectra_common.db import engine as db
from connectra_common.server import peers, process
from connectra_common.storage import s3

from connectra_jobs.states import FIRST_TIME, RETRY, Lane
from connectra_jobs.worker.deps import Deps
from connectra_jobs.worker.runner import Runner

app = typer.Typer(help="Run the worker pools. To list, watch or cancel jobs: `connectra job`.", no_args_is_help=True)


@dataclass(frozen=True)
class Config:
    """What a runner needs."""

    app: settings.AppSettings
    tracing: settings.TracingSettings
    server: settings.ServerSettings
    postgres: settings.PostgresSettings
    s3: settings.S3Settings
    peers: settings.PeerSettings
    jobs: settings.JobsSettings


@app.command("first_time")
def first_time() -> None:
    """Runs new jobs, PARALLEL_JOBS at once, until SIGTERM."""
    config = settings.load(Config)
    asyncio.run(serve(config, FIRST_TIME, config.jobs.parallel_jobs))


@app.command("retry")
def retry() -> None:
    """Runs failed jobs again when their time has come, one at once, until SIGTERM."""
    asyncio.run(serve(settings.load(Config), RETRY, 1))


async def serve(config: Config, lane: Lane, workers: int) -> None:
    """A runner process: the pool, and a health service on GRPC_LISTEN."""
    name = f"jobs-{lane.name}"
    process.begin(config.app, config.tracing, name)
    engine = db.create_engine(config.postgres, name)
    async with (
        s3.client(config.s3) as store,
        peers.channel(config.peers.write, config.peers) as write,
        peers.channel(config.peers.query, config.peers) as query,
    ):
        deps = Deps(
            engine,
            store,
            config.s3,
            write_service_pb2_grpc.WriteServiceStub(write),  # type: ignore[no-untyped-call]
            query_service_pb2_grpc.QueryServiceStub(query),  # type: ignore[no-untyped-call]
        )
        runner = Runner(lane, workers, deps, config.jobs, config.postgres, config.server.drain_seconds)
        await process.run(
            process.Process(
                checks={"postgres": lambda: db.ping(engine), "s3": lambda: s3.ping(store, config.s3)},
                background=[runner.run],
            ),
            config.app,
            config.server,
        )
    await engine.dispose()
