"""The query service beyond one page of rows: streams, batches, what accompanies the rows, deadlines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import httpx
import pytest
from connectra.common.v1 import vql_pb2
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.call import Call
from connectra_common.db.database import Database
from connectra_common.errors import DeadlineExceeded, SearchUnavailable
from connectra_common.records.fields import CONTACT
from connectra_common.requests import read
from connectra_common.search.client import create_client
from connectra_common.settings import ElasticsearchSettings, PostgresSettings
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto
from connectra_query.bulkheads import Bulkheads
from connectra_query.connections import Connections
from connectra_query.export import stream
from connectra_query.export.repository import Layout
from connectra_query.limits import Limits
from connectra_query.search.engine import Search
from connectra_query.service import QueryService
from connectra_query.settings import BoundSettings
from elasticsearch import AsyncElasticsearch
from google.protobuf.json_format import MessageToDict
from grpc_status import rpc_status
from pydantic import SecretStr

from tests.support.http import client
from tests.support.postgres import indexed
from tests.support.queries import keyword_query, text_clause, text_query
from tests.support.stack import Stack, frozen
from tests.support.wait import until
from tests.support.words import word

ROWS = 1_203


class Corpus:
    """Contacts that only their mark finds."""

    def __init__(self, mark: str, token: str) -> None:
        self.mark, self.token = mark, token

    def where(self, **more: Any) -> dict[str, Any]:
        return {**keyword_query(stage=self.mark), **more}

    def text(self, value: str, kind: str = "exact", **more: Any) -> dict[str, Any]:
        where = text_query(text_clause(value, "title", kind))["where"] | self.where()["where"]
        return {"where": where, **more}

    @property
    def metadata(self) -> list[tuple[str, str]]:
        return [("x-consistency-token", self.token)]


@pytest.fixture(scope="module")
async def corpus(stack: Stack) -> AsyncIterator[Corpus]:
    postgres = await asyncpg.connect(stack.postgres)
    mark = word()
    await postgres.execute(
        """INSERT INTO companies (uuid, name, employees_count) VALUES ($1, 'Acme ' || $1, 12)""",
        company := str(uuid4()),
    )
    await postgres.execute(
        """INSERT INTO contacts (uuid, first_name, title, city, stage, company_id, departments)
        SELECT gen_random_uuid()::text, 'n' || lpad(n::text, 5, '0'),
               CASE WHEN n % 3 = 0 THEN 'Sales <Manager>' ELSE 'Engineer' END, 'city ' || n % 4, $1, $2, ARRAY['d' || n % 2]
        FROM generate_series(1, $3::int) n""",
        mark,
        company,
        ROWS,
    )
    token = await indexed(postgres)
    yield Corpus(mark, token)
    await postgres.execute("DELETE FROM contacts WHERE stage = $1", mark)
    await postgres.close()


def typed(document: dict[str, Any]) -> vql_pb2.Vql:
    return to_proto(read(Vql, document).model)


async def test_a_stream_gives_every_match_once_in_the_asked_order(corpus: Corpus, query: QueryServiceStub) -> None:
    order = [{"order_by": "first_name", "order_direction": "desc"}]
    document = corpus.where(order_by=order, limit=3, select_columns=["first_name"], company_config={"populate": True})
    request = pb.SearchContactsRequest(query=typed(document))
    found = [row async for part in query.SearchContacts(request, metadata=corpus.metadata) for row in part.rows]
    assert [row.contact.first_name for row in found] == [f"n{n:05}" for n in range(ROWS, 0, -1)]
    assert {row.company.employees_count for row in found} == {12}


async def test_a_stream_by_relevance_and_one_of_nothing(corpus: Corpus, query: QueryServiceStub) -> None:
    request = pb.SearchContactsRequest(query=typed(corpus.text("sales")))
    found = [row async for part in query.SearchContacts(request, metadata=corpus.metadata) for row in part.rows]
    assert len({row.contact.uuid for row in found}) == len(found) == ROWS // 3
    nothing = pb.SearchCompaniesRequest(query=typed(keyword_query(city=corpus.mark)))
    assert [part async for part in query.SearchCompanies(nothing)] == []


async def test_a_stream_that_is_left_early_leaves_no_view_open(
    query: QueryServiceStub, stack: Stack, postgres: asyncpg.Connection
) -> None:
    mark = word()
    # More than fits on its way: the service waits for the caller to read.
    await postgres.execute(
        """INSERT INTO contacts (uuid, stage, title) SELECT gen_random_uuid()::text, $1, repeat('x', 1000)
           FROM generate_series(1, 8000)""",
        mark,
    )
    token = await indexed(postgres)
    async with client(stack.elasticsearch) as engine:

        async def open_views() -> int:
            nodes = (await engine.get("/_nodes/stats/indices/search")).json()["nodes"]
            return sum(int(node["indices"]["search"]["open_contexts"]) for node in nodes.values())

        before = await open_views()
        request = pb.SearchContactsRequest(query=typed(keyword_query(stage=mark)))
        call = query.SearchContacts(request, metadata=[("x-consistency-token", token)])
        await call.read()
        assert await open_views() > before
        call.cancel()
        await until(open_views, lambda now: now <= before, seconds=20)


async def walked(api: httpx.AsyncClient, document: dict[str, Any]) -> tuple[list[str], list[int]]:
    """The first names of all rows, page by page, and the pages' sizes."""
    found: list[str] = []
    sizes: list[int] = []
    cursor: dict[str, Any] = {}
    while True:
        answer = (await api.post("/contacts", json={**document, **cursor})).json()
        found += [row["first_name"] for row in answer["data"]]
        sizes.append(len(answer["data"]))
        if "next_cursor" not in answer:
            return found, sizes
        assert answer["next_cursor"] == answer["data"][-1]["cursor"]
        cursor = {"cursor": answer["next_cursor"]}


