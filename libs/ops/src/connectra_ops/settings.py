"""What the operators' commands read from the environment."""

from dataclasses import dataclass

from connectra_common.settings import ElasticsearchSettings, PeerSettings, PostgresSettings, S3Settings


@dataclass(frozen=True)
class AuditSettings:
    """What `connectra audit` reads."""

    postgres: PostgresSettings


@dataclass(frozen=True)
class MigrateSettings:
    """What `connectra migrate` reads."""

    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings


@dataclass(frozen=True)
class DoctorSettings:
    """What `connectra doctor` reads, each group by itself: a problem with one does not keep it from looking at the others."""

    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings
    s3: S3Settings
    peers: PeerSettings
