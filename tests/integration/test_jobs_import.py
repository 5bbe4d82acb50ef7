"""What an import takes, counts and refuses, on the running stack."""

import csv
import gzip
import io
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg
import httpx
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
    text = people(word(), 3).decode()
    wrong = {
        "the gzip file ends too early": packed[:-20],
        "the gzip file is damaged": packed[:40] + b"\xff\xff\xff\xff" + packed[44:],
        "ZIP archive or a spreadsheet": b"PK\x03\x04" + bytes(100),
        "not UTF-8: byte 0xff at offset 0": text.encode("utf-16"),
        "byte 0x00 at offset 1 (line 1); it looks like UTF-16": text.encode("utf-16-le"),
    }
    for message, data in wrong.items():
        job = await run_import(data)
        assert job["status"] == "failed", message
        assert message in job["job_response"]["runtime_errors"][0]


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
            ["105", "employees", "-7"],
            ["105", "email", "x"],
        ]

    failed = await run_import(data, validate_only=True, max_rejected=1)
    assert failed["status"] == "failed"
    assert failed["job_response"]["rejected"] == 2