@pytest.mark.parametrize(
    ("order", "most"),
    [([{"order_by": "first_name"}], 100), ([{"order_by": "city"}], 100), ([{"order_by": "id"}], 7), ([], 100)],
)
async def test_pages_end_where_there_is_no_next_cursor(
    corpus: Corpus, api: httpx.AsyncClient, query: QueryServiceStub, order: list[dict[str, str]], most: int
) -> None:
    few = {"filters": {"field": "first_name", "operator": "prefix", "value": "n000"}}
    api.headers["x-consistency-token"] = corpus.token
    document = corpus.where(**few, order_by=order, limit=min(most, 11))
    found, sizes = await walked(api, document)
    assert sorted(found) == [f"n{n:05}" for n in range(1, 100)]
    assert sizes == ([11] * 9 if most > 7 else [7] * 14 + [1])
    page = await query.ListContacts(pb.ListContactsRequest(query=typed(document)))
    assert [value.string_value for value in page.next_cursor] == [value.string_value for value in page.rows[-1].cursor]
    last = await query.ListContacts(pb.ListContactsRequest(query=typed({**document, "limit": 99})))
    assert (len(last.rows), list(last.next_cursor)) == (99, [])


async def test_a_page_is_filled_up_while_the_index_still_has_what_was_deleted(
    api: httpx.AsyncClient, postgres: asyncpg.Connection, stack: Stack
) -> None:
    mark = word()
    await postgres.execute(
        """INSERT INTO contacts (uuid, first_name, title, stage)
        SELECT gen_random_uuid()::text, lpad(n::text, 4, '0'), 'Refilled', $1 FROM generate_series(1, 60) n""",
        mark,
    )
    api.headers["x-consistency-token"] = await indexed(postgres)
    document = {**keyword_query(stage=mark), "order_by": [{"order_by": "first_name"}], "limit": 25, "track_total": True}
    assert len(await names_of(api, document)) == 25
    with frozen(stack, "indexer"):
        await postgres.execute("UPDATE contacts SET deleted_at = now() WHERE stage = $1 AND first_name <= '0030'", mark)
        del api.headers["x-consistency-token"]
        assert await names_of(api, document) == [f"{n:04}" for n in range(31, 56)]
        for limit, sizes in ((10, [10, 10, 10]), (29, [29, 1]), (30, [30]), (31, [30]), (100, [30])):
            found, lengths = await walked(api, {**document, "limit": limit})
            assert (found, lengths) == ([f"{n:04}" for n in range(31, 61)], sizes), limit
        shown = {**text_query(text_clause("refilled", "title"))["where"], **keyword_query(stage=mark)["where"]}
        answer = await api.post(
            "/contacts", json={"where": shown, "highlight": True, "limit": 30, "company_config": {"populate": True}}
        )
        assert [row["highlight"] for row in answer.json()["data"]] == [{"title": ["<em>Refilled</em>"]}] * 30
        await postgres.execute("UPDATE contacts SET deleted_at = now() WHERE stage = $1", mark)
        assert await walked(api, document) == ([], [0])
    await postgres.execute("DELETE FROM contacts WHERE stage = $1", mark)


