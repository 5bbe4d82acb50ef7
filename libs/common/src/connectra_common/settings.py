"""Settings: one small model (a group) for each concern, read from the environment and from `.env` by documented names.

This module has the groups that two or more services read. A service's `settings.py` has its own groups and `Settings`, the
dataclass of everything its process reads. `load` reads and checks all of it at once: wrong or missing variables end the
process at startup, with one line per problem. Secrets are `SecretStr` and print as asterisks. docs/settings.md is generated
from these models.
"""

import sys
from dataclasses import is_dataclass
from typing import Annotated, Any, Literal, Self, TypeVar, cast, get_type_hints
from urllib.parse import quote, urlsplit

from pydantic import (
    AliasChoices,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

Port = Annotated[int, Field(ge=1, le=65535)]
# host:port; an IPv6 host is in brackets.
Address = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^:\s/]+):\d{1,5}$")]
Positive = Annotated[int, Field(gt=0)]
# Whether requests to a store are logged, and with `values` what they carry as well.
Debug = bool | Literal["values"]


def _ca_file(variable: str) -> Any:
    return Field(
        None,
        validation_alias=variable,
        description="PEM file of trusted authorities; absent: those the system trusts.",
    )


class SettingsGroup(BaseSettings):
    """Base of all groups. The real environment takes precedence over `.env` in the working directory; empty values count as absent.

    The environment fills a field by its documented variables, code by the field's name as well.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        dotenv_filtering="only_existing",  # of a file, by default, names of fields count too
        extra="ignore",
        env_ignore_empty=True,
        populate_by_name=True,
        frozen=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then `.env`."""
        for source in (env_settings, dotenv_settings):
            # `populate_by_name` is for arguments: HOST, PORT or DEBUG in the environment are another program's.
            source.config = {**source.config, "populate_by_name": False}
        return init_settings, env_settings, dotenv_settings


class AppSettings(SettingsGroup, title="Process and logs"):
    """Name of the installation, and logs."""

    env: str = Field(
        "development", validation_alias="APP_ENV", description="Name of the installation; included in every log line."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias="LOG_LEVEL", description="Lowest level that is logged; for Envoy never below INFO."
    )
    log_format: Literal["json", "console"] = Field(
        "json", validation_alias="LOG_FORMAT", description="One JSON object per line, or colored text for people."
    )
    memory_log_interval_seconds: int = Field(
        300,
        ge=0,
        validation_alias="MEMORY_LOG_INTERVAL_SECONDS",
        description="Seconds between log lines about memory use; 0 turns them off.",
    )


class TracingSettings(SettingsGroup, title="Traces"):
    """OpenTelemetry's own variables. Its SDK reads more of them itself: headers, limits, the exporter's timeout and so on."""

    endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        pattern=r"^https?://[^/]+",
        description="Collector that accepts OTLP over gRPC, such as `http://host:4317`; absent: no traces.",
    )
    disabled: bool = Field(False, validation_alias="OTEL_SDK_DISABLED", description="Turns traces off.")
    exporter: Literal["otlp", "none"] = Field(
        "otlp", validation_alias="OTEL_TRACES_EXPORTER", description="`none` turns traces off."
    )
    protocol: Literal["grpc"] = Field(
        "grpc",
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"),
        description="Protocol of the exporter; only gRPC is supported.",
    )
    sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = Field("parentbased_always_on", validation_alias="OTEL_TRACES_SAMPLER", description="Which traces are kept.")
    sampler_ratio: float = Field(
        1,
        ge=0,
        le=1,
        validation_alias="OTEL_TRACES_SAMPLER_ARG",
        description="Share of traces that a ratio sampler keeps.",
    )

    @property
    def collector(self) -> str | None:
        """Where traces go; None when they are off."""
        return None if self.disabled or self.exporter == "none" else self.endpoint

    @property
    def ratio(self) -> float:
        """Share of traces starting here that are kept."""
        if self.sampler.endswith("always_off"):
            return 0
        return self.sampler_ratio if self.sampler.endswith("traceidratio") else 1


