"""Words as people type them: what the index makes of a text, and what is found by it."""

import json
import unicodedata
from typing import Any

import asyncpg
import httpx
import pytest
from connectra_common.search.folding import fold, table
from connectra_common.search.words import asked_words, indexed_words
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.http import client
from tests.support.postgres import indexed
from tests.support.queries import text_clause, text_query
from tests.support.stack import Stack
from tests.support.words import word

Json = dict[str, Any]
INDEX = "/companies_index/_analyze"

TEXTS = [
    *("C++ Developer", "C#/.NET, F#", "C/C++", "c++11", "A+ HR+IT", "notepad++", "ASP.NET Core", ".NET-Entwickler", "node.js"),
    *("AT&T", "R&D Manager", "a&b&c", "Keller Roofing & Gutters, Inc.", "Johnson&Johnson", "&", "x &", "& x"),
    *("O’Neil", "d'équipe", "L'Oréal", "Levi's", "Hawaiʻi", "rock-'n'-roll", "jean-luc's", "'quoted'"),
    *("Jean-Luc Picard", "co-founder", "a-b-c", "snake_case", "--", "a--b", "T‑Mobile", "covid-19"),
    *("jane.doe+x@Acme-Corp.com", "<jane@x.example>", "a@b@c.d", "https://www.acme.example/x?y=z", "qa.two-dots.example"),
    *("東京タワー", "東京 tower", "สวัสดี", "Zürich ZÜRICH", "Straße STRASSE", "ΟΔΟΣ οδος", "Ёлка", "İstanbul ısı", "ﬁn", "Ｔｏｋｙｏ"),
    *("שָׁלוֹם", "مُحَمَّد", "शर्मा", "Nguyễn", "😀 emoji", "𝒳", "½ ²", "1.234,50 €", "a\u200bb", "x" * 300),
]  # fmt: skip
letters = st.text("abC+#&.@'-_ é\u0301ßΣς東タ์1.½’ʻ", min_size=1, max_size=14) | st.text(
    st.characters(exclude_categories=("Cs", "Cn")), min_size=1, max_size=8
)


async def analysed(engine: httpx.AsyncClient, text: str, **how: str) -> list[tuple[str, int]]:
    answer = await engine.post(INDEX, json={"text": text, **how})
    assert answer.status_code == 200, answer.text
    return [(token["token"], token["position"]) for token in answer.json()["tokens"]]


async def agree(engine: httpx.AsyncClient, given: str) -> None:
    text = unicodedata.normalize("NFC", given)  # as it is stored
    made = await analysed(engine, text, analyzer="words")
    first = made[0][1] if made else 0
    assert {(w, place - first) for w, place in made} == {(w.text, w.place) for w in indexed_words(text)}
    assert [w for w, _ in await analysed(engine, text, analyzer="asked_words")] == asked_words(text)
    assert await analysed(engine, text, normalizer="folded") == [(fold(text), 0)]


@pytest.mark.parametrize("text", TEXTS)
async def test_the_index_cuts_a_text_as_we_do(stack: Stack, text: str) -> None:
    async with client(stack.elasticsearch) as engine:
        await agree(engine, text)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=letters)
async def test_the_index_cuts_any_text_as_we_do(stack: Stack, text: str) -> None:
    async with client(stack.elasticsearch) as engine:
        await agree(engine, text)


async def test_what_is_folded_stays_as_it_is() -> None:
    assert {one: folded for one, folded in table().items() if fold(folded) != folded} == {}


# Text of a company's name, what finds it, and what does not.
NAMES: list[tuple[str, list[str], list[str]]] = [
    ("C++ Guild", ["c++", "C++ guild"], ["c", "c#", "c+"]),
    ("Dot .NET House", [".net", "net"], ["asp.net"]),
    ("R&Z Shop", ["r&z", "R&Z shop"], ["rz", "r z"]),
    ("Roofs & Gutters", ["roofs and gutters", "roofs & gutters", "gutters"], ["roofs gutters"]),
    ("Sugar and Spice", ["sugar & spice"], ["sugar spice"]),
    ("O'Neil Sons", ["oneil", "o'neil", "O’NEIL", "neil"], ["on eil"]),
    ("Chefs d'équipe", ["equipe", "d'equipe", "dequipe", "chefs équipe"], ["equi pe"]),
    ("Jean-Luc Bakery", ["jean luc", "jean-luc", "jeanluc", "luc bakery"], ["jean bakery"]),
    ("Straßenbau Groß", ["strassenbau", "STRAẞENBAU", "gross", "Straßenbau"], ["stras"]),
    ("東京タワー", ["東京", "京タ", "タワー", "東"], ["東タ", "東京都"]),
    ("my-shop.co.uk", ["my-shop.co.uk", "shop"], ["shop.co.uk"]),
    ("qa.two-dots.example", ["qa.two-dots.example", "two-dots.example", "dots"], ["two-dots", "dots.example"]),
    ("Jose\u0301 Κώστας", ["José", "jose", "ΚΩΣΤΑΣ", "κωστας"], ["jos"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "finding", "missing"), NAMES, ids=range(len(NAMES)))
async def test_a_name_is_found_by_what_people_type(
    api: httpx.AsyncClient, postgres: asyncpg.Connection, name: str, finding: list[str], missing: list[str]
) -> None:
    mark = word()
    made = await api.post("/companies/create", json={"name": name, "address": mark})
    assert made.status_code == 201, made.text
    token = await indexed(postgres)
    for typed, times in [*((text, 1) for text in finding), *((text, 0) for text in missing)]:
        body = text_query(text_clause(typed, "name"), text_clause(mark, "address"))
        answer = await api.post("/companies/count", json=body, headers={"x-consistency-token": token})
        assert answer.json().get("count") == times, (typed, answer.text)


async def test_facets_show_values_as_they_are_written_but_for_case(
    api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    mark = word()
    for n, city in enumerate(("Zürich", "zürich", "Straßburg")):
        await api.post("/companies/create", json={"name": f"{mark} {n}", "city": city, "address": mark})
    headers = {"x-consistency-token": await indexed(postgres)}
    where = text_query(text_clause(mark, "address"))
    answer = await api.post("/companies", json={**where, "facets": [{"field": "city"}]}, headers=headers)
    values = {one["value"]: one["count"] for one in answer.json()["facets"][0]["values"]}
    assert values == {"zürich": 2, "straßburg": 1}
    grouped = await api.post("/companies/aggregate", json={**where, "group_by": ["city"]}, headers=headers)
    assert {one["value"]: one["count"] for one in grouped.json()["data"]["groups"]} == values
    both = {**where, "filters": {"field": "city", "operator": "in", "value": ["ZURICH", "strassburg"]}}
    assert (await api.post("/companies/count", json=both, headers=headers)).json()["count"] == 3


async def test_every_phone_of_a_record_is_found(api: httpx.AsyncClient, postgres: asyncpg.Connection) -> None:
    mark = word()
    person = {"first_name": "Ada", "last_name": mark, "email": f"{mark}@x.example"}
    phones = {"work_direct_phone": "+49 30 5550100", "home_phone": "+49 30 5550101", "other_phone": "+49 30 5550102"}
    made = await api.post("/contacts/create", json={**person, **phones})
    assert made.status_code == 201, made.text
    headers = {"x-consistency-token": await indexed(postgres)}
    for field, number in phones.items():
        body = {"where": {"keyword_match": {"must": {field: number, "email": person["email"]}}}}
        answer = await api.post("/contacts/count", json=body, headers=headers)
        assert answer.json()["count"] == 1, json.dumps(body)
