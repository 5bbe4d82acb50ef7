"""The jobs API through the gateway, on the running stack."""

import asyncio
import json
from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import grpc
import httpx
import pytest
from connectra.jobs.v1 import jobs_service_pb2, jobs_service_pb2_grpc
from connectra_common.server.peers import channel
from connectra_jobs.bulkheads import STREAMS
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.jobs import create_job, download, ended, export, files_of, import_file, stored_job, upload
from tests.support.stack import Stack
from tests.support.wait import until
from tests.support.words import word

Watching: TypeAlias = "grpc.aio.UnaryStreamCall[Any, jobs_service_pb2.WatchJobResponse]"

ROW = {
    "id",
    "uuid",
    "job_type",
    "data",
    "status",
    "job_response",
    "retry_count",
    "retry_interval",
    "run_after",
    "created_at",
    "updated_at",
    "attempts",
    "progress",
    "client",
}


async def test_an_upload_url_takes_a_file_under_a_key_of_the_services_choice(api: httpx.AsyncClient) -> None:
    answer = await api.get("/common/upload-url", params={"filename": "my file.csv"})
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"success", "upload_url", "s3_key", "expires_in"}
    assert body["expires_in"] == "24h0m0s"
    prefix, _, name = body["s3_key"].rpartition("/")
    assert prefix
    assert name.endswith("_my file.csv")
    assert await upload(api, b"x") != await upload(api, b"x")


async def test_a_bad_file_name_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.get("/common/upload-url")
    assert (answer.status_code, answer.json()["error"]) == (400, "filename query parameter is required")
    assert (await api.get("/common/upload-url", params={"filename": "../x.csv"})).status_code == 400


# What people call their files; all of it is legal on at least one system.
NAMES = [
    "my contacts (1).csv", "Kontakte März 2026.csv", "Kontakte Ma\u0308rz.csv", "a+b.csv", "100%.csv", "100%25.csv", "report#1.csv",
    "what?.csv", "a&b=c.csv", "it's \"q\".csv", "連絡先.csv", "🚀.csv", "PEOPLE.CSV", "no_extension", " leading.csv", "trailing.csv ",
    "a;b,c.csv", "~home$.csv", "con.csv", "9\u202fpm.csv", "x" * 196 + ".csv", "連" * 71 + ".csv",
]  # fmt: skip


async def test_a_file_keeps_its_name_whatever_it_is(api: httpx.AsyncClient) -> None:
    data = b"first_name,email\n"
    keys = [await upload(api, data, name) for name in NAMES]
    assert [key.partition("_")[2] for key in keys] == NAMES
    jobs = [await create_job(api, "insert_csv_file", {"s3_key": key}) for key in keys]
    responses = [str((await ended(api, job["uuid"]))["job_response"]) for job in jobs]
    assert [name for name, said in zip(NAMES, responses, strict=True) if "there is no object" in said] == []


async def test_a_name_that_the_store_refuses_is_refused_at_once(api: httpx.AsyncClient) -> None:
    answer = await api.get("/common/upload-url", params={"filename": "連" * 196 + ".csv"})
    assert answer.status_code == 400
    assert answer.json()["message"] == "filename: has 592 bytes in UTF-8; at most 218 are allowed"


async def test_an_object_is_imported_by_every_spelling_of_its_key_but_not_by_a_url(
    api: httpx.AsyncClient, stack: Stack
) -> None:
    key = await upload(api, b"first_name,email\n")
    jobs = [
        await create_job(api, "insert_csv_file", {"s3_key": k}) for k in (f"/{key}", f"s3://{stack.s3.bucket}/{key}")
    ]
    assert [job["data"]["s3_key"] for job in jobs] == [key, key]
    for job in jobs:
        assert "there is no object" not in str((await ended(api, job["uuid"]))["job_response"])
    url = (await api.get("/common/upload-url", params={"filename": "a.csv"})).json()["upload_url"]
    body = {"job_type": "insert_csv_file", "job_data": {"s3_key": url}}
    answer = await api.post("/common/jobs/create", json=body)
    assert answer.status_code == 400
    assert url.rpartition("=")[2] not in answer.text


