"""Which columns of a file an import takes, by its own knowledge and by what the caller says."""

import json
from typing import Any

import asyncpg
import httpx

from tests.support.jobs import import_file
from tests.support.words import word


async def contact(postgres: asyncpg.Connection, email: str) -> dict[str, Any]:
    """The contact with this address."""
    row = await postgres.fetchval("SELECT to_jsonb(c)::text FROM contacts c WHERE email = $1", email)
    return dict(json.loads(row)) if row else {}


async def test_the_caller_says_what_a_column_means(api: httpx.AsyncClient, postgres: asyncpg.Connection) -> None:
    email = f"ada@{word()}.example"
    data = f"First Name,E-Mail,Job Title,Rank,Shoe size\nAda,{email},x,Pilot,41\n".encode()
    job = await import_file(api, data, columns={"rank": "title", "JOB TITLE": None})
    assert job["status"] == "completed", job["job_response"]
    assert job["job_response"]["unknown_columns"] == ["Shoe size"]
    assert (await contact(postgres, email))["title"] == "Pilot"


async def test_a_mapped_column_that_is_not_there_fails_the_import(api: httpx.AsyncClient) -> None:
    job = await import_file(api, b"First Name,Rank\nAda,Pilot\n", columns={"Ranc": "title"})
    assert job["status"] == "failed"
    assert "the file has no column 'Ranc'" in job["job_response"]["runtime_errors"][0]
    assert "did you mean 'Rank'" in job["job_response"]["runtime_errors"][0]


async def test_a_mapping_to_an_unknown_field_is_refused_at_creation(api: httpx.AsyncClient) -> None:
    body = {"job_type": "insert_csv_file", "job_data": {"s3_key": "a", "columns": {"Rank": "titel"}}}
    answer = await api.post("/common/jobs/create", json=body)
    assert answer.status_code == 400
    (field,) = answer.json()["details"]["fields"]
    assert field["field"] == "job_data.columns"
    assert "did you mean 'title'" in field["message"]
