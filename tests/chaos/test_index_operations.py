"""Rebuilds and rollbacks, with what they need killed, removed or blocked: no write waits for them, and nothing gets lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import grpc
import pytest
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra.write.v1 import index_service_pb2 as pb
from connectra.write.v1.index_service_pb2_grpc import IndexServiceStub
from connectra.write.v1.write_service_pb2_grpc import WriteServiceStub
from connectra_common.records.fields import COMPANY, CONTACT
from elasticsearch import AsyncElasticsearch

from tests.support.postgres import drained
from tests.support.wait import until
from tests.support.words import word

from .conftest import Grid
from .test_index import add_by_sql, background, churn, found, is_equal, upsert

REBUILD = pb.ReindexRequest(entity="contact")
ROLLBACK = pb.RollbackIndexRequest(entity="contact")


async def live(search: AsyncElasticsearch) -> str:
    """Name of the live index of contacts."""
    (name,) = (await search.indices.get_alias(name=CONTACT.alias)).body
    return str(name)


async def last(sql: asyncpg.Pool) -> asyncpg.Record:
    """The last operation of contacts."""
    row = await sql.fetchrow(
        "SELECT * FROM index_operations WHERE entity = 'contact' AND kind <> 'check' ORDER BY id DESC"
    )
    assert row
    return row


@asynccontextmanager
async def paused(sql: asyncpg.Pool, entity: str = "contact") -> AsyncIterator[str]:
    """A build that notes no progress meanwhile; the name of its index. Indexers are free to list what they index."""
    begun = """SELECT index_name FROM index_operations WHERE entity = $1 AND ended_at IS NULL AND phase = 'building'
               AND after_uuid = '' FOR NO KEY UPDATE"""
    async with sql.acquire() as connection, connection.transaction():
        yield await until(lambda: connection.fetchval(begun, entity), pause=0.005)


async def prepared(grid: Grid, sql: asyncpg.Pool) -> str:
    """Some thousand records, indexed; their mark."""
    grid.start_indexer()
    mark = word()
    await add_by_sql(sql, mark, 4_000)
    await drained(sql, seconds=120)
    return mark


async def phases(call: Any) -> list[str]:
    return [progress.phase async for progress in call]


async def refusal(call: Any) -> str:
    """Why a call fails, which has to be for its precondition."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await phases(call)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    return str(refused.value.details())


async def write_both(
    sql: asyncpg.Pool, search: AsyncElasticsearch, write: WriteServiceStub, query: QueryServiceStub
) -> None:
    """Changes records of both entities and sees them in the live indices."""
    mark, other = word(), word()
    token = await upsert(write, mark, 1)
    assert len(await found(query, mark, token)) == 1
    await add_by_sql(sql, other, 50)
    await drained(sql, seconds=15)
    await search.indices.refresh(index=COMPANY.alias)
    assert (await search.count(index=COMPANY.alias, query={"match_phrase": {"name": other}}))["count"] == 10


async def test_a_rebuild_goes_on_after_a_kill_while_writes_go_on_and_can_be_rolled_back(
    grid: Grid, sql: asyncpg.Pool, search: AsyncElasticsearch, index: IndexServiceStub
) -> None:
    mark = await prepared(grid, sql)
    before = await live(search)
    request = pb.ReindexRequest(entity="contact", shards=2)
    async with background(churn(sql, mark, 3, pause=0.1)):
        left = index.Reindex(request)
        async with paused(sql) as new:
            left.cancel()  # the work goes on
            grid.indexers[0].kill()
        grid.start_indexer()
        assert (await phases(index.Reindex(request)))[-1] == "done"
    assert await live(search) == new
    assert (await search.indices.get_settings(index=new))[new]["settings"]["index"]["number_of_shards"] == "2"
    await drained(sql, seconds=60)
    assert await is_equal(index)

    await sql.execute("UPDATE contacts SET title = 'since' WHERE last_name = $1 AND id % 100 = 0", mark)
    await sql.execute("UPDATE companies SET city = 'since' WHERE starts_with(name, $1) AND id % 2 = 0", mark)
    await sql.execute("DELETE FROM contacts WHERE last_name = $1 AND id % 100 = 1", mark)
    await drained(sql, seconds=60)
    back = await index.RollbackIndex(ROLLBACK)
    assert (back.index_name, back.phase) == (before, "done")
    assert back.marked > 40
    assert await is_equal(index)
    assert (await index.DropPreviousIndex(pb.DropPreviousIndexRequest(entity="contact"))).index_name == new
    assert not await search.indices.exists(index=new)


