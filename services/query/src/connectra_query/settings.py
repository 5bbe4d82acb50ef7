"""What the query service reads from the environment."""

from dataclasses import dataclass

from connectra_common.settings import (
    AppSettings,
    BucketSettings,
    ElasticsearchSettings,
    Positive,
    PostgresSettings,
    ServerSettings,
    SettingsGroup,
    TracingSettings,
)
from pydantic import Field


class BoundSettings(SettingsGroup, title="Bounds of the query service"):
    """How much a process of the query service does at once. A client has a share, so that none can keep all others waiting."""

    searches: Positive = Field(
        64,
        validation_alias="QUERY_MAX_SEARCHES",
        description="Searches and counts at once; half of them for one client.",
    )
    streams: Positive = Field(
        32,
        validation_alias="QUERY_MAX_STREAMS",
        description="Streams of records at once; a quarter of them for one client.",
    )
    exports: Positive = Field(
        16,
        validation_alias="QUERY_MAX_EXPORTS",
        description="Streams of files at once, up to 20 MiB of memory each; a quarter of them for one client.",
    )


@dataclass(frozen=True)
class Settings:
    """What `connectra-query` reads."""

    app: AppSettings
    tracing: TracingSettings
    server: ServerSettings
    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings
    s3: BucketSettings
    bounds: BoundSettings
