"""The REST JSON of the jobs service: bodies, their rules, and what they are read as."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records.fields import SERVICES
from connectra_common.refusals import MissingSelectColumns
from connectra_common.requests import Request, keys, nul_violations, read, unknown_keys, violations
from connectra_common.vql.model import Vql
from connectra_common.vql.validate import checked_export
from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator

from connectra_jobs.models import DEFAULT_LIMIT, EXPORT, IMPORT, JOB_TYPES, JobFilter, NewJob
from connectra_jobs.states import STATES

M = TypeVar("M", bound=BaseModel)

MAX_LIMIT = 100
MAX_PAGE = 100_000
MAX_FILENAME_CHARS = 200
MAX_KEY_BYTES = 1024  # of S3
MAX_RETRIES = 1000

# The documented texts; clients match on what stands before the colon.
MISSING_JOB_TYPE = (
    "ERR_MISSING_JOB_TYPE: the 'job_type' field is required; "
    "specify a valid job type such as 'insert_csv_file' or 'export_csv_file'"
)
MISSING_JOB_DATA = (
    "ERR_MISSING_JOB_DATA: the 'job_data' field is required; include the necessary payload for job execution"
)
INVALID_RETRY_COUNT = (
    "ERR_INVALID_RETRY_COUNT: 'retry_count' must be a non-negative integer; "
    "use 0 for no retries or a positive number for retry attempts"
)
UNKNOWN_SERVICE = (
    "ERR_UNKNOWN_SERVICE: the provided service identifier is not recognized; use 'contacts' or 'companies'"
)
INVALID_LIMIT = (
    "ERR_INVALID_LIMIT: 'limit' must be a non-negative integer; use 0 for default or specify a positive value"
)
LIMIT_TOO_HIGH = (
    "ERR_LIMIT_TOO_HIGH: 'limit' exceeds the maximum of 100 records per request; reduce the value or use pagination"
)


def invalid_job_type(job_type: str) -> str:
    """The documented text for a type that does not exist."""
    return (
        f"ERR_INVALID_JOB_TYPE: job type '{job_type[:100]}' is not recognized; "
        "supported types are 'insert_csv_file' and 'export_csv_file'"
    )


def _bucket(name: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9._-]{0,255}", name):
        raise ValueError("is no name of a bucket: letters, digits, '.', '-' and '_' are allowed, at most 255")
    return name


Bucket = Annotated[str, Field(description="Absent: the service's own bucket."), AfterValidator(_bucket)]


class ImportData(Request):
    """`job_data` of an import."""

    s3_key: Annotated[str, Field(min_length=1, description="The object to read.")]
    s3_bucket: Bucket | None = None
    max_rejected: (
        Annotated[int, Field(ge=0, description="So many rows may be rejected; with more the job fails.")]
        | Annotated[float, Field(gt=0, lt=1, description="The same as a share of all rows.")]
        | None
    ) = None
    validate_only: Annotated[bool, Field(description="Counts and reports; stores no record.")] = False

    @field_validator("max_rejected", mode="before")
    @classmethod
    def _count_or_share(cls, allowed: Any) -> Any:
        whole = type(allowed) is int and 0 <= allowed < 2**63
        share = type(allowed) is float and 0 < allowed < 1
        if not (allowed is None or whole or share):
            raise ValueError("must be a number of rows from 0, or a share of them between 0 and 1")
        return allowed

    @field_validator("s3_key")
    @classmethod
    def _fits(cls, key: str) -> str:
        if len(key.encode()) > MAX_KEY_BYTES:
            raise ValueError(f"has more than {MAX_KEY_BYTES} bytes")
        return key


class ExportData(Request):
    """`job_data` of an export."""

    service: Literal["contact", "contacts", "company", "companies"]
    vql: Annotated[Vql, Field(description="A query with `select_columns`; order and paging are not used.")]
    s3_bucket: Bucket | None = None
    format: Annotated[Literal["csv", "ndjson"], Field(description="A header and lines, or a JSON object a line.")] = (
        "csv"
    )
    gzip: Annotated[bool, Field(description="Compress the file.")] = False
    keep_formulas: Annotated[
        bool, Field(description="Leave what a spreadsheet would take for a formula as it is; else it gets a leading '.")
    ] = False

    @property
    def extension(self) -> str:
        """End of the file's name."""
        return f"{self.format}.gz" if self.gzip else self.format

    @property
    def content_type(self) -> str:
        """Of the object."""
        if self.gzip:
            return "application/gzip"
        return "text/csv; charset=utf-8" if self.format == "csv" else "application/x-ndjson"


