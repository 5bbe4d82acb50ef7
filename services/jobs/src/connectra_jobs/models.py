"""What the jobs service works on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

IMPORT = "insert_csv_file"
EXPORT = "export_csv_file"
JOB_TYPES = (IMPORT, EXPORT)

DEFAULT_LIMIT = 25


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be stored; checked."""

    job_type: str
    data: dict[str, Any]
    retry_count: int = 0


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a list shows; checked. None: no condition."""

    job_type: str | None = None
    statuses: tuple[str, ...] | None = None
    limit: int = DEFAULT_LIMIT
    created_after: datetime | None = None
    created_before: datetime | None = None
    # Goes on behind the job made at this moment with this id.
    behind: tuple[datetime, int] | None = None
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the job table, without the lease."""

    id: int
    uuid: str
    job_type: str
    data: dict[str, Any]
    status: str
    job_response: dict[str, Any]
    retry_count: int
    retry_interval: int
    run_after: datetime | None
    created_at: datetime
    updated_at: datetime
    attempts: int
    progress: dict[str, Any]

    @property
    def ended(self) -> bool:
        """Whether nobody will run it again by himself: completed, or failed without a retry to come."""
        return self.status == "completed" or (self.status == "failed" and self.run_after is None)

    def to_json(self) -> dict[str, Any]:
        """As the REST door shows it, every member always present."""
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
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Job":
        """What `to_json` gave."""
        moments = {name: values[name] for name in ("run_after", "created_at", "updated_at") if values[name]}
        return cls(**{**values, **{name: datetime.fromisoformat(text) for name, text in moments.items()}})


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
class UploadUrl:
    """Where a file can be put."""

    url: str
    s3_key: str
    expires_in_hours: int


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file of a job and where it can be fetched."""

    kind: Literal["source", "result", "rejected"]
    s3_key: str
    size_bytes: int
    download_url: str


def rfc3339(moment: datetime) -> str:
    """UTC with microseconds, e.g. `2026-11-23T14:46:47.600000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def cursor_of(job: Job) -> str:
    """Cursor of the page that begins behind a job."""
    return f"{rfc3339(job.created_at)}_{job.id}"
