"""The REST JSON of the jobs service: bodies, their rules, and what they are read as."""

import json
import re
from collections import Counter
from datetime import datetime
from typing import Annotated, Literal, TypeAlias, TypeVar

from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.export import ExportFormat
from connectra_common.records.columns import hint, normal, targets
from connectra_common.records.fields import SERVICES
from connectra_common.refusals import (
    InvalidJobType,
    InvalidLimit,
    InvalidRetryCount,
    LimitTooHigh,
    MissingJobData,
    MissingJobType,
    MissingSelectColumns,
    UnknownService,
)
from connectra_common.requests import (
    MAX_HINTS,
    MAX_NAME_CHARS,
    Request,
    Warning,
    at_most,
    between,
    keys,
    nul_violations,
    read,
    unknown_keys,
    violations,
)
from connectra_common.times import read_moment
from connectra_common.vql.model import Vql
from connectra_common.vql.validate import checked_export
from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator

from connectra_jobs.encodings import known
from connectra_jobs.models import (
    DEFAULT_LIMIT,
    IMPORT,
    JOB_TYPES,
    Cursor,
    JobFilter,
    JobType,
    JsonObject,
    NewJob,
)
from connectra_jobs.places import Places
from connectra_jobs.states import STATES
from connectra_jobs.uploads.requests import MAX_KEY_BYTES

M = TypeVar("M", bound=BaseModel)

MAX_LIMIT = 100
MAX_PAGE = 100_000
MAX_RETRIES = 1000
MAX_COLUMNS, MAX_HEADER_CHARS = 2000, 1000
MAX_STATES = 20
MAX_DATA_BYTES = 64 * 1024


def _bucket(name: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9._-]{0,255}", name):
        raise ValueError("is not a bucket name: letters, digits, '.', '-' and '_' are allowed, at most 255")
    return name


_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SIGNATURES = ("X-Amz-Signature=", "X-Amz-Credential=", "AWSAccessKeyId=")

Bucket = Annotated[str, Field(description="Absent: the service's own bucket."), AfterValidator(_bucket)]


def _mapping(columns: dict[str, str | None]) -> dict[str, str | None]:
    by_target = Counter(target for target in columns.values() if target is not None)
    unknown = [target for target in by_target if target not in targets()]
    problems = [hint(target) for target in unknown[:MAX_HINTS]]
    if len(unknown) > MAX_HINTS:
        problems.append(f"{len(unknown) - MAX_HINTS:,} more unknown targets")
    problems += [f"{target!r} is given to {count} columns" for target, count in by_target.items() if count > 1]
    said: dict[str, str | None] = {}
    twice = [header for header, target in columns.items() if said.setdefault(normal(header), target) != target]
    problems += [f"{header!r} is given twice" for header in twice]
    if problems:
        raise ValueError("; ".join(problems))
    return columns


ColumnMapping = Annotated[
    dict[Annotated[str, Field(max_length=MAX_HEADER_CHARS)], str | None],
    Field(
        max_length=MAX_COLUMNS,
        description="What columns mean, by header: a CSV column of the field catalogue, or null to leave the column out.",
    ),
    at_most(MAX_COLUMNS, "columns"),
    AfterValidator(_mapping),
]


class ImportSource(Request):
    """The file of an import and how it is to be read."""

    s3_key: Annotated[str, Field(min_length=1, description="The object to read.")]
    s3_bucket: Bucket | None = None
    columns: ColumnMapping | None = None
    encoding: (
        Annotated[
            str,
            Field(description="Absent: found out. Such as `utf-8`, `windows-1252` or `shift_jis`."),
            AfterValidator(known),
        ]
        | None
    ) = None

    @field_validator("s3_key")
    @classmethod
    def _is_key(cls, key: str) -> str:
        if _URL.match(key) or any(name in key for name in _SIGNATURES):
            # It is not repeated here, nor stored: with its signature it opens the object to anybody.
            expected = "the s3_key that came with the upload URL, or s3://bucket/key and no other s3_bucket"
            raise ValueError(f"is a URL; a key is expected: {expected}")
        if len(key.encode()) > MAX_KEY_BYTES:
            raise ValueError(f"has more than {MAX_KEY_BYTES} bytes")
        if {".", ".."} & {*re.split(r"[/\\]", key)}:
            raise ValueError("has '.' or '..' between slashes, by which some stores understand another object")
        return key