async def test_creation_answers_the_job(api: httpx.AsyncClient) -> None:
    data = {"s3_key": "nothing/there.csv"}
    reply = await api.post("/common/jobs/create", json={"job_type": "insert_csv_file", "job_data": data})
    answer = reply.json()
    assert (reply.status_code, answer["message"], answer["success"]) == (201, "Job created successfully", True)
    assert set(answer["data"]) == ROW
    assert answer["data"]["data"] == data
    listed = (await api.post("/common/jobs", json={"job_type": "insert_csv_file", "limit": 100})).json()["data"]
    assert answer["data"]["uuid"] in [job["uuid"] for job in listed]


async def test_creation_reports_every_violation(api: httpx.AsyncClient) -> None:
    answer = await api.post("/common/jobs/create", json={"retry_count": -2})
    body = answer.json()
    assert answer.status_code == 400
    assert body["error_code"] == "VALIDATION_ERROR"
    assert [f["field"] for f in body["details"]["fields"]] == ["job_type", "job_data", "retry_count"]


async def test_the_list_takes_no_body_and_gives_an_empty_list(api: httpx.AsyncClient) -> None:
    assert (await api.post("/common/jobs")).status_code == 200
    assert (await api.post("/common/jobs", json={"status": ["completed"], "created_before": "2001-01-01"})).json() == {
        "data": [],
        "success": True,
    }
    for limit in (-1, 101):
        assert (await api.post("/common/jobs", json={"limit": limit})).status_code == 400


async def test_a_job_that_is_not_there_is_404_and_no_uuid_400(api: httpx.AsyncClient) -> None:
    assert (await api.get(f"/common/jobs/{uuid4()}")).status_code == 404
    assert (await api.get("/common/jobs/nonsense")).status_code == 400


async def test_a_job_is_found_by_its_uuid_in_any_usual_spelling(api: httpx.AsyncClient) -> None:
    uuid = (await create_job(api, "insert_csv_file", {"s3_key": f"{uuid4()}.csv"}))["uuid"]
    for spelling in (uuid.upper(), uuid.replace("-", "")):
        assert (await api.get(f"/common/jobs/{spelling}")).json()["data"]["uuid"] == uuid
        assert (await api.get(f"/common/jobs/{spelling}/files")).json()["data"] == []


async def test_a_file_that_is_missing_or_unreadable_fails_the_job_clearly(
    api: httpx.AsyncClient,
) -> None:
    wrong = {
        "there is no object": {"s3_key": f"{uuid4()}.csv"},
        "the file is empty": {"s3_key": await upload(api, b"")},
        "no known column": {"s3_key": await upload(api, b"foo,bar\n1,2\n")},
    }
    jobs = {text: await create_job(api, "insert_csv_file", data) for text, data in wrong.items()}
    for text, job in jobs.items():
        failed = await ended(api, job["uuid"])
        assert failed["status"] == "failed"
        assert text in failed["job_response"]["runtime_errors"][0]


async def test_an_import_counts_and_returns_the_rows_it_skipped(
    api: httpx.AsyncClient,
) -> None:
    tag = word()
    rows = f'\ufeffFirst Name;Email;Note\r\nann {tag};ann@{tag}.example;1\r\nsurplus;;;row\r\n"bo\nb {tag}";b@{tag}.example;"2;3"\r\n'
    job = await import_file(api, rows.encode())
    response = job["job_response"]
    assert job["status"] == "completed", response
    assert response["messages"] == (
        "Import completed, but not everything in the file could be stored. 3 rows read: 2 records created, 0 updated, 0 unchanged."
        " 1 row rejected. Not understood and not used: the column 'Note'"
    )
    assert (response["rows"], response["created"], response["rejected"]) == (3, 2, 1)
    assert response["unknown_columns"] == ["Note"]
    assert job["progress"]["bytes"] == job["progress"]["total_bytes"] == len(rows.encode())

    rejected = (await download(api, job, "rejected")).decode().splitlines()
    assert rejected[0] == "line,reason,First Name,Email,Note"
    assert rejected[1].startswith("3,")
    assert rejected[1].endswith(",surplus,,,row")


