"""A stack of the chaos tests' own: they kill its parts. The indexers are the tests' own processes, as many as each wants."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra.write.v1.index_service_pb2_grpc import IndexServiceStub
from connectra.write.v1.write_service_pb2_grpc import WriteServiceStub
from connectra_common.search.client import create_client
from connectra_common.server.peers import channel
from connectra_common.settings import ElasticsearchSettings
from connectra_local.config import scripts_folder
from elasticsearch import AsyncElasticsearch

PARTS = "postgres,elasticsearch,s3,migrate,query,write"


@dataclass
class Grid:
    """The running parts, clients of them, and indexers to start and kill."""

    environment: dict[str, str]
    status: dict[str, Any]
    command: Callable[..., Any]
    home: Path
    indexers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start_indexer(self) -> "subprocess.Popen[bytes]":
        """One more indexer."""
        environment = {
            **self.environment,
            "PG_DB_CONNECTION": self.status["postgres"],
            "ELASTICSEARCH_CONNECTION": self.status["elasticsearch"],
            "GRPC_LISTEN": "127.0.0.1:0",
        }
        log = (self.home / f"indexer-{secrets.token_hex(4)}.log").open("wb")
        process = subprocess.Popen(
            [str(scripts_folder() / "connectra-write-indexer")], env=environment, stderr=log, stdout=log
        )
        self.indexers.append(process)
        return process

    def stop_indexers(self) -> None:
        """Kills those that are left."""
        for process in self.indexers:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        self.indexers.clear()

    def pid(self, part: str) -> int | None:
        """Process of a part, as it is now."""
        parts = json.loads(self.command(self.environment, "status", "--json").stdout)["parts"]
        return next((p["pid"] for p in parts if p["name"] == part), None)

    def kill(self, part: str) -> None:
        """SIGKILL; the supervisor starts it again."""
        if pid := self.pid(part):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def grid(isolated: Callable[[Path], dict[str, str]], run_connectra: Callable[..., Any]) -> Iterator[Grid]:
    home = Path(tempfile.mkdtemp(prefix="connectra-chaos-"))
    environment = isolated(home)
    started = run_connectra(environment, "up", "--detach", "--only", PARTS, timeout=280)
    if started.returncode != 0:
        pytest.fail(f"the stack did not come up:\n{started.stdout}\n{started.stderr}", pytrace=False)
    grid = Grid(environment, json.loads(run_connectra(environment, "status", "--json").stdout), run_connectra, home)
    try:
        yield grid
    finally:
        grid.stop_indexers()
        run_connectra(environment, "down")
    if os.environ.get("KEEP"):
        return
    leftovers = [
        p.pid for p in psutil.process_iter(["environ"]) if (p.info["environ"] or {}).get("CONNECTRA_HOME") == str(home)
    ]
    assert leftovers == []
    shutil.rmtree(home)


@pytest.fixture(autouse=True)
def _no_indexer_outlives_its_test(grid: Grid) -> Iterator[None]:
    yield
    grid.stop_indexers()


@pytest.fixture
async def sql(grid: Grid) -> AsyncIterator[asyncpg.Pool]:
    """The database, emptied at the end of the test as far as the index is concerned."""
    async with asyncpg.create_pool(grid.status["postgres"], min_size=1, max_size=8) as pool:
        yield pool


@pytest.fixture
async def search(grid: Grid) -> AsyncIterator[AsyncElasticsearch]:
    client = create_client(ElasticsearchSettings(connection=grid.status["elasticsearch"]))
    yield client
    await client.close()


@pytest.fixture
async def index(grid: Grid) -> AsyncIterator[Any]:
    async with channel(grid.status["grpc"]["write"]) as opened:
        yield IndexServiceStub(opened)


@pytest.fixture
async def write(grid: Grid) -> AsyncIterator[Any]:
    async with channel(grid.status["grpc"]["write"]) as opened:
        yield WriteServiceStub(opened)


@pytest.fixture
async def query(grid: Grid) -> AsyncIterator[Any]:
    async with channel(grid.status["grpc"]["query"]) as opened:
        yield QueryServiceStub(opened)


@pytest.fixture
def until() -> Callable[..., Awaitable[float]]:
    """`await until(check, seconds)`: waits for an async condition; the seconds it took."""

    async def wait(check: Callable[[], Awaitable[Any]], seconds: float) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(seconds):
            while not await check():  # noqa: ASYNC110 - the condition is in another process
                await asyncio.sleep(0.05)
        return loop.time() - began

    return wait