class PreviewImportBody(ImportSource):
    """Body of `POST /common/imports/preview`."""


class ImportData(ImportSource):
    """`job_data` of an import."""

    max_rejected: (
        Annotated[int, Field(ge=0, description="Maximum number of rejected rows; with more, the job fails.")]
        | Annotated[float, Field(gt=0, lt=1, description="The same limit, as a share of all rows.")]
        | None
    ) = None
    validate_only: Annotated[bool, Field(description="Counts and reports; stores no record.")] = False

    @field_validator("max_rejected", mode="before")
    @classmethod
    def _count_or_share(cls, allowed: object) -> object:
        whole = type(allowed) is int and 0 <= allowed < 2**63
        share = type(allowed) is float and 0 < allowed < 1
        if not (allowed is None or whole or share):
            raise ValueError("must be a number of rows from 0, or a share of them between 0 and 1")
        return allowed


class ExportData(Request):
    """`job_data` of an export."""

    service: Annotated[
        Literal["contact", "contacts", "company", "companies"], Field(description="Which records are exported.")
    ]
    vql: Annotated[Vql, Field(description="A query with `select_columns`; order and paging are not used.")]
    s3_bucket: Bucket | None = None
    format: Annotated[
        ExportFormat, Field(strict=False, description="CSV with a header line, or a JSON object per line.")
    ] = ExportFormat.CSV
    gzip: Annotated[bool, Field(description="Compress the file.")] = False
    keep_formulas: Annotated[
        bool,
        Field(
            description="Leave text that a spreadsheet would treat as a formula unchanged; otherwise it gets a leading '."
        ),
    ] = False

    @property
    def query(self) -> Vql:
        """The query without what does not matter to an export, which must not make it fail either."""
        order, paging = ("order_by", "sort_by", "sort_direction"), ("page", "limit", "offset", "cursor")
        ignored = (*order, *paging, "company_config", "facets")
        return self.vql.model_copy(update=dict.fromkeys(ignored))


class CreateJobBody(Request):
    """Body of `POST /common/jobs/create`."""

    job_type: Annotated[JobType, Field(description="What the job does: an import or an export.")]
    job_data: Annotated[ImportData | ExportData, Field(description="What an import reads, or what an export writes.")]
    retry_count: Annotated[int, Field(ge=0, le=MAX_RETRIES, description="Retries allowed.")] = 0


class ListJobsBody(Request):
    """Body of `POST /common/jobs`; may be absent."""

    job_type: Annotated[str, Field(description="Only jobs of this type.")] | None = None
    status: (
        Annotated[list[str], at_most(MAX_STATES, "states"), Field(description="Only jobs in one of these states.")]
        | None
    ) = None
    limit: (
        Annotated[
            int,
            Field(description=f"0 means {DEFAULT_LIMIT}.", json_schema_extra=between(0, MAX_LIMIT)),
        ]
        | None
    ) = None
    page: Annotated[int, Field(ge=0, le=MAX_PAGE, description="From 1; 0 means 1.")] | None = None
    cursor: Annotated[str, Field(description="`next_cursor` of the previous page.")] | None = None
    created_after: Annotated[datetime, Field(description="Only jobs created at or after this time.")] | None = None
    created_before: Annotated[datetime, Field(description="Only jobs created before this time.")] | None = None

    @field_validator("status", mode="before")
    @classmethod
    def _one_or_more(cls, status: object) -> object:
        return [status] if isinstance(status, str) else status

    @field_validator("created_after", "created_before", mode="before")
    @classmethod
    def _moment(cls, given: object) -> datetime | None:
        if given is None or given == "":
            return None
        try:
            if not isinstance(given, str):
                raise TypeError
            return read_moment(given)
        except (TypeError, ValueError):
            raise ValueError("must be a moment such as 2026-11-23T14:46:47Z, or a day such as 2026-11-23") from None


