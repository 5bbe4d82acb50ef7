"""People found by nicknames and by how their names sound, through both doors and at the command line."""

import json
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from connectra.common.v1 import vql_pb2
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.requests import read
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto

from tests.support.postgres import indexed
from tests.support.queries import text_clause
from tests.support.stack import Stack
from tests.support.words import word

Json = dict[str, Any]
PEOPLE = (
    "Robert Maier",
    "Bob Mayr",
    "Bob Meyer",
    "Mary Moore",
    "Bobby O'Neil",
    "Kate Schmidt",
    "Katherine Schmitt",
    "太郎 Li",
)


@pytest.fixture
async def mark(api: httpx.AsyncClient, postgres: asyncpg.Connection) -> str:
    """A word that the titles of some people have, once these are searchable."""
    mark = word()
    people = [
        {"uuid": str(uuid4()), "first_name": first, "last_name": last, "title": mark}
        for first, last in map(str.split, PEOPLE)
    ]
    made = await api.post("/contacts/bulk", json={"contacts": people})
    assert made.json()["data"]["created"] == len(people), made.text
    await api.post("/contacts/count", json={}, headers={"x-consistency-token": await indexed(postgres)})
    return mark


async def found(api: httpx.AsyncClient, document: Json) -> list[str]:
    answer = await api.post("/contacts", json=document)
    assert answer.status_code == 200, answer.text
    return [f"{row['first_name']} {row['last_name']}" for row in answer.json()["data"]]


def condition(mark: str, text: str, field: str, *alike: str, **more: Any) -> Json:
    clauses = [text_clause(text, field, "shuffle", alike=list(alike), **more), text_clause(mark, "title")]
    return {"where": {"text_matches": {"must": clauses}}}


BOTH = ("nickname", "sound")


@pytest.mark.parametrize(
    ("q", "alike", "names"),
    [
        ("bob meyer", (), ["bob meyer"]),
        ("bob meyer", ("nickname",), ["bob meyer"]),
        ("bob meyer", ("sound",), ["bob meyer", "bob mayr"]),
        ("bob meyer", BOTH, ["bob meyer", "bob mayr", "robert maier"]),
        ("robert meier", BOTH, ["robert maier", "bob meyer", "bob mayr"]),
        ("oneill", ("sound",), ["bobby o'neil"]),
        ("catherine schmid", ("sound",), ["katherine schmitt"]),
        ("kate schmidt", BOTH, ["kate schmidt", "katherine schmitt"]),
        ("li", BOTH, ["太郎 li"]),
        ("太郎 li", BOTH, ["太郎 li"]),
    ],
)
async def test_other_names_are_found_behind_the_ones_that_were_typed(
    api: httpx.AsyncClient, query: QueryServiceStub, mark: str, q: str, alike: tuple[str, ...], names: list[str]
) -> None:
    document = {"q": f"{q} {mark}", "alike": list(alike)}
    rows = await found(api, document)
    assert (rows[:1], sorted(rows)) == (names[:1], sorted(names))
    assert (await api.post("/contacts/count", json=document)).json()["count"] == len(names)
    grouped = (await api.post("/contacts/aggregate", json=document)).json()
    assert grouped["data"]["count"] == len(names)
    typed = await query.ListContacts(pb.ListContactsRequest(query=to_proto(read(Vql, document).model)))
    assert [f"{row.contact.first_name} {row.contact.last_name}" for row in typed.rows] == rows


@pytest.mark.parametrize(
    ("field", "text", "alike", "names"),
    [
        ("last_name", "Meyer", (), ["bob meyer"]),
        ("last_name", "Meyer", ("sound",), ["bob meyer", "bob mayr", "robert maier", "mary moore"]),
        ("last_name", "Meyer", ("nickname",), ["bob meyer"]),
        ("first_name", "Bob", ("nickname",), ["bob meyer", "bob mayr", "robert maier", "bobby o'neil"]),
        ("first_name", "Robert", ("nickname",), ["robert maier", "bob mayr", "bob meyer", "bobby o'neil"]),
    ],
)
async def test_a_condition_on_a_name_ranks_what_was_typed_first(
    api: httpx.AsyncClient, mark: str, field: str, text: str, alike: tuple[str, ...], names: list[str]
) -> None:
    rows = await found(api, condition(mark, text, field, *alike))
    assert sorted(rows) == sorted(names)
    exact = [name for name in names if text.lower() in name.split()]
    assert set(rows[: len(exact)]) == set(exact)
    excluded = {"where": {"text_matches": {"must": [text_clause(mark, "title")]}}}
    excluded["where"]["text_matches"]["must_not"] = [text_clause(text, field, "shuffle", alike=list(alike))]
    assert len(await found(api, excluded)) == len(PEOPLE) - len(names)


