"""`export_csv_file`: the query service's stream into one object, which is there whole or not at all."""

import asyncio
import time
import zlib
from typing import TypeAlias

import grpc.aio
from connectra.query.v1 import query_service_pb2 as pb
from connectra_common.records.fields import COMPANY, SERVICES
from connectra_common.vql.proto import to_proto

from connectra_jobs.models import JsonObject
from connectra_jobs.requests import ExportData
from connectra_jobs.worker.attempt import Attempt
from connectra_jobs.worker.deps import Deps
from connectra_jobs.worker.objects import Upload

COUNT_TIMEOUT_SECONDS = 20
GZIP_LEVEL = 6

_Pieces: TypeAlias = (
    grpc.aio.UnaryStreamCall[pb.ExportCompaniesRequest, pb.ExportCompaniesResponse]
    | grpc.aio.UnaryStreamCall[pb.ExportContactsRequest, pb.ExportContactsResponse]
)


async def run_export(attempt: Attempt, data: ExportData, deps: Deps) -> JsonObject:
    """Writes the file and gives the job_response.

    A stream that breaks is asked for again from its beginning: a file is of one moment.

    Raises:
        grpc.aio.AioRpcError: the query was refused.
    """
    began = time.monotonic()
    bucket = data.s3_bucket or deps.s3_settings.bucket
    key = deps.s3_settings.key(f"{attempt.job.uuid}.{data.format.extension(gzip=data.gzip)}")
    total = await attempt.persist(lambda: _count(data, deps))
    rows, size = await attempt.persist(lambda: _export(attempt, data, deps, bucket, key, total))
    return {
        "messages": "Export completed successfully",
        "s3_key": key,
        "rows": rows,
        "bytes": size,
        "seconds": round(time.monotonic() - began, 3),
    }


async def _count(data: ExportData, deps: Deps) -> int:
    """Rows to come, for the progress; the file itself is counted."""
    query = to_proto(data.query.model_copy(update={"select_columns": None}))
    if SERVICES[data.service] is COMPANY:
        companies = pb.CountCompaniesRequest(query=query)
        return int((await deps.query.CountCompanies(companies, timeout=COUNT_TIMEOUT_SECONDS)).count)
    contacts = pb.CountContactsRequest(query=query)
    return int((await deps.query.CountContacts(contacts, timeout=COUNT_TIMEOUT_SECONDS)).count)


async def _export(attempt: Attempt, data: ExportData, deps: Deps, bucket: str, key: str, total: int) -> tuple[int, int]:
    query, format = to_proto(data.query), data.format.to_proto()
    if SERVICES[data.service] is COMPANY:
        companies = pb.ExportCompaniesRequest(query=query, format=format, keep_formulas=data.keep_formulas)
        stream: _Pieces = deps.query.ExportCompanies(companies)
    else:
        contacts = pb.ExportContactsRequest(query=query, format=format, keep_formulas=data.keep_formulas)
        stream = deps.query.ExportContacts(contacts)
    packer = zlib.compressobj(GZIP_LEVEL, wbits=zlib.MAX_WBITS | 16) if data.gzip else None
    rows = 0
    try:
        async with Upload(attempt, deps.s3, bucket, key, data.format.content_type(gzip=data.gzip)) as upload:
            async for piece in stream:
                # In a thread: other jobs go on meanwhile.
                await upload.write(await asyncio.to_thread(packer.compress, piece.data) if packer else piece.data)
                rows += piece.rows
                await attempt.checkpoint(rows=rows, total_rows=total, bytes=upload.size, total_bytes=0)
            if packer:
                await upload.write(packer.flush())
            await upload.complete()
            attempt.progress["total_rows"] = rows
            return rows, upload.size
    finally:
        stream.cancel()
