"""Bounds of the query service on real stores: what one client holds, the others do not lack."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias
from uuid import uuid4

import asyncpg
import grpc
import pytest
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1.query_service_pb2_grpc import (
    QueryServiceServicer,
    QueryServiceStub,
    add_QueryServiceServicer_to_server,
)
from connectra_common.consistency import Token
from connectra_common.db.database import Database
from connectra_common.errors import DatabaseUnavailable, Unavailable
from connectra_common.requests import read
from connectra_common.search.client import create_client
from connectra_common.server.interceptors import CallInterceptor
from connectra_common.settings import ElasticsearchSettings, PostgresSettings
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto
from connectra_query.bulkheads import Bulkheads
from connectra_query.connections import Connections
from connectra_query.consistency import Follower
from connectra_query.limits import Limits
from connectra_query.search.engine import Search
from connectra_query.service import QueryService
from connectra_query.servicer import QueryServicer
from connectra_query.settings import BoundSettings
from pydantic import SecretStr

from tests.support.http import client
from tests.support.postgres import indexed
from tests.support.queries import keyword_query
from tests.support.stack import Stack
from tests.support.wait import until
from tests.support.words import word

IDLE_SECONDS = 1.0
BOUNDS = BoundSettings(searches=4, streams=8, exports=8, _env_file=None)
# Enough that the windows of HTTP/2 do not hold it.
ROWS, CHARACTERS = 1_500, 2_000
SMALL_WINDOW = [
    ("grpc.http2.lookahead_bytes", 65_536),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.use_local_subchannel_pool", 1),
]


Export: TypeAlias = "grpc.aio.UnaryStreamCall[pb.ExportContactsRequest, pb.ExportContactsResponse]"


def of(name: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    """The metadata of a client's call."""
    return [("x-client-id", name), ("x-client-rights", "read,export"), *more]


@pytest.fixture(scope="module")
async def mark(stack: Stack) -> AsyncIterator[str]:
    """Of long contacts, which are indexed."""
    postgres = await asyncpg.connect(stack.postgres)
    mark = word()
    await postgres.execute(
        """INSERT INTO contacts (uuid, first_name, stage, seniority)
        SELECT gen_random_uuid()::text, repeat('n', $3), $1, 'n' || n FROM generate_series(1, $2::int) n""",
        mark,
        ROWS,
        CHARACTERS,
    )
    await indexed(postgres)
    async with client(stack.elasticsearch) as engine:
        await engine.post("/contacts_index/_refresh")
    yield mark
    await postgres.execute("DELETE FROM contacts WHERE stage = $1", mark)
    await postgres.close()


