"""The example files of docs/import.md, imported all at once."""

import asyncio
import json
from typing import Any

import asyncpg
import httpx

from tests.support.import_examples import FOLDER, WANTED, missed
from tests.support.jobs import import_file


async def test_every_example_gives_its_records(api: httpx.AsyncClient, postgres: asyncpg.Connection) -> None:
    jobs = await asyncio.gather(*(import_file(api, (FOLDER / name).read_bytes(), name) for name in WANTED))
    for name, job in zip(WANTED, jobs, strict=True):
        assert job["status"] == "completed", (name, job["job_response"])
        for contact, company in WANTED[name]:
            companies = await stored(postgres, "SELECT to_jsonb(c)::text FROM companies c WHERE name = $1", company)
            assert any(missed(company, found) == {} for found in companies), (name, company, companies)
            people = await stored(
                postgres,
                "SELECT to_jsonb(p)::text FROM contacts p JOIN companies c ON c.uuid = p.company_id WHERE c.name = $1",
                company,
            )
            assert not contact or any(missed(contact, found) == {} for found in people), (name, contact, people)


async def stored(postgres: asyncpg.Connection, query: str, company: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(row[0]) for row in await postgres.fetch(query, company["name"])]
