"""Jobs in the typed spelling: what is asked of one, and how it stands."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from typing import Any, TypeVar

from connectra.jobs.v1 import jobs_service_pb2 as pb
from connectra_common.errors import ValidationFailed
from connectra_common.export import ExportFormat
from connectra_common.records.fields import SERVICES
from connectra_common.vql import proto as vql
from google.protobuf.struct_pb2 import Struct

from connectra_jobs.models import EXPORT, IMPORT, Job, JsonObject
from connectra_jobs.requests import MAX_COLUMNS, ExportData, ImportData, read_stored

_Message = TypeVar("_Message", pb.JobResult, pb.JobProgress)


def create_to_json(request: pb.CreateJobRequest) -> JsonObject:
    """The REST body that asks the same, so that both doors are checked by one function."""
    body: JsonObject = {"retry_count": request.retry_count}
    match request.WhichOneof("work"):
        case "import_file":
            file = request.import_file
            allowed = file.WhichOneof("max_rejected")
            source = {
                "s3_key": file.s3_key,
                "s3_bucket": file.s3_bucket or None,
                "max_rejected": getattr(file, allowed) if allowed else None,
                "validate_only": file.validate_only or None,
                "columns": columns_to_json(file.columns),
                "encoding": file.encoding or None,
            }
            body |= {"job_type": IMPORT, "job_data": present(source)}
        case "export_query":
            export = request.export_query
            data = {
                "service": export.service,
                "vql": present(vql.to_json(export.vql)),
                "s3_bucket": export.s3_bucket or None,
                "format": _format(export.format),
                "gzip": export.gzip or None,
                "keep_formulas": export.keep_formulas or None,
            }
            body |= {"job_type": EXPORT, "job_data": present(data)}
    return body


def columns_to_json(columns: Mapping[str, str]) -> JsonObject | None:
    """A mapping of columns; None without any.

    Raises:
        ValidationFailed: there are too many.
    """
    if len(columns) > MAX_COLUMNS:
        raise ValidationFailed.at("columns", f"{len(columns)} columns; at most {MAX_COLUMNS} are allowed")
    return {header: target or None for header, target in columns.items()} or None


def present(values: Mapping[str, object]) -> JsonObject:
    """The values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _format(number: int) -> str | None:
    """A format by its name; one that is not given is not stored, one without a name is refused later."""
    return (ExportFormat.from_proto(number) or str(number)) if number else None


def job_message(job: Job) -> pb.Job:
    """A job as the typed door shows it."""
    message = pb.Job(
        id=job.id,
        uuid=job.uuid,
        job_type=job.job_type,
        data=_struct(job.data),
        status=job.status,
        job_response=_struct(job.job_response),
        retry_count=job.retry_count,
        retry_interval=job.retry_interval,
        attempts=job.attempts,
        progress=_struct(job.progress),
        client=job.client or "",
        result=_typed(pb.JobResult(), job.job_response),
        done=_typed(pb.JobProgress(), job.progress),
    )
    match read_stored(job.job_type, {"vql": {}, **job.data} if job.job_type == EXPORT else job.data):
        case ImportData() as source:
            message.import_file.CopyFrom(_import_file(source))
        case ExportData() as export:
            message.export_query.CopyFrom(_export_query(export))
            if "vql" not in job.data:  # it was too large for a list
                message.export_query.ClearField("vql")
    message.created_at.FromDatetime(job.created_at.astimezone(UTC))
    message.updated_at.FromDatetime(job.updated_at.astimezone(UTC))
    if job.run_after:
        message.run_after.FromDatetime(job.run_after.astimezone(UTC))
    return message


def _import_file(source: ImportData) -> pb.ImportFile:
    message = pb.ImportFile(
        s3_key=source.s3_key,
        s3_bucket=source.s3_bucket or "",
        validate_only=source.validate_only,
        columns={header: target or "" for header, target in (source.columns or {}).items()},
        encoding=source.encoding or "",
    )
    match source.max_rejected:
        case int() as rows:
            message.max_rejected_rows = rows
        case float() as share:
            message.max_rejected_share = share
    return message


def _export_query(export: ExportData) -> pb.ExportQuery:
    return pb.ExportQuery(
        service=SERVICES[export.service].name,
        vql=vql.to_proto(export.query),
        s3_bucket=export.s3_bucket or "",
        format=export.format.to_proto(),
        gzip=export.gzip,
        keep_formulas=export.keep_formulas,
    )


def _typed(message: _Message, values: Mapping[str, Any]) -> _Message:
    """The message with those of the values that it has fields for. What tables that were taken over have there may be of any type."""
    for field in message.DESCRIPTOR.fields:
        value = values.get(field.name)
        with suppress(AttributeError, TypeError, ValueError):
            if isinstance(value, list):
                getattr(message, field.name).extend(value)
            elif value is not None:
                setattr(message, field.name, value)
    return message


def _struct(values: Mapping[str, Any]) -> Struct:
    struct = Struct()
    struct.update(values)
    return struct