class CreateJobBody(Request):
    """Body of `POST /common/jobs/create`."""

    job_type: Literal["insert_csv_file", "export_csv_file"]
    job_data: ImportData | ExportData
    retry_count: Annotated[int, Field(ge=0, le=MAX_RETRIES, description="Retries allowed.")] = 0


class ListJobsBody(Request):
    """Body of `POST /common/jobs`; may be absent."""

    job_type: Annotated[str, Field(description="Only jobs of this type.")] | None = None
    status: Annotated[list[str], Field(description="Only jobs in one of these states.")] | None = None
    limit: Annotated[int, Field(description="0 to 100; 0 means 25.")] | None = None
    page: Annotated[int, Field(ge=0, le=MAX_PAGE, description="From 1; 0 means 1.")] | None = None
    cursor: Annotated[str, Field(description="Goes on behind a page: its `next_cursor`.")] | None = None
    created_after: Annotated[datetime, Field(description="Only jobs made at or after this moment.")] | None = None
    created_before: Annotated[datetime, Field(description="Only jobs made before this moment.")] | None = None

    @field_validator("status", mode="before")
    @classmethod
    def _one_or_more(cls, status: Any) -> Any:
        return [status] if isinstance(status, str) else status

    @field_validator("created_after", "created_before", mode="before")
    @classmethod
    def _moment(cls, given: Any) -> Any:
        if given is None or given == "":
            return None
        try:
            moment = datetime.fromisoformat(given)
        except (TypeError, ValueError):
            raise ValueError("must be a moment such as 2026-11-23T14:46:47Z, or a day such as 2026-11-23") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_create(body: Mapping[str, Any]) -> tuple[NewJob, list[dict[str, str]]]:
    """The body of a creation as a job, and warnings for keys that are ignored.

    Raises:
        ValidationFailed: with every violation; its reason is the first's.
    """
    found = _Violations()
    job_type, data, retry_count = body.get("job_type"), body.get("job_data"), body.get("retry_count")
    if job_type is None or job_type == "":
        found.add("job_type", MISSING_JOB_TYPE, "MISSING_JOB_TYPE")
    elif job_type not in JOB_TYPES:
        found.add("job_type", invalid_job_type(str(job_type)), "INVALID_JOB_TYPE")
    if data is None:
        found.add("job_data", MISSING_JOB_DATA, "MISSING_JOB_DATA")
    elif not isinstance(data, dict):
        found.add("job_data", "job_data: must be an object", "VALIDATION_ERROR")
    if retry_count is not None and (type(retry_count) is not int or not 0 <= retry_count <= MAX_RETRIES):
        text = INVALID_RETRY_COUNT if type(retry_count) is not int or retry_count < 0 else f"retry_count: {_TOO_MANY}"
        found.add("retry_count", text, "INVALID_RETRY_COUNT")
    warnings = unknown_keys(body, keys(CreateJobBody))
    if isinstance(data, dict) and job_type in JOB_TYPES:
        for violation in nul_violations(data, "job_data"):
            found.add(violation.field, violation.message, "VALIDATION_ERROR")
        _check_data(job_type, data, found)
        warnings += unknown_keys(data, keys(DATA_MODELS[job_type]), "job_data")
    found.raise_any()
    return NewJob(job_type=str(job_type), data=dict(data or {}), retry_count=retry_count or 0), warnings


_TOO_MANY = f"at most {MAX_RETRIES} retries are allowed"
DATA_MODELS: dict[str, type[BaseModel]] = {IMPORT: ImportData, EXPORT: ExportData}


def read_data(job_type: str, data: Mapping[str, Any]) -> ImportData | ExportData:
    """`job_data` of a stored job.

    Raises:
        ValidationFailed: with every violation; its reason is the first's.
    """
    found = _Violations()
    if job_type not in JOB_TYPES:
        raise ValidationFailed(invalid_job_type(job_type), reason="INVALID_JOB_TYPE")
    value = _check_data(job_type, data, found)
    found.raise_any()
    assert value is not None
    return value


