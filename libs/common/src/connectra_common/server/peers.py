"""Channels to the other services, and the credentials of both ends."""

import asyncio
import json
import ssl
from typing import Any

import grpc
import grpc.aio

from connectra_common import telemetry
from connectra_common.call import REQUEST_ID, current
from connectra_common.settings import TlsSettings

# How long calls may go on over a channel whose certificate has been renewed.
OLD_CHANNEL_SECONDS = 3600

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
    if tls is None or tls.tls_ca_file is None:
        return grpc.aio.insecure_channel(address, options=OPTIONS, interceptors=_interceptors())
    return _RenewedChannel(address, _Files(tls))


def listen(server: grpc.aio.Server, address: str, tls: TlsSettings) -> None:
    """Opens a port of a server; with a certificate it accepts only TLS, and a renewed certificate is that of the next connection."""
    if tls.tls_cert_file is None:
        server.add_insecure_port(address)
        return
    files = _Files(tls)

    def configuration(read: tuple[bytes, bytes | None, bytes | None]) -> grpc.ServerCertificateConfiguration:
        authority, key, chain = read
        assert key
        assert chain
        return grpc.ssl_server_certificate_configuration([(key, chain)], authority if tls.tls_client_auth else None)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        return configuration(read) if (read := files.changed()) else None

    credentials = grpc.dynamic_ssl_server_credentials(
        configuration(files.read()),
        renewed,  # type: ignore[arg-type] # None: as before
        tls.tls_client_auth,
    )
    server.add_secure_port(address, credentials)


def _interceptors() -> list[Any]:
    return [*telemetry.client_interceptors(), _IdentifiedCall(), _IdentifiedStream()]


class _Files:
    """The files of an end of a TLS connection, and whether they have been replaced."""

    def __init__(self, tls: TlsSettings) -> None:
        self._tls = tls
        self._paths = [path for path in (tls.tls_ca_file, tls.tls_key_file, tls.tls_cert_file) if path]
        self._seen = self._stamps()

    def read(self) -> tuple[bytes, bytes | None, bytes | None]:
        """Authorities, private key and certificate chain."""
        names = self._tls.tls_ca_file, self._tls.tls_key_file, self._tls.tls_cert_file
        authority, key, chain = (path.read_bytes() if path else None for path in names)
        return authority or b"", key, chain

    def changed(self) -> tuple[bytes, bytes | None, bytes | None] | None:
        """What the files hold, if that is new and whole; halfway through a renewal it is looked at again the next time."""
        try:
            if (stamps := self._stamps()) == self._seen:
                return None
            if self._tls.tls_cert_file:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._tls.tls_cert_file, self._tls.tls_key_file)
            read = self.read()
        except OSError:  # also that of a key which does not belong to the certificate
            return None
        self._seen = stamps
        return read

    def _stamps(self) -> list[tuple[int, int]]:
        return [(found.st_ino, found.st_mtime_ns) for found in (path.stat() for path in self._paths)]


class _RenewedChannel(grpc.aio.Channel):
    """A channel that presents the certificate of now: the first call after a renewal goes over a new one, running calls end on the old."""

    def __init__(self, address: str, files: _Files) -> None:
        self._address, self._files = address, files
        self._channel = self._open(files.read())
        self._closing: set[asyncio.Task[None]] = set()

    def _open(self, read: tuple[bytes, bytes | None, bytes | None]) -> grpc.aio.Channel:
        credentials = grpc.ssl_channel_credentials(*read)
        return grpc.aio.secure_channel(self._address, credentials, options=OPTIONS, interceptors=_interceptors())

    def _now(self) -> grpc.aio.Channel:
        if read := self._files.changed():
            closing = asyncio.create_task(self._channel.close(OLD_CHANNEL_SECONDS))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            self._channel = self._open(read)
        return self._channel

    def _calls(self, kind: str, *how: Any, **options: Any) -> Any:
        return lambda *call, **with_: getattr(self._now(), kind)(*how, **options)(*call, **with_)

    def unary_unary(self, *how: Any, **options: Any) -> Any:
        return self._calls("unary_unary", *how, **options)

    def unary_stream(self, *how: Any, **options: Any) -> Any:
        return self._calls("unary_stream", *how, **options)

    def stream_unary(self, *how: Any, **options: Any) -> Any:
        return self._calls("stream_unary", *how, **options)

    def stream_stream(self, *how: Any, **options: Any) -> Any:
        return self._calls("stream_stream", *how, **options)

    async def close(self, grace: float | None = None) -> None:
        for closing in self._closing:
            closing.cancel()
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    async def __aenter__(self) -> "_RenewedChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
