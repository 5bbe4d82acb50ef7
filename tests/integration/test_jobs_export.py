"""The files an export writes, on the running stack."""

import csv
import gzip
import io
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from connectra_common.records.columns import Columns
from connectra_common.records.csv_rows import RowReader
from connectra_common.records.formulas import harmless
from connectra_query.export.repository import harmless as harmless_sql

from tests.support.contacts import named
from tests.support.jobs import Job, download, export, files_of
from tests.support.postgres import last_token
from tests.support.queries import keyword_query
from tests.support.words import word

Exporter = Callable[..., Awaitable[tuple[Job, bytes]]]


@pytest.fixture
def run_export(api: httpx.AsyncClient) -> Exporter:
    """`await run_export(service, vql, **job_data)`: the job, once it has ended, and its file."""

    async def run(service: str, vql: dict[str, Any], **job_data: Any) -> tuple[Job, bytes]:
        job = await export(api, service, vql, **job_data)
        assert job["status"] == "completed", job["job_response"]
        data = await download(api, job, "result")
        size = (await files_of(api, job))["result"]["size_bytes"]
        assert size == job["job_response"]["bytes"] == len(data)
        return job, data

    return run


@pytest.fixture
async def tag(api: httpx.AsyncClient) -> str:
    """The mark of two companies and three people, one of them without a company, all searchable."""
    tag = word()
    companies: list[dict[str, Any]] = [
        {
            "uuid": str(uuid4()),
            "name": f"=HYPERLINK({tag})",
            "industries": ["a", "b"],
            "normalized_domain": f"a{tag}.example",
        },
        {"uuid": str(uuid4()), "name": f"Müller, {tag}", "employees_count": 7, "normalized_domain": f"b{tag}.example"},
    ]
    contacts: list[dict[str, Any]] = [
        {"first_name": "ann", "title": "@boss", "company_id": companies[0]["uuid"], "mobile_phone": "+14155550123"},
        {"first_name": "bob", "title": '-1+2 "x"\ny', "company_id": companies[1]["uuid"], "departments": ["+c", "d"]},
        {"first_name": "cem", "title": "plain"},
    ]
    for contact in contacts:
        contact |= {"uuid": str(uuid4()), "last_name": tag, "email": f"{contact['first_name']}@{tag}.example"}
    for path, records in (("/companies/bulk", companies), ("/contacts/bulk", contacts)):
        answer = await api.post(path, json={"data": records})
        assert answer.status_code == 200, answer.text
    token = answer.headers["x-consistency-token"]
    assert (await api.post("/contacts/count", json={}, headers={"x-consistency-token": token})).status_code == 200
    return tag


def of(tag: str, *columns: str) -> dict[str, Any]:
    names = ["ann", "bob", "cem"]
    emails = [f"{name}@{tag}.example" for name in names]
    return {**keyword_query(email=emails), "select_columns": list(columns)}


def cells(data: bytes) -> dict[str, dict[str, str]]:
    return {row["first_name"]: row for row in csv.DictReader(io.StringIO(data.decode(), newline=""))}


@pytest.mark.parametrize(
    "ignored", [{"limit": 9999999999}, {"limit": 2, "page": 3}, {"order_by": [{"order_by": "email"}]}]
)
async def test_order_and_paging_are_ignored(run_export: Exporter, tag: str, ignored: dict[str, Any]) -> None:
    job, data = await run_export("contact", {**of(tag, "first_name"), **ignored})
    assert job["job_response"]["rows"] == len(cells(data)) == 3


async def test_columns_of_the_company_stand_beside_those_of_the_contact(run_export: Exporter, tag: str) -> None:
    columns = ("first_name", "company.name", "company.employees_count", "company.industries", "company.created_at")
    job, data = await run_export("contact", of(tag, *columns), keep_formulas=True)
    rows = cells(data)
    assert data.decode().splitlines()[0] == ",".join(columns)
    assert job["job_response"]["rows"] == len(rows) == 3
    assert rows["ann"]["company.name"] == f"=HYPERLINK({tag})"
    assert rows["ann"]["company.industries"] == "a,b"
    assert (rows["bob"]["company.name"], rows["bob"]["company.employees_count"]) == (f"Müller, {tag}", "7")
    assert rows["bob"]["company.created_at"].endswith("Z")
    assert set(list(rows["cem"].values())[1:]) == {""}


async def test_what_a_spreadsheet_would_calculate_is_made_harmless_and_comes_back_by_an_import(
    run_export: Exporter, tag: str
) -> None:
    columns = ("first_name", "title", "departments", "mobile_phone", "company.name")
    _, data = await run_export("contacts", of(tag, *columns))
    rows = cells(data)
    assert rows["ann"]["title"] == "'@boss"
    assert rows["ann"]["mobile_phone"] == "+14155550123"
    assert rows["ann"]["company.name"] == f"'=HYPERLINK({tag})"
    assert rows["bob"]["title"] == '\'-1+2 "x" y'
    assert rows["bob"]["departments"] == "'+c,d"
    assert rows["cem"]["title"] == "plain"
    _, data = await run_export("contacts", of(tag, *columns), keep_formulas=True)
    kept = cells(data)
    assert (kept["ann"]["title"], kept["bob"]["departments"]) == ("@boss", "+c,d")

    reader = RowReader(Columns.read(["first_name", "title", "departments", "company"]))
    names = ("first_name", "title", "departments", "company.name")
    for name, row in rows.items():
        assert reader.read([row[n] for n in names]) == reader.read([kept[name][n] for n in names])