class TlsSettings(SettingsGroup, title="TLS between the services"):
    """TLS between the services: a process with a certificate accepts only TLS; one with a CA file calls the others only over TLS."""

    tls_cert_file: FilePath | None = Field(
        None,
        validation_alias="GRPC_TLS_CERT_FILE",
        description="PEM certificate chain of this process; presented to callers and to the services it calls.",
    )
    tls_key_file: FilePath | None = Field(
        None, validation_alias="GRPC_TLS_KEY_FILE", description="PEM private key of that certificate."
    )
    tls_ca_file: FilePath | None = Field(
        None,
        validation_alias="GRPC_TLS_CA_FILE",
        description="PEM file of the authorities that sign the other services' certificates.",
    )
    tls_client_auth: bool = Field(
        False,
        validation_alias="GRPC_TLS_CLIENT_AUTH",
        description="Serve only callers that present a certificate signed by that authority (mTLS).",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("GRPC_TLS_CERT_FILE and GRPC_TLS_KEY_FILE must be set together")
        if self.tls_client_auth and not (self.tls_cert_file and self.tls_ca_file):
            raise ValueError("GRPC_TLS_CLIENT_AUTH needs GRPC_TLS_CERT_FILE, GRPC_TLS_KEY_FILE and GRPC_TLS_CA_FILE")
        return self


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


class ServerSettings(TlsSettings, title="gRPC server"):
    """Where a process listens, and how it ends."""

    listen: Address = Field(
        "0.0.0.0:50051", validation_alias="GRPC_LISTEN", description="Address of gRPC, health and reflection."
    )
    metrics_listen: Address | None = Field(
        None, validation_alias="METRICS_LISTEN", description="Address of the Prometheus metrics; absent: none."
    )
    drain_seconds: float = Field(
        10, ge=0, validation_alias="DRAIN_SECONDS", description="Seconds that running calls may continue after SIGTERM."
    )
    lame_duck_seconds: float = Field(
        0,
        ge=0,
        validation_alias="LAME_DUCK_SECONDS",
        description="Seconds after SIGTERM during which new calls are still accepted, so that callers can notice it is no longer ready.",
    )
    max_message_mib: Positive = Field(
        64, validation_alias="GRPC_MAX_MESSAGE_MIB", description="Largest message that is sent, in MiB."
    )
    callers: str = Field(
        "",
        validation_alias="GRPC_TLS_CALLERS",
        description="Names, separated by commas, of which a caller's certificate must have one (DNS name or URI); absent: any name.",
    )
    health_listen: Address | None = Field(
        None,
        validation_alias="GRPC_HEALTH_LISTEN",
        description="Address of the health service without TLS, for probes that do not support it; absent: none.",
    )
    default_deadline_seconds: float = Field(
        30,
        gt=0,
        validation_alias="GRPC_DEFAULT_DEADLINE_SECONDS",
        description="Maximum duration in seconds of a call without a deadline.",
    )
    stream_idle_seconds: float = Field(
        90,
        gt=0,
        validation_alias="GRPC_STREAM_IDLE_SECONDS",
        description="Seconds after which a stream ends of which the caller reads nothing.",
    )

    @model_validator(mode="after")
    def _identified(self) -> Self:
        if self.callers and not self.tls_client_auth:
            raise ValueError("GRPC_TLS_CALLERS needs GRPC_TLS_CLIENT_AUTH")
        return self

    @property
    def names(self) -> frozenset[str]:
        """The callers' names; empty for any."""
        return _names(self.callers)


class InternalSettings(TlsSettings, title="Internal gRPC server"):
    """Where a process serves the other processes of the suite, and no client. TLS is that of its other port."""

    listen: Address = Field(
        "0.0.0.0:50057",
        validation_alias="GRPC_INTERNAL_LISTEN",
        description="Address of the methods that only worker pools call; no other process should be able to reach it.",
    )
    callers: str = Field(
        "",
        validation_alias="GRPC_INTERNAL_CALLERS",
        description="Names, separated by commas, of which a caller's certificate must have one (DNS name or URI); absent: any name.",
    )

    @model_validator(mode="after")
    def _identified(self) -> Self:
        if self.callers and not self.tls_client_auth:
            raise ValueError("GRPC_INTERNAL_CALLERS needs GRPC_TLS_CLIENT_AUTH")
        return self

    @property
    def names(self) -> frozenset[str]:
        """The callers' names; empty for any."""
        return _names(self.callers)


class PeerSettings(TlsSettings, title="Addresses of the services"):
    """Where the services are, for those that call them. Calls are balanced over all addresses of a name."""

    query: Address = Field("127.0.0.1:50051", validation_alias="QUERY_ADDRESS", description="The query service.")
    write: Address = Field("127.0.0.1:50052", validation_alias="WRITE_ADDRESS", description="The write service.")
    jobs: Address = Field("127.0.0.1:50053", validation_alias="JOBS_ADDRESS", description="The jobs service.")


class WorkerPeerSettings(PeerSettings, title="Addresses for the worker pools"):
    """Where the services are that only the worker pools call."""

    write_internal: Address = Field(
        "127.0.0.1:50057",
        validation_alias="WRITE_INTERNAL_ADDRESS",
        description="The write service, where it takes batches of imports.",
    )


class PostgresSettings(SettingsGroup, title="PostgreSQL"):
    """The database. `PG_DB_CONNECTION`, if it is a postgresql:// URL, replaces host, port, database, user and password."""

    host: str = Field("localhost", validation_alias="PG_DB_HOST", description="Host of the server.")
    port: Port = Field(5432, validation_alias="PG_DB_PORT", description="Its port.")
    database: str = Field("connectra", validation_alias="PG_DB_DATABASE", description="Name of the database.")
    username: str | None = Field(None, validation_alias="PG_DB_USERNAME", description="Required without a URL.")
    password: SecretStr | None = Field(None, validation_alias="PG_DB_PASSWORD", description="Required without a URL.")
    connection: SecretStr | None = Field(
        None, validation_alias="PG_DB_CONNECTION", description="URL; anything else is ignored."
    )
    ssl: bool = Field(False, validation_alias="PG_DB_SSL", description="TLS; the certificate is verified.")
    ssl_ca_file: FilePath | None = _ca_file("PG_DB_SSL_CA_FILE")
    debug: Debug = Field(
        False,
        validation_alias="PG_DB_DEBUG",
        description="Log every SQL statement; with `values` also its parameters, which are personal data.",
    )
    pool_size: Positive = Field(
        20, validation_alias="PG_POOL_SIZE", description="Maximum number of connections per process."
    )

    @model_validator(mode="after")
    def _complete(self) -> "PostgresSettings":
        url = self._url()
        if url and "sslmode" in urlsplit(url).query:
            raise ValueError(
                "PG_DB_CONNECTION must not have sslmode: PG_DB_SSL says whether TLS is used, always verified"
            )
        if url is None:
            missing = [
                n for n, v in (("PG_DB_USERNAME", self.username), ("PG_DB_PASSWORD", self.password)) if v is None
            ]
            if missing:
                raise ValueError(f"{' and '.join(missing)} must be set (or PG_DB_CONNECTION to a postgresql:// URL)")
        return self

    def _url(self) -> str | None:
        # The predecessor only required the variable to be present, so it may contain any word.
        value = self.connection.get_secret_value() if self.connection else ""
        return value if urlsplit(value).scheme in ("postgres", "postgresql") else None

    def require(self, connections: int, process: str) -> None:
        """Ends the process if its pool is smaller than the connections it holds permanently plus one."""
        if self.pool_size < connections:
            sys.exit(f"settings: PG_POOL_SIZE: {process} needs at least {connections} connections")

    def dsn(self, scheme: str = "postgresql") -> str:
        """Connection URL including the password: do not print it."""
        if url := self._url():
            return scheme + url[url.index(":") :]
        password = self.password.get_secret_value() if self.password else ""
        user = f"{quote(self.username or '', safe='')}:{quote(password, safe='')}"
        return f"{scheme}://{user}@{self.host}:{self.port}/{quote(self.database, safe='')}"


class TrailSettings(SettingsGroup, title="Audit trail"):
    """Who changed what."""

    enabled: bool = Field(
        True,
        validation_alias="AUDIT",
        description="Record what the write service changes; plain SQL by others is always recorded.",
    )


class ElasticsearchSettings(SettingsGroup, title="Elasticsearch"):
    """The search index. `ELASTICSEARCH_CONNECTION`, a URL, replaces scheme, host and port."""

    host: str = Field("localhost", validation_alias="ELASTICSEARCH_HOST", description="Host of the server.")
    port: Port = Field(9200, validation_alias="ELASTICSEARCH_PORT", description="Its port.")
    connection: str | None = Field(
        None,
        validation_alias="ELASTICSEARCH_CONNECTION",
        pattern=r"^https?://",
        description="Instead of host and port.",
    )
    auth: bool = Field(False, validation_alias="ELASTICSEARCH_AUTH", description="Log in with user name and password.")
    username: str | None = Field(None, validation_alias="ELASTICSEARCH_USERNAME", description="Required to log in.")
    password: SecretStr | None = Field(
        None, validation_alias="ELASTICSEARCH_PASSWORD", description="Required to log in."
    )
    ssl: bool = Field(False, validation_alias="ELASTICSEARCH_SSL", description="TLS; the certificate is verified.")
    ssl_ca_file: FilePath | None = _ca_file("ELASTICSEARCH_SSL_CA_FILE")
    shards: Positive = Field(1, validation_alias="ELASTICSEARCH_SHARDS", description="Primary shards of a new index.")
    replicas: int = Field(0, ge=0, validation_alias="ELASTICSEARCH_REPLICAS", description="Replicas of a new index.")
    timeout_seconds: float = Field(
        10,
        gt=0,
        validation_alias="ELASTICSEARCH_TIMEOUT_SECONDS",
        description="Maximum duration of a request in seconds. A page of an export or a stream has 120.",
    )
    max_connections: Positive | None = Field(
        None,
        validation_alias="ELASTICSEARCH_MAX_CONNECTIONS",
        description="Maximum number of connections per process; absent: as many as its calls need at once.",
    )
    debug: Debug = Field(
        False,
        validation_alias="ELASTICSEARCH_DEBUG",
        description="Log every request; with `values` also its body, which has personal data.",
    )

    @model_validator(mode="after")
    def _complete(self) -> "ElasticsearchSettings":
        if self.auth and not (self.username and self.password):
            raise ValueError(
                "ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD must be set when ELASTICSEARCH_AUTH is true"
            )
        return self

    def connections(self, needed: int = 32) -> int:
        """How many a client of a process may have: those it needs, or fewer or more if so configured."""
        return self.max_connections or needed

    @property
    def url(self) -> str:
        """Base URL without credentials."""
        return self.connection or f"{'https' if self.ssl else 'http'}://{self.host}:{self.port}"


class BucketSettings(SettingsGroup, title="S3"):
    """The object store; Amazon S3 when no endpoint is given."""

    region: str = Field("us-east-1", validation_alias="S3_REGION", description="Region of the bucket.")
    bucket: str = Field(validation_alias="S3_BUCKET", description="Bucket for uploads and the files that jobs write.")
    endpoint: Address | None = Field(
        None, validation_alias="S3_ENDPOINT", description="Server, without scheme; absent: Amazon S3."
    )
    ssl: bool = Field(True, validation_alias="S3_SSL", description="TLS; the certificate is verified.")
    ssl_ca_file: FilePath | None = _ca_file("S3_SSL_CA_FILE")
    debug: Debug = Field(
        False,
        validation_alias="S3_DEBUG",
        description="Log every request; with `values` also its path, in which the key of the object has the name of somebody's file.",
    )

    @property
    def endpoint_url(self) -> str | None:
        """URL for clients, or None for Amazon S3."""
        return f"{'https' if self.ssl else 'http'}://{self.endpoint}" if self.endpoint else None


class S3Settings(BucketSettings, title="Objects on S3"):
    """Its login, and how objects are named."""

    access_key: str = Field(validation_alias="S3_ACCESS_KEY", description="Access key id.")
    secret_key: SecretStr = Field(validation_alias="S3_SECRET_KEY", description="Secret access key.")
    upload_url_ttl_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        24, validation_alias="S3_UPLOAD_URL_TTL_HOURS", description="Hours for which an upload URL is valid."
    )
    # The first spelling is the documented one; the correct spelling is accepted too.
    upload_prefix: str = Field(
        "uploads",
        validation_alias=AliasChoices("S3_UPLOAD_FILE_PATH_PRIFIX", "S3_UPLOAD_FILE_PATH_PREFIX"),
        description="Prefix of the object keys of uploads.",
    )

    def key(self, name: str) -> str:
        """Object key of a file under the prefix."""
        prefix = self.upload_prefix.strip("/")
        return f"{prefix}/{name}" if prefix else name


T = TypeVar("T")


def load(wanted: type[T]) -> T:
    """Reads a group, or a dataclass of groups. If there are problems, prints one readable line for each and ends the process."""
    values: dict[str, SettingsGroup] = {}
    lines: list[str] = []
    for name, group in groups(wanted).items():
        try:
            values[name] = group()
        except ValidationError as error:
            lines += problems(error)
    if lines:
        sys.exit("\n".join(dict.fromkeys(lines)))
    return wanted(**values) if is_dataclass(wanted) else cast(T, values[""])


def groups(wanted: type) -> dict[str, type[SettingsGroup]]:
    """The groups of a dataclass of groups, by field name; a single group is returned under the name ""."""
    return get_type_hints(wanted) if is_dataclass(wanted) else {"": cast(type[SettingsGroup], wanted)}


def variables(field: FieldInfo) -> tuple[str, ...]:
    """The variables that a field is read from; the first one set is used."""
    alias = field.validation_alias
    return tuple(str(name) for name in alias.choices) if isinstance(alias, AliasChoices) else (str(alias),)


def problems(error: ValidationError) -> list[str]:
    """One line per violation, naming the variable and what is allowed, never a secret's value."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"settings: {name}: {message}" if name else f"settings: {message}")
    return lines
