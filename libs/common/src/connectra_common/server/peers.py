"""Channels to the other services, and the credentials of both ends."""

import json
from typing import Any

import grpc
import grpc.aio

from connectra_common import telemetry
from connectra_common.call import REQUEST_ID, current
from connectra_common.settings import TlsSettings

OPTIONS = [
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 30_000),
    # Finds a restarted peer again within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A name with several addresses: calls go round those that say they are ready.
    (
        "grpc.service_config",
        json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": "readiness"}}),
    ),
]


def _identified(details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    if (request_id := current().request_id) and metadata.get(REQUEST_ID) is None:
        metadata.add(REQUEST_ID, request_id)
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )


# Two classes, since an interceptor of a channel can handle only one kind of call.
class _IdentifiedCall(grpc.aio.UnaryUnaryClientInterceptor):
    """Passes the request id on, so that it finds the log lines of both services."""

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_identified(client_call_details), request)


class _IdentifiedStream(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_identified(client_call_details), request)


def channel(address: str, tls: TlsSettings | None = None) -> grpc.aio.Channel:
    """A channel to one service; it connects when first used and again whenever the peer comes back.

    With a CA it uses only TLS, and the peer's certificate must be signed by that CA and name the host of the address.
    """
    interceptors = [*telemetry.client_interceptors(), _IdentifiedCall(), _IdentifiedStream()]
    if tls is None or tls.tls_ca_file is None:
        return grpc.aio.insecure_channel(address, options=OPTIONS, interceptors=interceptors)
    key, chain = _pair(tls) or (None, None)
    credentials = grpc.ssl_channel_credentials(tls.tls_ca_file.read_bytes(), key, chain)
    return grpc.aio.secure_channel(address, credentials, options=OPTIONS, interceptors=interceptors)


def listen(server: grpc.aio.Server, address: str, tls: TlsSettings) -> None:
    """Opens a port of a server; with a certificate it accepts only TLS."""
    if pair := _pair(tls):
        authority = tls.tls_ca_file.read_bytes() if tls.tls_client_auth and tls.tls_ca_file else None
        server.add_secure_port(address, grpc.ssl_server_credentials([pair], authority, tls.tls_client_auth))
    else:
        server.add_insecure_port(address)


def _pair(tls: TlsSettings) -> tuple[bytes, bytes] | None:
    """Private key and certificate chain."""
    if tls.tls_key_file is None or tls.tls_cert_file is None:
        return None
    return tls.tls_key_file.read_bytes(), tls.tls_cert_file.read_bytes()