@asynccontextmanager
async def served(stack: Stack, idle_seconds: float) -> AsyncIterator[str]:
    """The address of a query service with narrow bounds."""
    postgres = PostgresSettings(connection=SecretStr(stack.postgres), pool_size=8, _env_file=None)
    elasticsearch = ElasticsearchSettings(connection=stack.elasticsearch, _env_file=None)
    async with Connections.open(postgres) as connections, create_client(elasticsearch) as elastic:
        bulkheads = Bulkheads.of(BOUNDS, connections)
        service = QueryService(connections, Search(elastic, 10), elastic.info, Limits(), bulkheads)
        server = grpc.aio.server(interceptors=[CallInterceptor(30, idle_seconds=idle_seconds)])
        add_QueryServiceServicer_to_server(QueryServicer(service), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        yield f"127.0.0.1:{port}"
        await server.stop(0)


@pytest.fixture
async def query(stack: Stack) -> AsyncIterator[str]:
    """One whose streams end soon when they are not read."""
    async with served(stack, IDLE_SECONDS) as address:
        yield address


@pytest.fixture
async def patient(stack: Stack) -> AsyncIterator[str]:
    """One whose streams do not."""
    async with served(stack, 600) as address:
        yield address


@asynccontextmanager
async def stub(address: str) -> AsyncIterator[QueryServiceStub]:
    """A caller whose connection holds little."""
    async with grpc.aio.insecure_channel(address, options=SMALL_WINDOW) as channel:
        yield QueryServiceStub(channel)


def export(to: QueryServiceStub, name: str, mark: str | None = None) -> Export:
    document = {"select_columns": ["uuid", "first_name"], **(keyword_query(stage=mark) if mark else {})}
    return to.ExportContacts(pb.ExportContactsRequest(query=to_proto(read(Vql, document).model)), metadata=of(name))


async def read_on(call: Export) -> None:
    """Reads what is left of a stream."""
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_exports_of_one_client_are_refused_beyond_its_share_and_those_of_others_go_on(
    patient: str, mark: str
) -> None:
    async with AsyncExitStack() as held:
        for _ in range(BOUNDS.exports // 4):
            call = export(await held.enter_async_context(stub(patient)), "greedy")
            assert await call.read()
        other = await held.enter_async_context(stub(patient))
        with pytest.raises(grpc.aio.AioRpcError, match="too many exports at once: a client may have 2") as refused:
            await export(other, "greedy").read()
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        rows = [piece.rows async for piece in export(other, "other", mark)]
        assert sum(rows) == ROWS


async def test_when_all_places_are_taken_the_service_is_busy_for_everybody(patient: str, mark: str) -> None:
    async with AsyncExitStack() as held:
        for number in range(BOUNDS.exports):
            call = export(await held.enter_async_context(stub(patient)), f"client {number // 2}")
            assert await call.read()
        other = await held.enter_async_context(stub(patient))
        with pytest.raises(grpc.aio.AioRpcError, match="the service is busy with exports") as refused:
            await export(other, "other").read()
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        # Only with these: records by uuid and searches have places of their own.
        await other.CountContacts(pb.CountContactsRequest(), metadata=of("other"))
        with pytest.raises(grpc.aio.AioRpcError, match="NOT_FOUND"):
            await other.GetContact(pb.GetContactRequest(uuid=str(uuid4())), metadata=of("other"))


@pytest.mark.parametrize("conditions", [True, False])
async def test_an_export_that_nobody_reads_ends_and_leaves_nothing_behind(
    query: str, mark: str, stack: Stack, postgres: asyncpg.Connection, conditions: bool
) -> None:
    async with client(stack.elasticsearch) as engine, stub(query) as caller, stub(query) as other:

        async def open_views() -> int:
            nodes = (await engine.get("/_nodes/stats/indices/search")).json()["nodes"]
            return sum(int(node["indices"]["search"]["open_contexts"]) for node in nodes.values())

        before = await open_views()
        calls = [export(caller, "idle", mark if conditions else None) for _ in range(2)]
        for call in calls:
            await call.read()
        idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND application_name = 'connectra-query'"
        assert await postgres.fetchval(idle) == 0

        async def is_free() -> bool:
            return bool([piece async for piece in export(other, "idle", mark)])

        # Their places are free again, though the caller has not been told yet: it does not read.
        await until(is_free, seconds=IDLE_SECONDS + 10, away=(grpc.aio.AioRpcError,))
        await until(open_views, lambda now: now <= before, seconds=20)
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError, match="nothing of it was read for 1 seconds") as ended:
                await read_on(call)
            assert ended.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_streams_that_are_read_slowly_go_on(query: str, mark: str) -> None:
    async with stub(query) as caller:
        rows = 0
        async for piece in export(caller, "slow", mark):
            rows += piece.rows
            await asyncio.sleep(IDLE_SECONDS / 2)
        assert rows == ROWS


class Silent(QueryServiceServicer):
    """Has nothing to send for longer than a caller may take to read."""

    async def ExportContacts(
        self, request: pb.ExportContactsRequest, context: object
    ) -> AsyncIterator[pb.ExportContactsResponse]:
        yield pb.ExportContactsResponse(rows=1)
        await asyncio.sleep(IDLE_SECONDS * 2)
        yield pb.ExportContactsResponse(rows=1)


async def test_a_stream_that_has_nothing_to_send_goes_on() -> None:
    server = grpc.aio.server(interceptors=[CallInterceptor(30, idle_seconds=IDLE_SECONDS)])
    add_QueryServiceServicer_to_server(Silent(), server)  # type: ignore[abstract]  # the others are unimplemented
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with stub(f"127.0.0.1:{port}") as caller:
        assert [piece.rows async for piece in export(caller, "patient")] == [1, 1]
    await server.stop(0)


# ---- consistency tokens


@pytest.fixture
async def marks(database: asyncpg.Connection, empty_database: str) -> AsyncIterator[Database]:
    """One connection to a database of its own, whose marks no indexer takes away."""
    settings = PostgresSettings(connection=SecretStr(empty_database), _env_file=None)
    async with Database.open(settings, "query", connections=1) as opened:
        yield opened


async def marked(database: asyncpg.Connection) -> int:
    """The number of a new record's mark."""
    await database.execute("INSERT INTO companies (uuid, name) VALUES (gen_random_uuid()::text, 'Acme')")
    mark: int = await database.fetchval("SELECT max(first_seq) FROM outbox")
    return mark


async def test_one_connection_waits_for_all_and_each_is_answered_in_its_turn(
    marks: Database, database: asyncpg.Connection
) -> None:
    follower, numbers = Follower(marks), [await marked(database) for _ in range(3)]
    waiting: Sequence[list[asyncio.Task[None]]] = [
        [asyncio.create_task(follower.wait(frozenset({Token(number)}), 30)) for _ in range(100)] for number in numbers
    ]
    for tasks, number in zip(waiting, numbers, strict=True):
        assert not any(task.done() for task in tasks)
        await database.execute("DELETE FROM outbox WHERE first_seq <= $1", number)
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks)
    await follower.wait(frozenset({Token(2**63 - 1)}), 30)


async def test_a_write_that_is_not_indexed_in_time_is_unavailable(
    marks: Database, database: asyncpg.Connection
) -> None:
    with pytest.raises(Unavailable, match="not searchable yet"):
        await Follower(marks).wait(frozenset({Token(await marked(database))}), 0.2)


async def test_while_the_database_is_away_all_who_wait_are_told_so() -> None:
    settings = PostgresSettings(connection=SecretStr("postgresql://u:p@127.0.0.1:1/none"), _env_file=None)
    async with Database.open(settings, "query", connections=1) as away:
        follower = Follower(away)
        told = await asyncio.gather(
            *(follower.wait(frozenset({Token(1)}), 30) for _ in range(5)), return_exceptions=True
        )
    assert [type(error) for error in told] == [DatabaseUnavailable] * 5
