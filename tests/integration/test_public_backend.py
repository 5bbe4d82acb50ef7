"""The calls that a backend of others sends, in its spelling: uuids without dashes, `filters`, `sort_by`, offsets, `company.X`, and what it
asks of filters. They work as they are or, where they contradict the documentation, the answer says what to do.
"""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.words import word

Json = dict[str, Any]


class Backend:
    """One client, which sees what it wrote."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self._api = api

    async def call(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = await self._api.request(method, path, json=body)
        if token := answer.headers.get("x-consistency-token"):
            self._api.headers["x-consistency-token"] = token
        assert answer.is_success, answer.text
        found: Json = answer.json() if answer.content else {}
        assert "warnings" not in found, found
        return found

    async def search(self, entity: str, *conditions: Json, **more: Any) -> list[Json]:
        # Its model writes every default but those that are null.
        query = {"filters": {"and": list(conditions)}, "offset": 0, "sort_direction": "asc", **more}
        rows: list[Json] = (await self.call("POST", f"/{entity}", query))["data"]
        assert (await self.call("POST", f"/{entity}/count", query))["count"] >= len(rows)
        return rows


def condition(field: str, operator: str, value: object) -> Json:
    return {"field": field, "operator": operator, "value": value}


class People:
    """A company and its people."""

    def __init__(self, backend: Backend) -> None:
        self.backend, self.mark = backend, word()
        self.company, self.li, self.wei = (uuid4().hex for _ in range(3))

    async def made(self) -> "People":
        call, mark = self.backend.call, self.mark
        domain = f"{mark}.example"
        firm = {"uuid": self.company, "name": f"Lumen {mark}", "normalized_domain": domain, "industries": ["Software"]}
        await call("POST", "/companies/create", {**firm, "technologies": ["C++", "Kafka"], "employees_count": 120})
        shared = {"company_id": self.company, "stage": mark, "country": "Germany"}
        person = {
            "uuid": self.li,
            "first_name": "Fatima",
            "last_name": "Li",
            "email": f"fatima.li@{domain}",
            "city": "Berlin",
        }
        more = {
            "seniority": "Director",
            "mobile_phone": "+49 30 1203344",
            "linkedin_url": f"https://linkedin.com/in/{mark}-li",
        }
        made = await call("POST", "/contacts/create", {**shared, **person, **more, "title": "VP Sales"})
        assert made["data"]["uuid"].replace("-", "") == self.li
        other = {
            "uuid": self.wei,
            "first_name": "Wei",
            "last_name": "Lindner",
            "email": f"wei@{mark}-other.example",
            "city": "Bonn",
        }
        bulk = await call("POST", "/contacts/bulk", {"contacts": [{**shared, **other, "title": "HR Manager"}]})
        assert [uuid.replace("-", "") for uuid in bulk["data"]["uuids"]] == [self.wei]
        return self

    async def found(self, *conditions: Json, **more: Any) -> list[str]:
        mine = condition("stage", "eq", self.mark)
        rows = await self.backend.search("contacts", mine, *conditions, **{"sort_by": "first_name", **more})
        return [row["first_name"] for row in rows]


@pytest.fixture
async def people(api: httpx.AsyncClient) -> People:
    return await People(Backend(api)).made()


async def test_people_are_found_by_the_conditions_that_it_sends(people: People) -> None:
    mark = people.mark
    for asked, expected in (
        (condition("company.normalized_domain", "eq", f"{mark}.example"), ["fatima", "wei"]),
        (condition("company.name", "contains", "lumen"), ["fatima", "wei"]),
        (condition("company.technologies", "contains", "c++"), ["fatima", "wei"]),
        (condition("company.employees_count", "gte", 100), ["fatima", "wei"]),
        (condition("last_name", "contains", "Li"), ["fatima", "wei"]),
        (condition("title", "contains", "VP"), ["fatima"]),
        (condition("title", "contains", "hr"), ["wei"]),
        (condition("email", "contains", f"@{mark}.example"), ["fatima"]),
        (condition("email", "ncontains", f"@{mark}.example"), ["wei"]),
        (condition("city", "contains", "ber"), ["fatima"]),
        (condition("country", "contains", "germ"), ["fatima", "wei"]),
        (condition("seniority", "contains", "direct"), ["fatima"]),
        (condition("mobile_phone", "contains", "120"), ["fatima"]),
        (condition("linkedin_url", "contains", f"{mark}-li"), ["fatima"]),
        (condition("linkedin_url", "eq", f"https://linkedin.com/in/{mark}-li"), ["fatima"]),
        (condition("uuid", "in", [people.li, people.wei.upper()]), ["fatima", "wei"]),
        (condition("company_id", "eq", people.company), ["fatima", "wei"]),
        (condition("city", "nin", ["Berlin"]), ["wei"]),
        (condition("email_status", "nexists", None), ["fatima", "wei"]),
    ):
        assert await people.found(asked) == expected, asked
    either = {"or": [condition("city", "eq", "Bonn"), {"and": [condition("title", "contains", "sales")]}]}
    assert await people.found(either) == ["fatima", "wei"]


async def test_rows_come_in_its_order_with_the_columns_that_it_names(people: People) -> None:
    assert await people.found(sort_direction="desc") == ["wei", "fatima"]
    assert await people.found(sort_by="company.name", limit=1, offset=1) != await people.found(
        sort_by="company.name", limit=1
    )
    mine = condition("stage", "eq", people.mark)
    columns = ["uuid", "email", "company.name", "company_normalized_domain"]
    config = {"populate": True, "select_columns": ["name", "employees_count"]}
    rows = await people.backend.search("contacts", mine, select_columns=columns, company_config=config, limit=100)
    assert {row["company.name"] for row in rows} == {f"Lumen {people.mark}"}
    assert {row["company_normalized_domain"] for row in rows} == {f"{people.mark}.example"}
    assert {row["company"]["employees_count"] for row in rows} == {120}


async def test_filters_have_the_names_that_it_asks(people: People) -> None:
    call, mark = people.backend.call, people.mark
    for base in ("contacts", "companies"):
        assert (await call("GET", f"/{base}/filters"))["data"]
    name = f"Lumen {mark}"

    async def values(base: str, key: str, text: str) -> list[Json]:
        asked = {"service": base, "filter_key": key, "search_text": text, "page": 1, "limit": 25}
        found: list[Json] = (await call("POST", f"/{base}/filters/data", asked))["data"]
        return found

    (company,) = await values("companies", "name", mark)
    assert (company["value"].replace("-", ""), company["display_value"]) == (people.company, name)
    assert await values("contacts", "company", mark.upper()) == [{"value": name, "display_value": name}]
    assert await people.found(condition("company_name", "eq", name)) == ["fatima", "wei"]


async def test_records_are_changed_and_removed_by_uuids_without_dashes(people: People) -> None:
    call = people.backend.call
    assert (await call("PUT", f"/contacts/{people.li}", {"city": "Potsdam"}))["data"]["city"] == "potsdam"
    assert (await call("POST", "/contacts/upsert", {"uuid": people.wei, "city": "Ulm"}))["is_new"] is False
    assert await people.found(condition("city", "in", ["Potsdam", "Ulm"])) == ["fatima", "wei"]
    await call("DELETE", f"/contacts/{people.li}")
    assert await people.found() == ["wei"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"offset": 950, "limit": 100}, "offset: 950 is more than 900; to go deeper, send the `next_cursor`"),
        ({"limit": 1_000}, "limit: 1000 is more than 100"),
        ({"page": 11}, "page: 11 is more than 10; to go deeper, send the `next_cursor`"),
        ({"filters": condition("facebook_url", "contains", "x")}, "facebook_url cannot be searched"),
        ({"filters": condition("status", "eq", "x")}, "unknown field 'status'"),
        (
            {
                "where": {
                    "text_matches": {
                        "must": [{"filter_key": "company_technologies", "text_value": "c++", "search_type": "shuffle"}]
                    }
                }
            },
            "company_technologies is not a text field; use keyword_match",
        ),
    ],
)
async def test_what_the_documentation_does_not_allow_says_what_to_do(
    api: httpx.AsyncClient, query: Json, says: str
) -> None:
    answer = await api.post("/contacts", json=query)
    assert answer.status_code == 400
    assert any(says in field["message"] for field in answer.json()["details"]["fields"]), answer.text
