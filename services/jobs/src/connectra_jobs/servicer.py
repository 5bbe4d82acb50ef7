"""The typed door."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC

from connectra.jobs.v1 import jobs_service_pb2 as pb
from connectra.jobs.v1 import jobs_service_pb2_grpc as pb_grpc
from connectra_common.call import current
from connectra_common.errors import ValidationFailed
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_common.records.messages import to_message
from connectra_common.requests import read
from connectra_common.server import Context
from connectra_common.server.rest import replayed, send_headers
from google.protobuf.timestamp_pb2 import Timestamp

from connectra_jobs.messages import columns_to_json, create_to_json, job_message, present
from connectra_jobs.models import JsonObject
from connectra_jobs.places import Places
from connectra_jobs.preview.models import Preview
from connectra_jobs.preview.service import PreviewService
from connectra_jobs.requests import read_create, read_list, read_preview
from connectra_jobs.service import JobsService
from connectra_jobs.uploads.requests import MAX_URLS, CreateUploadBody, CreateUploadPartUrlsBody
from connectra_jobs.uploads.service import UploadService, UploadState


class JobsServicer(pb_grpc.JobsServiceServicer):
    """See proto/connectra/jobs/v1/jobs_service.proto for what each method promises."""

    def __init__(self, service: JobsService, uploads: UploadService, previews: PreviewService, places: Places) -> None:
        self._service, self._uploads, self._previews, self._places = service, uploads, previews, places

    async def CreateJob(self, request: pb.CreateJobRequest, context: Context) -> pb.CreateJobResponse:
        new, _ = read_create(create_to_json(request), self._places)
        created = await self._service.create(new, current().idempotency_key)
        await send_headers(context, status=None, **replayed(created))
        return pb.CreateJobResponse(job=job_message(created.job))

    async def ListJobs(self, request: pb.ListJobsRequest, context: Context) -> pb.ListJobsResponse:
        body: JsonObject = {
            "job_type": request.job_type,
            "status": list(request.statuses),
            "limit": request.limit,
            "page": request.page,
            "cursor": request.cursor,
            "created_after": _moment(request.created_after) if request.HasField("created_after") else None,
            "created_before": _moment(request.created_before) if request.HasField("created_before") else None,
        }
        condition, _ = read_list(body)
        page = await self._service.find(condition)
        return pb.ListJobsResponse(jobs=[job_message(job) for job in page.jobs], next_cursor=page.next_cursor or "")

    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.GetJobResponse:
        return pb.GetJobResponse(job=job_message(await self._service.get(request.uuid)))

    async def CancelJob(self, request: pb.CancelJobRequest, context: Context) -> pb.CancelJobResponse:
        return pb.CancelJobResponse(job=job_message(await self._service.cancel(request.uuid)))

    async def RetryJob(self, request: pb.RetryJobRequest, context: Context) -> pb.RetryJobResponse:
        return pb.RetryJobResponse(job=job_message(await self._service.retry(request.uuid)))

    async def WatchJob(self, request: pb.WatchJobRequest, context: Context) -> AsyncIterator[pb.WatchJobResponse]:
        async for job in self._service.watch(request.uuid):
            yield pb.WatchJobResponse(job=job_message(job))

    async def PreviewImport(self, request: pb.PreviewImportRequest, context: Context) -> pb.PreviewImportResponse:
        body = {
            "s3_key": request.s3_key,
            "s3_bucket": request.s3_bucket or None,
            "columns": columns_to_json(request.columns),
            "encoding": request.encoding or None,
        }
        wanted, _ = read_preview(present(body), self._places)
        return _preview(await self._previews.preview(wanted))

    async def ListJobFiles(self, request: pb.ListJobFilesRequest, context: Context) -> pb.ListJobFilesResponse:
        files = await self._service.files(request.uuid)
        return pb.ListJobFilesResponse(
            files=[
                pb.JobFile(kind=f.kind, s3_key=f.s3_key, size_bytes=f.size_bytes, download_url=f.download_url)
                for f in files
            ]
        )

    async def CreateUploadUrl(self, request: pb.CreateUploadUrlRequest, context: Context) -> pb.CreateUploadUrlResponse:
        upload = await self._uploads.create_url(request.filename)
        return pb.CreateUploadUrlResponse(
            upload_url=upload.url, s3_key=upload.s3_key, expires_in_seconds=upload.expires_in_hours * 3600
        )

    async def CreateUpload(self, request: pb.CreateUploadRequest, context: Context) -> pb.CreateUploadResponse:
        wanted = {
            "filename": request.filename,
            "size_bytes": request.size_bytes if request.HasField("size_bytes") else None,
            "part_size": request.part_size or None,
        }
        state = await self._uploads.create(read(CreateUploadBody, wanted).model)
        return pb.CreateUploadResponse(upload=_upload(state))

    async def CreateUploadPartUrls(
        self, request: pb.CreateUploadPartUrlsRequest, context: Context
    ) -> pb.CreateUploadPartUrlsResponse:
        if len(request.part_numbers) > MAX_URLS:
            raise ValidationFailed.at(
                "part_numbers", f"{len(request.part_numbers)} parts; at most {MAX_URLS} are allowed"
            )
        wanted = read(CreateUploadPartUrlsBody, {"part_numbers": list(request.part_numbers)}).model
        urls = await self._uploads.part_urls(request.upload_id, wanted.part_numbers)
        parts = [pb.PartUrl(part_number=url.part_number, upload_url=url.upload_url) for url in urls]
        return pb.CreateUploadPartUrlsResponse(parts=parts, expires_in_seconds=self._uploads.url_seconds)

    async def ListUploadParts(self, request: pb.ListUploadPartsRequest, context: Context) -> pb.ListUploadPartsResponse:
        state = await self._uploads.state(request.upload_id)
        parts = [pb.UploadPart(part_number=p.part_number, size_bytes=p.size_bytes, etag=p.etag) for p in state.parts]
        return pb.ListUploadPartsResponse(upload=_upload(state), completed=state.completed, parts=parts)

    async def CompleteUpload(self, request: pb.CompleteUploadRequest, context: Context) -> pb.CompleteUploadResponse:
        upload, size = await self._uploads.complete(request.upload_id)
        return pb.CompleteUploadResponse(s3_key=upload.s3_key, size_bytes=size)

    async def AbortUpload(self, request: pb.AbortUploadRequest, context: Context) -> pb.AbortUploadResponse:
        await self._uploads.abort(request.upload_id)
        return pb.AbortUploadResponse()


def _upload(state: UploadState) -> pb.Upload:
    upload = state.upload
    message = pb.Upload(
        upload_id=upload.uuid,
        s3_key=upload.s3_key,
        part_size=upload.part_size or 0,
        part_count=upload.part_count or 0,
        size_bytes=upload.size_bytes,
    )
    if state.expires:
        message.expires.FromDatetime(state.expires.astimezone(UTC))
    return message


def _preview(found: Preview) -> pb.PreviewImportResponse:
    return pb.PreviewImportResponse(
        shape=pb.FileShape(
            format=found.format,
            gzip=found.gzip,
            encoding=found.encoding,
            delimiter=found.delimiter,
            header_line=found.header_line,
        ),
        columns=[
            pb.PreviewColumn(
                header=column.header,
                target=column.target or "",
                confidence=column.confidence or "",
                samples=column.samples,
                instead=column.instead or "",
            )
            for column in found.columns
        ],
        rows=[
            pb.PreviewRow(
                line=row.line,
                company=to_message(COMPANY, row.company) if row.company else None,
                contact=to_message(CONTACT, row.contact) if row.contact else None,
            )
            for row in found.rows
        ],
        rejected_rows=[pb.PreviewRejectedRow(**asdict(row)) for row in found.rejected_rows],
        left_out_cells=[pb.PreviewLeftOutCell(**asdict(cell)) for cell in found.left_out_cells],
        unknown_columns=found.unknown,
        sampled_rows=found.sampled_rows,
        rejected=found.rejected,
        left_out=found.left_out,
        whole_file=found.whole,
    )


def _moment(moment: Timestamp) -> str:
    try:
        return moment.ToDatetime(tzinfo=UTC).isoformat()
    except (ValueError, OverflowError):
        return f"{moment.seconds} s"  # in no year that there is: refused where it is read