async def test_an_export_writes_what_the_query_finds(api: httpx.AsyncClient) -> None:
    tag = word()
    emails = [f"{n}@{tag}.example" for n in range(5)]
    rows = "first_name,email,departments\n" + "".join(f'{tag},{email},"a,b"\n' for email in emails)
    assert (await import_file(api, rows.encode()))["status"] == "completed"

    vql = {"where": {"keyword_match": {"must": {"email": emails[:4]}}}, "select_columns": ["email", "departments"]}
    job = await export(api, "contact", vql)
    assert job["status"] == "completed", job["job_response"]
    assert job["job_response"]["rows"] == 4
    assert job["job_response"]["s3_key"].endswith(f"/{job['uuid']}.csv")
    assert set(await files_of(api, job)) == {"result"}
    lines = (await download(api, job, "result")).decode().splitlines()
    assert lines[0] == "email,departments"
    assert sorted(lines[1:]) == [f'{email},"a,b"' for email in emails[:4]]


async def test_a_stored_export_whose_query_is_not_valid_any_more_fails(
    api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    # As an earlier release may have left it: a new one is refused on creation.
    vql = {"where": {"keyword_match": {"must": {"nonsense": "x"}}}, "select_columns": ["email"]}
    data, uuid = json.dumps({"service": "contact", "vql": vql}), str(uuid4())
    await postgres.execute("INSERT INTO jobs (uuid, job_type, data) VALUES ($1, 'export_csv_file', $2)", uuid, data)
    await postgres.execute("NOTIFY jobs")
    job = await ended(api, uuid)
    assert job["status"] == "failed"
    assert "nonsense" in job["job_response"]["runtime_errors"][0]
    assert await files_of(api, job) == {}


async def test_the_same_idempotency_key_makes_one_job(api: httpx.AsyncClient, stack: Stack) -> None:
    body = {"job_type": "insert_csv_file", "job_data": {"s3_key": f"{uuid4()}.csv"}}
    headers = {"idempotency-key": uuid4().hex}
    answers = await asyncio.gather(
        *(api.post("/common/jobs/create", json=body, headers=headers) for _ in range(4)),
    )
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.text for answer in answers}) == 1
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == ["", "true", "true", "true"]
    other = await api.post("/common/jobs/create", json={**body, "retry_count": 1}, headers=headers)
    assert (other.status_code, other.json()["error_code"]) == (409, "CONFLICT")
    odd = await api.post("/common/jobs/create", json=body, headers={"idempotency-key": "x" * 256})
    assert odd.status_code == 400
    async with channel(stack.grpc["jobs"]) as opened:
        jobs = jobs_service_pb2_grpc.JobsServiceStub(opened)
        request = jobs_service_pb2.CreateJobRequest(import_file=jobs_service_pb2.ImportFile(s3_key="a.csv"))
        metadata = (("idempotency-key", uuid4().hex),)
        calls = [jobs.CreateJob(request, metadata=metadata)]
        first = await calls[0]
        calls.append(jobs.CreateJob(request, metadata=metadata))
        assert await calls[1] == first
        marks = [dict(await call.initial_metadata()).get("idempotent-replayed") for call in calls]
    assert marks == [None, "true"]


async def test_a_list_is_walked_page_by_page(api: httpx.AsyncClient) -> None:
    made = [await create_job(api, "insert_csv_file", {"s3_key": f"{uuid4()}.csv"}) for _ in range(5)]
    since = {"created_after": made[0]["created_at"], "created_before": "2999-01-01", "limit": 2}
    seen, cursor = [], None
    while True:
        page = (await api.post("/common/jobs", json={**since, **({"cursor": cursor} if cursor else {})})).json()
        seen += [job["uuid"] for job in page["data"]]
        await create_job(api, "insert_csv_file", {"s3_key": f"{uuid4()}.csv"})  # must not shift the later pages
        if (cursor := page.get("next_cursor")) is None:
            break
    mine = [job["uuid"] for job in made[::-1]]
    assert seen == mine
    until = {"created_after": made[0]["created_at"], "created_before": made[-1]["created_at"]}
    second = (await api.post("/common/jobs", json={**until, "limit": 2, "page": 2})).json()["data"]
    assert [job["uuid"] for job in second] == mine[3:]
    for wrong in ({"cursor": "x"}, {"page": -1}, {"page": 2, "cursor": "2026-01-01_1"}, {"created_after": 5}):
        assert (await api.post("/common/jobs", json=wrong)).status_code == 400, wrong
    warned = (await api.post("/common/jobs", json={"status": ["done"], "stauts": 1})).json()
    assert warned["data"] == []
    assert [w["field"] for w in warned["warnings"]] == ["stauts", "status"]


