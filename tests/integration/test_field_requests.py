"""Requests as careless and curious clients send them (field_cases/), through the gateway: what is answered, and what is stored."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import httpx
import pytest

from tests.support.http import client
from tests.support.jobs import ended, upload
from tests.support.queries import keyword_query
from tests.support.stack import Stack

CASES = Path(__file__).with_name("field_cases")
Json = Any


def document(name: str) -> Json:
    """The body of a case."""
    return json.loads((CASES / name).read_bytes())


async def walk(api: httpx.AsyncClient, name: str) -> dict[str, httpx.Response]:
    """Sends the steps of a case one after the other; the answers by the steps' names. Each sees what those before it wrote."""
    kept: dict[str, str] = {}
    token: dict[str, str] = {}
    answers: dict[str, httpx.Response] = {}

    def filled(text: str) -> str:
        for key, value in kept.items():
            text = text.replace(f"${{{key}}}", value)
        return text

    for step in document(name)["steps"]:
        request: dict[str, Any] = {"headers": {**token, **step.get("headers", {})}}
        if "body" in step:
            request["content"] = filled(json.dumps(step["body"]))
        if "body_text" in step:
            request["content"] = step["body_text"]
        answer = await api.request(step["method"], filled(step["path"]), **request)
        if found := answer.headers.get("x-consistency-token"):
            token = {"x-consistency-token": found}
        for key, path in step.get("keep", {}).items():
            value = answer.json()
            for part in path.split("."):
                value = value[part]
            kept[key] = str(value)
        answers[step["name"]] = answer
    return answers


def names(answer: httpx.Response, field: str = "name") -> list[Any]:
    """A field of the rows of an answer, in their order."""
    assert answer.status_code == 200, answer.text
    return [row[field] for row in answer.json()["data"]]


async def test_addresses_with_signs(api: httpx.AsyncClient) -> None:
    answer = await api.post("/contacts/bulk", json=document("40-email-apostrophe.json"))
    data = answer.json()["data"]
    assert (answer.status_code, data["created"], [e["index"] for e in data["errors"]]) == (207, 5, [4])
    assert data["errors"][0]["fields"][0]["field"] == "email"


async def test_international_addresses(api: httpx.AsyncClient) -> None:
    answer = await api.post("/contacts/bulk", json=document("41-email-idn.json"))
    data = answer.json()["data"]
    assert (answer.status_code, data["created"], data["updated"]) == (200, 4, 1), data
    assert data["uuids"][0] == data["uuids"][1]


async def test_firms_whose_site_is_a_page_of_a_platform(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "43-social-domain.steps.json")
    bulk = steps["two companies, one platform"].json()["data"]
    assert (bulk["created"], bulk["updated"], len(set(bulk["uuids"]))) == (2, 0, 2)
    assert steps["a third one by upsert"].status_code == steps["and another"].status_code == 201
    assert steps["shops of one host"].json()["data"]["created"] == 2
    rows = steps["all six are there"].json()["data"]
    ours = {row["name"]: row["normalized_domain"] for row in rows if row["name"].split()[0] in _SIX}
    assert ours == {
        **{f"{name} Fieldcase": None for name in ("Bakery", "Yoga", "Florist", "Tailor")},
        "Docs Fieldcase": "docs-fieldcase.github.io",
        "Blog Fieldcase": "blog-fieldcase.github.io",
    }


_SIX = {"Bakery", "Yoga", "Florist", "Tailor", "Docs", "Blog"}


async def test_somebody_elses_address(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "45-email-collision.steps.json")
    x, z = (steps[name].json()["data"]["uuid"] for name in ("X", "Z"))
    for name in ("X takes Z's address", "the same by PUT"):
        assert steps[name].status_code == 200
        assert z in json.dumps(steps[name].json()["warnings"]), name
    untouched = steps["Z is untouched"].json()["data"]
    assert (untouched["first_name"], untouched["title"]) == ("zora", None)
    ambiguous = steps["an upsert by that address alone"]
    assert (ambiguous.status_code, ambiguous.json()["error_code"]) == (409, "CONFLICT")
    assert all(uuid in ambiguous.text for uuid in (x, z))


async def test_one_address_twice_in_a_bulk(api: httpx.AsyncClient) -> None:
    answer = await api.post("/contacts/bulk", json=document("46-bulk-same-email.json"))
    data = answer.json()["data"]
    assert (answer.status_code, data["total_count"], data["created"], data["updated"]) == (200, 3, 2, 1)
    dup = (await api.get(f"/contacts/{data['uuids'][0]}")).json()["data"]
    assert (dup["title"], dup["city"]) == ("second", "bonn")


