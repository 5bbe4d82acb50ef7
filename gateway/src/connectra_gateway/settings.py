"""What the gateway reads from the environment."""

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Literal

from connectra_common.settings import Address, AppSettings, PeerSettings, Positive, SettingsGroup, TracingSettings
from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator


class GatewayKeysSettings(SettingsGroup, title="Keys of the gateway"):
    """The file of the gateway's clients."""

    keys_file: str = Field(
        ".connectra/keys.json",
        validation_alias="GATEWAY_KEYS_FILE",
        description="JSON file of clients, in addition to `default`, with their keys and rights; may be absent.",
    )


class GatewaySettings(GatewayKeysSettings, title="Gateway"):
    """The settings that the Envoy configuration is rendered from. Tokens are accepted in addition to keys when `GATEWAY_JWT_ISSUER`,
    `GATEWAY_JWT_AUDIENCE` and `GATEWAY_JWT_JWKS` are all set."""

    profile: Literal["server", "lambda"] = Field(
        "server",
        validation_alias="RUN_PROFILE",
        description="`lambda`: for a process that is frozen between calls. The services' health is not checked, `/health` tells whether "
        "they run too, and the API server leaves housekeeping to others and shares its connections to PostgreSQL.",
    )
    listen: Address = Field(
        "0.0.0.0:8000", validation_alias="GATEWAY_LISTEN", description="IP address and port for clients."
    )
    admin_listen: Address = Field(
        "127.0.0.1:9901",
        validation_alias="GATEWAY_ADMIN_LISTEN",
        description="Envoy's admin interface; a loopback address.",
    )
    metrics_listen: Address | None = Field(
        None,
        validation_alias="GATEWAY_METRICS_LISTEN",
        description="Envoy's metrics for Prometheus, at /stats/prometheus; absent: none.",
    )
    state_dir: str = Field(
        ".connectra/gateway",
        validation_alias="GATEWAY_STATE_DIR",
        description="Folder for the rendered files; those with keys have mode 0600.",
    )
    api_key: SecretStr | None = Field(
        None,
        validation_alias="API_KEY",
        min_length=8,
        description="Key of the client named `default`, which has all rights.",
    )
    drain_seconds: float = Field(
        10,
        ge=0,
        validation_alias="DRAIN_SECONDS",
        description="Seconds that running requests may continue after SIGTERM.",
    )
    lame_duck_seconds: float = Field(
        0,
        ge=0,
        validation_alias="LAME_DUCK_SECONDS",
        description="Seconds after SIGTERM in which connections are still accepted while `/health` is 503, so that balancers notice.",
    )
    max_requests_per_minute: Annotated[int, Field(gt=0, le=1_000_000)] = Field(
        60,
        validation_alias="MAX_REQUESTS_PER_MINUTE",
        description="Rate limit for each client that has none of its own in the file of clients.",
    )
    overall_requests_per_minute: Annotated[int, Field(gt=0, le=10_000_000)] = Field(
        60_000,
        validation_alias="GATEWAY_OVERALL_REQUESTS_PER_MINUTE",
        description="Rate limit for all clients together: what the services can bear.",
    )
    unknown_keys_per_minute: Annotated[int, Field(gt=0, le=1_000_000)] = Field(
        300,
        validation_alias="GATEWAY_UNKNOWN_KEYS_PER_MINUTE",
        description="Rate limit for all calls without a valid key together.",
    )
    unknown_keys_per_address: Annotated[int, Field(gt=0, le=1_000_000)] = Field(
        60,
        validation_alias="GATEWAY_UNKNOWN_KEYS_PER_ADDRESS",
        description="Rate limit per minute for the calls without a valid key from one address; see `GATEWAY_TRUSTED_HOPS`.",
    )
    request_timeout_seconds: Positive = Field(
        30, validation_alias="GATEWAY_TIMEOUT_SECONDS", description="Deadline of a call, in seconds; streams have none."
    )
    max_request_bytes: Annotated[int, Field(gt=0, le=64 * 1024 * 1024)] = Field(
        6 * 1024 * 1024,
        validation_alias="GATEWAY_MAX_REQUEST_BYTES",
        description="Largest request body of bulk and batch calls; larger ones are answered with 413.",
    )
    max_single_request_bytes: Annotated[int, Field(gt=0, le=64 * 1024 * 1024)] = Field(
        1024 * 1024,
        validation_alias="GATEWAY_MAX_SINGLE_REQUEST_BYTES",
        description="Largest request body of all other calls, at most `GATEWAY_MAX_REQUEST_BYTES`.",
    )
    max_response_bytes: Annotated[int, Field(gt=0, le=1024 * 1024 * 1024)] = Field(
        64 * 1024 * 1024, validation_alias="GATEWAY_MAX_RESPONSE_BYTES", description="Largest response to a REST call."
    )
    trusted_hops: Annotated[int, Field(ge=0, le=10)] = Field(
        0,
        validation_alias="GATEWAY_TRUSTED_HOPS",
        description="Proxies in front of the gateway whose `X-Forwarded-For` is believed, for the addresses in its log and limits.",
    )
    trust_traceparent: bool = Field(
        False,
        validation_alias="GATEWAY_TRUST_TRACEPARENT",
        description="Continue the traces of callers, who then decide which of their requests are traced.",
    )
    concurrency: Positive = Field(1, validation_alias="GATEWAY_CONCURRENCY", description="Envoy's worker threads.")
    max_heap_mib: Annotated[int, Field(ge=128)] | None = Field(
        None,
        validation_alias="GATEWAY_MAX_HEAP_MIB",
        description="At 85 % of this heap size Envoy frees memory, at 95 % it answers requests with 503; absent: three quarters of the "
        "container's memory limit, 1024 without one.",
    )
    cors_origins: str = Field(
        "*",
        validation_alias="GATEWAY_CORS_ORIGINS",
        description="Origins of web pages that may call the API, separated by commas; `*` allows all.",
    )
    upload_origins: str = Field(
        "",
        validation_alias="GATEWAY_UPLOAD_ORIGINS",
        description="Origins of the store that the console may send files to, where the URLs for uploads lead, separated by commas: "
        "`https://s3.example.com`, or `https://*.s3.eu-central-1.amazonaws.com`. Empty: the console cannot upload.",
    )
    tls_cert_file: str | None = Field(
        None,
        validation_alias="GATEWAY_TLS_CERT_FILE",
        description="PEM certificate chain; if set, the gateway accepts only TLS.",
    )
    tls_key_file: str | None = Field(
        None, validation_alias="GATEWAY_TLS_KEY_FILE", description="PEM private key of that chain."
    )
    jwt_issuer: str | None = Field(
        None, validation_alias="GATEWAY_JWT_ISSUER", description="`iss` of accepted tokens; absent: no tokens."
    )
    jwt_audience: str | None = Field(
        None, validation_alias="GATEWAY_JWT_AUDIENCE", description="`aud` of accepted tokens."
    )
    jwt_jwks: str | None = Field(
        None,
        validation_alias="GATEWAY_JWT_JWKS",
        description="Public keys of the issuer (JWKS): a file, which is read again when it is replaced, or an https URL.",
    )
    jwt_rights_claim: str = Field(
        "rights",
        validation_alias="GATEWAY_JWT_RIGHTS_CLAIM",
        description="Claim with the list of rights: `read`, `export`, `write`, `import`, `admin`.",
        min_length=1,
    )
    rate_limit_service: Address | None = Field(
        None,
        validation_alias="GATEWAY_RATE_LIMIT_SERVICE",
        description="Service that counts for all replicas (`envoy.service.ratelimit.v3`); absent: each replica counts on its own.",
    )
    envoy_bin: str | None = Field(
        None,
        validation_alias="ENVOY_BIN",
        description="Envoy binary to run; absent: that of the installed package, else the one in PATH.",
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
        return _listed(self.cors_origins)

    @property
    def upload_origin_list(self) -> list[str]:
        """The origins for uploads as a list."""
        return _listed(self.upload_origins)

    @field_validator("upload_origins")
    @classmethod
    def _upload_origins(cls, origins: str) -> str:
        for origin in _listed(origins):
            # It becomes part of a header with a grammar of its own.
            if not re.fullmatch(r"https?://([*][.])?[a-zA-Z0-9.-]+(:[0-9]+)?", origin):
                raise ValueError(f"{origin!r} is not an origin such as https://s3.example.com")
        return origins

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: str) -> str:
        for origin in origins.split(","):
            if origin.strip() != "*" and not re.fullmatch(r"https?://[^/\s]+", origin.strip()):
                raise ValueError(f"{origin.strip()!r} is not an origin such as https://app.example")
        return origins

    @field_validator("jwt_jwks", "tls_cert_file", "tls_key_file")
    @classmethod
    def _readable(cls, name: str | None) -> str | None:
        if name and name.startswith("http://"):
            raise ValueError("must be https: whoever changes the keys on their way can forge tokens")
        if name and not name.startswith("https://") and not os.access(name, os.R_OK):
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
            raise ValueError("must be a loopback address: anyone who reaches it can stop the gateway, without a key")
        return address


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


@dataclass(frozen=True)
class Settings:
    """What `connectra-gateway` reads."""

    gateway: GatewaySettings
    peers: PeerSettings
    app: AppSettings
    tracing: TracingSettings


@dataclass(frozen=True)
class KeysSettings:
    """What `connectra keys` reads."""

    keys: GatewayKeysSettings
