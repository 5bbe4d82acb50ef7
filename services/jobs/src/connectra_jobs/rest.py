"""The REST door: documented paths, JSON as the documentation spells it."""

from dataclasses import asdict

from connectra.jobs.v1 import jobs_rest_pb2 as pb
from connectra.jobs.v1 import jobs_rest_pb2_grpc as pb_grpc
from connectra_common.call import current
from connectra_common.server import Context
from connectra_common.server.rest import envelope, read_object, send_headers
from google.api.httpbody_pb2 import HttpBody

from connectra_jobs.models import Job
from connectra_jobs.requests import read_create, read_list
from connectra_jobs.service import JobsService


class JobsRestServicer(pb_grpc.JobsRestServiceServicer):
    """See proto/connectra/jobs/v1/jobs_rest.proto."""

    def __init__(self, service: JobsService) -> None:
        self._service = service

    async def CreateUploadUrl(self, request: pb.CreateUploadUrlRestRequest, context: Context) -> HttpBody:
        upload = await self._service.create_upload_url(request.filename)
        expires = f"{upload.expires_in_hours}h0m0s"
        return envelope(success=True, upload_url=upload.url, s3_key=upload.s3_key, expires_in=expires)

    async def CreateJob(self, request: pb.CreateJobRestRequest, context: Context) -> HttpBody:
        new, warnings = read_create(read_object(request.body, required=True))
        created = await self._service.create(new, current().idempotency_key)
        await send_headers(context, status=201, **({"idempotent_replayed": "true"} if created.replayed else {}))
        message, data = "Job created successfully", created.job.to_json()
        return envelope(message=message, success=True, data=data, warnings=warnings or None)

    async def ListJobs(self, request: pb.ListJobsRestRequest, context: Context) -> HttpBody:
        condition, warnings = read_list(read_object(request.body))
        page = await self._service.find(condition)
        data = [job.to_json() for job in page.jobs]
        return envelope(data=data, success=True, next_cursor=page.next_cursor, warnings=warnings or None)

    async def GetJob(self, request: pb.GetJobRestRequest, context: Context) -> HttpBody:
        return _one(await self._service.get(request.uuid))

    async def CancelJob(self, request: pb.CancelJobRestRequest, context: Context) -> HttpBody:
        return _one(await self._service.cancel(request.uuid))

    async def RetryJob(self, request: pb.RetryJobRestRequest, context: Context) -> HttpBody:
        return _one(await self._service.retry(request.uuid))

    async def ListJobFiles(self, request: pb.ListJobFilesRestRequest, context: Context) -> HttpBody:
        return envelope(data=[asdict(file) for file in await self._service.files(request.uuid)])


def _one(job: Job) -> HttpBody:
    return envelope(data=job.to_json())
