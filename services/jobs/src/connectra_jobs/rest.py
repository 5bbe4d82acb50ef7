"""The REST door: documented paths, JSON as the documentation spells it."""

from collections.abc import AsyncIterator
from dataclasses import asdict

from connectra.jobs.v1 import jobs_rest_pb2 as pb
from connectra.jobs.v1 import jobs_rest_pb2_grpc as pb_grpc
from connectra_common.call import current
from connectra_common.requests import read
from connectra_common.server import Context
from connectra_common.server.rest import envelope, read_object, replayed, send_headers
from connectra_common.times import rfc3339
from google.api.httpbody_pb2 import HttpBody

from connectra_jobs.events import EVENT_STREAM, events
from connectra_jobs.models import Job, JsonObject
from connectra_jobs.places import Places
from connectra_jobs.preview.service import PreviewService
from connectra_jobs.requests import read_create, read_list, read_preview
from connectra_jobs.service import JobsService
from connectra_jobs.uploads.requests import CreateUploadBody, CreateUploadPartUrlsBody
from connectra_jobs.uploads.service import UploadService, UploadState


class JobsRestServicer(pb_grpc.JobsRestServiceServicer):
    """See proto/connectra/jobs/v1/jobs_rest.proto."""

    def __init__(self, service: JobsService, uploads: UploadService, previews: PreviewService, places: Places) -> None:
        self._service, self._uploads, self._previews, self._places = service, uploads, previews, places

    async def CreateUploadUrl(self, request: pb.CreateUploadUrlRestRequest, context: Context) -> HttpBody:
        upload = await self._uploads.create_url(request.filename)
        expires = _duration(upload.expires_in_hours * 3600)
        return envelope(success=True, upload_url=upload.url, s3_key=upload.s3_key, expires_in=expires)

    async def CreateUpload(self, request: pb.CreateUploadRestRequest, context: Context) -> HttpBody:
        wanted, warnings = read(CreateUploadBody, await read_object(request.body, required=True))
        state = await self._uploads.create(wanted)
        await send_headers(context, status=201, location=f"/common/uploads/{state.upload.uuid}/parts")
        return envelope(**_upload(state), warnings=warnings or None, success=True)

    async def CreateUploadPartUrls(self, request: pb.CreateUploadPartUrlsRestRequest, context: Context) -> HttpBody:
        wanted, warnings = read(CreateUploadPartUrlsBody, await read_object(request.body, required=True))
        urls = await self._uploads.part_urls(request.upload_id, wanted.part_numbers)
        expires = _duration(self._uploads.url_seconds)
        return envelope(
            parts=[asdict(url) for url in urls], expires_in=expires, warnings=warnings or None, success=True
        )

    async def ListUploadParts(self, request: pb.ListUploadPartsRestRequest, context: Context) -> HttpBody:
        state = await self._uploads.state(request.upload_id)
        parts = [asdict(part) for part in state.parts]
        return envelope(**_upload(state), completed=state.completed, parts=parts)

    async def CompleteUpload(self, request: pb.CompleteUploadRestRequest, context: Context) -> HttpBody:
        upload, size = await self._uploads.complete(request.upload_id)
        return envelope(s3_key=upload.s3_key, size_bytes=size)

    async def AbortUpload(self, request: pb.AbortUploadRestRequest, context: Context) -> HttpBody:
        await self._uploads.abort(request.upload_id)
        return envelope(message="Upload aborted")

    async def PreviewImport(self, request: pb.PreviewImportRestRequest, context: Context) -> HttpBody:
        wanted, warnings = read_preview(await read_object(request.body, required=True), self._places)
        found = await self._previews.preview(wanted)
        return envelope(data=found.to_json(), success=True, warnings=warnings or None)

    async def CreateJob(self, request: pb.CreateJobRestRequest, context: Context) -> HttpBody:
        new, warnings = read_create(await read_object(request.body, required=True), self._places)
        created = await self._service.create(new, current().idempotency_key)
        await send_headers(context, status=201, location=f"/common/jobs/{created.job.uuid}", **replayed(created))
        message, data = "Job created successfully", created.job.to_json()
        return envelope(message=message, success=True, data=data, warnings=warnings or None)

    async def ListJobs(self, request: pb.ListJobsRestRequest, context: Context) -> HttpBody:
        condition, warnings = read_list(await read_object(request.body))
        page = await self._service.find(condition)
        data = [job.to_json() for job in page.jobs]
        return envelope(data=data, success=True, next_cursor=page.next_cursor, warnings=warnings or None)

    async def GetJob(self, request: pb.GetJobRestRequest, context: Context) -> HttpBody:
        return _one(await self._service.get(request.uuid))

    async def WatchJob(self, request: pb.WatchJobRestRequest, context: Context) -> AsyncIterator[HttpBody]:
        # The headers alone are not worth watching a job for.
        only_once = dict(context.invocation_metadata() or ()).get("x-envoy-original-method") == "HEAD"
        async for event in events(self._service.watch(request.uuid)):
            yield HttpBody(content_type=EVENT_STREAM, data=event)
            if only_once:
                return

    async def CancelJob(self, request: pb.CancelJobRestRequest, context: Context) -> HttpBody:
        return _one(await self._service.cancel(request.uuid))

    async def RetryJob(self, request: pb.RetryJobRestRequest, context: Context) -> HttpBody:
        return _one(await self._service.retry(request.uuid))

    async def ListJobFiles(self, request: pb.ListJobFilesRestRequest, context: Context) -> HttpBody:
        return envelope(data=[asdict(file) for file in await self._service.files(request.uuid)])


def _one(job: Job) -> HttpBody:
    return envelope(data=job.to_json())


def _upload(state: UploadState) -> JsonObject:
    upload = state.upload
    return {
        "upload_id": upload.uuid,
        "s3_key": upload.s3_key,
        "part_size": upload.part_size,
        "part_count": upload.part_count,
        "size_bytes": upload.size_bytes,
        "expires": rfc3339(state.expires) if state.expires else None,
    }


def _duration(seconds: int) -> str:
    return f"{seconds // 3600}h0m0s"
