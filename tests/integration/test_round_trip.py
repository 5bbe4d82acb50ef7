"""What is read is written back unchanged: people and companies of all the world, through every door."""

import csv
import gc
import io
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from connectra_common.records.fields import COMPANY, CONTACT, Entity
from faker import Faker
from faker.config import AVAILABLE_LOCALES

from tests.support.jobs import download, export, import_file

Record = dict[str, Any]
# Records that no generator makes: signs at the ends, formulas, lists with separators in their items, capitals, other scripts.
COMPANIES: list[Record] = [
    {"name": "C++ Alliance (UK)", "technologies": ["C#", ".NET", "C++"], "keywords": ["a, b", 'say "hi"', "x; y", "=1+1", "a ::: b"]},
    {"name": '=HYPERLINK("http://evil.example","y")', "address": "-5", "latest_funding": "'=x", "city": "San Francisco"},
    {"name": "@homes Ltd", "company_name_for_emails": "+Home", "industries": ['"human-robot" teams', "R&D", "-"], "state": "İSTANBUL"},
    {"name": "'twas Ltd", "website": "https://tis.example/", "linkedin_url": "https://www.LinkedIn.com/company/Tis/", "country": "ΕΛΛΆΣ"},
    {"name": "株式会社 さくら 🌸", "phone_number": "(415) 555-0100", "country": "United States", "annual_revenue": 0},
    {"name": "no domain", "website": "https://facebook.com/nodomain", "phone_number": "12 34"},
]  # fmt: skip
PEOPLE: list[Record] = [
    {"first_name": "-Zed", "last_name": "O'Neil", "title": "+Chief of Staff", "departments": ["+c", "d, e"]},
    {"first_name": "'Ano", "last_name": "शर्मा", "title": "=1+1", "mobile_phone": "030 5550100"},
    {
        "first_name": "Zoë 🚀",
        "last_name": "علی\u200cرضا",
        "title": "👩\u200d💻 Dev",
        "home_phone": "+49 (0) 30 5550100",
    },
    {"first_name": "İpek", "last_name": "ŞİMŞEK", "title": "-", "website": "example.org/x", "city": "İZMİR"},
]


def fake(locale: str) -> tuple[Record, Record]:
    """A company and a person."""
    faker = Faker(locale)
    faker.seed_instance(7)

    def made(*names: str) -> str | None:
        for name in names:
            try:
                return str(getattr(faker, name)())
            except (AttributeError, ValueError, TypeError):  # this locale has none
                continue
        return None

    place = {"city": made("city"), "state": made("state", "administrative_unit"), "country": made("current_country")}
    domain = f"{locale.lower().replace('_', '-')}.example"
    company = {
        "name": f"{made('company')} {locale}",
        "address": made("address"),
        "phone_number": made("phone_number"),
        "website": f"www.{domain}/about",
        "keywords": [made("catch_phrase", "word"), made("bs", "word")],
        "employees_count": 12,
        "last_raised_at": made("date"),
        **place,
    }
    person = {
        "first_name": made("first_name"),
        "last_name": made("last_name"),
        "title": made("job"),
        "mobile_phone": made("phone_number"),
        "work_direct_phone": made("phone_number"),
        "departments": [made("word")],
        "linkedin_url": f"linkedin.com/in/{locale}-{made('user_name')}",
        **place,
    }
    return company, person


def everybody() -> tuple[list[Record], list[Record]]:
    """All companies and people; the addresses make the people findable."""
    companies, people = list(COMPANIES), list(PEOPLE)
    # The first time, modules of names are compiled, during which Python 3.11 fails if a finalizer that is run meanwhile compiles too.
    gc.disable()
    try:
        for locale in sorted(AVAILABLE_LOCALES):
            company, person = fake(locale)
            companies.append(company)
            people.append(person)
    finally:
        gc.enable()
    for n, person in enumerate(people):
        person["email"] = f"Person.{n}+o'x@round-trip.example"
    return companies, people


