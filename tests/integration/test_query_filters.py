"""Filters and their values through the gateway and the typed door."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import httpx
import pytest
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.call import Call
from connectra_common.db.database import Database
from connectra_common.errors import NotFound
from connectra_common.search.client import create_client
from connectra_common.settings import ElasticsearchSettings, PostgresSettings
from connectra_query.filters import service as filter_service
from connectra_query.filters.service import FilterService, FilterValuesRequest
from connectra_query.search.engine import Search
from connectra_write.filter_values.counts import add_up
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.postgres import indexed
from tests.support.stack import Stack
from tests.support.words import word


@pytest.fixture
async def pool(engine: AsyncEngine, empty_database: str) -> AsyncIterator[Database]:
    """The connections of a service to a new database with the current schema."""
    settings = PostgresSettings(connection=SecretStr(empty_database), _env_file=None)
    async with Database.open(settings, "test") as opened:
        yield opened


async def people(connection: asyncpg.Connection, *rows: dict[str, Any], table: str = "contacts") -> None:
    for row in rows:
        row = {"uuid": str(uuid4()), **row}
        marks = ", ".join(f"${i + 1}" for i in range(len(row)))
        await connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())


class NoIndex(Search):
    """What has no part in filters of PostgreSQL's."""

    def __init__(self) -> None:
        pass


async def values(pool: Database, service: str, key: str, **more: Any) -> list[str]:
    found = await FilterService(pool, NoIndex()).values(service, FilterValuesRequest(filter_key=key, **more), Call())
    return [shown for _, shown in found]


@pytest.mark.parametrize("base", ["/companies", "/common/company", "/common/companies", "/v1/companies"])
async def test_the_filters_of_a_service_are_listed_by_id_on_every_path(api: httpx.AsyncClient, base: str) -> None:
    rows = (await api.get(f"{base}/filters")).json()["data"]
    assert [row["id"] for row in rows] == list(range(1, 15))
    assert rows[1] == {
        "id": 2,
        "key": "employees_count",
        "service": "company",
        "filter_type": "range",
        "display_name": "Employees Count",
        "direct_derived": True,
        "active": True,
        "deleted_at": None,
    }


async def test_both_doors_list_the_same_filters_and_values(
    api: httpx.AsyncClient, query: QueryServiceStub, postgres: asyncpg.Connection
) -> None:
    mark = word()
    await people(postgres, {"first_name": f"{mark}B"}, {"first_name": f"{mark}a"}, {"first_name": f"{mark}a"})
    typed = (await query.ListFilters(pb.ListFiltersRequest(service="contacts"))).filters
    rest = (await api.get("/contacts/filters")).json()["data"]
    assert [(f.id, f.key, f.direct_derived) for f in typed] == [(f["id"], f["key"], f["direct_derived"]) for f in rest]
    asked = {"filter_key": "first_name", "search_text": mark.upper()}
    answer = (await api.post("/contacts/filters/data", json=asked)).json()
    expected = [f"{mark}B", f"{mark}a"]
    assert answer == {"data": [{"value": v, "display_value": v} for v in expected], "success": True}
    found = await query.ListFilterValues(
        pb.ListFilterValuesRequest(service="contact", filter_key="first_name", search_text=mark.upper())
    )
    assert [(v.value, v.display_value) for v in found.values] == [(v, v) for v in expected]


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/common/people/filters/data", {"filter_key": "city"}, 400, "ERR_UNSUPPORTED_SERVICE"),
        ("/contacts/filters/data", {"filter_key": "citty"}, 404, "did you mean 'city'?"),
        ("/contacts/filters/data", {"filter_key": "city", "limit": 101}, 400, "ERR_PAGE_SIZE_EXCEEDED"),
        ("/contacts/filters/data", {"filter_key": "city", "search_text": "\0"}, 400, "NUL"),
        (
            "/contacts/filters/data",
            {"filter_key": "email", "search_text": "x" * 301},
            400,
            "has 301 bytes; at most 300",
        ),
        ("/contacts/filters/data", {}, 400, "filter_key"),
    ],
)
async def test_refusals_of_filter_values(
    api: httpx.AsyncClient, path: str, body: dict[str, Any], status: int, text: str
) -> None:
    answer = await api.post(path, json=body)
    assert (answer.status_code, text in answer.json()["message"]) == (status, True), answer.text


