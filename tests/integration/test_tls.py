"""TLS: to the stores, verified, and between the services, in both directions."""

import asyncio
import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import grpc
import httpx
import pytest
import trustme
from connectra.write.internal.v1.import_service_pb2 import GetImportProgressRequest
from connectra.write.internal.v1.import_service_pb2_grpc import ImportServiceStub
from connectra_common.db.database import Database
from connectra_common.errors import from_exception
from connectra_common.search.client import create_client
from connectra_common.server.peers import channel, listen
from connectra_common.settings import ElasticsearchSettings, PostgresSettings, S3Settings, TlsSettings
from connectra_common.storage import s3 as storage
from grpc_health.v1.health import aio as health_aio
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from pydantic import SecretStr

from tests.support.health import SERVING, ask_health
from tests.support.http import client
from tests.support.ports import free_ports
from tests.support.stack import Stack, program
from tests.support.wait import until
from tests.support.words import word


class Authority:
    """A certificate authority for tests, and files with what it issued for this machine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._ca = trustme.CA()
        self._issued = self._ca.issue_cert("localhost", "127.0.0.1")
        self._folder = folder
        self.ca_file, self.cert_file, self.key_file = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
        self._ca.cert_pem.write_to_path(self.ca_file)
        self.cert_file.write_bytes(b"".join(blob.bytes() for blob in self._issued.cert_chain_pems))
        self._issued.private_key_pem.write_to_path(self.key_file)

    def issued_to(self, name: str) -> TlsSettings:
        """The settings of a process whose certificate has this name."""
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        issued = self._ca.issue_cert(name)
        cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return TlsSettings(tls_ca_file=self.ca_file, tls_cert_file=cert, tls_key_file=key, _env_file=None)

    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._issued.configure_cert(context)
        return context

    def copied_to(self, folder: Path) -> tuple[Path, Path]:
        """Certificate and key where only the owner of the folder may read them."""
        copies = folder / "test-cert.pem", folder / "test-key.pem"
        for file, copy in zip((self.cert_file, self.key_file), copies, strict=True):
            copy.write_bytes(file.read_bytes())
            copy.chmod(0o600)
            os.chown(copy, folder.stat().st_uid, folder.stat().st_gid)
        return copies

    def variables(self) -> dict[str, str]:
        files = {"CERT": self.cert_file, "KEY": self.key_file, "CA": self.ca_file}
        return {f"GRPC_TLS_{name}_FILE": str(file) for name, file in files.items()}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "strangers")


@asynccontextmanager
async def behind_tls(url: str, authority: Authority) -> AsyncIterator[int]:
    """Terminates TLS in front of a server that speaks none; yields the port."""

    async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=authority.server_context())
    yield server.sockets[0].getsockname()[1]
    server.close()


async def refusal(work: Awaitable[object]) -> str:
    """The message in which a command or a service reports the failure."""
    with pytest.raises(Exception, match=r"(?i)certificate.verify.failed|TLS error") as refused:
        await work
    return from_exception(refused.value).message


async def test_elasticsearch_is_verified(stack: Stack, ours: Authority, strangers: Authority) -> None:
    async with behind_tls(stack.elasticsearch, ours) as port:
        for authority, trusted in ((ours, True), (strangers, False), (None, False)):
            ca_file = authority.ca_file if authority else None
            settings = ElasticsearchSettings(host="127.0.0.1", port=port, ssl=True, ssl_ca_file=ca_file, _env_file=None)
            async with create_client(settings) as node:
                if trusted:
                    assert (await node.info())["tagline"]
                else:
                    assert await refusal(node.info()) == "the certificate of the search engine cannot be verified"


@pytest.fixture
async def postgres_with_tls(stack: Stack, postgres: asyncpg.Connection, ours: Authority) -> AsyncIterator[None]:
    """The server's own TLS, switched on without a restart and off again."""
    if not await postgres.fetchval("SELECT setting FROM pg_settings WHERE name = 'ssl_library'"):
        pytest.skip("this PostgreSQL is built without TLS; Debian's in .ci/postgresql has it")
    copies = ours.copied_to(Path(await postgres.fetchval("SHOW data_directory")))
    for name, file in zip(("ssl_cert_file", "ssl_key_file"), copies, strict=True):
        await postgres.execute(f"ALTER SYSTEM SET {name} = '{file}'")
    await postgres.execute("ALTER SYSTEM SET ssl = on")
    await postgres.execute("SELECT pg_reload_conf()")
    yield
    await postgres.execute("ALTER SYSTEM RESET ALL")
    await postgres.execute("SELECT pg_reload_conf()")


async def test_postgresql_is_verified(
    stack: Stack, ours: Authority, strangers: Authority, postgres_with_tls: None
) -> None:
    for authority, trusted in ((ours, True), (strangers, False), (None, False)):
        ca_file = authority.ca_file if authority else None
        settings = PostgresSettings(connection=stack.postgres, ssl=True, ssl_ca_file=ca_file, _env_file=None)
        async with Database.open(settings, "test") as database:
            if trusted:
                async with database.connection() as connection:
                    assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            else:
                assert await refusal(database.ping()) == "the certificate of a dependency cannot be verified"