class World:
    """The records of this test, and what is stored of them."""

    def __init__(self, api: httpx.AsyncClient, postgres: asyncpg.Connection) -> None:
        self._api, self._postgres = api, postgres
        self.uuids: dict[Entity, list[str]] = {}

    async def fill(self) -> None:
        """Stores everybody, each person in a company."""
        companies, people = everybody()
        await self._create(COMPANY, companies)
        for n, person in enumerate(people):
            person["company_id"] = self.uuids[COMPANY][n]
        await self._create(CONTACT, people)

    async def stored(self) -> dict[str, Record]:
        """All data fields of all records, by uuid."""
        found: dict[str, Record] = {}
        for entity, uuids in self.uuids.items():
            names = ", ".join(field.name for field in entity.writable)
            rows = await self._postgres.fetch(f"SELECT {names} FROM {entity.table} WHERE uuid = ANY($1)", uuids)
            found |= {row["uuid"]: dict(row) for row in rows}
        assert len(found) == sum(map(len, self.uuids.values()))
        return found

    async def read(self, entity: Entity) -> list[Record]:
        """The records as GET answers them."""
        return [(await self._api.get(f"/{entity.table}/{uuid}")).json()["data"] for uuid in self.uuids[entity]]

    async def exported(self, service: str, columns: list[str], **job_data: Any) -> bytes:
        """The file of an export of the records."""
        uuids = self.uuids[COMPANY if service == "company" else CONTACT]
        vql = {"where": {"keyword_match": {"must": {"uuid": uuids}}}, "select_columns": columns}
        job = await export(self._api, service, vql, **job_data)
        assert job["job_response"]["rows"] == len(uuids), job
        return await download(self._api, job, "result")

    async def _create(self, entity: Entity, records: list[Record]) -> None:
        made = []
        for record in records:
            answer = await self._api.post(f"/{entity.table}/create", json=record)
            if answer.status_code == 400:  # a generator's value that is none: `0123 is a phone`
                wrong = {field["field"] for field in answer.json()["details"]["fields"]}
                assert wrong < record.keys()
                good = {name: value for name, value in record.items() if name not in wrong}
                answer = await self._api.post(f"/{entity.table}/create", json=good)
            assert answer.status_code == 201, (record, answer.text)
            made.append(answer.json()["data"]["uuid"])
        self.uuids[entity] = made


COMPANY_COLUMNS = [field.name for field in COMPANY.fields]
CONTACT_COLUMNS = [*(field.name for field in CONTACT.fields), *(f"company.{name}" for name in COMPANY_COLUMNS)]


@pytest.fixture
async def world(api: httpx.AsyncClient, postgres: asyncpg.Connection) -> World:
    """Everybody, stored."""
    world = World(api, postgres)
    await world.fill()
    return world


async def test_what_is_read_is_written_back_unchanged(world: World, api: httpx.AsyncClient) -> None:
    before = await world.stored()

    def changed(after: dict[str, Record]) -> dict[str, Any]:
        return {
            f"{uuid} {name}": (old[name], after[uuid][name])
            for uuid, old in before.items()
            for name in old
            if old[name] != after[uuid][name]
        }

    for entity in (COMPANY, CONTACT):
        records = await world.read(entity)
        for record in records:
            answer = await api.put(f"/{entity.table}/{record['uuid']}", json=record)
            assert answer.status_code == 200, answer.text
        assert changed(await world.stored()) == {}, "PUT"
        answer = await api.post(f"/{entity.table}/bulk", json=records)
        assert (answer.status_code, answer.json()["data"]["created"]) == (200, 0), answer.text
        assert changed(await world.stored()) == {}, "bulk"

    files = [
        await world.exported("company", COMPANY_COLUMNS),
        await world.exported("contact", CONTACT_COLUMNS),
        await world.exported("contact", CONTACT_COLUMNS, keep_formulas=True),
    ]
    for number, file in enumerate(files):
        counts = (await import_file(api, file))["job_response"]
        assert changed(await world.stored()) == {}, f"import of file {number}"
        assert {name: counts.get(name, 0) for name in ("created", "updated", "rejected", "left_out")} == dict.fromkeys(
            ("created", "updated", "rejected", "left_out"), 0
        )
        for rows in hundreds(file):
            answer = await api.post("/common/batch-upsert", json={"data": rows})
            assert (answer.status_code, answer.json()["data"]["created"]) == (200, 0), answer.text
        assert changed(await world.stored()) == {}, f"rows of file {number}"


def hundreds(file: bytes) -> Iterator[list[Record]]:
    """The rows of a file, a hundred at a time."""
    rows = list(csv.DictReader(io.StringIO(file.decode(), newline="")))
    for start in range(0, len(rows), 100):
        yield rows[start : start + 100]