JobData: TypeAlias = ImportData | ExportData


def read_create(body: JsonObject, places: Places) -> tuple[NewJob, list[Warning]]:
    """The body of a creation as a job, and a warning for each of its keys that is ignored.

    Args:
        body: as it was sent.
        places: where jobs may read and write.

    Raises:
        ValidationFailed: with every violation; its reason is the first's.
    """
    wrong: list[ValidationFailed] = []
    job_type, data, retry_count = body.get("job_type"), body.get("job_data"), body.get("retry_count")
    if job_type is None or job_type == "":
        wrong.append(MissingJobType())
    elif job_type not in JOB_TYPES:
        wrong.append(InvalidJobType(job_type if isinstance(job_type, str) else json.dumps(job_type)))
    if data is None:
        wrong.append(MissingJobData())
    elif not isinstance(data, dict):
        wrong.append(ValidationFailed.at("job_data", "must be an object"))
    retries = 0 if retry_count is None else retry_count
    if not (isinstance(retries, int) and not isinstance(retries, bool) and 0 <= retries <= MAX_RETRIES):
        wrong.append(InvalidRetryCount(retry_count, MAX_RETRIES))
    warnings = unknown_keys(body, keys(CreateJobBody))
    if isinstance(data, dict) and job_type in JOB_TYPES:
        known = keys(ImportData if job_type == IMPORT else ExportData)
        warnings += unknown_keys(data, known, "job_data")
        data = {name: value for name, value in data.items() if name in known}
        if nul := nul_violations(data, "job_data"):
            wrong.append(ValidationFailed.of(nul))
        if job_type == IMPORT:
            data = located(data)
        if (size := len(json.dumps(data, ensure_ascii=False).encode(errors="replace"))) > MAX_DATA_BYTES:
            problem = f"has {size:,} bytes; at most {MAX_DATA_BYTES:,} are allowed"
            wrong.append(ValidationFailed.at("job_data", problem))
        else:
            wrong += _check_data(str(job_type), data, places)[1]
    if wrong or not isinstance(data, dict) or not isinstance(retries, int):
        raise ValidationFailed.together(wrong)
    return NewJob(str(job_type), data, retries), warnings


def located(data: JsonObject) -> JsonObject:
    """The data of an import with its object in the words of S3: `s3://bucket/key` names the bucket as well, and no key begins with a
    slash, although URLs and paths suggest it. What cannot be told apart is left for the model to refuse.
    """
    key, bucket = data.get("s3_key"), data.get("s3_bucket")
    if not isinstance(key, str):
        return data
    if (given := re.fullmatch(r"s3://([^/]+)/(.*)", key, re.DOTALL)) and bucket in (None, "", given[1]):
        data, key = {**data, "s3_bucket": given[1]}, given[2]
    return {**data, "s3_key": key.lstrip("/")}


def read_preview(body: JsonObject, places: Places) -> tuple[PreviewImportBody, list[Warning]]:
    """The body of a preview, and a warning for each of its keys that is ignored.

    Args:
        body: as it was sent.
        places: where imports may read.

    Raises:
        ValidationFailed: with every violation.
    """
    wanted, warnings = read(PreviewImportBody, located(body))
    if problems := places.violations(wanted.s3_bucket, wanted.s3_key):
        raise ValidationFailed.of(problems)
    return wanted, warnings


def read_data(job_type: str, data: JsonObject, places: Places) -> JobData:
    """`job_data` of a stored job, by the rules and settings of now.

    Raises:
        ValidationFailed: with every violation; its reason is the first's.
    """
    if job_type not in JOB_TYPES:
        raise InvalidJobType(job_type)
    value, wrong = _check_data(job_type, data, places)
    if value is None or wrong:
        raise ValidationFailed.together(wrong)
    return value


