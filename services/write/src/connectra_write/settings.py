"""What the processes of the write service read from the environment."""

from dataclasses import dataclass

from connectra_common.settings import (
    AppSettings,
    ElasticsearchSettings,
    InternalSettings,
    PostgresSettings,
    ServerSettings,
    SettingsGroup,
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


class CheckSettings(SettingsGroup, title="Comparison of database and index"):
    """Indexers compare all records with the index, round after round, and repair what differs."""

    # 500 took Elasticsearch a seventh of a core, which searches on a small machine felt.
    records_per_second: int = Field(
        100,
        ge=0,
        validation_alias="INDEX_CHECK_RECORDS_PER_SECOND",
        description="Of companies and of contacts each; 0 compares nothing.",
    )


class RecordSettings(SettingsGroup, title="Age of deleted records"):
    """How long deleted records can be restored."""

    deleted_days: int = Field(
        365,
        ge=0,
        validation_alias="DELETED_RETENTION_DAYS",
        description="Days after which a deleted record is removed for good; 0 keeps it forever.",
    )


@dataclass(frozen=True)
class IndexerSettings:
    """What `connectra-write-indexer` reads."""

    app: AppSettings
    tracing: TracingSettings
    server: ServerSettings
    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings
    check: CheckSettings


@dataclass(frozen=True)
class Settings:
    """What `connectra-write` reads."""

    app: AppSettings
    tracing: TracingSettings
    server: ServerSettings
    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings
    internal: InternalSettings
    audit: AuditSettings
    records: RecordSettings
