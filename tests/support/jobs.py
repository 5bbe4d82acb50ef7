"""Jobs through the REST API: a file goes up, a job is made, ends, and its files come back."""

import json
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from tests.support.http import client
from tests.support.wait import until

Job = dict[str, Any]
"""A job as the API shows it."""
ENDED = ("completed", "failed")


async def upload(api: httpx.AsyncClient, data: bytes, name: str = "people.csv") -> str:
    """Puts a file into the object store; its key."""
    answer = (await api.get("/common/upload-url", params={"filename": name})).json()
    async with client() as store:
        (await store.put(answer["upload_url"], content=data)).raise_for_status()
    return str(answer["s3_key"])


async def create_job(api: httpx.AsyncClient, job_type: str, data: dict[str, Any], retry_count: int = 0) -> Job:
    """The job as it was made."""
    body = {"job_type": job_type, "job_data": data, "retry_count": retry_count}
    answer = await api.post("/common/jobs/create", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def ended(api: httpx.AsyncClient, uuid: str, *, seconds: float = 240, pause: float = 0.05) -> Job:
    """The job, once it is completed or has failed, and what it stored can be found."""

    async def ask() -> Job:
        return dict((await api.get(f"/common/jobs/{uuid}")).json()["data"])

    def done(job: Job) -> bool:
        return job["status"] in ENDED and job["job_response"].get("searchable", True)

    return await until(ask, done, seconds=seconds, pause=pause)


async def stored_job(
    database: asyncpg.Connection, status: str, job_type: str = "export_csv_file", *, days: int = 0, **data: Any
) -> str:
    """The uuid of a job that was put into the table: in this state, last changed so many days ago; a running one has a lease."""
    uuid = str(uuid4())
    await database.execute(
        """INSERT INTO jobs (uuid, job_type, data, status, updated_at, lease_until)
           VALUES ($1, $2, $3, $4, now() - make_interval(days => $5),
                   CASE WHEN $4 IN ('open', 'completed', 'failed') THEN NULL ELSE now() + interval '1 h' END)""",
        *(uuid, job_type, json.dumps(data), status, days),
    )
    return uuid


async def run_job(
    api: httpx.AsyncClient, job_type: str, data: dict[str, Any], *, seconds: float = 240, **more: Any
) -> Job:
    """The job, made and waited for."""
    return await ended(api, (await create_job(api, job_type, data, **more))["uuid"], seconds=seconds)


async def import_file(
    api: httpx.AsyncClient,
    data: bytes,
    name: str = "people.csv",
    *,
    retry_count: int = 0,
    seconds: float = 240,
    **job_data: Any,
) -> Job:
    """An import of this file, once it has ended."""
    key = await upload(api, data, name)
    job_data["s3_key"] = key
    return await run_job(api, "insert_csv_file", job_data, retry_count=retry_count, seconds=seconds)


async def export(api: httpx.AsyncClient, service: str, vql: dict[str, Any], **job_data: Any) -> Job:
    """An export, once it has ended."""
    return await run_job(api, "export_csv_file", {"service": service, "vql": vql, **job_data})


async def files_of(api: httpx.AsyncClient, job: Job) -> dict[str, dict[str, Any]]:
    """The files of a job by kind: source, result, rejected, left_out."""
    files = (await api.get(f"/common/jobs/{job['uuid']}/files")).json()["data"]
    return {file["kind"]: file for file in files}


async def download(api: httpx.AsyncClient, job: Job, kind: str) -> bytes:
    """The content of a file of a job."""
    url = (await files_of(api, job))[kind]["download_url"]
    async with client() as store:
        return (await store.get(url)).raise_for_status().content
