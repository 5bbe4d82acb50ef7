"""One free text, and what a search box offers while it is typed, through both doors and at the command line."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from connectra.common.v1 import vql_pb2
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub

from tests.support.postgres import indexed
from tests.support.stack import Stack
from tests.support.words import word

Json = dict[str, Any]


@dataclass(frozen=True)
class Corpus:
    """Some people of some firms, who alone have this mark in their titles."""

    mark: str
    token: str
    uuids: dict[str, str]
    company: str


@pytest.fixture(scope="module")
async def corpus(stack: Stack) -> AsyncIterator[Corpus]:
    mark, company = word(), str(uuid4())
    postgres = await asyncpg.connect(stack.postgres)
    await postgres.execute(
        "INSERT INTO companies (uuid, name, normalized_domain, city) VALUES ($1, $2, $3, 'Hamburg')",
        *(company, f"AC-ME {mark} GmbH", f"acme-{mark}.example"),
    )
    people = {
        "ada": ("Ada", "O'Neil", "Sales Manager", "Berlin", f"ada.oneil@acme-{mark}.example", "+49305550100"),
        "bob": ("Bob", "Meyer", "VP of Sales", "Zürich", f"bob@other-{mark}.example", None),
        "eve": ("Eve", "Berlin", "C++ Engineer", "Wien", None, None),
        "kim": ("太郎", "東京", "HR", "Köln", None, None),
    }
    uuids = {name: str(uuid4()) for name in people}
    for name, (first, last, title, city, email, phone) in people.items():
        await postgres.execute(
            """INSERT INTO contacts (uuid, first_name, last_name, title, city, email, work_direct_phone, company_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
            *(
                uuids[name],
                first,
                last,
                f"{title} {mark}",
                city,
                email,
                phone,
                company if name in ("ada", "eve") else None,
            ),
        )
    token = await indexed(postgres)
    yield Corpus(mark, token, uuids, company)
    await postgres.execute("DELETE FROM contacts WHERE title LIKE '%' || $1", mark)
    await postgres.close()


async def found(api: httpx.AsyncClient, corpus: Corpus, q: str, **more: Any) -> list[str]:
    """Names of the people that a text finds among those of the corpus, the best first."""
    answer = await asked(api, corpus, q, **more)
    names = {uuid: name for name, uuid in corpus.uuids.items()}
    return [names[row["uuid"]] for row in answer["data"]]