def read_stored(job_type: str, data: JsonObject) -> JobData | None:
    """`job_data` of a stored job, to show it: whether it may still run does not matter. None: it is no job of ours."""
    if job_type not in JOB_TYPES:
        return None
    return (_validated(ImportData, data) if job_type == IMPORT else _validated(ExportData, data))[0]


def read_list(body: JsonObject) -> tuple[JobFilter, list[Warning]]:
    """The body of a list, and a warning for each of its keys that is ignored and for each status and type that no job can have.

    Raises:
        ValidationFailed: InvalidLimit, LimitTooHigh, or a filter of a wrong type.
    """
    limit = body.get("limit")
    if limit is not None and (type(limit) is not int or limit < 0):
        raise InvalidLimit
    if isinstance(limit, int) and limit > MAX_LIMIT:
        raise LimitTooHigh
    request, warnings = read(ListJobsBody, body)
    size, page = request.limit or DEFAULT_LIMIT, request.page or 1
    cursor = Cursor.read(request.cursor) if request.cursor else None
    if cursor and page > 1:
        raise ValidationFailed.at(
            "page", "cannot be given together with cursor, which already says where the page begins"
        )
    for status in request.status or ():
        if status not in STATES:
            warnings.append(_unknown("status", status, STATES))
    if request.job_type and request.job_type not in JOB_TYPES:
        warnings.append(_unknown("job_type", request.job_type, JOB_TYPES))
    condition = JobFilter(
        job_type=request.job_type or None,
        statuses=tuple(request.status) if request.status else None,
        limit=size,
        created_after=request.created_after,
        created_before=request.created_before,
        cursor=cursor,
        skip=(page - 1) * size,
    )
    return condition, warnings


_NOUNS = {"status": "status", "job_type": "type"}


def _unknown(field: str, name: str, names: tuple[str, ...]) -> Warning:
    return {
        "field": field,
        "message": f"no job has the {_NOUNS[field]} {name[:MAX_NAME_CHARS]!r}; there are {', '.join(names)}",
    }


def _check_data(job_type: str, data: JsonObject, places: Places) -> tuple[JobData | None, list[ValidationFailed]]:
    """`job_data` as far as it can be read, and what is wrong with it."""
    value, wrong = _validated(ImportData, data) if job_type == IMPORT else _check_export(data)
    if value:
        key = value.s3_key if isinstance(value, ImportData) else None
        if problems := places.violations(value.s3_bucket, key, "job_data."):
            wrong = [*wrong, ValidationFailed.of(problems)]
    return value, wrong


def _check_export(data: JsonObject) -> tuple[ExportData | None, list[ValidationFailed]]:
    wrong: list[ValidationFailed] = []
    service, vql = data.get("service"), data.get("vql")
    entity = SERVICES.get(service) if isinstance(service, str) else None
    if entity is None:
        wrong.append(UnknownService("job_data.service"))
        data = {**data, "service": "contact"}  # reported already; the rest is checked all the same
    if not (isinstance(vql, dict) and vql.get("select_columns")):
        wrong.append(MissingSelectColumns("job_data.vql.select_columns"))
        if not isinstance(vql, dict):
            return None, wrong
    export, more = _validated(ExportData, data)
    wrong += more
    if export and export.vql.select_columns and entity:
        try:
            checked_export(entity, export.vql)
        except ValidationFailed as error:
            path = "job_data.vql."
            inner = [FieldViolation(path + found.field, path + found.message) for found in error.fields]
            wrong.append(ValidationFailed.of(inner))
    return export, wrong


def _validated(model: type[M], data: JsonObject) -> tuple[M | None, list[ValidationFailed]]:
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, [ValidationFailed.of(violations(error, "job_data"))]
