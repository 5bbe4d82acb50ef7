"""What the processes of the jobs service read from the environment."""

from dataclasses import dataclass
from typing import Annotated

from connectra_common.settings import (
    AppSettings,
    Positive,
    PostgresSettings,
    S3Settings,
    ServerSettings,
    SettingsGroup,
    TracingSettings,
    WorkerPeerSettings,
)
from pydantic import Field

Days = Annotated[int, Field(ge=0, le=36_500)]


class JobsSettings(SettingsGroup, title="Workers"):
    """The worker pools."""

    parallel_jobs: Positive = Field(
        4,
        validation_alias="PARALLEL_JOBS",
        description="Number of workers in a first_time process; a retry process has one.",
    )
    job_in_queue_size: Positive = Field(
        100,
        validation_alias="JOB_IN_QUEUE_SIZE",
        description="Maximum number of jobs that all runners together have claimed; at the limit none claims another.",
    )
    ticker_interval_minutes: float = Field(
        1,
        gt=0,
        validation_alias="TICKER_INTERVAL_MINUTES",
        description="Maximum minutes between polls of the job table; runners are also notified of new jobs.",
    )
    batch_size: Annotated[int, Field(ge=1, le=20_000)] = Field(
        2_000, validation_alias="BATCH_SIZE_FOR_INSERTION", description="CSV rows per import batch."
    )
    job_type: str = Field(
        "normal",
        validation_alias="JOB_TYPE",
        description="Jobs that a runner takes: `insert_csv_file` or `export_csv_file`; any other value means both.",
    )
    lease_seconds: float = Field(
        30,
        ge=0.5,
        validation_alias="JOB_LEASE_SECONDS",
        description="Seconds without a heartbeat after which a worker's job is given to another.",
    )
    max_rejected: Positive = Field(
        10_000_000,
        validation_alias="IMPORT_MAX_REJECTED",
        description="Number of rejected rows with which an import fails, whatever its own `max_rejected` allows.",
    )
    patience_seconds: float = Field(
        600,
        gt=0,
        validation_alias="JOB_PATIENCE_SECONDS",
        description="Seconds that a run waits for an unavailable dependency before it fails.",
    )


class RetentionSettings(SettingsGroup, title="Retention"):
    """How long jobs and files are kept. What is removed is only what the service itself made: rows of its tables, files that were
    uploaded under keys that it gave out, and files that its jobs wrote.
    """

    job_days: Days = Field(
        90,
        validation_alias="JOB_RETENTION_DAYS",
        description="Days to keep ended jobs with their runs and ledger, though never less than their files; 0 keeps them forever.",
    )
    file_days: Days = Field(
        30,
        validation_alias="FILE_RETENTION_DAYS",
        description="Days to keep uploaded files after the last job that read them, and files that jobs wrote; 0 keeps them forever.",
    )
    unfinished_upload_days: Days = Field(
        7,
        validation_alias="UNFINISHED_UPLOAD_DAYS",
        description="Days after which an upload in parts that is not complete is aborted; 0 keeps it forever.",
    )


class FileSettings(SettingsGroup, title="Files of jobs"):
    """Where jobs may read and write besides the service's own bucket, and for how long their files can be fetched."""

    other_buckets: str = Field(
        "",
        validation_alias="S3_OTHER_BUCKETS",
        description="Further buckets that imports may read and exports may write, separated by commas.",
    )
    import_prefixes: str = Field(
        "",
        validation_alias="S3_IMPORT_PREFIXES",
        description="Prefixes of the keys that imports may read in the service's own bucket, separated by commas; absent: any key.",
    )
    download_url_ttl_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        15, validation_alias="S3_DOWNLOAD_URL_TTL_MINUTES", description="Minutes for which a download URL is valid."
    )


@dataclass(frozen=True)
class _ProcessSettings:
    app: AppSettings
    tracing: TracingSettings
    server: ServerSettings
    postgres: PostgresSettings
    s3: S3Settings
    files: FileSettings


@dataclass(frozen=True)
class Settings(_ProcessSettings):
    """What `connectra-jobs` reads."""

    retention: RetentionSettings


@dataclass(frozen=True)
class RunnerSettings(_ProcessSettings):
    """What `connectra jobs first_time` and `connectra jobs retry` read."""

    peers: WorkerPeerSettings
    jobs: JobsSettings