@pytest.mark.long
async def test_a_rollback_that_is_cut_off_and_asked_for_again_moves_the_alias_once(
    grid: Grid, sql: asyncpg.Pool, search: AsyncElasticsearch, index: IndexServiceStub
) -> None:
    mark = await prepared(grid, sql)
    before = await live(search)
    assert (await phases(index.Reindex(REBUILD)))[-1] == "done"
    await sql.execute("UPDATE contacts SET title = 'since' WHERE last_name = $1", mark)
    await drained(sql, seconds=60)
    first = index.RollbackIndex(ROLLBACK)
    async with paused(sql):
        grid.indexers[0].kill()
        first.cancel()
        assert await live(search) != before
    grid.start_indexer()

    async def rolled_back() -> Any:
        return await index.RollbackIndex(ROLLBACK)

    done = await until(rolled_back, lambda answer: answer.phase == "done")
    assert done.marked >= 4_000
    assert await live(search) == before
    assert await is_equal(index)
    assert await index.RollbackIndex(ROLLBACK) == done
    assert await live(search) == before


async def test_a_build_whose_index_is_removed_ends_and_no_write_waits_for_it(
    grid: Grid,
    sql: asyncpg.Pool,
    search: AsyncElasticsearch,
    index: IndexServiceStub,
    write: WriteServiceStub,
    query: QueryServiceStub,
) -> None:
    await prepared(grid, sql)
    call = index.Reindex(REBUILD)
    async with paused(sql) as name:
        await search.indices.delete(index=name)
        await write_both(sql, search, write, query)
    with pytest.raises(grpc.aio.AioRpcError) as aborted:
        await phases(call)
    assert aborted.value.code() is grpc.StatusCode.ABORTED
    ended = await last(sql)
    assert (ended["phase"], ended["reason"]) == ("aborted", f"the index {name} is gone")
    await write_both(sql, search, write, query)
    assert await is_equal(index)


@pytest.mark.long
async def test_a_build_goes_on_once_its_index_takes_documents_and_no_write_waits_for_it(
    grid: Grid,
    sql: asyncpg.Pool,
    search: AsyncElasticsearch,
    index: IndexServiceStub,
    write: WriteServiceStub,
    query: QueryServiceStub,
) -> None:
    await prepared(grid, sql)
    call = index.Reindex(REBUILD)
    async with paused(sql) as name:
        await search.indices.put_settings(index=name, settings={"index.blocks.write": True})

    async def reason() -> str:
        return str((await last(sql))["reason"])

    await until(reason, lambda text: "cluster_block_exception" in text, seconds=20)
    await write_both(sql, search, write, query)

    # As if the node that has it were gone.
    nowhere = "index.routing.allocation.require._name"
    await search.indices.close(index=name)
    await search.indices.put_settings(index=name, settings={"index.blocks.write": None, nowhere: "nowhere"})
    await search.indices.open(index=name, wait_for_active_shards=0)
    await write_both(sql, search, write, query)
    assert (await last(sql))["phase"] == "building"
    await search.indices.put_settings(index=name, settings={nowhere: None})
    assert (await phases(call))[-1] == "done"
    assert await live(search) == name
    await drained(sql)
    assert await is_equal(index)


@pytest.mark.long
async def test_a_new_index_goes_live_only_with_all_its_copies(
    grid: Grid, sql: asyncpg.Pool, search: AsyncElasticsearch, index: IndexServiceStub
) -> None:
    grid.start_indexer(ELASTICSEARCH_REPLICAS="1")  # for which there is no node
    before = await live(search)
    call = index.Reindex(REBUILD)

    async def reason() -> str:
        return str((await last(sql))["reason"])

    await until(reason, lambda text: "are not allocated" in text, seconds=60)
    assert await live(search) == before
    (aborted,) = [r async for r in index.Reindex(pb.ReindexRequest(entity="contact", abort=True))]
    assert aborted.phase == "aborted"
    call.cancel()


