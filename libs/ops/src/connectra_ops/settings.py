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
    """What `connectra doctor` reads. It loads each group separately, so a problem with one does not stop it from checking the others."""

    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings
    s3: S3Settings
    peers: PeerSettings
