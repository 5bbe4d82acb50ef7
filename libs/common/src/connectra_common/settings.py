"""Settings: one small model a concern, each variable under its documented name, read from the environment and from `.env`.

`load` reads and checks those a process needs, all at once: a wrong or missing variable ends the start with one line a
problem. Secrets are `SecretStr` and print as asterisks.
"""

import os
import re
import sys
from dataclasses import is_dataclass
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self, TypeVar, cast, get_type_hints
from urllib.parse import quote, urlsplit

from pydantic import (
    AliasChoices,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=1, le=65535)]
# host:port; an IPv6 host stands in brackets.
Address = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^:\s/]+):\d{1,5}$")]
Positive = Annotated[int, Field(gt=0)]


def _ca_file(variable: str) -> Any:
    return Field(None, validation_alias=variable, description="PEM; absent: the authorities this system trusts.")


class Settings(BaseSettings):
    """Base of all models. The real environment wins over `.env` in the working directory; empty values count as absent."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        env_ignore_empty=True,
        populate_by_name=True,
        frozen=True,
    )


class AppSettings(Settings):
    """What every process has."""

    env: str = Field(
        "development", validation_alias="APP_ENV", description="Name of the installation, in every log line."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="LOG_LEVEL")
    log_format: Literal["json", "console"] = Field("json", validation_alias="LOG_FORMAT")
    memory_log_interval_seconds: int = Field(
        300,
        ge=0,
        validation_alias="MEMORY_LOG_INTERVAL_SECONDS",
        description="How often memory use is logged; 0 is never.",
    )


class TracingSettings(Settings):
    """Traces, by OpenTelemetry's own variables. The SDK reads the others of them (sampler, headers, limits, …) itself."""

    endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        pattern=r"^https?://[^/]+",
        description="Collector that takes OTLP over gRPC; absent is off.",
    )
    disabled: bool = Field(False, validation_alias="OTEL_SDK_DISABLED")
    exporter: Literal["otlp", "none"] = Field("otlp", validation_alias="OTEL_TRACES_EXPORTER")
    protocol: Literal["grpc"] = Field(
        "grpc", validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    )
    sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = Field("parentbased_always_on", validation_alias="OTEL_TRACES_SAMPLER")
    sampler_ratio: float = Field(
        1, ge=0, le=1, validation_alias="OTEL_TRACES_SAMPLER_ARG", description="Share of traces of a ratio sampler."
    )

    @property
    def collector(self) -> str | None:
        """Where traces go; None is nowhere."""
        return None if self.disabled or self.exporter == "none" else self.endpoint

    @property
    def ratio(self) -> float:
        """Share of the traces that begin here which is kept."""
        if self.sampler.endswith("always_off"):
            return 0
        return self.sampler_ratio if self.sampler.endswith("traceidratio") else 1


