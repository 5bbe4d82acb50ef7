"""Which columns of a file an import takes, by its own knowledge and by what the caller says."""

import gzip
import json
from typing import Any

import asyncpg
import httpx
from connectra.jobs.v1 import jobs_service_pb2 as pb
from connectra.jobs.v1.jobs_service_pb2_grpc import JobsServiceStub
from connectra_common.server.peers import channel

from tests.support.jobs import import_file, upload
from tests.support.stack import Stack
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


async def preview(api: httpx.AsyncClient, data: bytes, name: str = "people.csv", **more: Any) -> dict[str, Any]:
    """What an import would make of a file."""
    key = await upload(api, data, name)
    answer = await api.post("/common/imports/preview", json={"s3_key": key, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


async def test_a_preview_shows_what_an_import_would_make(api: httpx.AsyncClient, postgres: asyncpg.Connection) -> None:
    tag = word()
    text = (
        f"Vorname;Nachname;Titel;Position;Firma;E-Mail;Ort;Schuhgröße\n"
        f"Jürgen;Fieldcase;Herr;Buyer;{tag} GmbH;j@{tag}.example;Köln;41\n"
        ";;;;;;;42\n"
    )
    found = await preview(api, text.encode(), columns={"Ort": None})
    assert found["shape"] == {"format": "csv", "gzip": False, "encoding": "utf-8", "delimiter": ";", "header_line": 1}
    columns = {column["header"]: column for column in found["columns"]}
    assert columns["Vorname"] == {
        "header": "Vorname",
        "target": "first_name",
        "confidence": "known",
        "samples": ["Jürgen"],
        "instead": None,
    }
    assert (columns["Titel"]["target"], columns["Titel"]["instead"]) == (None, "Position")
    assert columns["Ort"]["target"] is None
    (row,) = found["rows"]
    assert row["line"] == 2
    assert (row["company"]["name"], row["contact"]["title"]) == (f"{tag} GmbH", "Buyer")
    assert found["problems"]["unknown_columns"] == ["Schuhgröße"]
    (rejected,) = found["problems"]["rejected_rows"]
    assert (rejected["line"], rejected["cells"][-1]) == (3, "42")
    assert found["sample"] == {"rows": 2, "rejected": 1, "left_out": 0, "whole_file": True}
    assert await postgres.fetchval("SELECT count(*) FROM contacts WHERE email = $1", f"j@{tag}.example") == 0


async def test_a_preview_reads_only_the_beginning_of_a_large_file(api: httpx.AsyncClient) -> None:
    rows = "".join(f"Ada {n},{n}@large.example\n" for n in range(200_000))
    found = await preview(api, gzip.compress(f"First Name,Email\n{rows}".encode()), "people.csv.gz")
    assert (len(found["rows"]), found["shape"]["gzip"], found["sample"]["whole_file"]) == (20, True, False)
    assert 20 < found["sample"]["rows"] < 200_000


async def test_a_file_that_cannot_be_previewed_says_why(api: httpx.AsyncClient) -> None:
    async def refused(status: int, **wanted: object) -> str:
        answer = await api.post("/common/imports/preview", json=wanted)
        assert answer.status_code == status, answer.text
        return str(answer.json()["message"])

    assert "there is no object" in await refused(404, s3_key="absent.csv")
    assert "s3_key" in await refused(400)
    assert "the file is empty" in await refused(400, s3_key=await upload(api, b""))
    assert "no column 'Rank'" in await refused(
        400, s3_key=await upload(api, b"Email\na@b.example\n"), columns={"Rank": "title"}
    )


async def test_the_typed_preview_shows_the_same(api: httpx.AsyncClient, stack: Stack) -> None:
    key = await upload(api, b"First Name,Company,Rank\nZo\x91,One Ltd,Pilot\n")
    wanted = pb.PreviewImportRequest(s3_key=key, columns={"rank": "title", "company": ""}, encoding="mac-roman")
    async with channel(stack.grpc["jobs"]) as opened:
        found = await JobsServiceStub(opened).PreviewImport(wanted)
    assert [(column.target, column.confidence) for column in found.columns] == [
        ("first_name", "exact"),
        ("", ""),
        ("title", "given"),
    ]
    contact = found.rows[0].contact
    assert (contact.first_name, contact.title, found.rows[0].HasField("company")) == ("zoë", "Pilot", False)


async def test_a_column_that_another_fills_better_is_named(api: httpx.AsyncClient) -> None:
    job = await import_file(api, f"Titel;Position;E-Mail\nHerr;Buyer;{word()}@two.example\n".encode())
    assert "fills the same field better: 'Titel' (there is 'Position')" in job["job_response"]["messages"]
