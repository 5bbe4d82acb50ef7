"""Databases of a test's own on the real PostgreSQL, and clients of the services."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra.write.v1.write_service_pb2_grpc import WriteServiceStub
from connectra_common.db import migrate
from connectra_common.server.peers import channel
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


@pytest.fixture
async def empty_database(stack) -> AsyncIterator[str]:  # type: ignore[no-untyped-def]
    """DSN of a new, empty database."""
    name = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(stack.postgres)
    await admin.execute(f"CREATE DATABASE {name}")
    yield urlsplit(stack.postgres)._replace(path=f"/{name}").geturl()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def engine(empty_database: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a new database with the current schema."""
    engine = create_async_engine(empty_database.replace("postgresql://", "postgresql+asyncpg://"))
    async with migrate.locked(engine) as connection:
        await migrate.upgrade(connection)
    yield engine
    await engine.dispose()


@pytest.fixture
async def database(engine: AsyncEngine, empty_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection to a new database with the current schema."""
    connection = await asyncpg.connect(empty_database)
    yield connection
    await connection.close()


@pytest.fixture
async def postgres(stack) -> AsyncIterator[asyncpg.Connection]:  # type: ignore[no-untyped-def]
    """A plain connection to the database of the running services."""
    connection = await asyncpg.connect(stack.postgres)
    yield connection
    await connection.close()


@pytest.fixture
async def write(stack) -> AsyncIterator[WriteServiceStub]:  # type: ignore[no-untyped-def]
    """Stub of the write service's typed door, without the gateway."""
    async with channel(stack.grpc["write"]) as opened:
        yield WriteServiceStub(opened)


@pytest.fixture
async def query(stack) -> AsyncIterator[QueryServiceStub]:  # type: ignore[no-untyped-def]
    """Stub of the query service's typed door, without the gateway."""
    async with channel(stack.grpc["query"]) as opened:
        yield QueryServiceStub(opened)


@pytest.fixture
def finished(api: httpx.AsyncClient, stack) -> Callable[..., Awaitable[dict[str, Any]]]:  # type: ignore[no-untyped-def]
    """`await finished(uuid, seconds=150)`: the job, once it is completed or failed."""

    async def wait(uuid: str, seconds: float = 150) -> dict[str, Any]:
        job: dict[str, Any] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    job = (await api.get(f"/common/jobs/{uuid}")).json()["data"]
                    if job["status"] in ("completed", "failed"):
                        return job
                    await asyncio.sleep(0.05)
        pytest.fail(f"not ended within {seconds} s: {job}\n{stack.command('logs', '-n', '20').stdout}")

    return wait