class TlsSettings(Settings):
    """TLS between the services: a process with a certificate serves TLS only, one with a CA speaks TLS only to the others."""

    tls_cert_file: FilePath | None = Field(
        None, validation_alias="GRPC_TLS_CERT_FILE", description="PEM, the chain; shown to callers and to those called."
    )
    tls_key_file: FilePath | None = Field(
        None, validation_alias="GRPC_TLS_KEY_FILE", description="PEM, its private key."
    )
    tls_ca_file: FilePath | None = Field(
        None, validation_alias="GRPC_TLS_CA_FILE", description="PEM, who may have signed the certificates of others."
    )
    tls_client_auth: bool = Field(
        False, validation_alias="GRPC_TLS_CLIENT_AUTH", description="Serve only those who show a certificate of the CA."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("GRPC_TLS_CERT_FILE and GRPC_TLS_KEY_FILE must be set together")
        if self.tls_client_auth and not (self.tls_cert_file and self.tls_ca_file):
            raise ValueError("GRPC_TLS_CLIENT_AUTH needs GRPC_TLS_CERT_FILE, GRPC_TLS_KEY_FILE and GRPC_TLS_CA_FILE")
        return self


class ServerSettings(TlsSettings):
    """Where a process listens."""

    listen: Address = Field("0.0.0.0:50051", validation_alias="GRPC_LISTEN", description="gRPC, health and reflection.")
    metrics_listen: Address | None = Field(
        None, validation_alias="METRICS_LISTEN", description="Prometheus; absent is off."
    )
    drain_seconds: float = Field(
        10, ge=0, validation_alias="DRAIN_SECONDS", description="How long calls may go on after SIGTERM."
    )
    lame_duck_seconds: float = Field(
        0,
        ge=0,
        validation_alias="LAME_DUCK_SECONDS",
        description="How long after SIGTERM calls are still taken, for callers to see that it is not ready any more.",
    )
    max_message_mib: Positive = Field(64, validation_alias="GRPC_MAX_MESSAGE_MIB")
    health_listen: Address | None = Field(
        None, validation_alias="GRPC_HEALTH_LISTEN", description="Health without TLS, for probes that speak none."
    )
    default_deadline_seconds: float = Field(
        30, gt=0, validation_alias="GRPC_DEFAULT_DEADLINE_SECONDS", description="For calls that bring none."
    )


class PeerSettings(TlsSettings):
    """Addresses of the services, for those that call them."""

    query: Address = Field("127.0.0.1:50051", validation_alias="QUERY_ADDRESS")
    write: Address = Field("127.0.0.1:50052", validation_alias="WRITE_ADDRESS")
    jobs: Address = Field("127.0.0.1:50053", validation_alias="JOBS_ADDRESS")


class PostgresSettings(Settings):
    """The database. `PG_DB_CONNECTION`, when it is a postgresql:// URL, stands for host, port, database, user and password."""

    host: str = Field("localhost", validation_alias="PG_DB_HOST")
    port: Port = Field(5432, validation_alias="PG_DB_PORT")
    database: str = Field("connectra", validation_alias="PG_DB_DATABASE")
    username: str | None = Field(None, validation_alias="PG_DB_USERNAME")
    password: SecretStr | None = Field(None, validation_alias="PG_DB_PASSWORD")
    connection: SecretStr | None = Field(None, validation_alias="PG_DB_CONNECTION")
    ssl: bool = Field(False, validation_alias="PG_DB_SSL", description="TLS, with the certificate verified.")
    ssl_ca_file: FilePath | None = _ca_file("PG_DB_SSL_CA_FILE")
    debug: bool = Field(False, validation_alias="PG_DB_DEBUG", description="Log every statement.")
    pool_size: Positive = Field(20, validation_alias="PG_POOL_SIZE", description="Connections a process holds at most.")

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
        # The predecessor only asked for the variable's presence, so any word may stand there.
        value = self.connection.get_secret_value() if self.connection else ""
        return value if urlsplit(value).scheme in ("postgres", "postgresql") else None

    def dsn(self, scheme: str = "postgresql") -> str:
        """Connection URL, password included: not for printing."""
        if url := self._url():
            return scheme + url[url.index(":") :]
        password = self.password.get_secret_value() if self.password else ""
        user = f"{quote(self.username or '', safe='')}:{quote(password, safe='')}"
        return f"{scheme}://{user}@{self.host}:{self.port}/{quote(self.database, safe='')}"


class AuditSettings(Settings):
    """The audit trail."""

    enabled: bool = Field(
        True, validation_alias="AUDIT", description="Record what this process writes; others' plain SQL always is."
    )
    retention_days: int = Field(
        365, ge=0, validation_alias="AUDIT_RETENTION_DAYS", description="How long entries are kept; 0 is for ever."
    )


class ElasticsearchSettings(Settings):
    """The search index. `ELASTICSEARCH_CONNECTION`, a URL, stands for scheme, host and port."""

    host: str = Field("localhost", validation_alias="ELASTICSEARCH_HOST")
    port: Port = Field(9200, validation_alias="ELASTICSEARCH_PORT")
    connection: str | None = Field(None, validation_alias="ELASTICSEARCH_CONNECTION", pattern=r"^https?://")
    auth: bool = Field(False, validation_alias="ELASTICSEARCH_AUTH")
    username: str | None = Field(None, validation_alias="ELASTICSEARCH_USERNAME")
    password: SecretStr | None = Field(None, validation_alias="ELASTICSEARCH_PASSWORD")
    ssl: bool = Field(False, validation_alias="ELASTICSEARCH_SSL", description="TLS, with the certificate verified.")
    ssl_ca_file: FilePath | None = _ca_file("ELASTICSEARCH_SSL_CA_FILE")
    debug: bool = Field(False, validation_alias="ELASTICSEARCH_DEBUG", description="Log every request.")
    shards: Positive = Field(1, validation_alias="ELASTICSEARCH_SHARDS", description="Primary shards of a new index.")
    replicas: int = Field(0, ge=0, validation_alias="ELASTICSEARCH_REPLICAS", description="Replicas of a new index.")
    timeout_seconds: float = Field(10, gt=0, validation_alias="ELASTICSEARCH_TIMEOUT_SECONDS")

    @model_validator(mode="after")
    def _complete(self) -> "ElasticsearchSettings":
        if self.auth and not (self.username and self.password):
            raise ValueError(
                "ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD must be set when ELASTICSEARCH_AUTH is true"
            )
        return self

    @property
    def url(self) -> str:
        """Base URL without credentials."""
        return self.connection or f"{'https' if self.ssl else 'http'}://{self.host}:{self.port}"


class S3Settings(Settings):
    """The object store; Amazon's own when no endpoint is given."""

    access_key: str = Field(validation_alias="S3_ACCESS_KEY")
    secret_key: SecretStr = Field(validation_alias="S3_SECRET_KEY")
    region: str = Field("us-east-1", validation_alias="S3_REGION")
    bucket: str = Field(validation_alias="S3_BUCKET")
    endpoint: Address | None = Field(None, validation_alias="S3_ENDPOINT", description="host:port, without scheme.")
    ssl: bool = Field(True, validation_alias="S3_SSL", description="TLS, with the certificate verified.")
    ssl_ca_file: FilePath | None = _ca_file("S3_SSL_CA_FILE")
    debug: bool = Field(False, validation_alias="S3_DEBUG", description="Log every request.")
    upload_url_ttl_hours: Annotated[int, Field(ge=1, le=168)] = Field(24, validation_alias="S3_UPLOAD_URL_TTL_HOURS")
    # The first spelling is the documented one; the right spelling is taken too.
    upload_prefix: str = Field(
        "uploads", validation_alias=AliasChoices("S3_UPLOAD_FILE_PATH_PRIFIX", "S3_UPLOAD_FILE_PATH_PREFIX")
    )

    @property
    def endpoint_url(self) -> str | None:
        """URL for clients, or None for Amazon's own."""
        return f"{'https' if self.ssl else 'http'}://{self.endpoint}" if self.endpoint else None

    def key(self, name: str) -> str:
        """Object key of a file below the prefix."""
        prefix = self.upload_prefix.strip("/")
        return f"{prefix}/{name}" if prefix else name


class JobsSettings(Settings):
    """The worker pools."""

    parallel_jobs: Positive = Field(4, validation_alias="PARALLEL_JOBS", description="Workers of the first_time pool.")
    job_in_queue_size: Positive = Field(
        100,
        validation_alias="JOB_IN_QUEUE_SIZE",
        description="Claimed jobs over all runners above which none is claimed.",
    )
    ticker_interval_minutes: float = Field(
        1, gt=0, validation_alias="TICKER_INTERVAL_MINUTES", description="Longest wait before the table is looked at."
    )
    batch_size: Annotated[int, Field(ge=1, le=20_000)] = Field(
        2_000, validation_alias="BATCH_SIZE_FOR_INSERTION", description="CSV rows an import sends at once."
    )
    job_type: str = Field(
        "normal",
        validation_alias="JOB_TYPE",
        description="What a runner takes: insert_csv_file, export_csv_file, or anything else for both.",
    )
    lease_seconds: float = Field(
        30,
        ge=0.5,
        validation_alias="JOB_LEASE_SECONDS",
        description="How long a worker may be silent before its job is taken back.",
    )
    patience_seconds: float = Field(
        600,
        gt=0,
        validation_alias="JOB_PATIENCE_SECONDS",
        description="How long a run waits for a dependency that is away.",
    )


class GatewayKeysSettings(Settings):
    """Where the clients of the gateway are kept."""

    keys_file: str = Field(
        ".connectra/keys.json",
        validation_alias="GATEWAY_KEYS_FILE",
        description="JSON file of clients, their keys and rights, beside `default`; may be absent.",
    )


class GatewaySettings(GatewayKeysSettings):
    """What the Envoy configuration is rendered from."""

    listen: Address = Field("0.0.0.0:8000", validation_alias="GATEWAY_LISTEN")
    admin_listen: Address = Field(
        "127.0.0.1:9901", validation_alias="GATEWAY_ADMIN_LISTEN", description="Envoy's own door; loopback only."
    )
    metrics_listen: Address | None = Field(
        None,
        validation_alias="GATEWAY_METRICS_LISTEN",
        description="Envoy's metrics for Prometheus, at /stats/prometheus; absent is off.",
    )
    state_dir: str = Field(
        ".connectra/gateway", validation_alias="GATEWAY_STATE_DIR", description="For rendered files."
    )
    api_key: SecretStr | None = Field(
        None,
        validation_alias="API_KEY",
        min_length=8,
        description="Key of the client named `default`, who may do everything.",
    )
    drain_seconds: float = Field(
        10, ge=0, validation_alias="DRAIN_SECONDS", description="How long requests may go on after SIGTERM."
    )
    max_requests_per_minute: Annotated[int, Field(gt=0, le=1_000_000)] = Field(
        60, validation_alias="MAX_REQUESTS_PER_MINUTE", description="Per client."
    )
    overall_factor: Annotated[int, Field(gt=0, le=1_000)] = Field(
        10,
        validation_alias="GATEWAY_OVERALL_FACTOR",
        description="All clients together have so many times the limit of one.",
    )
    unknown_keys_per_minute: Annotated[int, Field(gt=0, le=1_000_000)] = Field(
        300, validation_alias="GATEWAY_UNKNOWN_KEYS_PER_MINUTE", description="Calls without a valid key, all together."
    )
    request_timeout_seconds: Positive = Field(
        30, validation_alias="GATEWAY_TIMEOUT_SECONDS", description="Deadline of a call; streams have none."
    )
    max_request_bytes: Annotated[int, Field(gt=0, le=64 * 1024 * 1024)] = Field(
        16 * 1024 * 1024, validation_alias="GATEWAY_MAX_REQUEST_BYTES"
    )
    max_response_bytes: Annotated[int, Field(gt=0, le=1024 * 1024 * 1024)] = Field(
        64 * 1024 * 1024, validation_alias="GATEWAY_MAX_RESPONSE_BYTES", description="Of one REST answer."
    )
    concurrency: Positive = Field(1, validation_alias="GATEWAY_CONCURRENCY", description="Envoy's worker threads.")
    max_heap_mib: Annotated[int, Field(ge=128)] = Field(
        1024, validation_alias="GATEWAY_MAX_HEAP_MIB", description="Near it Envoy refuses requests with 503."
    )
    cors_origins: str = Field(
        "*",
        validation_alias="GATEWAY_CORS_ORIGINS",
        description="Origins of web pages that may call, by commas; * is all.",
    )
    tls_cert_file: str | None = Field(
        None, validation_alias="GATEWAY_TLS_CERT_FILE", description="PEM chain; with it the gateway speaks TLS alone."
    )
    tls_key_file: str | None = Field(
        None, validation_alias="GATEWAY_TLS_KEY_FILE", description="PEM key of that chain."
    )
    jwt_issuer: str | None = Field(
        None, validation_alias="GATEWAY_JWT_ISSUER", description="Whose tokens are taken beside keys; absent: nobody's."
    )
    jwt_audience: str | None = Field(None, validation_alias="GATEWAY_JWT_AUDIENCE", description="Their `aud`.")
    jwt_jwks: str | None = Field(
        None, validation_alias="GATEWAY_JWT_JWKS", description="The issuer's keys (JWKS): a file or an http(s) URL."
    )
    jwt_rights_claim: str = Field(
        "rights", validation_alias="GATEWAY_JWT_RIGHTS_CLAIM", description="Claim with a list of rights.", min_length=1
    )
    rate_limit_service: Address | None = Field(
        None, validation_alias="GATEWAY_RATE_LIMIT_SERVICE", description="Service that counts for all replicas."
    )
    envoy_bin: str | None = Field(
        None, validation_alias="ENVOY_BIN", description="Envoy to run; absent: the installed package's, else in PATH."
    )

    @field_validator("api_key")
    @classmethod
    def _sendable(cls, key: SecretStr | None) -> SecretStr | None:
        if key and not re.fullmatch(r"[!-~]+", key.get_secret_value()):
            raise ValueError("must be printable ASCII without spaces, since it travels in a header")
        return key

    @model_validator(mode="after")
    def _complete(self) -> "GatewaySettings":
        for group in ("tls_cert_file", "tls_key_file"), ("jwt_issuer", "jwt_audience", "jwt_jwks"):
            names = [str(type(self).model_fields[name].validation_alias) for name in group]
            if 0 < sum(getattr(self, name) is not None for name in group) < len(group):
                raise ValueError(f"{', '.join(names)} must be set together, or none of them")
        return self

    @property
    def origins(self) -> list[str]:
        """The origins as a list."""
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: str) -> str:
        for origin in origins.split(","):
            if origin.strip() != "*" and not re.fullmatch(r"https?://[^/\s]+", origin.strip()):
                raise ValueError(f"{origin.strip()!r} is no origin such as https://app.example")
        return origins

    @field_validator("jwt_jwks", "tls_cert_file", "tls_key_file")
    @classmethod
    def _readable(cls, name: str | None) -> str | None:
        if name and not name.startswith(("http://", "https://")) and not os.access(name, os.R_OK):
            raise ValueError(f"there is no readable file {name}")
        return name

    @field_validator("listen", "admin_listen", "metrics_listen")
    @classmethod
    def _ip(cls, address: str | None, field: ValidationInfo) -> str | None:
        if address is None:
            return None
        try:
            ip = ip_address(address.rpartition(":")[0].strip("[]"))
        except ValueError:
            raise ValueError("must be an IP address and a port") from None
        if field.field_name == "admin_listen" and not ip.is_loopback:
            raise ValueError("must be a loopback address: this door stops the gateway and asks for no key")
        return address


T = TypeVar("T")


def load(group: type[T]) -> T:
    """Reads a model, or a dataclass of models. Ends the process with one readable line per problem of all of them."""
    values: dict[str, Settings] = {}
    lines: list[str] = []
    models: dict[str, type[Settings]] = (
        get_type_hints(group) if is_dataclass(group) else {"": cast(type[Settings], group)}
    )
    for name, model in models.items():
        try:
            values[name] = model()
        except ValidationError as error:
            lines += problems(error)
    if lines:
        sys.exit("\n".join(dict.fromkeys(lines)))
    return group(**values) if is_dataclass(group) else cast(T, values[""])


def problems(error: ValidationError) -> list[str]:
    """One line per violation, naming the variable and what is allowed, never a secret's value."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"settings: {name}: {message}" if name else f"settings: {message}")
    return lines