async def test_the_database_escapes_what_we_do(postgres: asyncpg.Connection) -> None:
    begins = [
        chr(code)
        for code in (*range(1, 0x180), *range(0x2000, 0x2070), 0x2212, *range(0xFE50, 0xFE70), *range(0xFF00, 0xFF70))
    ]
    texts = [f"{marks}{begin}{rest}" for marks in ("", "'", "''") for begin in begins for rest in ("", "1", "1.5", "x")]
    escaped = await postgres.fetch(
        f"SELECT {harmless_sql('t', 't')} FROM unnest($1::text[]) WITH ORDINALITY AS texts(t, n) ORDER BY n", texts
    )
    assert [row[0] for row in escaped] == [harmless(text) for text in texts]


async def test_json_lines_have_the_types_of_the_answers(run_export: Exporter, tag: str) -> None:
    columns = ("first_name", "title", "departments", "created_at", "company.employees_count", "company.industries")
    job, data = await run_export("contact", of(tag, *columns), format="ndjson")
    rows = {row["first_name"]: row for row in map(json.loads, data.decode().splitlines())}
    assert job["job_response"]["s3_key"].endswith(f"{job['uuid']}.ndjson")
    assert job["job_response"]["rows"] == len(rows) == 3
    assert all(tuple(row) == columns for row in rows.values())
    assert rows["bob"]["title"] == '-1+2 "x" y'
    assert (rows["bob"]["departments"], rows["cem"]["departments"]) == (["+c", "d"], [])
    assert rows["ann"]["created_at"].endswith("Z")
    assert (rows["bob"]["company.employees_count"], rows["ann"]["company.industries"]) == (7, ["a", "b"])
    assert (rows["cem"]["company.employees_count"], rows["cem"]["company.industries"]) == (None, None)


@pytest.mark.parametrize("format", ["csv", "ndjson"])
async def test_a_packed_file_has_the_same_text(run_export: Exporter, tag: str, format: str) -> None:
    vql = of(tag, "uuid", "title", "email")
    _, plain = await run_export("contact", vql, format=format)
    job, packed = await run_export("contact", vql, format=format, gzip=True)
    assert job["job_response"]["s3_key"].endswith(f".{format}.gz")
    # The pages of a search arrive in the order in which they are ready.
    assert sorted(gzip.decompress(packed).splitlines()) == sorted(plain.splitlines())


@pytest.mark.parametrize("format", ["csv", "ndjson"])
async def test_a_query_that_finds_nothing_gives_a_file_without_rows(run_export: Exporter, format: str) -> None:
    nobody = {**keyword_query(email=word()), "select_columns": ["uuid", "email"]}
    job, data = await run_export("contact", nobody, format=format)
    assert job["job_response"]["rows"] == 0
    assert data == (b"uuid,email\n" if format == "csv" else b"")


@pytest.mark.parametrize("where", [{}, {"where": {"range_query": {"must": {"created_at": {"gte": "2000-01-01"}}}}}])
async def test_everything_is_there_once_with_and_without_conditions(
    run_export: Exporter, tag: str, postgres: asyncpg.Connection, where: dict[str, Any]
) -> None:
    job, data = await run_export("contact", {**where, "select_columns": ["uuid"]}, format="ndjson")
    uuids = [json.loads(line)["uuid"] for line in data.decode().splitlines()]
    assert len(uuids) == len(set(uuids)) == job["job_response"]["rows"]
    stored = await postgres.fetch("SELECT uuid FROM contacts WHERE deleted_at IS NULL")
    assert set(uuids) == {row[0] for row in stored}


async def test_records_whose_uuid_is_none_are_exported_too(
    run_export: Exporter, tag: str, api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    # Adopted tables may contain such ids.
    odd = [f'{tag} {mark} "x"' for mark in (",", "{}", "\\", "NULL", "é")]
    await postgres.execute(
        "INSERT INTO contacts (uuid, first_name, last_name) SELECT uuid, 'odd', $2 FROM unnest($1::text[]) AS uuid",
        odd,
        tag,
    )
    token = await last_token(postgres)
    assert (await api.post("/contacts/count", json={}, headers={"x-consistency-token": token})).status_code == 200
    vql = named(tag, select_columns=["uuid", "first_name"])
    _, data = await run_export("contact", vql, format="ndjson")
    found = [row["uuid"] for row in map(json.loads, data.decode().splitlines()) if row["first_name"] == "odd"]
    await postgres.execute("DELETE FROM contacts WHERE uuid = ANY($1::text[])", odd)
    assert sorted(found) == sorted(odd)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"vql": {"select_columns": ["uuid", "company.nmae"]}}, "job_data.vql.select_columns[1]"),
        ({"service": "company", "vql": {"select_columns": ["company.name"]}}, "job_data.vql.select_columns[0]"),
        ({"format": "xlsx"}, "job_data.format"),
        ({"gzip": "yes"}, "job_data.gzip"),
    ],
)
async def test_a_wrong_export_is_refused_when_it_is_made(
    api: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    data = {"service": "contact", "vql": {"select_columns": ["uuid"]}, **change}
    answer = await api.post("/common/jobs/create", json={"job_type": "export_csv_file", "job_data": data})
    assert answer.status_code == 400
    assert [f["field"] for f in answer.json()["details"]["fields"]] == [field]
