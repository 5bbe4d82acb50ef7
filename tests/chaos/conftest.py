"""A stack for the chaos tests, which kill its parts. Each test starts as many indexers as it wants."""

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import asyncpg
import pytest
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra.write.v1.index_service_pb2_grpc import IndexServiceStub
from connectra.write.v1.write_service_pb2_grpc import WriteServiceStub
from connectra_common.search.client import create_client
from connectra_common.server.peers import channel
from connectra_common.settings import ElasticsearchSettings
from elasticsearch import AsyncElasticsearch

from tests.support.stack import Stack, program, running
from tests.support.words import word

PARTS = "postgres,elasticsearch,s3,migrate,query,write"


@dataclass
class Grid:
    """The running parts, and indexers to start and kill."""

    stack: Stack
    indexers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start_indexer(self, **settings: str) -> "subprocess.Popen[bytes]":
        """One more indexer."""
        environment = {**self.stack.environment, **self.stack.stores(), "GRPC_LISTEN": "127.0.0.1:0"} | settings
        with (self.stack.home / f"indexer-{len(self.indexers)}-{word()}.log").open("wb") as log:
            process = subprocess.Popen([program("connectra-write-indexer")], env=environment, stderr=log, stdout=log)
        self.indexers.append(process)
        return process

    def stop_indexers(self) -> None:
        """Kills those that still run."""
        for process in self.indexers:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        self.indexers.clear()

    def pid(self, part: str) -> int | None:
        """Process id of a part, as of now."""
        pid: int | None = self.stack.parts()[part]["pid"]
        return pid

    def kill(self, part: str) -> None:
        """SIGKILL; the supervisor starts it again."""
        if pid := self.pid(part):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def grid() -> Iterator[Grid]:
    # What a test breaks, it finds itself.
    with running("chaos", "--only", PARTS, INDEX_CHECK_RECORDS_PER_SECOND="0") as started:
        grid = Grid(started)
        yield grid
        grid.stop_indexers()


@pytest.fixture(autouse=True)
def _no_indexer_outlives_its_test(grid: Grid) -> Iterator[None]:
    yield
    grid.stop_indexers()


@pytest.fixture
async def sql(grid: Grid) -> AsyncIterator[asyncpg.Pool]:
    """Connections to the database."""
    async with asyncpg.create_pool(grid.stack.postgres, min_size=1, max_size=8) as pool:
        yield pool


@pytest.fixture
async def search(grid: Grid) -> AsyncIterator[AsyncElasticsearch]:
    client = create_client(ElasticsearchSettings(connection=grid.stack.elasticsearch))
    yield client
    await client.close()


@pytest.fixture
async def index(grid: Grid) -> AsyncIterator[IndexServiceStub]:
    async with channel(grid.stack.grpc["write"]) as opened:
        yield IndexServiceStub(opened)


@pytest.fixture
async def write(grid: Grid) -> AsyncIterator[WriteServiceStub]:
    async with channel(grid.stack.grpc["write"]) as opened:
        yield WriteServiceStub(opened)


@pytest.fixture
async def query(grid: Grid) -> AsyncIterator[QueryServiceStub]:
    async with channel(grid.stack.grpc["query"]) as opened:
        yield QueryServiceStub(opened)