async def asked(api: httpx.AsyncClient, corpus: Corpus, q: str, **more: Any) -> Json:
    mine = {"field": "uuid", "operator": "in", "value": list(corpus.uuids.values())}
    body = {"q": q, "filters": mine, **more}
    headers = {"x-consistency-token": corpus.token}
    answer = await api.post("/contacts", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    page: Json = answer.json()
    return page


FINDS = [
    ("sales manager berlin ac-me", ["ada"]),
    ("manager SALES", ["ada"]),
    ("oneil", ["ada"]),
    ("o'neil ada", ["ada"]),
    ("vp sales", ["bob"]),
    ("c++", ["eve"]),
    ("hr", ["kim"]),
    ("東京", ["kim"]),
    ("太郎 koln", ["kim"]),
    ("zurich", ["bob"]),
    ("ada.oneil@acme-{mark}.example", ["ada"]),
    ("acme-{mark}.example hamburg manager", ["ada"]),
    ("other-{mark}.example", ["bob"]),
    ("+49 (30) 555-0100", ["ada"]),
    ("{ada}", ["ada"]),
    ("acme sales wien", []),
]


@pytest.mark.parametrize(("q", "names"), FINDS, ids=range(len(FINDS)))
async def test_a_text_is_found_wherever_its_words_are(
    api: httpx.AsyncClient, corpus: Corpus, q: str, names: list[str]
) -> None:
    text = q.format(mark=corpus.mark, ada=corpus.uuids["ada"])
    assert await found(api, corpus, text) == names
    counted = await api.post("/contacts/count", json={"q": f"{text} {corpus.mark}"})
    assert counted.status_code == 200, counted.text


async def test_a_company_is_found_with_its_people(api: httpx.AsyncClient, corpus: Corpus) -> None:
    assert set(await found(api, corpus, corpus.company)) == {"ada", "eve"}
    for q in (f"acme {corpus.mark}", f"ac-me {corpus.mark} hamburg", f"acme-{corpus.mark}.example", corpus.company):
        answer = await api.post("/companies", json={"q": q}, headers={"x-consistency-token": corpus.token})
        assert [row["uuid"] for row in answer.json()["data"]] == [corpus.company], q


async def test_the_better_match_comes_first(api: httpx.AsyncClient, corpus: Corpus) -> None:
    assert await found(api, corpus, "berlin") == ["eve", "ada"]
    by_name = await found(api, corpus, "berlin", order_by=[{"order_by": "first_name"}])
    assert by_name == ["ada", "eve"]


async def test_typing_errors_are_forgiven_and_said(api: httpx.AsyncClient, corpus: Corpus) -> None:
    q, meant = f"sales manger {corpus.mark}", f"sales manager {corpus.mark}"
    page = await asked(api, corpus, q)
    assert [row["uuid"] for row in page["data"]] == [corpus.uuids["ada"]]
    assert page["did_you_mean"] == meant
    counted = await api.post("/contacts/count", json={"q": q})
    assert counted.json() == {"count": 1, "did_you_mean": meant, "success": True}
    grouped = (await api.post("/contacts/aggregate", json={"q": q, "group_by": ["city"]})).json()
    assert (grouped["data"]["count"], grouped["did_you_mean"]) == (1, meant)
    assert [(one["value"], one["count"]) for one in grouped["data"]["groups"]] == [("berlin", 1)]
    explained = (await api.post(f"/contacts/{corpus.uuids['ada']}/explain", json={"q": q})).json()
    assert (explained["data"]["matches"], explained["did_you_mean"]) == (True, meant)
    assert "did_you_mean" not in await asked(api, corpus, meant)


async def test_the_typed_door_and_the_command_line_find_the_same(
    api: httpx.AsyncClient, query: QueryServiceStub, stack: Stack, corpus: Corpus
) -> None:
    q = f"sales manger {corpus.mark}"
    typed = await query.ListContacts(pb.ListContactsRequest(query=vql_pb2.Vql(q=q)))
    assert [row.contact.uuid for row in typed.rows] == [corpus.uuids["ada"]]
    assert typed.did_you_mean == f"sales manager {corpus.mark}"
    asked = vql_pb2.Vql(q=q)
    grouped = await query.AggregateContacts(pb.AggregateContactsRequest(query=asked, aggregation=pb.Aggregation()))
    assert (grouped.matches.count, grouped.did_you_mean) == (1, typed.did_you_mean)
    explained = await query.ExplainContact(pb.ExplainContactRequest(uuid=corpus.uuids["ada"], query=asked))
    assert (explained.matches, explained.did_you_mean) == (True, typed.did_you_mean)
    shown = stack.command("search", "contacts", q, "-c", "uuid", "--json")
    assert json.loads(shown.stdout)[0]["uuid"] == corpus.uuids["ada"]
    assert "did you mean: sales manager" in shown.stderr
    counted = stack.command("count", "contacts", q)
    assert (counted.stdout.strip(), "did you mean: sales manager" in counted.stderr) == ("1", True)


async def test_explain_highlight_and_aggregate_know_the_text(api: httpx.AsyncClient, corpus: Corpus) -> None:
    page = await asked(api, corpus, "oneil", explain=True, highlight=True, track_total=True)
    assert page["total"]["value"] == 1
    assert page["explain"]["query"]["where"]["and"][0] == {"field": "q", "words": "oneil"}
    assert page["explain"]["clauses"][0]["hits"] >= 1
    assert page["data"][0]["highlight"]["last_name"] == ["<em>O&#x27;Neil</em>"]
    grouped = await api.post("/contacts/aggregate", json={"q": f"sales {corpus.mark}", "group_by": ["title"]})
    assert grouped.json()["data"]["count"] == 2


REFUSED = [
    ({"q": "   "}, "q: the text is empty"),
    ({"q": "?!"}, "q: '?!' has no word to search for"),
    ({"q": "a " * 21}, "q: 21 words; at most 20 are allowed"),
    ({"q": "x" * 1001}, "q: the text has 1001 characters; at most 1000 are allowed"),
    ({"q": 5}, "q: input should be a valid string"),
]


@pytest.mark.parametrize(("body", "said"), REFUSED, ids=range(len(REFUSED)))
async def test_what_is_no_text_is_refused(api: httpx.AsyncClient, body: Json, said: str) -> None:
    answer = await api.post("/contacts", json=body)
    assert (answer.status_code, answer.json()["message"]) == (400, said)


async def test_a_search_box_offers_values_with_counts(
    api: httpx.AsyncClient, query: QueryServiceStub, corpus: Corpus
) -> None:
    async def offered(text: str, *fields: str) -> list[tuple[str, str, int]]:
        body: Json = {"text": text, "fields": list(fields)}
        answer = await api.post("/contacts/suggest", json=body, headers={"x-consistency-token": corpus.token})
        assert answer.status_code == 200, answer.text
        assert answer.json()["exact"]
        typed = await query.SuggestContacts(pb.SuggestContactsRequest(**body))
        values = [(one.field, one.value, one.count) for one in typed.suggestions]
        assert values == [(one["field"], one["value"], one["count"]) for one in answer.json()["data"]]
        return values

    assert await offered(f"sales manager {corpus.mark}", "title") == [("title", f"sales manager {corpus.mark}", 1)]
    assert {value for _, value, _ in await offered(f"{corpus.mark} sal", "title")} == {
        f"sales manager {corpus.mark}",
        f"vp of sales {corpus.mark}",
    }
    assert await offered(corpus.mark[:-1], "company_name") == [("company_name", f"ac-me {corpus.mark} gmbh", 2)]
    # Whether a company's field is written with a dot or not, it is one field.
    of_company = await offered(corpus.mark[:-1], "company.name", "company_name")
    assert of_company == [("company.name", f"ac-me {corpus.mark} gmbh", 2)]
    assert ("city", "zürich", 1) in [(f, v, min(n, 1)) for f, v, n in await offered("zur", "city")]
    assert await offered("?!") == []


async def test_what_is_typed_as_far_as_the_sign_is_a_beginning(
    api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    mark = word()
    await api.post("/companies/create", json={"name": f"{mark} R&Z Shop"})
    headers = {"x-consistency-token": await indexed(postgres)}
    for typed, times in ((f"{mark} r&", 1), (f"{mark} R&z", 1), (f"{mark} z&", 0), (f"{mark}x r&", 0)):
        answer = await api.post("/companies/suggest", json={"text": typed, "fields": ["name"]}, headers=headers)
        assert [one["value"] for one in answer.json()["data"]] == [f"{mark} r&z shop"] * times, typed
        leaf = {"field": "name", "operator": "prefix", "value": typed}
        answer = await api.post("/companies/count", json={"filters": leaf}, headers=headers)
        assert answer.json()["count"] == times, typed
    both = {"and": [{"field": "name", "operator": "contains", "value": text} for text in (mark, "R&")]}
    answer = await api.post("/companies", json={"filters": both}, headers=headers)
    assert [row["name"] for row in answer.json()["data"]] == [f"{mark} R&Z Shop"]


async def test_of_lists_only_what_begins_so_is_offered(api: httpx.AsyncClient, postgres: asyncpg.Connection) -> None:
    mark = word()
    await api.post("/companies/create", json={"name": mark, "industries": [f"{mark}.a b", "software"]})
    headers = {"x-consistency-token": await indexed(postgres)}
    body = {"text": f"{mark}.A", "fields": ["industries"]}
    answer = await api.post("/companies/suggest", json=body, headers=headers)
    assert answer.json()["data"] == [{"field": "industries", "value": f"{mark}.a b", "count": 1}]
