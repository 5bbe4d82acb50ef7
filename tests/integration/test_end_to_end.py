"""A file goes in through the public door, is found, and comes out again; every number agrees in every place."""

import asyncio
import csv
import io
from typing import Any

import aioboto3
import asyncpg
import httpx
import pytest
from connectra_common.records.csv_rows import CellRefused, Header, RowReader
from connectra_local.sample import COLUMNS, sample_csv

ROWS = 3_000
# Rows as files have them: blank, ragged, refused, quoted over lines, said twice with a change.
DIRT = [
    [],
    [""] * len(COLUMNS),
    ["one", "two"],
    ["x"] * (len(COLUMNS) + 1),
]


def dirty_file() -> tuple[bytes, list[list[str]]]:
    """A generated file with bad rows among the good, with a byte order mark and CRLF, and its rows."""
    rows = list(csv.reader(io.StringIO(b"".join(sample_csv(ROWS, seed=11)).decode(), newline="")))
    header, good = rows[0], rows[1:]
    negative = [*good[5]]
    negative[header.index("employees")] = "-3"
    again = [*good[7]]
    again[header.index("title")] = 'Head of "Everything",\nand more'
    rows = [header, *good[:100], *DIRT, negative, *good[100:], again]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode(), rows


def expected(rows: list[list[str]]) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]], int]:
    """Companies and contacts by uuid as the rules make them of the file, and how many rows are refused."""
    reader = RowReader(Header.read(rows[0]))
    companies: dict[str, dict[str, Any]] = {}
    contacts: dict[str, dict[str, Any]] = {}
    refused = 0
    for row in filter(None, rows[1:]):
        try:
            company, contact = reader.read(row)
        except CellRefused:
            refused += 1
            continue
        refused += not company and not contact
        for record, into in ((company, companies), (contact, contacts)):
            if record:
                into.setdefault(str(record["uuid"]), {}).update(record)
    return companies, contacts, refused


async def run_job(api: httpx.AsyncClient, job: dict[str, Any], seconds: float = 240) -> dict[str, Any]:
    """Creates a job and waits until it has ended."""
    created = await api.post("/common/jobs/create", json=job)
    assert created.status_code == 201, created.text
    assert created.json()["message"] == "Job created successfully"
    uuid = created.json()["data"]["uuid"]
    async with asyncio.timeout(seconds):
        while True:
            row: dict[str, Any] = (await api.get(f"/common/jobs/{uuid}")).json()["data"]
            if row["status"] in ("completed", "failed"):
                return row
            await asyncio.sleep(0.1)


async def upload(api: httpx.AsyncClient, name: str, data: bytes) -> str:
    answer = (await api.get("/common/upload-url", params={"filename": name})).json()
    async with httpx.AsyncClient(trust_env=False) as plain:
        assert (await plain.put(answer["upload_url"], content=data)).status_code == 200
    return str(answer["s3_key"])


async def download(stack: Any, key: str) -> str:
    session = aioboto3.Session(aws_access_key_id=stack.s3.access_key, aws_secret_access_key=stack.s3.secret_key)
    async with session.client("s3", endpoint_url=stack.s3.endpoint, region_name="us-east-1") as s3:
        answer = await s3.get_object(Bucket=stack.s3.bucket, Key=key)
        return str((await answer["Body"].read()).decode())


def email_domain_query(**more: Any) -> dict[str, Any]:
    text = {"text_value": ".example", "filter_key": "company_normalized_domain", "search_type": "substring"}
    return {"where": {"text_matches": {"must": [text]}}, **more}


@pytest.fixture(scope="module")
async def imported(stack: Any) -> dict[str, Any]:
    """The file, imported once for all tests here."""
    data, rows = dirty_file()
    headers = {"x-api-key": stack.api_key}
    async with httpx.AsyncClient(base_url=stack.gateway, headers=headers, timeout=30, trust_env=False) as api:
        key = await upload(api, "sample file.csv", data)
        job = {"job_type": "insert_csv_file", "job_data": {"s3_key": key}, "retry_count": 2}
        return {"data": data, "rows": rows, "job": await run_job(api, job)}


