"""Tokens (JWT) besides keys: whose are accepted, and where the keys are that verify them."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from connectra_gateway.settings import GatewaySettings


@dataclass(frozen=True)
class Jwks:
    """The issuer's keys: in a file, or at a URL that Envoy fetches regularly."""

    file: str = ""
    url: str = ""
    host: str = ""
    port: int = 0
    authorities: str = ""  # CA file to verify the host with; "" without TLS


@dataclass(frozen=True)
class Jwt:
    """The parameters of the token check."""

    issuer: str
    audience: str
    jwks: Jwks


def jwt(settings: GatewaySettings) -> Jwt | None:
    """The token check as configured; None: only keys are accepted."""
    if not (settings.jwt_issuer and settings.jwt_audience and settings.jwt_jwks):
        return None
    return Jwt(settings.jwt_issuer, settings.jwt_audience, _jwks(settings.jwt_jwks))


def _jwks(where: str) -> Jwks:
    url = urlsplit(where)
    if url.scheme not in ("http", "https"):
        return Jwks(file=str(Path(where).absolute()))
    secure = url.scheme == "https"
    return Jwks(
        url=where,
        host=url.hostname or "",
        port=url.port or (443 if secure else 80),
        authorities=(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt") if secure else "",
    )
