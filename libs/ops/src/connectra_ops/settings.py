"""What the operators' commands read from the environment."""

from dataclasses import dataclass

from connectra_common.settings import (
    ElasticsearchSettings,
    PeerSettings,
    PostgresSettings,
    S3Settings,
    SettingsGroup,
    TrailSettings,
)
from pydantic import Field


class RoleSettings(SettingsGroup, title="Roles in PostgreSQL"):
    """What each process may do in the database."""

    enabled: bool = Field(
        True,
        validation_alias="PG_ROLES",
        description="Keep a role for each process, with rights to just its tables.",
    )
    prefix: str = Field(
        "connectra",
        validation_alias="PG_ROLE_PREFIX",
        pattern=r"^[a-z][a-z0-9_]{0,40}$",
        description="First part of their names, as in `connectra_query`; installations on one server may each have their own.",
    )


@dataclass(frozen=True)
class AuditSettings:
    """What `connectra audit` reads."""

    postgres: PostgresSettings


@dataclass(frozen=True)
class MigrateSettings:
    """What `connectra migrate` reads."""

    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings
    roles: RoleSettings
    trail: TrailSettings


@dataclass(frozen=True)
class DoctorSettings:
    """What `connectra doctor` reads. It loads each group separately, so a problem with one does not stop it from checking the others."""

    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings
    s3: S3Settings
    peers: PeerSettings
