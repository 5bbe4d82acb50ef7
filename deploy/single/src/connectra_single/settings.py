"""What the API server reads from the environment: all that its services and its gateway read."""

from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar, cast

from connectra_common.settings import (
    Address,
    AppSettings,
    ElasticsearchSettings,
    InternalSettings,
    PeerSettings,
    PostgresSettings,
    S3Settings,
    ServerSettings,
    SettingsGroup,
    TracingSettings,
)
from connectra_gateway.settings import GatewaySettings
from connectra_jobs.settings import FileSettings, RetentionSettings
from connectra_query.settings import BoundSettings
from connectra_write.settings import AuditSettings, RecordSettings
from pydantic import Field

T = TypeVar("T")
_EVERY_HOST = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104


class ApiServerSettings(ServerSettings, title="gRPC server of the API server"):
    """Where it serves its own gateway and worker pools. The gateway checks keys and rights: whoever reaches this address needs none."""

    listen: Address = Field(
        "127.0.0.1:50051", validation_alias="GRPC_LISTEN", description="Address of gRPC, health and reflection."
    )

    @property
    def here(self) -> str:
        """The address as its own gateway calls it."""
        host, _, port = self.listen.rpartition(":")
        return f"{_EVERY_HOST.get(host, host)}:{port}"


class ApiServerInternalSettings(InternalSettings, title="Internal gRPC server of the API server"):
    """Where it serves worker pools, which need no key there."""

    listen: Address = Field(
        "127.0.0.1:50057",
        validation_alias="GRPC_INTERNAL_LISTEN",
        description="Address of the methods that only worker pools call.",
    )


class CommandSettings(SettingsGroup, title="Command of the image"):
    """What a container of the image `connectra/single` runs."""

    command: Literal["api-server", "jobs first_time", "jobs retry", "indexer", "migrate"] = Field(
        "api-server", validation_alias="RUN_COMMAND", description="One process of the installation."
    )


@dataclass(frozen=True)
class ImageSettings:
    """What the image `connectra/single` reads before it starts that process."""

    image: CommandSettings


@dataclass(frozen=True)
class Settings:
    """What `connectra api-server` reads."""

    app: AppSettings
    tracing: TracingSettings
    server: ApiServerSettings
    internal: ApiServerInternalSettings
    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings
    s3: S3Settings
    bounds: BoundSettings
    audit: AuditSettings
    records: RecordSettings
    files: FileSettings
    retention: RetentionSettings
    gateway: GatewaySettings

    def of(self, service: type[T], connections: int) -> T:
        """Those of a service, whose groups have the same names there; it gets so many connections to PostgreSQL."""
        own: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(cast(Any, service))}
        own["postgres"] = self.postgres.model_copy(update={"pool_size": connections})
        made: T = cast(Any, service)(**own)
        return made

    @property
    def peers(self) -> PeerSettings:
        """The services as the gateway calls them: all of them here."""
        return PeerSettings(query=self.server.here, write=self.server.here, jobs=self.server.here)
