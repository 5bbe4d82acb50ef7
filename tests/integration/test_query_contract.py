"""The documented rows of VQL, one by one, through the gateway; the typed door must return the same lists."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_common.requests import read
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto

from tests.support.http import client
from tests.support.postgres import indexed
from tests.support.queries import keyword_query, text_clause, text_query
from tests.support.stack import Stack
from tests.support.words import word

PEOPLE: tuple[tuple[Any, ...], ...] = (
    # first_name, title, seniority, departments, city, employees of the company, day of creation
    ("ann", "Head of Sales", "VP", ["Sales"], "Bonn", 10, "2024-01-14"),
    ("ben", "Sales Manager", "Head", ["Sales", "Ops"], "köln", 200, "2024-01-15"),
    ("cem", "Nimbus Software Engineer", "entry", [], "rom", 3000, "2024-01-16"),
    ("dora", "Jürgen's Assistant", None, ["Ops"], None, None, "2024-02-01"),
)


@pytest.fixture(scope="module")
async def mark(stack: Stack) -> AsyncIterator[str]:
    postgres, mark = await asyncpg.connect(stack.postgres), word()
    for first, title, seniority, departments, city, employees, day in PEOPLE:
        company = str(uuid4()) if employees else None
        if company:
            await postgres.execute(
                "INSERT INTO companies (uuid, name, employees_count) VALUES ($1, $2, $3)", company, first, employees
            )
        await postgres.execute(
            """INSERT INTO contacts (uuid, first_name, title, seniority, departments, city, company_id, stage, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, ($9 || ' 12:00 UTC')::text::timestamptz)""",
            *(str(uuid4()), first, title, seniority, departments, city, company, mark, day),
        )
    token = await indexed(postgres)
    async with client(stack.gateway, stack.api_key, headers={"x-consistency-token": token}) as http:
        assert (await http.post("/contacts/count", json={})).status_code == 200
    yield mark
    await postgres.execute("DELETE FROM contacts WHERE stage = $1", mark)
    await postgres.close()


def text(value: str, kind: str, field: str = "title", side: str = "must", **more: Any) -> dict[str, Any]:
    where: dict[str, Any] = text_query(text_clause(value, field, kind, **more), side=side)["where"]
    return where


def both(*texts: dict[str, Any]) -> dict[str, Any]:
    return {"text_matches": {"must": [t["text_matches"]["must"][0] for t in texts]}}


SIZE, DAY = "company_employees_count", "created_at"


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, "ann ben cem dora"),
        ({}, "ann ben cem dora"),
        (text("head of sales", "exact"), "ann"),
        (text("head sales", "exact"), ""),
        (text("head sales", "exact", slop=1), "ann"),
        (text("manager sales", "shuffle"), "ben"),
        (text("manager head", "shuffle", operator="or"), "ann ben"),
        (text("managre", "shuffle", fuzzy=True), "ben"),
        (text("managre", "shuffle"), ""),
        (text("softw", "substring"), "cem"),
        (text("sof", "substring"), "cem"),
        (text("softwarehouse", "substring"), ""),
        (text("nimbuz", "substring"), ""),
        (text("mbus soft", "substring"), "cem"),
        (text("mbus head", "substring", operator="or"), "ann cem"),
        (text("jurgen's", "exact"), "dora"),
        (text("KOLN", "exact", "city"), "ben"),
        (both(text("head", "exact"), text("engineer", "exact")), "ann cem"),
        (both(text("sales", "exact"), text("ann", "exact", "first_name")), "ann"),
        (text("sales", "exact", side="must_not"), "cem dora"),
        ({"keyword_match": {"must": {"seniority": "vp"}}}, "ann"),
        ({"keyword_match": {"must": {"seniority": ["VP", "Entry"]}}}, "ann cem"),
        ({"keyword_match": {"must": {"departments": "ops"}}}, "ben dora"),
        ({"keyword_match": {"must_not": {"departments": ["ops", "x"]}}}, "ann cem"),
        ({"keyword_match": {"must": {SIZE: 200}}}, "ben"),
        ({"range_query": {"must": {SIZE: {"gte": 10, "lt": 3000}}}}, "ann ben"),
        ({"range_query": {"must": {SIZE: {"gt": 10, "lte": 3000}}}}, "ben cem"),
        ({"range_query": {"must_not": {SIZE: {"gte": 200}}}}, "ann dora"),
        ({"range_query": {"must": {DAY: {"gte": "2024-01-15", "lte": "2024-01-16"}}}}, "ben cem"),
        ({"range_query": {"must": {DAY: {"gt": "2024-01-15T12:00:00Z"}}}}, "cem dora"),
    ],
)
async def test_a_condition_finds_what_is_documented_through_both_doors(
    mark: str, api: httpx.AsyncClient, query: QueryServiceStub, where: dict[str, Any] | None, expected: str
) -> None:
    document: dict[str, Any] = {"filters": {"field": "stage", "operator": "eq", "value": mark}}
    if where is not None:
        document["where"] = where
    rows = (await api.post("/contacts", json=document)).json()["data"]
    assert sorted(row["first_name"] for row in rows) == expected.split()
    assert (await api.post("/contacts/count", json=document)).json() == {"count": len(rows), "success": True}
    typed = await query.ListContacts(pb.ListContactsRequest(query=to_proto(read(Vql, document).model)))
    assert [row.contact.uuid for row in typed.rows] == [row["uuid"] for row in rows]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"where": text("a", "fuzzy")}, "'exact', 'shuffle' or 'substring'"),
        ({"where": text("abc", "exact", "tittle")}, "did you mean 'title'?"),
        ({"where": text("ab", "substring")}, "at least 3 characters"),
        ({"where": {"keyword_match": {"must": {"stage": []}}}}, "the list is empty"),
        ({"where": {"range_query": {"must": {DAY: {"gte": "soon"}}}}}, "is not a date"),
        ({"where": {"range_query": {"must": {SIZE: {"gte": "many"}}}}}, "is not a number"),
        ({"limit": 101}, "ERR_PAGE_SIZE_EXCEEDED: the requested page size surpasses"),
        ({"page": 11}, "ERR_PAGE_OUT_OF_RANGE: the requested page number"),
        ({"select_columns": ["company_nam"]}, "did you mean 'company.name'?"),
        ({"order_by": [{"order_by": "id"}], "cursor": ["1", "x"], "page": 2}, "cannot be given together with page"),
    ],
)
@pytest.mark.parametrize("path", ["/contacts", "/contacts/", "/contacts/count", "/v1/contacts"])
async def test_a_refusal_is_a_400_on_lists_and_counts(
    api: httpx.AsyncClient, path: str, document: dict[str, Any], message: str
) -> None:
    answer = await api.post(path, json=document)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_ERROR")
    assert message in answer.json()["message"]


async def names(api: httpx.AsyncClient, mark: str, **more: Any) -> list[str]:
    document = {**keyword_query(stage=mark), **more}
    answer = await api.post("/contacts", json=document)
    assert answer.status_code == 200, answer.text
    return [row["first_name"] for row in answer.json()["data"]]


@pytest.mark.parametrize("order", [SIZE, DAY, "id", "first_name"])
async def test_order_and_cursors_by_text_number_date_and_id(mark: str, api: httpx.AsyncClient, order: str) -> None:
    by = [{"order_by": order, "order_direction": "asc"}]
    assert await names(api, mark, order_by=by) == ["ann", "ben", "cem", "dora"]
    assert await names(api, mark, order_by=by, page=2, limit=2) == ["cem", "dora"]
    assert await names(api, mark, order_by=by, offset=1, limit=2) == ["ben", "cem"]
    assert await names(api, mark, page=0, limit=-1) == ["dora", "cem", "ben", "ann"]  # newest first
    document = {**keyword_query(stage=mark), "order_by": by, "limit": 2}
    rows = (await api.post("/contacts", json=document)).json()["data"]
    assert all(isinstance(value, str) for value in rows[1]["cursor"])
    for name in ("cursor", "search_after"):
        assert await names(api, mark, order_by=by, **{name: rows[1]["cursor"]}) == ["cem", "dora"]
    plain = [int(v) if v.isdecimal() else v for v in rows[1]["cursor"]]
    assert await names(api, mark, order_by=by, cursor=plain) == ["cem", "dora"]


async def test_selected_columns_need_neither_uuid_nor_company_uuid(mark: str, api: httpx.AsyncClient) -> None:
    document = {
        **keyword_query(stage=mark, first_name="ann"),
        "select_columns": ["title"],
        "company_config": {"populate": True, "select_columns": ["employees_count"]},
    }
    (row,) = (await api.post("/contacts", json=document)).json()["data"]
    assert (row["title"], row["company"]) == ("Head of Sales", {"employees_count": 10})
    assert set(row) == {"title", "company", "cursor"}


async def test_columns_of_the_company_stand_under_the_name_asked(
    mark: str, api: httpx.AsyncClient, query: QueryServiceStub
) -> None:
    columns = ["first_name", "company.name", "company_employees_count", "company_id", "company.industries"]
    document = {
        **keyword_query(stage=mark),
        "sort_by": "company.employees_count",
        "sort_direction": "desc",
        "select_columns": columns,
    }
    rows = (await api.post("/contacts", json=document)).json()["data"]
    assert [list(row) for row in rows] == [[*columns, "cursor"]] * 4
    assert [(row["company.name"], row["company_employees_count"]) for row in rows] == [
        ("cem", 3000),
        ("ben", 200),
        ("ann", 10),
        (None, None),
    ]
    assert [row["company.industries"] for row in rows] == [[], [], [], None]
    typed = await query.ListContacts(pb.ListContactsRequest(query=to_proto(read(Vql, document).model)))
    assert [(row.company.name, row.company.employees_count) for row in typed.rows[:3]] == [
        (row["company.name"], row["company_employees_count"]) for row in rows[:3]
    ]
    assert [row.HasField("company") for row in typed.rows] == [True] * 3 + [False]


async def test_single_records_have_columns_of_their_company_too(
    mark: str, api: httpx.AsyncClient, query: QueryServiceStub
) -> None:
    document = {**keyword_query(stage=mark), "sort_by": "company.employees_count", "select_columns": ["uuid"]}
    uuids = [row["uuid"] for row in (await api.post("/contacts", json=document)).json()["data"]]
    columns = ["first_name", "company.name", "company_employees_count"]
    (first, *_, alone) = uuids
    answers = [await api.get(f"/contacts/{u}?select_columns={','.join(columns)}") for u in (first, alone)]
    assert [answer.json()["data"] for answer in answers] == [
        {"first_name": "ann", "company.name": "ann", "company_employees_count": 10},
        {"first_name": "dora", "company.name": None, "company_employees_count": None},
    ]
    one = await query.GetContact(pb.GetContactRequest(uuid=first, select_columns=columns))
    assert (one.contact.first_name, one.company.name, one.company.employees_count) == ("ann", "ann", 10)
    lone = await query.GetContact(pb.GetContactRequest(uuid=alone, select_columns=columns))
    assert not lone.HasField("company")
    many = await query.BatchGetContacts(pb.BatchGetContactsRequest(uuids=[alone, first], select_columns=columns))
    assert [company.name for company in many.companies] == ["", "ann"]
    plain = await query.BatchGetContacts(pb.BatchGetContactsRequest(uuids=uuids))
    assert (len(plain.contacts), len(plain.companies)) == (4, 0)
    wrong = await api.get(f"/contacts/{first}?select_columns=company.nam")
    assert "did you mean 'company.name'?" in wrong.json()["message"]


async def test_all_columns_of_contact_and_company_fit_into_one_row(mark: str, api: httpx.AsyncClient) -> None:
    of_company = [f"{prefix}{name}" for prefix in ("company.", "company_") for name in COMPANY.columns if name != "id"]
    columns = list(dict.fromkeys([*CONTACT.columns, *of_company]))
    document = {**keyword_query(stage=mark, first_name="ann"), "select_columns": [*columns, *columns[:20]]}
    answer = await api.post("/contacts", json={**document, "company_config": {"populate": True}})
    (row,) = answer.json()["data"]
    assert list(row) == [*columns, "cursor", "company"]
    assert row["company.name"] == row["company_name"] == row["company"]["name"] == "ann"
