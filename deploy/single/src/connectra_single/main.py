"""`connectra api-server`: the query, write and jobs services in one process, with Envoy as its child."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from connectra_common.db.database import Database
from connectra_common.server.background import Background
from connectra_common.server.bulkheads import Bulkhead
from connectra_common.server.process import Process, begin, run
from connectra_common.settings import load
from connectra_gateway.clients import ClientsError
from connectra_gateway.key_service.serving import serve as serve_keys
from connectra_gateway.launcher import Launcher
from connectra_gateway.render import launcher, render
from connectra_jobs import main as jobs
from connectra_jobs.settings import Settings as JobsSettings
from connectra_query import connections as query_connections
from connectra_query import main as query
from connectra_query.settings import Settings as QuerySettings
from connectra_write import connections as write_connections
from connectra_write import main as write
from connectra_write.settings import Settings as WriteSettings

from connectra_single.settings import Settings

LEAST = query_connections.LEAST + write_connections.LEAST + jobs.LEAST
# A call has one, and what follows it another.
LEAST_SHARED = 2


@dataclass(frozen=True)
class Shares:
    """How many of the process' connections to PostgreSQL each service has."""

    query: int
    write: int
    jobs: int

    @classmethod
    def of(cls, connections: int) -> "Shares":
        """Of LEAST or more: what is left of them goes to query and write, two parts each, and to jobs."""
        fifth, rest = divmod(connections - LEAST, 5)
        return cls(query_connections.LEAST + 2 * fifth, write_connections.LEAST + 2 * fifth + rest, jobs.LEAST + fifth)


@dataclass(frozen=True)
class Gateway:
    """Envoy, and what looks after it."""

    launcher: Launcher
    envoy: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, settings: Settings) -> "Gateway":
        """Call it from the main thread, before there are others: it forks.

        Raises:
            ClientsError: the file of clients cannot be read.
        """
        root = Path(settings.gateway.state_dir)
        files = render(root, settings.gateway, settings.peers, settings.tracing)
        made = launcher(files, settings.gateway, settings.app)
        return cls(made, made.start())

    async def run(self, stopping: asyncio.Event) -> None:
        """Tends Envoy until told to stop, then drains it.

        Raises:
            ChildProcessError: Envoy ended on its own. Whoever starts this process starts both again.
        """
        tending = asyncio.create_task(asyncio.to_thread(self.launcher.tend, self.envoy))
        told = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait([tending, told], return_when=asyncio.FIRST_COMPLETED)
            ended = tending.done()
        finally:
            told.cancel()
            self.launcher.stop()
        code = await tending
        if ended:
            raise ChildProcessError(f"Envoy ended with exit code {code}")


def together(processes: Sequence[Process], front: Background, profile: str = "server") -> Process:
    """One process of several, whose methods and checks of one name are the same.

    Args:
        profile: in that of `lambda`, nobody asks whether it is ready, and it leaves housekeeping to others.
    """
    frozen = profile == "lambda"

    def bulkhead_of(method: str) -> Bulkhead | None:
        return next((found for one in processes if (found := one.bulkhead_of(method))), None)

    return Process(
        services=[service for one in processes for service in one.services],
        internal=[service for one in processes for service in one.internal],
        checks={} if frozen else {name: check for one in processes for name, check in one.checks.items()},
        bulkhead_of=bulkhead_of,
        background=[loop for one in processes for loop in one.background],
        housekeeping=[] if frozen else [loop for one in processes for loop in one.housekeeping],
        front=front,
    )


@asynccontextmanager
async def process(settings: Settings, front: Background) -> AsyncIterator[Process]:
    """What the API server consists of; its connections are closed with the block."""
    async with shared(settings) as database:
        # With connections that all share, these numbers are of no account.
        shares = Shares.of(max(LEAST, settings.postgres.pool_size))
        async with (
            query.process(settings.of(QuerySettings, shares.query), database) as of_query,
            write.process(settings.of(WriteSettings, shares.write), database) as of_write,
            jobs.process(settings.of(JobsSettings, shares.jobs), database) as of_jobs,
        ):
            keys = Process(background=[partial(serve_keys, settings.gateway, Path(settings.gateway.state_dir))])
            yield together([of_query, of_write, of_jobs, keys], front, settings.gateway.profile)


def shared(settings: Settings) -> AbstractAsyncContextManager[Database | None]:
    """The connections of a process that answers one call at a time; None: each kind of work has its own."""
    if settings.gateway.profile == "server":
        return nullcontext()
    session = {**write_connections.BY_KEY, **write.session_of(settings.audit)}
    return Database.open(settings.postgres, "api", session, limited=True)


async def serve(settings: Settings, gateway: Gateway) -> None:
    """Runs until told to stop, or until Envoy ends."""
    async with process(settings, gateway.run) as made:
        await run(made, settings.app, settings.server, settings.internal)


def main() -> None:
    """Serve REST and gRPC on port 8000: all services and their gateway in one process.

    Examples:
        connectra api-server
    """
    settings = load(Settings)
    settings.postgres.require(LEAST_SHARED if settings.gateway.profile == "lambda" else LEAST, "the API server")
    try:
        gateway = Gateway.start(settings)
    except ClientsError as error:
        sys.exit(f"gateway: {error}")
    begin(settings.app, settings.tracing, "api-server", settings.elasticsearch)
    asyncio.run(serve(settings, gateway))