async def test_the_typed_door_refuses_with_the_same_codes(query: QueryServiceStub) -> None:
    for request, code in (
        (pb.ListFilterValuesRequest(service="people", filter_key="city"), grpc.StatusCode.INVALID_ARGUMENT),
        (pb.ListFilterValuesRequest(service="contact", filter_key="citty"), grpc.StatusCode.NOT_FOUND),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await query.ListFilterValues(request)
        assert refused.value.code() is code


async def test_values_of_columns_are_distinct_not_empty_ordered_and_of_records_that_are_not_deleted(
    pool: Database, database: asyncpg.Connection
) -> None:
    gone = await database.fetchval("SELECT now()")
    await people(
        database,
        *({"first_name": n} for n in ("bea", "ada", "bea", "", None)),
        {"first_name": "cleo", "deleted_at": gone},
    )
    await people(database, *({"employees_count": n} for n in (10, 9, 100, 9, None)), table="companies")
    assert await values(pool, "contacts", "first_name") == ["ada", "bea"]
    assert await values(pool, "companies", "employees_count") == ["9", "10", "100"]
    assert await values(pool, "companies", "employees_count", search_text="0") == ["10", "100"]


async def test_a_search_is_literal_and_ignores_case(pool: Database, database: asyncpg.Connection) -> None:
    await people(database, *({"last_name": n} for n in ("50%", "a_b", "aXb", "c\\d", "MÜLLER", "müller", "mu")))
    for text, found in (
        ("%", ["50%"]),
        ("_", ["a_b"]),
        ("\\", ["c\\d"]),
        ("Axb", ["aXb"]),
        ("üLL", ["MÜLLER", "müller"]),
        ("mu\u0308ll", ["MÜLLER", "müller"]),
        ("\u200fM\u00dcLLER ", ["MÜLLER", "müller"]),
    ):
        assert await values(pool, "contact", "last_name", search_text=text) == found


@pytest.mark.parametrize("analyzed", [True, False])
async def test_pages_walk_over_all_values_once_whatever_way_the_column_is_read(
    pool: Database, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, analyzed: bool
) -> None:
    # With statistics the column is read by skip scan (60 rows per value), without them in full.
    await database.execute(
        """INSERT INTO contacts (uuid, first_name) SELECT gen_random_uuid()::text, 'n' || lpad((n % 2500)::text, 4, '0')
        FROM generate_series(1, 150000) n"""
        if analyzed
        else """INSERT INTO contacts (uuid, first_name) SELECT gen_random_uuid()::text, 'n' || lpad(n::text, 4, '0')
        FROM generate_series(0, 2499) n"""
    )
    await database.execute("ANALYZE contacts")
    monkeypatch.setattr(filter_service, "WALK_LANDMARKS", 4)
    service = FilterService(pool, NoIndex())

    async def page(number: int, **more: Any) -> list[str]:
        request = FilterValuesRequest(filter_key="first_name", page=number, limit=100, **more)
        return [value for value, _ in await service.values("contact", request, Call())]

    walked = [value for number in range(1, 28) for value in await page(number)]
    assert walked == [f"n{n:04}" for n in range(2500)]
    assert await page(17) == walked[1600:1700]
    assert await page(2**40) == []
    found = [value for number in range(1, 20) for value in await page(number, search_text="1")]
    assert found == [value for value in walked if "1" in value]


@pytest.mark.parametrize("added_up", [True, False])
async def test_pages_walk_over_all_stored_values_once_whatever_is_still_to_be_added_up(
    pool: Database, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, added_up: bool
) -> None:
    monkeypatch.setattr(filter_service, "LANDMARK_EVERY", 40)
    monkeypatch.setattr(filter_service, "WALK_LANDMARKS", 3)
    await database.execute(
        """INSERT INTO companies (uuid, name) SELECT 'u' || lpad(n::text, 4, '0'), 'n' || lpad((n % 400)::text, 4, '0')
           FROM generate_series(0, 599) n"""
    )
    await database.execute("INSERT INTO contacts (uuid, title) SELECT n::text, 'n' || n FROM generate_series(0, 299) n")
    if added_up:
        await add_up(pool)
    await database.execute("DELETE FROM companies WHERE uuid = ANY('{u0007, u0300, u0350}')")
    await database.execute("UPDATE companies SET name = 'm' WHERE uuid = 'u0020'")
    await database.execute("UPDATE contacts SET title = 'z' WHERE uuid = '17'")
    names = {row[0]: row[1] for row in await database.fetch("SELECT uuid, name FROM companies")}
    pairs = sorted(names.items(), key=lambda pair: (pair[1], pair[0]))
    titles = sorted({row[0] for row in await database.fetch("SELECT title FROM contacts")})
    expected = {
        ("company", "uuid"): pairs,
        ("contact", "company"): [(name, name) for name in sorted(set(names.values()))],
        ("contact", "title"): [(title, title) for title in titles],
    }
    for (of, key), listed in expected.items():
        for search in ("", "1"):
            service = FilterService(pool, NoIndex())
            wanted = [pair for pair in listed if search in pair[1]]
            for number in (9, 3, *range(1, 1 + len(wanted) // 25 + 2), 2**40):
                request = FilterValuesRequest(filter_key=key, page=number, limit=25, search_text=search)
                assert await service.values(of, request, Call()) == wanted[(number - 1) * 25 : number * 25]


async def test_values_of_keywords_are_listed_from_the_index_once_a_token_is_seen(
    api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    mark = word()
    emails = [f"{mark}_B@x.de", f"{mark}*a@x.de", f"{mark}_b@x.de", f"{mark}c@x.de"]
    contacts = [{"first_name": f"{mark}{n}", "email": email} for n, email in enumerate(emails)]
    contacts.append({"uuid": str(uuid4()), "linkedin_url": f"https://linkedin.com/in/{mark}", "email": ""})
    answer = await api.post("/contacts/bulk", json=contacts)
    assert answer.json()["data"]["error_count"] == 0, answer.text

    async def listed(text: str, key: str = "email", **headers: str) -> list[str]:
        asked = {"filter_key": key, "search_text": text}
        found = (await api.post("/contacts/filters/data", json=asked, headers=headers)).json()["data"]
        return [row["value"] for row in found if row["value"] == row["display_value"]]

    token = {"x-consistency-token": answer.headers["x-consistency-token"]}
    assert await listed(mark.upper(), **token) == [f"{mark}*a@x.de", f"{mark}_b@x.de", f"{mark}c@x.de"]
    assert await listed(f"{mark}*") == [f"{mark}*a@x.de"]
    assert await listed(f"{mark}?") == await listed(f"{mark}\\") == []
    assert await listed(mark[1:], "linkedin_url") == [f"https://linkedin.com/in/{mark}"]
    gone = answer.json()["data"]["uuids"][3]
    headers = (await api.delete(f"/contacts/{gone}")).headers
    token = {"x-consistency-token": headers["x-consistency-token"]}
    assert await listed(mark, **token) == [f"{mark}*a@x.de", f"{mark}_b@x.de"]


@pytest.fixture
async def listing(
    stack: Stack, postgres: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FilterService]:
    """The service on the stores of the whole stack; what is deep for it is not so here."""
    for name, value in (("LANDMARK_EVERY", 20), ("INDEX_WALK_LANDMARKS", 3)):
        monkeypatch.setattr(filter_service, name, value)
    settings = PostgresSettings(connection=SecretStr(stack.postgres), _env_file=None)
    elasticsearch = ElasticsearchSettings(connection=stack.elasticsearch, _env_file=None)
    async with Database.open(settings, "test") as opened, create_client(elasticsearch) as client:
        yield FilterService(opened, Search(client, 10))


async def test_pages_walk_over_all_values_of_a_keyword_once(
    listing: FilterService, stack: Stack, postgres: asyncpg.Connection
) -> None:
    mark = word()
    await people(postgres, *({"email": f"{mark}{n:03}@x.de"} for n in range(200)))
    token = await indexed(postgres)
    async with httpx.AsyncClient(base_url=stack.elasticsearch) as search:
        (await search.post("/contacts_index/_refresh")).raise_for_status()

    async def page(number: int, text: str | None, call: Call, limit: int = 10) -> list[str]:
        request = FilterValuesRequest(filter_key="email", page=number, limit=limit, search_text=text)
        return [value for value, _ in await listing.values("contact", request, call)]

    for call in (Call(), Call(token=token)):
        assert [v for n in range(1, 22) for v in await page(n, mark, call)] == [
            f"{mark}{n:03}@x.de" for n in range(200)
        ]
        assert await page(15, mark, call) == [f"{mark}{n:03}@x.de" for n in range(140, 150)]
        assert await page(22, mark, call) == await page(2**40, mark, call) == []
    # Beyond what is read at once, with all that other tests have stored.
    some = [v for n in range(1, 21) for v in await page(n, None, Call(), limit=100)]
    assert some == sorted(set(some))
    assert len(some) > filter_service.LANDMARK_EVERY
    assert await page(20, None, Call(token=token), limit=100) == some[1900:]


async def test_companies_are_listed_by_name_for_both(pool: Database, database: asyncpg.Connection) -> None:
    names = ("acme", "Acme", "acme", "100% Pure", "Zürq")
    await people(database, *({"uuid": f"u{n}", "name": name} for n, name in enumerate(names, 1)), table="companies")
    service = FilterService(pool, NoIndex())

    async def listed(of: str, key: str, **more: Any) -> list[tuple[str, str]]:
        return await service.values(of, FilterValuesRequest(filter_key=key, **more), Call())

    assert await listed("companies", "name") == await listed("companies", "uuid")
    assert await listed("company", "name", search_text="ACME") == [("u2", "Acme"), ("u1", "acme"), ("u3", "acme")]
    assert await listed("contacts", "company") == [(name, name) for name in ("100% Pure", "Acme", "Zürq", "acme")]
    assert await listed("contact", "company", page=2, limit=3) == [("acme", "acme")]
    assert await listed("contacts", "company", search_text="0%") == [("100% Pure", "100% Pure")]
    await database.execute(
        "UPDATE companies SET name = 'Other' WHERE name = 'acme'; DELETE FROM companies WHERE name = 'Zürq'"
    )
    assert [name for name, _ in await listed("contacts", "company", limit=99)] == ["100% Pure", "Acme", "Other"]
    for of, key in (("contacts", "name"), ("companies", "company")):
        with pytest.raises(NotFound, match="has no filter"):
            await listed(of, key)
