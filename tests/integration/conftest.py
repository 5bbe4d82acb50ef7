"""Databases of a test's own on the real PostgreSQL, and clients of the services."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra.write.internal.v1.import_service_pb2_grpc import ImportServiceStub
from connectra.write.v1.write_service_pb2_grpc import WriteServiceStub
from connectra_common.server.peers import channel
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.postgres import migrated, new_database, plain_engine
from tests.support.s3 import Bucket, bucket_of
from tests.support.stack import Stack


@pytest.fixture
async def empty_database(stack: Stack) -> AsyncIterator[str]:
    """DSN of a new, empty database."""
    async with new_database(stack.postgres) as dsn:
        yield dsn


@pytest.fixture
async def engine(empty_database: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a new database with the current schema."""
    engine = await migrated(plain_engine(empty_database))
    yield engine
    await engine.dispose()


@pytest.fixture
async def database(engine: AsyncEngine, empty_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection to a new database with the current schema."""
    connection = await asyncpg.connect(empty_database)
    yield connection
    await connection.close()


@pytest.fixture
async def postgres(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection to the database of the running services."""
    connection = await asyncpg.connect(stack.postgres)
    yield connection
    await connection.close()


@pytest.fixture
async def write(stack: Stack) -> AsyncIterator[WriteServiceStub]:
    """Stub of the write service's typed door, without the gateway."""
    async with channel(stack.grpc["write"]) as opened:
        yield WriteServiceStub(opened)


@pytest.fixture
async def imports(stack: Stack) -> AsyncIterator[ImportServiceStub]:
    """Stub of the write service's door for the worker pools."""
    async with channel(stack.grpc["write_internal"]) as opened:
        yield ImportServiceStub(opened)


@pytest.fixture
async def query(stack: Stack) -> AsyncIterator[QueryServiceStub]:
    """Stub of the query service's typed door, without the gateway."""
    async with channel(stack.grpc["query"]) as opened:
        yield QueryServiceStub(opened)


@pytest.fixture
async def bucket(stack: Stack) -> AsyncIterator[Bucket]:
    """The stack's bucket, below a prefix of the test's own."""
    async with bucket_of(stack) as opened:
        yield opened