async def test_uuids_in_capitals_and_odd_paths(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "47-uuid-uppercase.steps.json")
    statuses = [answer.status_code for answer in steps.values()]
    assert statuses == [201, 200, 200, 201, 200, 400]
    contact = steps["company_id in capitals"].json()["data"]
    assert contact["company_id"] == "3f2b8c1e-5a6d-4e7f-8a9b-0c1d2e3f4a5b"
    assert len(steps["search in capitals"].json()["data"]) == 1

    steps = await walk(api, "53-paths.steps.json")
    expected = {
        "slash": {200},
        "v1": {200},
        "doubled slash": {200, 404},
        "escaped letter": {200, 404},
        "escaped digit": {200, 400},
        "escaped slash": {404},
        "colon": {400},
        "colons twice": {400},
        "dots": {200, 404},
        "upper case": {404},
        "query of a browser": {200},
        "columns, escaped commas and blanks": {200},
        "empty columns": {200},
        "bad escape": {400},
        "NUL": {400},
        "no content-type": {200},
        "text/plain": {200},
        "form": {400},
    }
    assert {name: steps[name].status_code for name in expected if steps[name].status_code not in expected[name]} == {}
    assert ":delete" in steps["colon"].json()["message"]


async def test_head_and_repeated_parameters(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "53-paths.steps.json")
    assert steps["HEAD health"].status_code == 200
    assert steps["columns twice"].status_code in (200, 400)
    if steps["columns twice"].status_code == 200:
        assert set(steps["columns twice"].json()["data"]) == {"uuid", "name"}


async def test_large_numbers(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "48-int64.steps.json")
    assert re.search(r"\"annual_revenue\" ?: ?9007199254740993\b", steps["beyond 2^53"].text)
    assert steps["read back"].json()["data"] == {
        "annual_revenue": 9007199254740993,
        "total_funding": 9223372036854775807,
    }
    assert (steps["range on it"].json()["count"], steps["just above"].json()["count"]) == (1, 0)
    assert steps["one too many"].status_code == 400
    assert "annual_revenue" in steps["one too many"].json()["message"]
    assert steps["as text"].status_code in (200, 400)
    assert steps["with an exponent"].json()["data"]["employees_count"] == 1000
    assert "whole number" in steps["a fraction"].json()["message"]


async def test_bodies_in_other_encodings(api: httpx.AsyncClient, postgres: asyncpg.Connection) -> None:
    for name in ("49-latin1-body.json", "49-utf16-body.json"):
        answer = await api.post("/contacts/create", content=(CASES / name).read_bytes())
        assert answer.status_code == 400
        assert "not UTF-8" in answer.json()["message"]
    answer = await api.post("/contacts/create", content=(CASES / "49-bom-body.json").read_bytes())
    assert answer.status_code in (201, 400)
    stored = await postgres.fetchval("SELECT count(*) FROM contacts WHERE email LIKE '%bom-fc.example'")
    assert stored == (answer.status_code == 201)


async def test_a_body_that_comes_in_chunks(api: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        data = (CASES / "50-transport.json").read_bytes()
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]

    answer = await api.post("/companies/bulk", content=chunks())
    assert (answer.status_code, answer.json()["data"]["success_count"]) == (200, 20)


async def test_a_packed_body(api: httpx.AsyncClient) -> None:
    packed = (CASES / "50-transport.json.gz").read_bytes()
    answer = await api.post("/companies/bulk", content=packed, headers={"content-encoding": "gzip"})
    assert answer.status_code == 200


async def test_deep_trees(api: httpx.AsyncClient) -> None:
    for name in ("51-deep-filter.json", "51-depth-9-filter.json"):
        answer = await api.post("/contacts", json=document(name))
        assert answer.status_code == 400
        assert "8 levels" in answer.json()["message"]
    assert (await api.post("/contacts", json=document("51-depth-8-filter.json"))).status_code == 200


async def test_words_of_the_caller_in_errors(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "52-umlaut-error.steps.json")
    assert {name for name, answer in steps.items() if answer.status_code not in (400, 404)} == set()
    assert all(answer.json()["success"] is False for answer in steps.values())
    assert "größe_straße" in steps["unknown field"].json()["message"]
    assert "müller straße 🚀" in steps["bad value"].json()["message"]
    assert "straße" in steps["column in the query string"].json()["message"]
    assert len(steps["very long bad value"].json()["message"]) < 500