def read_list(body: Mapping[str, Any]) -> JobFilter:
    """The body of a list.

    Raises:
        ValidationFailed: INVALID_LIMIT, LIMIT_TOO_HIGH, or a filter of a wrong type.
    """
    limit = body.get("limit")
    if limit is not None and (type(limit) is not int or limit < 0):
        raise ValidationFailed(INVALID_LIMIT, reason="INVALID_LIMIT", fields=[FieldViolation("limit", INVALID_LIMIT)])
    if limit is not None and limit > MAX_LIMIT:
        raise ValidationFailed(
            LIMIT_TOO_HIGH, reason="LIMIT_TOO_HIGH", fields=[FieldViolation("limit", LIMIT_TOO_HIGH)]
        )
    request = read(ListJobsBody, dict(body)).model
    size, page, behind = request.limit or DEFAULT_LIMIT, request.page or 1, _read_cursor(request.cursor)
    if behind and page > 1:
        message = "page: cannot be given together with cursor, which goes on behind a page by itself"
        raise ValidationFailed.of([FieldViolation("page", message)])
    return JobFilter(
        job_type=request.job_type or None,
        statuses=tuple(request.status) if request.status else None,
        limit=size,
        created_after=request.created_after,
        created_before=request.created_before,
        behind=behind,
        skip=(page - 1) * size,
    )


def list_warnings(body: Mapping[str, Any]) -> list[dict[str, str]]:
    """A warning for each key of a list's body that is ignored, and for each status and type that no job can have."""
    warnings = unknown_keys(body, keys(ListJobsBody))
    status, job_type = body.get("status") or (), body.get("job_type")
    for name in [status] if isinstance(status, str) else status:
        if name not in STATES:
            warnings.append({"field": "status", "message": f"no job has the status {name!r}; there are {_all(STATES)}"})
    if job_type and job_type not in JOB_TYPES:
        warnings.append(
            {"field": "job_type", "message": f"no job has the type {job_type!r}; there are {_all(JOB_TYPES)}"}
        )
    return warnings


def _all(names: Iterable[str]) -> str:
    return ", ".join(names)


def _read_cursor(cursor: str | None) -> tuple[datetime, int] | None:
    if not cursor:
        return None
    moment, _, number = cursor.partition("_")
    try:
        if not number.isdecimal() or int(number) >= 2**63:
            raise ValueError
        at = datetime.fromisoformat(moment)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)), int(number)
    except ValueError:
        message = "cursor: is not the next_cursor of an earlier page"
        raise ValidationFailed.of([FieldViolation("cursor", message)]) from None


def check_filename(filename: str) -> str:
    """A file name that can stand in an object key.

    Raises:
        ValidationFailed: empty, too long, or with what a name does not have.
    """
    problem = None
    if not filename.strip():
        problem = "filename query parameter is required"
    elif len(filename) > MAX_FILENAME_CHARS:
        problem = f"filename: at most {MAX_FILENAME_CHARS} characters are allowed"
    elif "/" in filename or "\\" in filename:
        problem = "filename: a name without a path is expected; '/' and '\\' are not allowed"
    elif filename.startswith("."):
        problem = "filename: must not begin with a dot"
    elif not filename.isprintable():
        problem = "filename: control characters are not allowed"
    if problem:
        raise ValidationFailed(problem, fields=[FieldViolation("filename", problem)])
    return filename


class _Violations:
    """Collects what is wrong, with the documented reason of each."""

    def __init__(self) -> None:
        self._fields: list[FieldViolation] = []
        self._reason = "VALIDATION_ERROR"

    def add(self, field: str, message: str, reason: str) -> None:
        if not self._fields:
            self._reason = reason
        self._fields.append(FieldViolation(field, message))

    def raise_any(self) -> None:
        if self._fields:
            message = ValidationFailed.of(self._fields).message
            raise ValidationFailed(message, reason=self._reason, fields=self._fields)


def _check_data(job_type: str, data: Mapping[str, Any], found: _Violations) -> ImportData | ExportData | None:
    values = dict(data)
    if job_type == IMPORT:
        return _validated(ImportData, values, found)
    if (service := values.get("service")) not in SERVICES:
        found.add("job_data.service", UNKNOWN_SERVICE, "UNKNOWN_SERVICE")
        values["service"] = "contact"  # reported already; the rest is checked all the same
    vql = values.get("vql")
    if not (isinstance(vql, dict) and vql.get("select_columns")):
        field = "job_data.vql.select_columns"
        found.add(field, MissingSelectColumns(field).message, MissingSelectColumns.reason)
        if not isinstance(vql, dict):
            return None
    export = _validated(ExportData, values, found)
    if export and export.vql.select_columns and service in SERVICES:
        try:
            checked_export(SERVICES[service], export.vql)
        except ValidationFailed as error:
            for violation in error.fields:
                field = f"job_data.vql.{violation.field}"
                found.add(field, f"job_data.vql.{violation.message}", "VALIDATION_ERROR")
    return export


def _validated(model: type[M], values: dict[str, Any], found: _Violations) -> M | None:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        for violation in violations(error, "job_data"):
            found.add(violation.field, violation.message, "VALIDATION_ERROR")
    return None
