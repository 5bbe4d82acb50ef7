"""What the jobs service works on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from connectra_common.errors import ValidationFailed
from connectra_common.times import read_moment, rfc3339

from connectra_jobs.states import COMPLETED, FAILED

JobType: TypeAlias = Literal["insert_csv_file", "export_csv_file"]
IMPORT: JobType = "insert_csv_file"
EXPORT: JobType = "export_csv_file"
JOB_TYPES: tuple[str, ...] = get_args(JobType)

FileKind: TypeAlias = Literal["source", "result", "rejected", "left_out"]
JsonObject: TypeAlias = dict[str, object]
# What an attempt has done so far: rows, total_rows, bytes, total_bytes.
Progress: TypeAlias = dict[str, int]

DEFAULT_LIMIT = 25
# What a cancelled job says.
CANCELLED = "Cancelled by request"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be stored; checked, and without members that mean nothing."""

    job_type: str
    data: JsonObject
    retry_count: int = 0


class Cursor(NamedTuple):
    """Where a page ended: at the job made at this moment with this id."""

    created_at: datetime
    id: int

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """What `str` gave.

        Raises:
            ValidationFailed: it is something else.
        """
        moment, _, number = text.partition("_")
        try:
            if not number.isdecimal() or int(number) >= 2**63:
                raise ValueError
            return cls(read_moment(moment), int(number))
        except ValueError:
            raise ValidationFailed.at("cursor", "is not the next_cursor of an earlier page") from None

    def __str__(self) -> str:
        return f"{rfc3339(self.created_at)}_{self.id}"


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows; checked. None: no condition."""

    job_type: str | None = None
    statuses: tuple[str, ...] | None = None
    limit: int = DEFAULT_LIMIT
    created_after: datetime | None = None
    created_before: datetime | None = None
    # Where the page before ended.
    cursor: Cursor | None = None
    skip: int = 0
    # Whose jobs.
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the job table, without the lease.

    Args:
        client: that made it; None: it did not come through the gateway, or is from before clients were noted.
    """

    id: int
    uuid: str
    job_type: str
    data: JsonObject
    status: str
    job_response: JsonObject
    retry_count: int
    retry_interval: int
    run_after: datetime | None
    created_at: datetime
    updated_at: datetime
    attempts: int
    progress: Progress
    client: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it will not run again unless someone asks: completed, or failed without a retry to come."""
        return self.status == COMPLETED or (self.status == FAILED and self.run_after is None)

    def to_json(self) -> JsonObject:
        """As the REST door shows it; every member is always present."""
        return {
            "id": self.id,
            "uuid": self.uuid,
            "job_type": self.job_type,
            "data": self.data,
            "status": self.status,
            "job_response": self.job_response,
            "retry_count": self.retry_count,
            "retry_interval": self.retry_interval,
            "run_after": rfc3339(self.run_after) if self.run_after else None,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
            "attempts": self.attempts,
            "progress": self.progress,
            "client": self.client,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Job":
        """What `to_json` gave."""
        moments = {name: values[name] for name in ("run_after", "created_at", "updated_at") if values[name]}
        return cls(**{**values, **{name: datetime.fromisoformat(text) for name, text in moments.items()}})


@dataclass(frozen=True, slots=True)
class JobInput:
    """What an import reads.

    Args:
        generation: counts the objects that the job has begun to read, from 1.
        etag: identifies the content of the object, also where it has no version.
        shape: how it is read: what the reader of files keeps for its next run.
    """

    generation: int
    bucket: str
    key: str
    size: int
    etag: str
    version: str | None = None
    shape: JsonObject | None = None

    @property
    def name(self) -> str:
        """The object and its content in one text."""
        return f"{self.bucket}/{self.key} {self.etag}"


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of a list; `next_cursor` is None when nothing follows."""

    jobs: list[Job]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Created:
    """A job that was stored; `replayed`: by an earlier request with the same idempotency key, and shown as it was then."""

    job: Job
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file of a job and where it can be fetched."""

    kind: FileKind
    s3_key: str
    size_bytes: int
    download_url: str