async def test_signs_taken_literally(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "61-search-literal.steps.json")
    for text, city in (("'lit_'", "lit_city"), ("'lit%'", "lit%city"), ('"lit\'"', "lit'city")):
        assert names(steps[f"filters/data city {text}"], "value") == [city]
    assert names(steps["name substring '100%'"]) == names(steps["tree contains"]) == ["100% Pure Fieldlit"]
    assert names(steps["name substring 'r_s'"]) == ["under_score Fieldlit"]
    assert names(steps["name exact 'the who and not'"]) == ["The Who And Not Fieldlit"]
    assert names(steps["name substring '*iel*'"]) == []
    assert {name for name, answer in steps.items() if answer.status_code not in (200, 400)} == set()


async def test_order_by_a_text(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "63-sort-case.steps.json")
    alphabet = ("10 Downing", "9 Lives", "albany", "Albatross", "Bamboo", "éclair", "Émile", "Ödmann", "zebra", "Zulu")
    assert names(steps["by name"]) == [f"{name} Fieldsort" for name in alphabet]
    assert names(steps["by name, down"]) == names(steps["by name"])[::-1]
    assert names(steps["by a number with gaps"], "employees_count") == [0, 1, 5]
    assert len(names(steps["not equal and empty"])) == 9


async def test_what_fuzziness_forgives(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "62-search-fuzzy.steps.json")
    found = {name: names(answer, "first_name") for name, answer in steps.items() if name != "seed"}
    assert found["first_name Jon"][0] == "jon"
    assert found["first_name Jo"] == ["jo"]
    assert found["first_name Margarret"] == ["margaret"]
    assert found["first_name Sarah"] == ["sarah", "sara"]
    assert found["title VP 2023"][0] == "jon"
    assert all("engine" in title.lower() for title in names(steps["title engneer"], "title")[:2])
    assert found["not fuzzy"] == ["jon"]
    assert not set(found["fuzzy in must_not"]) & set(found["first_name Jon"])


async def test_languages_with_signs(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "55-search-cpp.steps.json")
    # Others have these values too.
    for step, found in (("whole value", "Tech One Fieldcpp"), ("whole value 2", "Tech Two Fieldcpp")):
        assert [name for name in names(steps[step]) if name.endswith("Fieldcpp")] == [found]
    assert names(steps["exact C++"], "first_name")[0] == "plus"
    assert names(steps["shuffle C# Developer"], "first_name")[0] == "sharp"
    assert names(steps["exact .NET"], "first_name")[0] == "net"


async def test_ampersands(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "56-search-ampersand.steps.json")
    assert names(steps["exact AT&T"]) == ["AT&T Fieldamp"]
    assert names(steps["shuffle AT&T fieldamp"])[0] == "AT&T Fieldamp"
    assert names(steps["exact Keller Roofing and Gutters"]) == ["Keller Roofing & Gutters Inc. Fieldamp"]
    assert names(steps["exact Salt & Pepper"]) == ["Salt and Pepper Fieldamp"]


async def test_domains(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "59-search-domain.steps.json")
    assert names(steps["exact acmefd.example"]) == ["Dom Acme Fielddom"]
    assert names(steps["exact shopfd.co.uk"]) == ["Dom Shop Fielddom"]
    assert set(names(steps["people by the domain of their address"], "first_name")) == {"dora"}


async def test_people_by_the_domain_of_their_address(api: httpx.AsyncClient) -> None:
    steps = await walk(api, "59-search-domain.steps.json")
    assert names(steps["people by the domain of their address"], "first_name") == ["dora"]
    assert steps["count agrees"].json()["count"] == 1
    ours = {"field": "last_name", "operator": "eq", "value": "Fielddom"}
    for operator, value, expected in (
        ("domain", "acmefd.example", {"dora"}),
        ("ncontains", "@acmefd.example", {"nora"}),
        ("prefix", "dora@", {"dora"}),
    ):
        leaf = {"field": "email", "operator": operator, "value": value}
        found = await api.post("/contacts", json={"filters": {"and": [ours, leaf]}})
        assert set(names(found, "first_name")) == expected, operator
    of_domain = {"field": "email", "operator": "domain", "value": "acmefd.example"}
    shown = await api.post("/contacts", json={"filters": {"and": [ours, of_domain]}, "highlight": True})
    assert shown.json()["data"][0]["highlight"]["email"] == ["dora@<em>acmefd.example</em>"]
    for value, expected in (
        ("www.acmefd.example", {"Dom Acme Fielddom"}),
        ("shopfd.co.uk", {"Dom Shop Fielddom"}),
        ("two-dotsfd.example", {"Dom Sub Fielddom"}),
    ):
        leaf = {"field": "normalized_domain", "operator": "domain", "value": value}
        assert set(names(await api.post("/companies", json={"filters": leaf}))) == expected