async def names_of(api: httpx.AsyncClient, document: dict[str, Any]) -> list[str]:
    """The first names of one page."""
    return [row["first_name"] for row in (await api.post("/contacts", json=document)).json()["data"]]


class Reader:
    """A query service in this process, on the engines of the stack, whose points in time can be taken away from it."""

    def __init__(self, database: Database, elastic: AsyncElasticsearch, seconds: float) -> None:
        connections = Connections(database, database, database, database)
        bulkheads = Bulkheads.of(BoundSettings(_env_file=None), connections)
        self.service = QueryService(connections, Search(elastic, seconds), elastic.info, Limits(), bulkheads)
        self._elastic, self._open = elastic, elastic.open_point_in_time
        self._opened: list[str] = []
        elastic.open_point_in_time = self._remember  # type: ignore[method-assign]

    async def _remember(self, **options: Any) -> Any:
        answer = await self._open(**options)
        self._opened.append(answer["id"])
        return answer

    async def lose_the_view(self) -> None:
        (pit,) = self._opened
        await self._elastic.close_point_in_time(id=pit)


@pytest.fixture
async def reader(stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Reader]:
    postgres = PostgresSettings(connection=SecretStr(stack.postgres), _env_file=None)
    elasticsearch = ElasticsearchSettings(connection=stack.elasticsearch, _env_file=None)
    async with Database.open(postgres, "test") as database, create_client(elasticsearch) as elastic:
        yield Reader(database, elastic, getattr(request, "param", 10))


@pytest.mark.parametrize("reader", [-1], indirect=True, ids=["no time for a search"])
async def test_a_page_of_a_walk_has_more_time_than_a_search(corpus: Corpus, reader: Reader) -> None:
    request, call = read(Vql, corpus.where(select_columns=["uuid"])).model, Call(token=corpus.token)
    with pytest.raises(DeadlineExceeded, match="the search took too long"):
        await reader.service.page(CONTACT, request, call)
    async with aclosing(reader.service.export(CONTACT, request, Layout(), call)) as pieces:
        assert sum([piece.rows async for piece in pieces]) == ROWS


async def test_a_stream_that_loses_its_view_can_be_asked_for_again(corpus: Corpus, reader: Reader) -> None:
    request = read(Vql, corpus.where(select_columns=["uuid"])).model
    async with aclosing(reader.service.walk(CONTACT, request, Call(token=corpus.token))) as pages:
        await anext(pages)
        await reader.lose_the_view()
        with pytest.raises(SearchUnavailable, match="lost the view"):
            await anext(pages)


