"""An index of the first version becomes one of the current version, and goes back, while records change and people search."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from connectra.query.v1 import query_service_pb2 as query_pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra.write.v1 import index_service_pb2 as pb
from connectra.write.v1.index_service_pb2_grpc import IndexServiceStub
from connectra_common.records.fields import CONTACT
from connectra_common.requests import read
from connectra_common.search.mappings import version_of
from connectra_common.settings import ElasticsearchSettings
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto
from connectra_write.marks import Lane
from elasticsearch import AsyncElasticsearch

from tests.support.first_index import create_first
from tests.support.postgres import drained
from tests.support.queries import text_clause, text_query
from tests.support.words import word

from .conftest import Grid
from .test_index import add_by_sql, background, churn, is_equal
from .test_index_operations import REBUILD, ROLLBACK, live, paused, phases

Json = dict[str, Any]
RECORDS = 500


async def add(sql: asyncpg.Pool, mark: str) -> None:
    """Records that nobody changes."""
    await add_by_sql(sql, mark, RECORDS)
    await sql.execute(
        """INSERT INTO contacts (uuid, first_name, last_name, title, city, email)
           VALUES (gen_random_uuid()::text, 'Bob', 'O''Neil', $1, 'Zürich', 'bob@mail.' || $1 || '.com')""",
        mark,
    )


def expected(mark: str) -> list[tuple[Json, int]]:
    """Searches that find so many of these in an index of either version."""
    mine = {"field": "title", "operator": "prefix", "value": mark[:-1]}
    return [
        (text_query(text_clause(mark, "last_name")), RECORDS),
        ({"filters": {"field": "email", "operator": "domain", "value": f"{mark}.com"}}, RECORDS + 1),
        ({"filters": {"field": "email", "operator": "domain", "value": f"mail.{mark}.com"}}, 1),
        ({"filters": {"and": [mine, {"field": "city", "operator": "eq", "value": "Zürich"}]}}, 1),
        ({"q": f"bob {mark}"}, 1),
        ({"q": f"robert {mark}", "alike": ["nickname"]}, 1),
        ({"q": f"bobby {mark}", "alike": ["sound"]}, 1),
    ]


async def counted(query: QueryServiceStub, document: Json) -> int:
    request = query_pb.CountContactsRequest(query=to_proto(read(Vql, document).model))
    return (await query.CountContacts(request)).count


async def replaced(grid: Grid, sql: asyncpg.Pool, search: AsyncElasticsearch) -> str:
    """The live index replaced by one of the first version that has all records; its name."""
    settings = ElasticsearchSettings(connection=grid.stack.elasticsearch, _env_file=None)
    name, before = f"{CONTACT.alias}-v1-{word()}", await live(search)
    await create_first(search, settings, name)
    await search.indices.update_aliases(
        actions=[{"add": {"index": name, "alias": CONTACT.alias}}, {"remove_index": {"index": before}}]
    )
    marks = "INSERT INTO outbox (entity, uuid, lane) SELECT 'contact', uuid, $1 FROM contacts WHERE deleted_at IS NULL"
    await sql.execute(marks, Lane.REPAIR.value)
    await sql.execute("NOTIFY outbox")
    await drained(sql, seconds=120)
    await search.indices.refresh(index=name)
    return name


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_searches_are_right_at_every_moment_while_the_version_changes(
    grid: Grid, sql: asyncpg.Pool, search: AsyncElasticsearch, index: IndexServiceStub, query: QueryServiceStub
) -> None:
    mark, moving = word(), word()
    grid.start_indexer()
    await add(sql, mark)
    await add_by_sql(sql, moving, 4_000)
    await drained(sql, seconds=120)
    first = await replaced(grid, sql, search)
    only_now = text_query(text_clause("oneil", "last_name"), text_clause(mark, "title"))
    assert await counted(query, only_now) == 0
    seen: dict[str, int] = {}

    def watch(document: Json, number: int) -> Callable[[], Awaitable[Any]]:
        async def once() -> None:
            before = await live(search)
            assert await counted(query, document) == number, (document, before, await live(search))
            seen[before] = seen.get(before, 0) + 1

        return once

    watched = [watch(document, number) for document, number in expected(mark)]
    async with background(churn(sql, moving, 5, pause=0.05), *watched):
        call = index.Reindex(REBUILD)
        async with paused(sql) as new:
            await asyncio.sleep(1)  # of searches and writes beside the build
        assert (await phases(call))[-1] == "done"
        assert (await live(search), version_of(new)) == (new, 2)
        assert await counted(query, only_now) == 1
        back = await index.RollbackIndex(ROLLBACK)
        assert (back.index_name, back.phase) == (first, "done")
        assert await counted(query, only_now) == 0
    assert min(seen.get(name, 0) for name in (first, new)) > len(watched)
    await drained(sql, seconds=60)
    assert await is_equal(index)
    # Other tests work with an index of the current version.
    assert (await phases(index.Reindex(REBUILD)))[-1] == "done"
    assert await counted(query, only_now) == 1
    assert (await index.DropPreviousIndex(pb.DropPreviousIndexRequest(entity="contact"))).index_name == first
