"""What the processes of the write service read from the environment."""

from dataclasses import dataclass

from connectra_common.settings import (
    AppSettings,
    ElasticsearchSettings,
    InternalSettings,
    PostgresSettings,
    ServerSettings,
    TracingSettings,
    TrailSettings,
)
from pydantic import Field


class AuditSettings(TrailSettings, title="Age of the audit trail"):
    """How long it is known who changed what."""

    retention_days: int = Field(
        365,
        ge=0,
        validation_alias="AUDIT_RETENTION_DAYS",
        description="Days to keep entries; 0 keeps them forever.",
    )


@dataclass(frozen=True)
class IndexerSettings:
    """What `connectra-write-indexer` reads."""

    app: AppSettings
    tracing: TracingSettings
    server: ServerSettings
    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings


@dataclass(frozen=True)
class Settings(IndexerSettings):
    """What `connectra-write` reads."""

    internal: InternalSettings
    audit: AuditSettings