async def test_what_is_written_nearly_so_comes_before_what_only_sounds_so(api: httpx.AsyncClient, mark: str) -> None:
    rows = await found(api, condition(mark, "Meier", "last_name", "sound"))
    assert (set(rows[:2]), set(rows[2:])) == ({"bob meyer", "robert maier"}, {"bob mayr", "mary moore"})


async def test_an_explanation_says_which_name_it_was(
    api: httpx.AsyncClient, query: QueryServiceStub, stack: Stack, mark: str
) -> None:
    q = f"bob meyer {mark}"
    document: Json = {"q": q, "alike": list(BOTH)}
    rows = (await api.post("/contacts", json=document)).json()["data"]
    robert = next(row["uuid"] for row in rows if row["first_name"] == "robert")
    answer = (await api.post(f"/contacts/{robert}/explain", json=document)).json()["data"]
    (judged,) = answer["conditions"]
    assert (answer["matches"], judged["condition"]["alike"]) == (True, list(BOTH))
    assert judged["found"] == {"bob": [], "meyer": [], mark: ["title"]}
    assert judged["alike"] == [
        {"word": "bob", "field": "first_name", "name": "robert", "by": "nickname"},
        {"word": "meyer", "field": "last_name", "name": "maier", "by": "sound"},
    ]
    request = pb.ExplainContactRequest(uuid=robert, query=to_proto(read(Vql, document).model))
    (typed,) = (await query.ExplainContact(request)).conditions
    assert [(one.word, one.name, one.by) for one in typed.alike] == [
        ("bob", "robert", vql_pb2.ALIKE_NICKNAME),
        ("meyer", "maier", vql_pb2.ALIKE_SOUND),
    ]
    by_field = condition(mark, "Meyer", "last_name", "sound")
    judged = (await api.post(f"/contacts/{robert}/explain", json=by_field)).json()["data"]["conditions"][0]
    assert (judged["met"], [one["name"] for one in judged["alike"]]) == (True, ["maier"])
    shown = stack.command("explain", "contacts", robert, q, "--alike", "nickname,sound")
    assert "first_name robert (nickname)" in shown.stdout.replace("\n", " "), shown.stdout
    listed = stack.command("search", "contacts", q, "--alike", "nickname,sound", "-c", "last_name", "--json")
    assert len(json.loads(listed.stdout)) == 3


async def test_a_name_that_is_changed_is_found_by_its_new_sound(
    api: httpx.AsyncClient, postgres: asyncpg.Connection, mark: str
) -> None:
    document = {"q": f"schmid {mark}", "alike": ["sound"]}
    uuid = (await api.post("/contacts", json={"q": f"moore {mark}"})).json()["data"][0]["uuid"]
    assert len(await found(api, document)) == 2
    await api.put(f"/contacts/{uuid}", json={"last_name": "Schmitd"})
    await api.post("/contacts/count", json={}, headers={"x-consistency-token": await indexed(postgres)})
    assert len(await found(api, document)) == 3


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/companies", {"q": "bob", "alike": ["sound"]}, "alike: is for names of people, which no company has"),
        ("/contacts", {"alike": ["sound"]}, "alike: is of use only with q"),
        ("/contacts", {"q": "bob", "alike": ["soundex"]}, "alike[0]: input should be 'nickname' or 'sound'"),
        ("/contacts", {"q": "bob", "alike": ["sound"] * 3}, "alike: 3 kinds; at most 2 are allowed"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused(api: httpx.AsyncClient, path: str, body: Json, said: str) -> None:
    answer = await api.post(path, json=body)
    assert (answer.status_code, said in answer.json()["message"]) == (400, True), answer.text