@pytest.mark.long
async def test_what_only_the_new_index_refuses_keeps_it_from_going_live(
    grid: Grid, sql: asyncpg.Pool, search: AsyncElasticsearch, index: IndexServiceStub
) -> None:
    mark = await prepared(grid, sql)
    before = await live(search)
    # Elasticsearch refuses such a year; this index is said to have taken it.
    wrong = await sql.fetchval(
        """UPDATE contacts SET created_at = '20000-01-01' WHERE uuid = (SELECT max(uuid) FROM contacts WHERE last_name = $1)
           RETURNING uuid""",
        mark,
    )
    await until(lambda: sql.fetchval("SELECT true FROM dead_letters WHERE uuid = $1", wrong))
    await sql.execute("DELETE FROM dead_letters WHERE uuid = $1", wrong)
    for _ in range(2):
        assert f"refuses documents, such as {wrong}" in await refusal(index.Reindex(REBUILD))
    status = await index.GetIndexStatus(pb.GetIndexStatusRequest())
    assert wrong in status.indices[1].rebuild.reason
    assert await live(search) == before
    await sql.execute("UPDATE contacts SET created_at = now() WHERE uuid = $1", wrong)
    await drained(sql)
    assert (await phases(index.Reindex(REBUILD)))[-1] == "done"
    assert await live(search) != before
    assert await is_equal(index)


@pytest.mark.long
async def test_a_new_index_that_is_not_like_the_database_never_goes_live(
    grid: Grid, sql: asyncpg.Pool, search: AsyncElasticsearch, index: IndexServiceStub
) -> None:
    await prepared(grid, sql)
    before = await live(search)
    first = await sql.fetchval("SELECT uuid FROM contacts WHERE deleted_at IS NULL ORDER BY uuid LIMIT 1")
    call = index.Reindex(REBUILD)
    async with paused(sql) as name:
        # With the version of a later document, so that it stays away.
        gone = search.options(ignore_status=404)
        await gone.delete(index=name, id=first, version=2**60, version_type="external_gte")
    assert "is not like" in await refusal(call)
    assert "is not like" in await refusal(index.Reindex(REBUILD))
    with pytest.raises(grpc.aio.AioRpcError) as other:
        await index.RollbackIndex(ROLLBACK)
    assert other.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert await live(search) == before
    (aborted,) = [r async for r in index.Reindex(pb.ReindexRequest(entity="contact", abort=True))]
    assert aborted.phase == "aborted"
    assert not await search.indices.exists(index=name)
    assert "no rebuild" in await refusal(index.Reindex(pb.ReindexRequest(entity="contact", abort=True)))
    await sql.execute("UPDATE contacts SET title = 'on' WHERE uuid = $1", first)
    await drained(sql, seconds=30)
    assert await is_equal(index)


async def test_a_kill_between_the_move_of_the_alias_and_the_commit_is_made_good(
    grid: Grid, sql: asyncpg.Pool, search: AsyncElasticsearch, index: IndexServiceStub, write: WriteServiceStub
) -> None:
    mark = await prepared(grid, sql)
    before = await live(search)
    call = index.Reindex(REBUILD)
    async with sql.acquire() as connection, connection.transaction():
        async with paused(sql) as new:
            await connection.execute("LOCK TABLE audit IN EXCLUSIVE MODE")  # which the commit needs

        async def has_moved() -> bool:
            return await live(search) == new

        await until(has_moved)
        grid.indexers[0].kill()
    assert (await last(sql))["phase"] == "switching"
    await upsert(write, mark, 1, "while nobody was at work")
    grid.start_indexer()
    assert (await phases(call))[-1] == "done"
    assert (await last(sql))["previous"] == before
    await drained(sql)
    assert await is_equal(index)
    assert (await index.RollbackIndex(ROLLBACK)).index_name == before
    assert await is_equal(index)


async def test_a_document_that_is_removed_behind_its_back_is_counted_and_repaired(
    grid: Grid, sql: asyncpg.Pool, search: AsyncElasticsearch, index: IndexServiceStub
) -> None:
    mark = word()
    grid.start_indexer(INDEX_CHECK_RECORDS_PER_SECOND="20000")
    await add_by_sql(sql, mark, 10)
    await drained(sql, seconds=60)

    async def check() -> pb.IndexCheck:
        return (await index.GetIndexStatus(pb.GetIndexStatusRequest())).indices[1].check

    await until(check, lambda now: now.compared and not now.differing, seconds=60)
    uuid = await sql.fetchval("SELECT uuid FROM contacts WHERE last_name = $1", mark)
    await search.delete(index=CONTACT.alias, id=uuid, refresh=True)
    await until(check, lambda now: now.differing == 1, seconds=60)
    await drained(sql)
    assert await search.exists(index=CONTACT.alias, id=uuid)
    clean = await until(check, lambda now: not now.differing, seconds=60)
    records = await sql.fetchval("SELECT count(*) FROM contacts WHERE deleted_at IS NULL")
    assert clean.compared == records
    assert 0 < clean.oldest_seconds < 60
