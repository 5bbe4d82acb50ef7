"""The REST door: documented paths, JSON as the documentation spells it."""

from typing import Any

from connectra.jobs.v1 import jobs_rest_pb2 as pb
from connectra.jobs.v1 import jobs_rest_pb2_grpc as pb_grpc
from connectra_common.call import current
from connectra_common.server.metadata import Context
from connectra_common.server.rest import read_object, reply, send_headers
from google.api.httpbody_pb2 import HttpBody

from connectra_jobs.models import Job
from connectra_jobs.requests import list_warnings, read_create, read_list
from connectra_jobs.service import JobsService


class JobsRestServicer(pb_grpc.JobsRestServiceServicer):
    """See proto/connectra/jobs/v1/jobs_rest.proto."""

    def __init__(self, service: JobsService) -> None:
        self._service = service

    async def CreateUploadUrl(self, request: pb.CreateUploadUrlRestRequest, context: Context) -> HttpBody:
        upload = await self._service.create_upload_url(request.filename)
        expires = f"{upload.expires_in_hours}h0m0s"
        return reply({"success": True, "upload_url": upload.url, "s3_key": upload.s3_key, "expires_in": expires})

    async def CreateJob(self, request: pb.CreateJobRestRequest, context: Context) -> HttpBody:
        new, warnings = read_create(read_object(request.body, required=True))
        created = await self._service.create(new, current().idempotency_key)
        answer: dict[str, Any] = {
            "message": "Job created successfully",
            "success": True,
            "data": created.job.to_json(),
        }
        await send_headers(context, status=201, **({"idempotent_replayed": "true"} if created.replayed else {}))
        return reply({**answer, "warnings": warnings} if warnings else answer)

    async def ListJobs(self, request: pb.ListJobsRestRequest, context: Context) -> HttpBody:
        body = read_object(request.body)
        page = await self._service.find(read_list(body))
        answer: dict[str, Any] = {"data": [job.to_json() for job in page.jobs], "success": True}
        if page.next_cursor:
            answer["next_cursor"] = page.next_cursor
        if warnings := list_warnings(body):
            answer["warnings"] = warnings
        return reply(answer)

    async def GetJob(self, request: pb.GetJobRestRequest, context: Context) -> HttpBody:
        return _one(await self._service.get(request.uuid))

    async def CancelJob(self, request: pb.CancelJobRestRequest, context: Context) -> HttpBody:
        return _one(await self._service.cancel(request.uuid))

    async def RetryJob(self, request: pb.RetryJobRestRequest, context: Context) -> HttpBody:
        return _one(await self._service.retry(request.uuid))

    async def ListJobFiles(self, request: pb.ListJobFilesRestRequest, context: Context) -> HttpBody:
        files = await self._service.files(request.uuid)
        data = [
            {"kind": f.kind, "s3_key": f.s3_key, "size_bytes": f.size_bytes, "download_url": f.download_url}
            for f in files
        ]
        return reply({"data": data, "success": True})


def _one(job: Job) -> HttpBody:
    return reply({"data": job.to_json(), "success": True})
