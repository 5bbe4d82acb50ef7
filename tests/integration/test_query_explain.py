"""Why a query finds a record, or why it does not."""

from typing import Any

import httpx
import pytest
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.requests import read
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto

from tests.support.stack import Stack
from tests.support.words import word

Json = dict[str, Any]
QUERY: Json = {
    "q": "sales berlin",
    "where": {
        "text_matches": {"must": [{"filter_key": "title", "text_value": "head of sales", "search_type": "exact"}]},
        "keyword_match": {"must_not": {"stage": "do not contact"}},
        "range_query": {"must": {"company_employees_count": {"gte": 50}}},
    },
    "filters": {"or": [{"field": "city", "operator": "eq", "value": "wien"}, {"field": "email", "operator": "exists"}]},
}


@pytest.fixture
async def uuid(api: httpx.AsyncClient) -> str:
    """A person at a firm."""
    mark = word()
    firm = await api.post("/companies/create", json={"name": f"Acme {mark}", "employees_count": 9_007_199_254_740_993})
    person = {
        "first_name": "Ada",
        "last_name": mark,
        "email": f"{mark}@x.example",
        "title": "VP of Sales",
        "city": "Berlin",
        "stage": "do not contact",
        "company_id": firm.json()["data"]["uuid"],
    }
    made = await api.post("/contacts/create", json=person)
    return str(made.json()["data"]["uuid"])


async def test_each_condition_is_judged_by_what_the_record_has(
    api: httpx.AsyncClient, query: QueryServiceStub, uuid: str
) -> None:
    answer = await api.post(f"/contacts/{uuid}/explain", json=QUERY)
    assert answer.status_code == 200, answer.text
    explained = answer.json()["data"]
    assert explained["matches"] is False
    judged = {one["path"]: (one["met"], one["excluded"], one["values"]) for one in explained["conditions"]}
    assert judged["where.text_matches.must[0]"] == (False, False, ["VP of Sales"])
    assert judged["where.keyword_match.must_not.stage"] == (True, True, ["do not contact"])
    assert judged["where.range_query.must.company_employees_count"] == (True, False, [9_007_199_254_740_993])
    assert judged["filters.or[0]"] == (False, False, ["berlin"])
    assert judged["filters.or[1]"][0] is True
    assert explained["conditions"][0]["found"] == {"sales": ["title"], "berlin": ["city"]}
    typed = await query.ExplainContact(pb.ExplainContactRequest(uuid=uuid, query=to_proto(read(Vql, QUERY).model)))
    assert typed.matches is False
    assert {one.path: (one.met, one.excluded, list(one.values)) for one in typed.conditions} == {
        path: (met, excluded, [str(value) for value in values]) for path, (met, excluded, values) in judged.items()
    }
    assert [(one.word, list(one.fields)) for one in typed.conditions[0].found] == [
        ("sales", ["title"]),
        ("berlin", ["city"]),
    ]


async def test_it_is_by_what_is_stored_now(api: httpx.AsyncClient, uuid: str) -> None:
    asked = {"filters": {"field": "city", "operator": "eq", "value": "bonn"}}
    assert (await api.post(f"/contacts/{uuid}/explain", json=asked)).json()["data"]["matches"] is False
    await api.put(f"/contacts/{uuid}", json={"city": "Bonn"})
    assert (await api.post(f"/contacts/{uuid}/explain", json=asked)).json()["data"]["matches"] is True


def test_the_command_line_says_it(stack: Stack, uuid: str) -> None:
    shown = stack.command("explain", "contacts", uuid, "sales wien")
    assert shown.returncode == 0, shown.stderr
    assert "sales: title; wien: -" in shown.stdout
    assert "the search does not find it" in shown.stderr