async def test_an_export_that_loses_its_view_can_be_asked_for_again(
    corpus: Corpus, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PAGE_ROWS", 20)
    request = read(Vql, corpus.where(select_columns=["uuid"])).model
    async with aclosing(reader.service.export(CONTACT, request, Layout(), Call(token=corpus.token))) as pieces:
        assert (await anext(pieces)).data == b"uuid\n"
        assert 0 < (await anext(pieces)).rows <= 20  # a slice of the index may have fewer
        await reader.lose_the_view()
        with pytest.raises(SearchUnavailable, match="lost the view"):
            async for _ in pieces:
                pass


async def test_many_by_uuid_come_in_the_order_asked_and_the_missing_are_named(
    corpus: Corpus, query: QueryServiceStub, postgres: asyncpg.Connection
) -> None:
    rows = await postgres.fetch("SELECT uuid FROM contacts WHERE stage = $1 ORDER BY random() LIMIT 5", corpus.mark)
    uuids, missing = [row[0] for row in rows], str(uuid4())
    asked = [uuids[0].upper(), uuids[1].replace("-", ""), missing.upper(), *uuids[2:]]
    request = pb.BatchGetContactsRequest(uuids=asked, select_columns=["uuid", "title"])
    answer = await query.BatchGetContacts(request)
    assert [c.uuid for c in answer.contacts] == uuids
    assert list(answer.missing_uuids) == [missing]
    assert not answer.contacts[0].HasField("first_name")
    with pytest.raises(grpc.aio.AioRpcError, match="at most 1000"):
        await query.BatchGetContacts(pb.BatchGetContactsRequest(uuids=[missing] * 1001))
    with pytest.raises(grpc.aio.AioRpcError, match="invalid UUID format: x"):
        await query.BatchGetCompanies(pb.BatchGetCompaniesRequest(uuids=["x"]))


async def test_rows_have_their_versions_where_they_are_asked_for(
    corpus: Corpus, api: httpx.AsyncClient, query: QueryServiceStub, postgres: asyncpg.Connection
) -> None:
    document = corpus.where(limit=3, order_by=[{"order_by": "uuid"}], select_columns=["row_version", "uuid"])
    answer = (await api.post("/contacts", json=document, headers={"x-consistency-token": corpus.token})).json()
    versions = {row["uuid"]: row["row_version"] for row in answer["data"]}
    stored = await postgres.fetch("SELECT uuid, row_version FROM contacts WHERE uuid = ANY($1)", list(versions))
    assert versions == {row["uuid"]: row["row_version"] for row in stored}
    page = await query.ListContacts(pb.ListContactsRequest(query=typed(document)))
    assert {row.contact.uuid: row.contact.row_version for row in page.rows} == versions
    plain = await query.ListContacts(pb.ListContactsRequest(query=typed({**document, "select_columns": ["uuid"]})))
    assert not any(row.contact.HasField("row_version") for row in plain.rows)
    stream = query.SearchContacts(pb.SearchContactsRequest(query=typed(document)))
    assert all([row.contact.row_version async for part in stream for row in part.rows])
    with pytest.raises(grpc.aio.AioRpcError, match="unknown field 'row_version'"):
        await anext(aiter(query.ExportContacts(pb.ExportContactsRequest(query=typed(document)))))


async def test_total_and_facets_stand_beside_the_page_in_both_doors(
    corpus: Corpus, api: httpx.AsyncClient, query: QueryServiceStub
) -> None:
    facets = [
        {"field": "city", "size": 3},
        {"field": "company_employees_count", "ranges": [{"lt": 12}, {"gte": 12, "lt": 13}]},
        {"field": "departments"},
    ]
    document = corpus.where(track_total=True, facets=facets, limit=2)
    answer = (await api.post("/contacts", json=document, headers={"x-consistency-token": corpus.token})).json()
    assert len(answer["data"]) == 2
    assert answer["total"] == {"value": ROWS, "relation": "eq"}
    cities, sizes, departments = answer["facets"]
    assert ([v["count"] for v in cities["values"]], cities["other"], cities["exact"]) == ([301] * 3, 300, True)
    assert sizes["ranges"] == [{"gte": None, "lt": 12, "count": 0}, {"gte": 12, "lt": 13, "count": ROWS}]
    assert departments["values"] == [{"value": "d1", "count": 602}, {"value": "d0", "count": 601}]
    message = await query.ListContacts(pb.ListContactsRequest(query=typed(document)))
    assert (message.total.value, message.total.relation) == (ROWS, "eq")
    assert [(c.value.string_value, c.count) for c in message.facets[2].counts] == [("d1", 602), ("d0", 601)]
    assert message.facets[1].counts[1].gte.number_value == 12


async def test_highlights_are_html_and_show_what_matched(
    corpus: Corpus, api: httpx.AsyncClient, query: QueryServiceStub
) -> None:
    document = corpus.text("manager", limit=1, highlight=True, select_columns=["uuid"])
    (row,) = (await api.post("/contacts", json=document, headers={"x-consistency-token": corpus.token})).json()["data"]
    assert row["highlight"] == {"title": ["Sales &lt;<em>Manager</em>&gt;"]}
    message = await query.ListContacts(pb.ListContactsRequest(query=typed(document)))
    assert list(message.rows[0].highlight["title"].values) == row["highlight"]["title"]
    part = corpus.text("gineer", "substring", limit=1, highlight=True, select_columns=["uuid"])
    (row,) = (await api.post("/contacts", json=part)).json()["data"]
    assert row["highlight"] == {"title": ["En<em>gineer</em>"]}


async def test_an_explanation_says_what_was_understood_and_what_each_condition_finds(
    corpus: Corpus, api: httpx.AsyncClient, query: QueryServiceStub
) -> None:
    document = corpus.text("sales manager", explain=True, limit=1)
    explain = (await api.post("/contacts", json=document, headers={"x-consistency-token": corpus.token})).json()[
        "explain"
    ]
    assert explain["clauses"][1] == {
        "path": "where.keyword_match.must.stage",
        "condition": {"field": "stage", "in": [corpus.mark]},
        "hits": ROWS,
    }
    assert explain["clauses"][0]["hits"] >= ROWS // 3
    assert explain["elasticsearch"]["size"] == 2  # one more than the page has
    assert [key["order_by"] for key in explain["query"]["order_by"]] == ["_score", "uuid"]
    assert explain["query"]["where"]["and"][0] == {"field": "title", "exact": "sales manager", "slop": 0}
    message = await query.ListContacts(pb.ListContactsRequest(query=typed(document)))
    assert MessageToDict(message.explain)["query"]["limit"] == 1


async def test_a_deadline_that_has_no_time_left_is_an_error_never_a_short_answer(
    corpus: Corpus, query: QueryServiceStub
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await query.ListContacts(pb.ListContactsRequest(query=typed(corpus.where())), timeout=0.001)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_caller_whose_time_runs_out_is_told_so_by_the_service(
    stack: Stack, corpus: Corpus, query: QueryServiceStub
) -> None:
    request = pb.CountContactsRequest(query=typed(corpus.where()))
    await query.CountContacts(request)
    with frozen(stack, "elasticsearch"):
        errors = await asyncio.gather(
            *(query.CountContacts(request, timeout=1) for _ in range(5)), return_exceptions=True
        )
    for error in errors:
        assert isinstance(error, grpc.aio.AioRpcError)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert rpc_status.from_call(error) is not None  # type: ignore[arg-type]  # what it needs of a call, an error has


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"facets": [{"field": "titel"}]}, "did you mean 'title'?"),
        ({"facets": [{"field": "title", "ranges": [{"gte": 1}]}]}, "neither a number nor a date"),
        ({"facets": [{"field": "city", "size": 101}]}, "1 to 100 are allowed"),
        ({"highlight": True}, "no text condition"),
        ({"order_by": [{"order_by": "id"}], "cursor": ["x", "y"]}, "'x' is not a value of id"),
    ],
)
async def test_refusals_beyond_conditions_are_the_same_through_both_doors(
    api: httpx.AsyncClient, query: QueryServiceStub, document: dict[str, Any], text: str
) -> None:
    answer = await api.post("/contacts", json=document)
    assert (answer.status_code, text in answer.json()["message"]) == (400, True), answer.text
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await query.ListContacts(pb.ListContactsRequest(query=typed(document)))
    assert refused.value.details() == answer.json()["message"]
