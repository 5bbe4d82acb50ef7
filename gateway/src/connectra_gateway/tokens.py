"""Tokens (JWT) besides keys: whose are accepted, and where the keys are that verify them."""

import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connectra_gateway.clients import ClientsError
from connectra_gateway.keys import SUBJECT, extension
from connectra_gateway.settings import GatewaySettings


@dataclass(frozen=True)
class Jwks:
    """The host from which Envoy fetches the issuer's keys, and the CA file to verify it with."""

    host: str
    port: int
    authorities: str


def jwks(settings: GatewaySettings) -> Jwks | None:
    """Where the keys are fetched from; None: they are in a file, or no tokens are accepted."""
    if not settings.jwt_jwks or not settings.jwt_jwks.startswith("https://"):
        return None
    url = urlsplit(settings.jwt_jwks)
    authorities = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    return Jwks(url.hostname or "", url.port or 443, authorities)


def jwks_file(settings: GatewaySettings) -> Path | None:
    """The file with the issuer's keys, if they are in one."""
    return Path(settings.jwt_jwks) if settings.jwt_jwks and not jwks(settings) else None


def token_check(settings: GatewaySettings) -> dict[str, Any]:
    """The check of tokens, which refuses nobody: the subject of a valid one is passed on.

    Raises:
        ClientsError: the file with the issuer's keys cannot be read, or has none.
    """
    provider: dict[str, Any] = {
        "issuer": settings.jwt_issuer,
        "audiences": [settings.jwt_audience],
        "require_expiration": True,
        "payload_in_metadata": "token",
        "claim_to_headers": [{"header_name": SUBJECT, "claim_name": "sub"}],
    }
    if file := jwks_file(settings):
        provider["local_jwks"] = {"inline_string": _read(file)}
    else:
        uri = {"uri": settings.jwt_jwks, "cluster": "jwks", "timeout": "5s"}
        provider["remote_jwks"] = {"http_uri": uri, "cache_duration": "300s", "async_fetch": {}}
    either = {"requires_any": {"requirements": [{"provider_name": "issuer"}, {"allow_missing_or_failed": {}}]}}
    return extension(
        "envoy.filters.http.jwt_authn",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        {"providers": {"issuer": provider}, "rules": [{"match": {"prefix": "/"}, "requires": either}]},
    )


def _read(file: Path) -> str:
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise ClientsError(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ClientsError(f"{file}: is not JSON") from None
    if not isinstance(found, dict) or not found.get("keys"):
        raise ClientsError(f"{file}: has no `keys`")
    return json.dumps(found)
