"""A file goes in through the public door, is found, and comes out again; all counts agree everywhere."""

import csv
import io
from typing import Any

import aioboto3
import asyncpg
import httpx
import pytest
from connectra_common.records.formulas import harmless
from connectra_local.sample import COLUMNS, sample_csv

from tests.support.http import client
from tests.support.jobs import export, import_file, run_job, upload
from tests.support.people import records_of
from tests.support.queries import text_clause, text_query
from tests.support.stack import Stack

ROWS = 3_000
# Rows as real files have them: blank, ragged, refused, quoted across lines, repeated with a change.
DIRT = [
    [],
    [""] * len(COLUMNS),
    ["one", "two"],
    ["x"] * (len(COLUMNS) + 1),
]


def dirty_file() -> tuple[bytes, list[list[str]]]:
    """A generated file with bad rows among the good, a byte order mark and CRLF line ends; and its rows.

    Its profile URLs are its own: generated files share some, whose companies would be found under another name.
    """
    text = b"".join(sample_csv(ROWS, seed=11)).decode()
    text = text.replace("linkedin.com/company/", "linkedin.com/company/e2e-").replace(
        "linkedin.com/in/", "linkedin.com/in/e2e-"
    )
    header, *good = csv.reader(io.StringIO(text, newline=""))
    negative = [*good[5]]
    negative[header.index("employees")] = "-3"
    again = [*good[7]]
    again[header.index("title")] = 'Head of "Everything",\nand more'
    rows = [header, *good[:100], *DIRT, negative, *good[100:], again]
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\r\n").writerows(rows)
    return b"\xef\xbb\xbf" + file.getvalue().encode(), rows


async def download(stack: Stack, key: str) -> str:
    session = aioboto3.Session(aws_access_key_id=stack.s3.access_key, aws_secret_access_key=stack.s3.secret_key)
    async with session.client("s3", endpoint_url=stack.s3.endpoint, region_name="us-east-1") as s3:
        answer = await s3.get_object(Bucket=stack.s3.bucket, Key=key)
        return str((await answer["Body"].read()).decode())


def email_domain_query(**more: Any) -> dict[str, Any]:
    return {**text_query(text_clause(".example", "company_normalized_domain", "substring")), **more}


@pytest.fixture(scope="module")
async def imported(stack: Stack) -> dict[str, Any]:
    """The file, imported once for all tests here."""
    data, rows = dirty_file()
    async with client(stack.gateway, stack.api_key) as api:
        key = await upload(api, data, "sample file.csv")
        job = await run_job(api, "insert_csv_file", {"s3_key": key}, retry_count=2)
        return {"data": data, "rows": rows, "job": job}


async def test_every_number_agrees_with_the_file(
    imported: dict[str, Any], stack: Stack, api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    job, rows = imported["job"], imported["rows"]
    companies, contacts, refused = records_of(rows)
    assert job["status"] == "completed", job
    response = job["job_response"]
    assert f"{response['rows']:,} rows read: {response['created']:,} records created" in response["messages"]
    assert f"{response['rejected']} rows rejected" in response["messages"]
    assert response["rows"] == sum(map(any, rows[1:]))
    assert response["rejected"] == refused == 2
    assert response["bytes"] == len(imported["data"])
    for table, records in (("companies", companies), ("contacts", contacts)):
        stored = await postgres.fetchval(f"SELECT count(*) FROM {table} WHERE uuid = ANY($1)", list(records))
        assert stored == len(records)
        assert response["searchable"] is True
        found = 0
        uuids = sorted(records)
        for start in range(0, len(uuids), 1000):
            where = {"keyword_match": {"must": {"uuid": uuids[start : start + 1000]}}}
            found += (await api.post(f"/{table}/count", json={"where": where})).json()["count"]
        assert found == len(records)


async def test_rejected_rows_are_told_with_line_and_reason(imported: dict[str, Any], stack: Stack) -> None:
    text = await download(stack, imported["job"]["job_response"]["rejected_s3_key"])
    lines = list(csv.reader(io.StringIO(text)))
    assert lines[0][:2] == ["line", "reason"]
    data_lines = imported["data"].decode("utf-8-sig").split("\r\n")
    for line, reason, *cells in lines[1:]:
        assert reason
        assert list(map(harmless, next(csv.reader([data_lines[int(line) - 1]])))) == cells
    assert len(lines) == 3


async def test_the_same_file_again_changes_nothing(imported: dict[str, Any], api: httpx.AsyncClient) -> None:
    job = await import_file(api, imported["data"], "again.csv")
    assert job["status"] == "completed"
    assert job["job_response"]["created"] == 0
    assert job["attempts"] == 1


async def test_what_is_found_can_be_exported(imported: dict[str, Any], stack: Stack, api: httpx.AsyncClient) -> None:
    columns = ["uuid", "email", "title", "departments", "created_at", "first_name"]
    vql = email_domain_query(select_columns=columns)
    count = (await api.post("/contacts/count", json=email_domain_query())).json()["count"]
    job = await export(api, "contact", vql)
    assert job["status"] == "completed", job
    response = job["job_response"]
    assert response["rows"] == count > ROWS * 0.8
    rows = list(csv.DictReader(io.StringIO(await download(stack, response["s3_key"]))))
    assert len({row["uuid"] for row in rows}) == len(rows) == count
    _, contacts, _ = records_of(imported["rows"])
    for row in rows:
        if record := contacts.get(row["uuid"]):
            assert row["email"] == record.get("email", "")
            assert row["departments"] == ",".join(record.get("departments", []))
            assert row["created_at"].endswith("Z")


async def test_companies_can_be_exported_too(imported: dict[str, Any], stack: Stack, api: httpx.AsyncClient) -> None:
    vql = {"select_columns": ["name", "employees_count"]}
    count = (await api.post("/companies/count", json={})).json()["count"]
    job = await export(api, "company", vql)
    rows = list(csv.DictReader(io.StringIO(await download(stack, job["job_response"]["s3_key"]))))
    assert len(rows) == job["job_response"]["rows"] == count
    companies, _, _ = records_of(imported["rows"])
    assert {(c["name"], str(c.get("employees_count", ""))) for c in companies.values()} <= {
        (row["name"].removeprefix("'"), row["employees_count"]) for row in rows
    }


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "empty"),
        (b"shoe,size\n1,2\n", "no known column"),
    ],
)
async def test_a_file_that_cannot_be_read_fails_with_the_reason(
    api: httpx.AsyncClient, data: bytes, error: str
) -> None:
    job = await import_file(api, data, "bad.csv")
    assert job["status"] == "failed"
    assert any(error in text for text in job["job_response"]["runtime_errors"]), job


async def test_a_file_that_is_not_there_fails_with_the_reason(api: httpx.AsyncClient) -> None:
    job = await run_job(api, "insert_csv_file", {"s3_key": "uploads/none.csv"})
    assert job["status"] == "failed"
    assert any("uploads/none.csv" in text for text in job["job_response"]["runtime_errors"]), job


async def test_an_export_of_a_wrong_query_is_refused_at_once(api: httpx.AsyncClient) -> None:
    vql = {"select_columns": ["uuid"], "where": {"keyword_match": {"must": {"emial": "x"}}}}
    created = await api.post(
        "/common/jobs/create", json={"job_type": "export_csv_file", "job_data": {"service": "contact", "vql": vql}}
    )
    assert created.status_code == 400
    assert "did you mean 'email'?" in created.json()["message"]
