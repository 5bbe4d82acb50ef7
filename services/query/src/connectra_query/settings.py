"""What the query service reads from the environment."""

from dataclasses import dataclass

from connectra_common.settings import (
    AppSettings,
    BucketSettings,
    ElasticsearchSettings,
    PostgresSettings,
    ServerSettings,
    TracingSettings,
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