async def test_walking_far(api: httpx.AsyncClient) -> None:
    town = [{"first_name": f"P{n}", "last_name": "Fieldpage", "city": "pagetown"} for n in range(1500)]
    people = [{**person, "email": f"p{n}@page.example"} for n, person in enumerate(town)]
    token = (await api.post("/contacts/bulk", json={"contacts": people})).headers["x-consistency-token"]
    headers = {"x-consistency-token": token}
    for order in ({"order_by": [{"order_by": "city", "order_direction": "asc"}]}, {"order_by": [{"order_by": "id"}]}):
        query = {**keyword_query(city="pagetown"), **order, "limit": 100}
        seen: list[str] = []
        cursor: Json = {}
        while cursor is not None:
            page = (await api.post("/contacts", json={**query, **cursor}, headers=headers)).json()
            seen += [row["uuid"] for row in page["data"]]
            cursor = {"cursor": page["next_cursor"]} if "next_cursor" in page else None
        assert (len(seen), len(set(seen))) == (1500, 1500)
    steps = await walk(api, "64-paging.steps.json")
    refused = {"page 11", "offset 1000", "cursor with another order", "cursor and page", "limit 101"}
    assert {name for name in refused if steps[name].status_code != 400} == set()
    for name, says in (("page 11", "page: 11 is more than 10"), ("offset 1000", "offset: 1000 is more than 900")):
        (field,) = steps[name].json()["details"]["fields"]
        assert field["message"] == f"{says}; to go deeper, send the `next_cursor` of the last answer as `cursor`"
    both = await api.post("/contacts", json={"page": 1, "offset": 50})
    assert (both.status_code, "offset: cannot be given together with page" in both.text) == (400, True)


UPLOADS = document("65-uploads.json")


@pytest.mark.parametrize("name", UPLOADS["filenames"])
async def test_file_names(api: httpx.AsyncClient, name: str) -> None:
    """A name is refused at the first call, or all of it works and the key keeps the name."""
    answer = await api.get("/common/upload-url", params={"filename": name})
    if answer.status_code == 400:
        assert answer.json()["details"]["fields"][0]["field"] == "filename"
        assert len(name.encode()) > 200 or name.startswith(".")
        return
    key = await upload(api, (CASES / "23-header-only.csv").read_bytes(), name)
    assert key.endswith(f"_{name}")
    assert urlsplit(answer.json()["upload_url"]).query
    made = await api.post(
        "/common/jobs/create", json={"job_type": "insert_csv_file", "job_data": {"s3_key": key, "validate_only": True}}
    )
    assert made.status_code == 201


async def test_content_types(api: httpx.AsyncClient) -> None:
    for content_type in UPLOADS["content_types"]:
        url = (await api.get("/common/upload-url", params={"filename": "a.csv"})).json()["upload_url"]
        headers = {} if content_type is None else {"content-type": content_type}
        async with client() as store:
            assert (await store.put(url, content=b"name\n", headers=headers)).status_code == 200, content_type


async def test_keys(api: httpx.AsyncClient, stack: Stack) -> None:
    answer = (await api.get("/common/upload-url", params={"filename": "my contacts.csv"})).json()
    key = await upload(api, (CASES / "23-header-only.csv").read_bytes(), "my contacts.csv")

    async def made(key: object) -> httpx.Response:
        data = {"s3_key": key, "validate_only": True}
        body = {"job_type": "insert_csv_file", "job_data": data, "retry_count": 3}
        return await api.post("/common/jobs/create", json=body)

    for other in (quote(key), f"{stack.s3.bucket}/{key}"):
        job = await ended(api, (await made(other)).json()["data"]["uuid"])
        assert (job["status"], job["attempts"]) == ("failed", 1)
        assert job["job_response"]["runtime_errors"] == [
            f"there is no object '{other}' in the bucket '{stack.s3.bucket}'"
        ]
    for spelled in (f"/{key}", f"s3://{stack.s3.bucket}/{key}"):
        job = await ended(api, (await made(spelled)).json()["data"]["uuid"])
        assert "there is no object" not in str(job["job_response"])
    for refused in (answer["upload_url"], "", 5):
        reply = await made(refused)
        assert (reply.status_code, "Signature" in reply.text) == (400, False)
