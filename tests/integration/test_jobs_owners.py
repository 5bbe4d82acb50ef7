"""Whose jobs and files a client sees, and what an import or export of a client may touch: through both doors, on the running stack."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import grpc
import httpx
import pytest
from botocore.exceptions import ClientError
from connectra.jobs.v1 import jobs_service_pb2 as pb
from connectra.jobs.v1.jobs_service_pb2_grpc import JobsServiceStub
from connectra_common.rights import Right
from connectra_common.server.peers import channel
from connectra_gateway import clients

from tests.support.http import client, until_status
from tests.support.jobs import create_job, ended, export, files_of, import_file, run_job, upload
from tests.support.s3 import Bucket
from tests.support.stack import Stack, connectra
from tests.support.words import word

BOTH = frozenset({Right.IMPORT, Right.EXPORT})
RIGHTS = {
    "owner": BOTH,
    "stranger": BOTH,
    "importer": frozenset({Right.IMPORT}),
    "exporter": frozenset({Right.EXPORT}),
    "administrator": frozenset({Right.ADMIN}),
}
QUERY = {"select_columns": ["uuid"], "where": {"keyword_match": {"must": {"email": "nobody@owners.example"}}}}

Callers = dict[str, httpx.AsyncClient]


@pytest.fixture(scope="module")
async def keys(stack: Stack) -> dict[str, str]:
    """Keys of the clients in RIGHTS, which the gateway knows by now."""
    file = stack.home / "keys.json"
    keys = {name: clients.add(file, f"{name}-{word()}", rights).key for name, rights in RIGHTS.items()}
    async with client(stack.gateway, keys["administrator"]) as last:
        await until_status(last, 200, "POST", "/common/jobs")
    return keys


@pytest.fixture
async def callers(stack: Stack, keys: dict[str, str], api: httpx.AsyncClient) -> AsyncIterator[Callers]:
    """A client of the gateway for each of them, and for the key that has all rights."""
    async with AsyncExitStack() as opened:
        made = {name: await opened.enter_async_context(client(stack.gateway, key)) for name, key in keys.items()}
        yield {**made, "default": api}


@pytest.fixture
async def partner(bucket: Bucket) -> str:
    """The bucket that the settings of the stack name besides its own."""
    with suppress(ClientError):  # it is there already
        await bucket.store.create_bucket(Bucket="partner")  # type: ignore[attr-defined]
    return "partner"


def without(text: str, uuid: str) -> str:
    return text.replace(uuid, "UUID")


async def test_a_job_is_its_owners_and_does_not_exist_for_others(callers: Callers) -> None:
    key = await upload(callers["owner"], b"foo\n")
    uuid = (await run_job(callers["owner"], "insert_csv_file", {"s3_key": key}))["uuid"]
    calls = [("GET", ""), ("GET", "/files"), ("POST", "/cancel"), ("POST", "/retry")]
    for name, caller in callers.items():
        listed = (await caller.post("/common/jobs", json={"limit": 100})).json()["data"]
        sees = name in ("owner", "administrator", "default")
        assert (uuid in [job["uuid"] for job in listed]) == sees, name
        assert sees or all(job["client"].startswith(name) for job in listed)
        for method, path in calls:
            answer = await caller.request(method, f"/common/jobs/{uuid}{path}")
            if sees:
                # It has failed, or was retried by the caller before.
                assert answer.status_code in (200, 409), (name, path, answer.text)
                continue
            other = str(uuid4())
            absent = await caller.request(method, f"/common/jobs/{other}{path}")
            assert (answer.status_code, absent.status_code) == (404, 404), (name, path)
            assert without(answer.text, uuid) == without(absent.text, other)
    job = await ended(callers["owner"], uuid)
    assert re.fullmatch(r"owner-\w+", job["client"])


async def test_the_typed_door_keeps_to_it_and_callers_inside_see_all(stack: Stack) -> None:
    async with channel(stack.grpc["jobs"]) as opened:
        jobs = JobsServiceStub(opened)
        metadata: dict[str, list[tuple[str, str]]] = {
            "mine": [("x-client-id", "mine"), ("x-client-rights", "export,import")],
            "other": [("x-client-id", "other"), ("x-client-rights", "export,import,read,write")],
            "admin": [("x-client-id", "ops"), ("x-client-rights", "admin")],
            "inside": [],
        }
        source = pb.CreateJobRequest(import_file=pb.ImportFile(s3_key=f"{uuid4()}.csv"))
        made = (await jobs.CreateJob(source, metadata=metadata["mine"])).job
        assert made.client == "mine"
        last = [answer async for answer in jobs.WatchJob(pb.WatchJobRequest(uuid=made.uuid), metadata=metadata["mine"])]
        assert last[-1].job.status == "failed"

        async def codes(caller: str, uuid: str) -> list[str]:
            async def outcome(call: Any) -> str:
                try:
                    if isinstance(call, grpc.aio.UnaryStreamCall):
                        return str([answer.job.uuid == uuid async for answer in call][:1])
                    await call
                except grpc.aio.AioRpcError as error:
                    return f"{error.code().name} {without(error.details() or '', uuid)}"
                return "OK"

            sent = metadata[caller]
            return [
                await outcome(jobs.GetJob(pb.GetJobRequest(uuid=uuid), metadata=sent)),
                await outcome(jobs.ListJobFiles(pb.ListJobFilesRequest(uuid=uuid), metadata=sent)),
                await outcome(jobs.WatchJob(pb.WatchJobRequest(uuid=uuid), metadata=sent)),
                (await outcome(jobs.CancelJob(pb.CancelJobRequest(uuid=uuid), metadata=sent))).partition(" ")[0],
                (await outcome(jobs.RetryJob(pb.RetryJobRequest(uuid=uuid), metadata=sent))).partition(" ")[0],
            ]

        for caller in ("mine", "admin", "inside"):
            assert await codes(caller, made.uuid) == ["OK", "OK", "[True]", "FAILED_PRECONDITION", "OK"], caller
            wait = jobs.WatchJob(pb.WatchJobRequest(uuid=made.uuid), timeout=60)
            assert [answer async for answer in wait][-1].job.status == "failed"
        assert await codes("other", made.uuid) == await codes("other", str(uuid4()))
        for caller, sees in (("mine", True), ("other", False), ("admin", True), ("inside", True)):
            page = await jobs.ListJobs(pb.ListJobsRequest(limit=100), metadata=metadata[caller])
            assert (made.uuid in [job.uuid for job in page.jobs]) == sees, caller
        within = (await jobs.CreateJob(source)).job
        assert within.client == ""
        with pytest.raises(grpc.aio.AioRpcError, match="NOT_FOUND"):
            await jobs.GetJob(pb.GetJobRequest(uuid=within.uuid), metadata=metadata["mine"])


async def test_an_import_needs_its_right_and_an_export_its_own(callers: Callers) -> None:
    bodies = {
        "import": {"job_type": "insert_csv_file", "job_data": {"s3_key": f"{uuid4()}.csv"}},
        "export": {"job_type": "export_csv_file", "job_data": {"service": "contact", "vql": QUERY}},
    }
    for name, has, lacks in (("importer", "import", "export"), ("exporter", "export", "import")):
        assert (await callers[name].post("/common/jobs/create", json=bodies[has])).status_code == 201
        refused = await callers[name].post("/common/jobs/create", json=bodies[lacks])
        assert (refused.status_code, refused.json()["error_code"]) == (403, "FORBIDDEN")
        assert refused.json()["details"]["right"] == lacks
    assert (await callers["administrator"].post("/common/jobs/create", json=bodies["import"])).status_code == 403


async def test_jobs_touch_no_bucket_but_those_that_the_settings_name(
    callers: Callers, bucket: Bucket, partner: str
) -> None:
    owner = callers["owner"]
    await bucket.store.put_object(Bucket=partner, Key="p.csv", Body=b"first_name\n", ContentType="text/csv")
    for job_type, data in (
        ("insert_csv_file", {"s3_key": "hr/salaries.txt", "s3_bucket": "acme-backups"}),
        ("insert_csv_file", {"s3_key": "s3://acme-backups/hr/salaries.txt"}),
        ("export_csv_file", {"service": "contact", "vql": QUERY, "s3_bucket": "acme-backups"}),
    ):
        refused = await owner.post("/common/jobs/create", json={"job_type": job_type, "job_data": data})
        assert refused.status_code == 400
        (field,) = refused.json()["details"]["fields"]
        assert field["field"] == "job_data.s3_bucket"
        assert field["message"].endswith(f"allowed: {bucket.name}, {partner}")
    preview = await owner.post("/common/imports/preview", json={"s3_key": "x.csv", "s3_bucket": "acme-backups"})
    assert (preview.status_code, preview.json()["details"]["fields"][0]["field"]) == (400, "s3_bucket")

    assert (await owner.post("/common/imports/preview", json={"s3_key": f"s3://{partner}/p.csv"})).status_code == 200
    read = await run_job(owner, "insert_csv_file", {"s3_key": "p.csv", "s3_bucket": partner})
    assert (read["status"], await files_of(owner, read)) == ("completed", {})
    written = await export(owner, "contact", QUERY, s3_bucket=partner)
    assert set(await files_of(owner, written)) == {"result"}


async def test_what_another_client_uploaded_or_exported_does_not_exist(callers: Callers, bucket: Bucket) -> None:
    owner, stranger = callers["owner"], callers["stranger"]
    uploaded = await upload(owner, b"first_name,email\n")
    exported = (await export(owner, "contact", QUERY))["job_response"]["s3_key"]
    respelled = [key.replace("/", slash) for key in (uploaded, exported) for slash in ("//", "\\")]
    for key in (uploaded, exported, *respelled, "\\" + uploaded, f"{uuid4()}.csv"):
        absent = f"there is no object '{key}' in the bucket '{bucket.name}'"
        preview = await stranger.post("/common/imports/preview", json={"s3_key": key})
        assert (preview.status_code, preview.json()["message"]) == (404, absent)
        job = await run_job(stranger, "insert_csv_file", {"s3_key": key})
        assert (job["status"], job["attempts"], job["job_response"]) == ("failed", 1, {"runtime_errors": [absent]})
        assert await files_of(stranger, job) == {}
    for reader in (owner, callers["default"]):
        assert (await reader.post("/common/imports/preview", json={"s3_key": uploaded})).status_code == 200
        job = await run_job(reader, "insert_csv_file", {"s3_key": uploaded})
        assert "there is no object" not in str(job["job_response"])
        assert set(await files_of(reader, job)) == ({"source"} if reader is owner else set())
    # The stranger's own upload is in no way in the way.
    assert set(await files_of(stranger, await import_file(stranger, b"first_name\nann\n"))) == {"source"}


async def test_an_object_that_came_by_other_ways_is_read_but_has_no_link(callers: Callers, bucket: Bucket) -> None:
    key = bucket.settings.key("people.csv")
    await bucket.store.put_object(Bucket=bucket.name, Key=key, Body=b"first_name\n", ContentType="text/csv")
    job = await run_job(callers["owner"], "insert_csv_file", {"s3_key": key})
    assert job["status"] == "completed"
    assert await files_of(callers["owner"], job) == {}


async def test_a_link_is_for_minutes_for_one_object_and_to_read_it(callers: Callers, bucket: Bucket) -> None:
    owner = callers["owner"]
    key = await upload(owner, b"first_name,email\nsurplus,x,y,z\nann,ann@links.example\n", 'Größe "1".csv')
    job = await run_job(owner, "insert_csv_file", {"s3_key": key})
    files = await files_of(owner, job)
    named = {"source": "Gr%C3%B6%C3%9Fe%20%221%22.csv", "rejected": "Gr%C3%B6%C3%9Fe%20%221%22.rejected.csv"}
    other = await upload(owner, b"secret")
    async with client() as store:
        for kind, name in named.items():
            url = files[kind]["download_url"]
            assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["900"]
            answer = await store.get(url)
            assert answer.headers["content-disposition"].startswith('attachment; filename="Gr__e _1_.')
            assert answer.headers["content-disposition"].endswith(f"filename*=UTF-8''{name}")
            for verb in ("PUT", "DELETE"):
                assert (await store.request(verb, url)).status_code == 403
            assert (await store.get(url.replace(urlsplit(url).path, f"/{bucket.name}/{other}"))).status_code == 403
        put = (await owner.get("/common/upload-url", params={"filename": "a.csv"})).json()["upload_url"]
        assert parse_qs(urlsplit(put).query)["X-Amz-Expires"] == ["86400"]
        assert (await store.get(put)).status_code == 403
    nobody = {"keyword_match": {"must": {"country": word()}}}
    exported = await export(owner, "company", {"select_columns": ["uuid"], "where": nobody}, gzip=True)
    result = (await files_of(owner, exported))["result"]
    said = parse_qs(urlsplit(result["download_url"]).query)["response-content-disposition"][0]
    assert re.search(r'filename="companies-\d{4}-\d\d-\d\d\.csv\.gz"', said)


async def test_what_means_nothing_is_not_stored_and_what_is_large_not_listed(
    callers: Callers, postgres: asyncpg.Connection
) -> None:
    owner = callers["owner"]
    junk = await create_job(owner, "insert_csv_file", {"s3_key": "no/such", "junk": "x" * 300_000})
    assert junk["data"] == {"s3_key": "no/such"}
    columns = {f"{n} {'x' * 100}": None for n in range(500)}
    large = {"s3_key": "no/such", "columns": columns}
    made = await create_job(owner, "insert_csv_file", large)
    assert made["data"] == large
    over = {"s3_key": "no/such", "columns": {f"{n} {'x' * 900}": None for n in range(100)}}
    refused = await owner.post("/common/jobs/create", json={"job_type": "insert_csv_file", "job_data": over})
    assert refused.status_code == 400
    assert re.fullmatch(
        r"job_data: has [\d,]+ bytes; at most 65,536 are allowed", refused.json()["details"]["fields"][0]["message"]
    )
    # As an earlier release may have left it.
    old = json.dumps({"s3_key": "no/such", "junk": "x" * 2_000_000})
    for _ in range(20):
        await postgres.execute(
            """INSERT INTO jobs (uuid, job_type, data, status, client, created_at)
               VALUES ($1, 'insert_csv_file', $2, 'completed', $3, now())""",
            *(str(uuid4()), old, made["client"]),
        )
    listed = await owner.post("/common/jobs", json={"limit": 100})
    assert listed.status_code == 200
    assert len(listed.content) < 100_000
    assert {job["uuid"]: job["data"] for job in listed.json()["data"]}[made["uuid"]] == {"s3_key": "no/such"}
    assert (await owner.get(f"/common/jobs/{made['uuid']}")).json()["data"]["data"] == large


async def test_the_trail_tells_who_cancelled_and_retried_a_job(
    api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    uuid = await postgres.fetchval(
        """INSERT INTO jobs (uuid, job_type, data, status, retry_count, attempts, run_after)
           VALUES (gen_random_uuid(), 'insert_csv_file', '{"s3_key": "absent.csv"}', 'failed', 1, 1, now() + interval '1 hour')
           RETURNING uuid::text"""
    )
    for what in ("cancel", "retry"):
        assert (await api.post(f"/common/jobs/{uuid}/{what}")).status_code == 200
    rows = await postgres.fetch("SELECT operation, actor FROM audit WHERE uuid = $1 ORDER BY id LIMIT 2", uuid)
    assert [tuple(row) for row in rows] == [("cancel", "client:default"), ("retry", "client:default")]


async def test_the_trail_tells_who_made_a_job_and_what_came_of_it(
    callers: Callers, stack: Stack, postgres: asyncpg.Connection
) -> None:
    owner, tag = callers["owner"], word()
    key = await upload(owner, f"first_name,email\n{tag},{tag}@trail.example\n".encode())
    body = {"job_type": "insert_csv_file", "job_data": {"s3_key": key}}
    answer = await owner.post("/common/jobs/create", json=body, headers={"x-request-id": f"r-{tag}"})
    job = await ended(owner, answer.json()["data"]["uuid"])
    uuid, by = job["uuid"], f"client:{job['client']}"
    assert set(await files_of(owner, job)) == {"source"}
    assert (await owner.post(f"/common/jobs/{uuid}/cancel")).status_code == 409
    rows = await postgres.fetch("SELECT * FROM audit WHERE uuid = $1 ORDER BY id", uuid)
    assert [(row["entity"], row["operation"], row["actor"]) for row in rows] == [
        ("job", "create", by),
        ("job", "complete", f"job:{uuid}"),
        ("job", "fetch", by),
    ]
    assert rows[0]["request_id"] == f"r-{tag}"
    changes = [json.loads(row["changes"]) for row in rows]
    assert changes[0] == {"job_type": [None, "insert_csv_file"], "s3_key": [None, key]}
    assert changes[1]["rows"] == [None, 1]
    assert changes[2] == {"files": [None, ["source"]]}
    # What the job changed leads to whoever had it run.
    environment = {**stack.environment, "PG_DB_CONNECTION": stack.postgres}
    shown = await asyncio.to_thread(connectra, environment, "audit", "--actor", f"job:{uuid}", "--json")
    entries = json.loads(shown.stdout)
    assert {(entry["entity"], entry["made_by"]) for entry in entries} == {("contact", by), ("job", by)}