async def test_s3_is_verified(stack: Stack, ours: Authority, strangers: Authority) -> None:
    async with behind_tls(stack.s3.endpoint, ours) as port:

        def settings(authority: Authority) -> S3Settings:
            return S3Settings(
                access_key=stack.s3.access_key,
                secret_key=SecretStr(stack.s3.secret_key),
                bucket=stack.s3.bucket,
                endpoint=f"127.0.0.1:{port}",
                ssl=True,
                ssl_ca_file=authority.ca_file,
                _env_file=None,
            )

        async with storage.client(settings(ours)) as store:
            await storage.ping(store, settings(ours))
        async with storage.client(settings(strangers)) as store:
            with pytest.raises(Exception, match="certificate verify failed"):
                await storage.ping(store, settings(strangers))


@contextmanager
def process(environment: dict[str, str], *command: str) -> Iterator[None]:
    started = subprocess.Popen([program(command[0]), *command[1:]], env=environment)
    try:
        yield
    finally:
        started.terminate()
        started.wait(30)


async def health(address: str, tls: TlsSettings | None, seconds: float) -> int:
    async with channel(address, tls) as opened:
        return await ask_health(opened, "liveness", timeout=seconds, wait_for_ready=seconds > 5)


async def progress(address: str, tls: TlsSettings) -> grpc.StatusCode:
    """What becomes of a call that only worker pools make."""
    async with channel(address, tls) as opened:
        request = GetImportProgressRequest(job_uuid=str(uuid4()))
        return await ImportServiceStub(opened).GetImportProgress(request, timeout=5).code()


def files(authority: Authority, certificate: Authority | None) -> TlsSettings:
    return TlsSettings(
        tls_ca_file=authority.ca_file,
        tls_cert_file=certificate.cert_file if certificate else None,
        tls_key_file=certificate.key_file if certificate else None,
        _env_file=None,
    )


async def test_renewed_certificates_are_those_of_the_next_connection(
    ours: Authority, strangers: Authority, tmp_path: Path
) -> None:
    def moved(authority: Authority) -> TlsSettings:
        """The files, replaced by those of an authority as Kubernetes does: by a move."""
        for file, name in ((authority.ca_file, "ca"), (authority.cert_file, "cert"), (authority.key_file, "key")):
            (tmp_path / "part").write_bytes(file.read_bytes())
            (tmp_path / "part").rename(tmp_path / name)
        paths = {f"tls_{name}_file": tmp_path / name for name in ("ca", "cert", "key")}
        return TlsSettings(**paths, tls_client_auth=True, _env_file=None)  # type: ignore[arg-type]

    tls = moved(ours)
    address = f"127.0.0.1:{free_ports(1)[0]}"
    server, servicer = grpc.aio.server(), health_aio.HealthServicer()
    for name in ("liveness", "readiness"):
        await servicer.set(name, SERVING)
    add_HealthServicer_to_server(servicer, server)
    listen(server, address, tls)
    await server.start()
    try:
        async with channel(address, tls) as lasting:
            assert await ask_health(lasting, "liveness", timeout=5) == SERVING
            (tmp_path / "key").write_bytes(
                strangers.key_file.read_bytes()
            )  # halfway: the key does not belong to the certificate
            assert await ask_health(lasting, "liveness", timeout=5) == SERVING
            moved(strangers)
            assert await ask_health(lasting, "liveness", timeout=5) == SERVING
        assert await health(address, files(strangers, strangers), 5) == SERVING
        with pytest.raises(grpc.aio.AioRpcError):
            await health(address, files(ours, ours), 3)
    finally:
        await server.stop(0)


async def test_a_service_serves_only_those_whose_certificate_it_trusts_and_the_gateway_is_one(
    stack: Stack, ours: Authority, strangers: Authority, tmp_path: Path
) -> None:
    write, internal, probes, gateway, admin = (f"127.0.0.1:{port}" for port in free_ports(5))
    environment = {
        **stack.environment,
        **ours.variables(),
        "GRPC_TLS_CLIENT_AUTH": "true",
        **stack.stores(),
        "GRPC_LISTEN": write,
        "GRPC_INTERNAL_LISTEN": internal,
        "GRPC_INTERNAL_CALLERS": "first-time, retry",
        "GRPC_HEALTH_LISTEN": probes,
        "WRITE_ADDRESS": write,
        "GATEWAY_LISTEN": gateway,
        "GATEWAY_ADMIN_LISTEN": admin,
        "GATEWAY_STATE_DIR": str(tmp_path),
        "API_KEY": "a-key-of-the-test",
        "MAX_REQUESTS_PER_MINUTE": "60000",
    }
    with process(environment, "connectra-write"), process(environment, "connectra-gateway", "run"):
        assert await health(write, files(ours, ours), 90) == SERVING
        assert await health(probes, None, 90) == SERVING
        for tls in (None, files(ours, None), files(ours, strangers), files(strangers, ours)):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await health(write, tls, 3)
            assert refused.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        assert await progress(internal, ours.issued_to("retry")) is grpc.StatusCode.OK
        assert await progress(internal, ours.issued_to("gateway")) is grpc.StatusCode.PERMISSION_DENIED
        for tls in (files(ours, None), files(ours, strangers)):
            assert await progress(internal, tls) in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        for named in (ours.issued_to("retry"), files(ours, ours)):
            assert await progress(write, named) is grpc.StatusCode.UNIMPLEMENTED
        async with client(f"http://{gateway}", "a-key-of-the-test") as http:
            # 503 until the gateway has found the service.
            reply = await until(
                lambda: http.post("/companies/create", json={"name": word()}),
                lambda reply: reply.status_code != 503,
                seconds=30,
                away=(httpx.TransportError,),
            )
            assert reply.status_code == 201