async def test_every_number_agrees_with_the_file(
    imported: dict[str, Any], stack: Any, api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    job, rows = imported["job"], imported["rows"]
    companies, contacts, refused = expected(rows)
    assert job["status"] == "completed", job
    response = job["job_response"]
    assert response["messages"] == "Import completed successfully"
    assert response["rows"] == len(list(filter(None, rows[1:])))
    assert response["rejected"] == refused == 4
    assert response["bytes"] == len(imported["data"])
    for table, records in (("companies", companies), ("contacts", contacts)):
        stored = await postgres.fetchval(f"SELECT count(*) FROM {table} WHERE uuid = ANY($1)", list(records))
        assert stored == len(records)
        # Completed means searchable: no waiting here.
        found = 0
        uuids = sorted(records)
        for start in range(0, len(uuids), 1000):
            where = {"keyword_match": {"must": {"uuid": uuids[start : start + 1000]}}}
            found += (await api.post(f"/{table}/count", json={"where": where})).json()["count"]
        assert found == len(records)


async def test_rejected_rows_are_told_with_line_and_reason(imported: dict[str, Any], stack: Any) -> None:
    text = await download(stack, imported["job"]["job_response"]["rejected_s3_key"])
    lines = list(csv.reader(io.StringIO(text)))
    assert lines[0][:2] == ["line", "reason"]
    data_lines = imported["data"].decode("utf-8-sig").split("\r\n")
    for line, reason, *cells in lines[1:]:
        assert reason
        assert next(csv.reader([data_lines[int(line) - 1]])) == cells
    assert len(lines) == 5


async def test_the_same_file_again_changes_nothing(imported: dict[str, Any], api: httpx.AsyncClient) -> None:
    key = await upload(api, "again.csv", imported["data"])
    job = await run_job(api, {"job_type": "insert_csv_file", "job_data": {"s3_key": key}})
    assert job["status"] == "completed"
    assert job["job_response"]["created"] == 0
    assert job["attempts"] == 1


async def test_what_is_found_can_be_exported(imported: dict[str, Any], stack: Any, api: httpx.AsyncClient) -> None:
    columns = ["uuid", "email", "title", "departments", "created_at", "first_name"]
    vql = email_domain_query(select_columns=columns)
    count = (await api.post("/contacts/count", json=email_domain_query())).json()["count"]
    job = await run_job(api, {"job_type": "export_csv_file", "job_data": {"service": "contact", "vql": vql}})
    assert job["status"] == "completed", job
    response = job["job_response"]
    assert response["rows"] == count > ROWS * 0.8
    rows = list(csv.DictReader(io.StringIO(await download(stack, response["s3_key"]))))
    assert len({row["uuid"] for row in rows}) == len(rows) == count
    _, contacts, _ = expected(imported["rows"])
    for row in rows:
        if record := contacts.get(row["uuid"]):
            assert row["email"] == record.get("email", "")
            assert row["departments"] == ",".join(record.get("departments", []))
            assert row["created_at"].endswith("Z")


async def test_companies_can_be_exported_too(imported: dict[str, Any], stack: Any, api: httpx.AsyncClient) -> None:
    vql = {"select_columns": ["name", "employees_count"]}
    count = (await api.post("/companies/count", json={})).json()["count"]
    job = await run_job(api, {"job_type": "export_csv_file", "job_data": {"service": "company", "vql": vql}})
    rows = list(csv.DictReader(io.StringIO(await download(stack, job["job_response"]["s3_key"]))))
    assert len(rows) == job["job_response"]["rows"] == count
    companies, _, _ = expected(imported["rows"])
    assert {(c["name"], str(c.get("employees_count", ""))) for c in companies.values()} <= {
        (row["name"].removeprefix("'"), row["employees_count"]) for row in rows
    }


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "empty"),
        (b"shoe,size\n1,2\n", "no known column"),
        ("company\nM\u00fcller\n".encode("latin-1"), "not UTF-8: byte 0xfc at offset 9"),
    ],
)
async def test_a_file_that_cannot_be_read_fails_with_the_reason(
    api: httpx.AsyncClient, data: bytes, error: str
) -> None:
    key = await upload(api, "bad.csv", data)
    job = await run_job(api, {"job_type": "insert_csv_file", "job_data": {"s3_key": key}})
    assert job["status"] == "failed"
    assert any(error in text for text in job["job_response"]["runtime_errors"]), job


async def test_a_file_that_is_not_there_fails_with_the_reason(api: httpx.AsyncClient) -> None:
    job = await run_job(api, {"job_type": "insert_csv_file", "job_data": {"s3_key": "uploads/none.csv"}})
    assert job["status"] == "failed"
    assert any("uploads/none.csv" in text for text in job["job_response"]["runtime_errors"]), job


async def test_an_export_of_a_wrong_query_is_refused_at_once(api: httpx.AsyncClient) -> None:
    vql = {"select_columns": ["uuid"], "where": {"keyword_match": {"must": {"emial": "x"}}}}
    created = await api.post(
        "/common/jobs/create", json={"job_type": "export_csv_file", "job_data": {"service": "contact", "vql": vql}}
    )
    assert created.status_code == 400
    assert "did you mean 'email'?" in created.json()["message"]
