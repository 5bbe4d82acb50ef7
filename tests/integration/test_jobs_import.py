"""What an import takes, counts and refuses, on the running stack."""

import csv
import gzip
import io
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg
import httpx
import openpyxl
import pytest

from tests.support.jobs import Job, download, import_file
from tests.support.words import word

Importer = Callable[..., Awaitable[Job]]


@pytest.fixture
def run_import(api: httpx.AsyncClient) -> Importer:
    """`await run_import(data, **job_data)`: the job, once it has ended."""

    return partial(import_file, api)


@pytest.fixture
def rejected_rows(api: httpx.AsyncClient) -> Callable[[Job], Awaitable[list[list[str]]]]:
    """`await rejected_rows(job)`: the lines of the rejected file, its header first."""

    async def fetch(job: Job) -> list[list[str]]:
        return list(csv.reader(io.StringIO((await download(api, job, "rejected")).decode(), newline="")))

    return fetch


def people(tag: str, rows: int, bad: int = 0) -> bytes:
    """A file of `rows` people with `bad` rows among them that are refused."""
    lines = [f"{tag} {n},{n}@{tag}.example\n" for n in range(rows)]
    lines[rows // 2 : rows // 2] = [f"short {n}\n,,surplus\n" for n in range((bad + 1) // 2)]
    return ("first_name,email\n" + "".join(lines[: rows + bad])).encode()


@pytest.mark.parametrize("members", [1, 3])
async def test_a_gzip_file_is_known_by_its_content(
    run_import: Importer, postgres: asyncpg.Connection, members: int
) -> None:
    tag = word()
    data = people(tag, 5_000)
    parts = [data[n * len(data) // members : (n + 1) * len(data) // members] for n in range(members)]
    packed = b"".join(map(gzip.compress, parts)) + b"\0" * 7
    job = await run_import(packed)
    response = job["job_response"]
    assert job["status"] == "completed", response
    assert (response["rows"], response["created"], response["rejected"]) == (5_000, 5_000, 0)
    assert (response["bytes"], response["unpacked_bytes"]) == (len(packed), len(data))
    assert job["progress"]["bytes"] == job["progress"]["total_bytes"] == len(packed)
    assert await postgres.fetchval("SELECT count(*) FROM contacts WHERE email LIKE $1", f"%@{tag}.example") == 5_000


async def test_files_that_are_no_text_fail_with_what_is_wrong(run_import: Importer) -> None:
    packed = gzip.compress(people(word(), 100))
    wrong = {
        "the gzip file ends too early": packed[:-20],
        "the gzip file is damaged": packed[:40] + b"\xff\xff\xff\xff" + packed[44:],
        "the ZIP archive or workbook is damaged": b"PK\x03\x04" + bytes(100),
        "a PDF document": b"%PDF-1.7\n%\xe2\xe3\n",
        "an old Excel workbook": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000),
    }
    for message, data in wrong.items():
        job = await run_import(data)
        assert job["status"] == "failed", message
        assert message in job["job_response"]["runtime_errors"][0]


async def test_a_workbook_is_read_as_the_sheet_shows_it(run_import: Importer, postgres: asyncpg.Connection) -> None:
    tag, book = word(), openpyxl.Workbook(write_only=True)
    book.create_sheet("About").append(["Exported by hand"])
    sheet = book.create_sheet("People")
    for row in (
        ["Contacts of the fair"],
        [],
        ["First Name", "E-Mail", "Employees", "Company", "Mobile"],
        *([f"{tag} {n}", f"{n}@{tag}.example", 51.0, 'The "Best"\nPizza', 491701234567.0] for n in range(3_000)),
        [f"{tag} surplus", None, None, None, None, "x"],
    ):
        sheet.append(row)
    book.save(file := io.BytesIO())
    for data in (file.getvalue(), gzip.compress(file.getvalue())):
        job = await run_import(data)
        response = job["job_response"]
        assert (job["status"], response["rows"], response["rejected"]) == ("completed", 3_001, 1), response
        assert "Read the sheet 'People' of the workbook, and not 'About'" in response["messages"]
    stored = await postgres.fetch(
        """SELECT DISTINCT k.name, k.employees_count, c.mobile_phone FROM contacts c JOIN companies k ON k.uuid = c.company_id
           WHERE c.email LIKE $1""",
        f"%@{tag}.example",
    )
    assert [(row["name"], row["employees_count"]) for row in stored] == [('The "Best" Pizza', 51)]
    assert stored[0]["mobile_phone"].endswith("491701234567")


async def test_the_encoding_is_found_out_late_and_can_be_given(
    run_import: Importer, postgres: asyncpg.Connection
) -> None:
    tag = word()
    file = people(tag, 5_000) + f"{tag} Jürgen,j@{tag}.example\n".encode("cp1252") + people(tag, 3)
    job = await run_import(file)
    response = job["job_response"]
    assert (response["rows"], response["rejected"], response["encoding"]) == (5_004, 0, "windows-1252")
    assert "windows-1252" in response["messages"]
    assert "line 5003" in response["messages"]
    name = "SELECT first_name FROM contacts WHERE email = $1"
    assert await postgres.fetchval(name, f"j@{tag}.example") == f"{tag} jürgen"
    greek = f"first_name,email\n{tag} Γιώργος,g@{tag}.example\n".encode("windows-1253")
    assert (await run_import(greek, encoding="CP1253"))["job_response"]["encoding"] == "windows-1253"
    assert await postgres.fetchval(name, f"g@{tag}.example") == f"{tag} γιώργος"


async def test_an_encoding_that_is_not_known_is_refused_with_those_that_are(api: httpx.AsyncClient) -> None:
    body = {"job_type": "insert_csv_file", "job_data": {"s3_key": "a", "encoding": "klingon"}}
    answer = await api.post("/common/jobs/create", json=body)
    assert answer.status_code == 400
    [field] = answer.json()["details"]["fields"]
    assert field["field"] == "job_data.encoding"
    assert "windows-1252, " in field["message"]


@pytest.mark.parametrize(("allowed", "status"), [(0, "failed"), (9, "failed"), (10, "completed")])
async def test_more_rejected_rows_than_a_number_make_it_fail(
    run_import: Importer, rejected_rows: Callable[..., Any], allowed: int, status: str
) -> None:
    job = await run_import(people(word(), 100, 10), max_rejected=allowed)
    response = job["job_response"]
    assert (job["status"], response["rejected"]) == (status, 10), response
    assert len(await rejected_rows(job)) == 11
    if status == "failed":
        assert response["runtime_errors"] == [f"10 of 110 rows were rejected; max_rejected allows {allowed}"]
        assert response["messages"].startswith(
            "110 rows read: 100 records created, 0 updated, 0 unchanged. 10 rows rejected"
        )


@pytest.mark.parametrize(("allowed", "status"), [(0.05, "failed"), (0.1, "completed")])
async def test_a_larger_share_of_rejected_rows_makes_it_fail(run_import: Importer, allowed: float, status: str) -> None:
    job = await run_import(people(word(), 100, 10), max_rejected=allowed)
    assert job["status"] == status, job["job_response"]
    assert ("runtime_errors" in job["job_response"]) is (status == "failed")


async def test_it_stops_with_the_batch_that_exceeds_the_number(run_import: Importer) -> None:
    bad = ("first_name,email\n" + "short\n" * 30_000).encode()
    job = await run_import(bad, max_rejected=5)
    assert job["status"] == "failed"
    assert 5 < job["job_response"]["rejected"] < 30_000


@pytest.mark.parametrize("allowed", [-1, 0.0, 1.0, 1.5, "5", True])
async def test_another_max_rejected_is_refused(api: httpx.AsyncClient, allowed: object) -> None:
    body = {"job_type": "insert_csv_file", "job_data": {"s3_key": "a", "max_rejected": allowed}}
    answer = await api.post("/common/jobs/create", json=body)
    assert answer.status_code == 400
    assert [f["field"] for f in answer.json()["details"]["fields"]] == ["job_data.max_rejected"]


async def test_a_validation_says_what_an_import_would_reject_and_stores_nothing(
    api: httpx.AsyncClient, run_import: Importer, rejected_rows: Callable[..., Any], postgres: asyncpg.Connection
) -> None:
    tag = word()
    text = io.StringIO(newline="")
    rows = [["Company", "employees", "first_name", "Note", "email"]]
    rows += [[f"{tag} {n % 7}", "12", f"{tag} {n}", "x", f"{n}@{tag}.example"] for n in range(5_000)]
    rows[100:100] = [
        ["a", "-5", "b", "", ""],
        ["only", "two"],
        [""] * 5,
        ["", "7"] + [""] * 3,
        ["", "-7", "two\nlines", "", "x"],
    ]
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows(rows)
    data = b"\xef\xbb\xbf" + text.getvalue().encode()

    dry = await run_import(gzip.compress(data), validate_only=True)
    response = dry["job_response"]
    assert dry["status"] == "completed", response
    assert response["messages"] == (
        "Validation completed, but not everything in the file can be stored; nothing was stored."
        " 5,004 rows read: 5,001 with a company, 5,002 with a person. 2 rows rejected. 3 cells left out, as not valid."
        " Not understood and not used: the column 'Note'"
    )
    assert response["unknown_columns"] == ["Note"]
    assert await postgres.fetchval("SELECT count(*) FROM contacts WHERE email LIKE $1", f"%@{tag}.example") == 0
    assert await postgres.fetchval("SELECT count(*) FROM import_batches WHERE job_uuid = $1", dry["uuid"]) == 0

    real = await run_import(data)
    for name in ("rows", "rejected", "left_out"):
        assert response[name] == real["job_response"][name]
    assert (response["companies"], response["contacts"]) == (5_001, 5_002)
    assert await rejected_rows(dry) == await rejected_rows(real)
    for job in (dry, real):
        cells = list(csv.reader(io.StringIO((await download(api, job, "left_out")).decode(), newline="")))
        assert cells[0] == ["line", "column", "value", "reason"]
        # Lines as an editor shows them, the header being the first; no cell calculates.
        assert [line[:3] for line in cells[1:]] == [
            ["101", "employees", "-5"],
            ["105", "email", "x"],
            ["105", "employees", "-7"],
        ]

    failed = await run_import(data, validate_only=True, max_rejected=1)
    assert failed["status"] == "failed"
    assert failed["job_response"]["rejected"] == 2