async def test_a_moment_in_no_year_is_refused(stack: Stack) -> None:
    async with channel(stack.grpc["jobs"]) as opened:
        jobs = jobs_service_pb2_grpc.JobsServiceStub(opened)
        for seconds in (-(2**63), 2**63 - 1):
            with pytest.raises(grpc.aio.AioRpcError, match="created_before: must be a moment") as refused:
                await jobs.ListJobs(jobs_service_pb2.ListJobsRequest(created_before=Timestamp(seconds=seconds)))
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_watched_job_is_seen_to_its_end(stack: Stack) -> None:
    async with channel(stack.grpc["jobs"]) as opened:
        jobs = jobs_service_pb2_grpc.JobsServiceStub(opened)
        source = jobs_service_pb2.ImportFile(s3_key=f"{uuid4()}.csv")
        created = await jobs.CreateJob(jobs_service_pb2.CreateJobRequest(import_file=source))
        request = jobs_service_pb2.WatchJobRequest(uuid=created.job.uuid)
        states = [answer.job.status async for answer in jobs.WatchJob(request, timeout=30)]
    assert states[-1] == "failed"


async def test_a_bucket_that_cannot_be_is_refused_and_of_an_old_job_has_no_files(
    api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    data = {"s3_key": "a.csv", "s3_bucket": "a bucket\x85"}
    refused = await api.post("/common/jobs/create", json={"job_type": "insert_csv_file", "job_data": data})
    assert refused.status_code == 400
    assert [f["field"] for f in refused.json()["details"]["fields"]] == ["job_data.s3_bucket"]
    uuid = str(uuid4())
    await postgres.execute(
        "INSERT INTO jobs (uuid, job_type, data, status) VALUES ($1, 'insert_csv_file', $2, 'completed')",
        *(uuid, json.dumps(data)),
    )
    files = await api.get(f"/common/jobs/{uuid}/files")
    assert (files.status_code, files.json()["data"]) == (200, [])


async def test_a_client_watches_some_jobs_at_once_and_others_still_may(
    stack: Stack, postgres: asyncpg.Connection
) -> None:
    uuid, name = str(uuid4()), word()
    await postgres.execute(
        """INSERT INTO jobs (uuid, job_type, data, status, client, run_after)
        VALUES ($1, 'export_csv_file', '{}', 'open', $2, now() + interval '1 hour')""",
        uuid,
        name,
    )
    request = jobs_service_pb2.WatchJobRequest(uuid=uuid)
    async with channel(stack.grpc["jobs"]) as opened:
        jobs = jobs_service_pb2_grpc.JobsServiceStub(opened)

        def watch(client: str) -> Watching:
            return jobs.WatchJob(request, metadata=[("x-client-id", client), ("x-client-rights", "export,admin")])

        async def seen(call: Watching) -> str:
            answer = await call.read()
            assert isinstance(answer, jobs_service_pb2.WatchJobResponse)
            return answer.job.uuid

        held = [watch(name) for _ in range(STREAMS.client)]
        assert {await seen(call) for call in held} == {uuid}
        with pytest.raises(grpc.aio.AioRpcError, match="too many streams at once: a client may have 32") as refused:
            await seen(watch(name))
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await seen(watch("another")) == uuid
        held[0].cancel()
        await until(lambda: seen(watch(name)), seconds=10, away=(grpc.aio.AioRpcError,))
    await postgres.execute("DELETE FROM jobs WHERE uuid = $1", uuid)


async def test_events_of_a_job_arrive_as_it_changes_and_end_with_it(
    api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    uuid = await stored_job(postgres, "processing")
    path = f"/common/jobs/{uuid}/events"
    # The headers alone, although the job goes on.
    assert (await api.head(path)).headers["content-type"] == "text/event-stream; charset=utf-8"
    told = []
    async with api.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                told.append(json.loads(line.removeprefix("data: "))["status"])
                if len(told) == 1:
                    end = "UPDATE jobs SET status = 'completed', lease_until = NULL, updated_at = now() WHERE uuid = $1"
                    await postgres.execute(end, uuid)
    assert told == ["processing", "completed", "completed"]
