"""What the gateway does by configuration at its edge: TLS, tokens, origins, shared limits; and what it withstands from a hostile caller."""

import asyncio
import contextlib
import functools
import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import h2.config
import h2.connection
import h2.events
import httpx
import jwt
import pytest
import trustme
from connectra.query.v1 import query_service_pb2, query_service_pb2_grpc
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.support.gateway import Gateway, RunGateway
from tests.support.http import client, until_status
from tests.support.stack import Stack
from tests.support.wait import until

ISSUER, AUDIENCE = "https://issuer.example", "connectra"


@pytest.fixture(scope="module")
def services(stack: Stack) -> dict[str, str]:
    return stack.addresses()


# ---- TLS


def put(folder: Path, authority: trustme.CA) -> None:
    """Puts a new certificate and key into the folder, each moved into place as in a renewal."""
    issued = authority.issue_cert("127.0.0.1")
    for name, blob in (("tls.key", issued.private_key_pem), ("tls.crt", issued.cert_chain_pems[0])):
        blob.write_to_path(str(folder.parent / name))
        (folder.parent / name).rename(folder / name)


async def test_tls_takes_a_new_certificate_while_it_runs(
    run_gateway: RunGateway, services: dict[str, str], tmp_path: Path
) -> None:
    folder, authority = tmp_path / "tls", trustme.CA()
    folder.mkdir()
    put(folder, authority)
    files = {"GATEWAY_TLS_CERT_FILE": str(folder / "tls.crt"), "GATEWAY_TLS_KEY_FILE": str(folder / "tls.key")}
    gateway = await asyncio.to_thread(run_gateway, **services, **files)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    url, port = gateway.url.replace("http:", "https:"), gateway.port

    def serial() -> str:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            return str((secured.getpeercert() or {})["serialNumber"])

    async with httpx.AsyncClient(base_url=url, verify=context, trust_env=False) as secured:
        reply = await until_status(secured, 200, "GET", "/health")
    # Browsers are told to keep to TLS.
    assert reply.headers["strict-transport-security"] == "max-age=31536000"
    with pytest.raises(httpx.RemoteProtocolError):
        await asyncio.to_thread(httpx.get, f"{gateway.url}/health", trust_env=False)

    before = await asyncio.to_thread(serial)
    put(folder, authority)
    await until(lambda: asyncio.to_thread(serial), lambda now: now != before)


# ---- tokens


class Issuer:
    """Signs tokens; `jwks` publishes its key."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        self.jwks = json.dumps({"keys": [{**public, "kid": "1", "alg": "RS256"}]})

    def token(self, subject: str = "alice", rights: Any = ("read",), **claims: Any) -> str:
        body = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": int(time.time()) + 600, "rights": rights, **claims,
        }  # fmt: skip
        return jwt.encode({k: v for k, v in body.items() if v is not None}, self._key, "RS256", headers={"kid": "1"})


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def jwks(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("jwks") / "jwks.json"
    file.write_text(issuer.jwks)
    return file


@pytest.fixture(scope="module")
async def tokens(services: dict[str, str], jwks: Path, run_gateway: RunGateway) -> Gateway:
    """A gateway that accepts tokens of the issuer, whose keys are in a file."""
    settings = {"GATEWAY_JWT_ISSUER": ISSUER, "GATEWAY_JWT_AUDIENCE": AUDIENCE, "GATEWAY_JWT_JWKS": str(jwks)}
    return await asyncio.to_thread(run_gateway, **services, **settings, MAX_REQUESTS_PER_MINUTE="600")


async def test_keys_of_the_issuer_are_fetched_by_tls(
    services: dict[str, str], jwks: Path, issuer: Issuer, run_gateway: RunGateway
) -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None: ...

    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(jwks.parent / "ca.pem"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(jwks.parent)))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = {
        "GATEWAY_JWT_ISSUER": ISSUER,
        "GATEWAY_JWT_AUDIENCE": AUDIENCE,
        "GATEWAY_JWT_JWKS": f"https://localhost:{server.server_port}/jwks.json",
        "SSL_CERT_FILE": str(jwks.parent / "ca.pem"),
    }
    running = await asyncio.to_thread(run_gateway, **services, **settings)
    async with client(running.url, headers=bearer(issuer.token())) as alice:
        await until_status(alice, 200, "GET", "/health/db")
    server.shutdown()


async def test_keys_of_the_issuer_are_read_again_when_the_file_is_replaced(
    tokens: Gateway, issuer: Issuer, jwks: Path
) -> None:
    def put(text: str) -> None:
        (jwks.parent / "new").write_text(text)
        (jwks.parent / "new").rename(jwks)

    other = Issuer()
    async with client(tokens.url, headers=bearer(other.token())) as http:
        put("{}")
        await tokens.logs("jwks.json: has no `keys`")
        put(other.jwks)
        await until_status(http, 200, "GET", "/health/db")
        assert (await http.get("/health/db", headers=bearer(issuer.token()))).status_code == 401
        put(issuer.jwks)
        await until_status(http, 401, "GET", "/health/db")


@pytest.mark.parametrize("subject", ["x" * 129, "a b", "a,b", "ü", ""])
async def test_subject_that_fits_no_log_is_401(tokens: Gateway, issuer: Issuer, subject: str) -> None:
    async with client(tokens.url, headers=bearer(issuer.token(subject))) as http:
        assert (await http.get("/health/db")).status_code == 401


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_subject_of_a_token_is_a_client_with_the_rights_of_its_claim(tokens: Gateway, issuer: Issuer) -> None:
    async with client(tokens.url, headers=bearer(issuer.token())) as alice:
        reply = await until(lambda: alice.post("/companies", json={"limit": 1}), lambda reply: reply.status_code == 200)
        refused = await alice.post("/companies/create", json={"name": "Acme"})
        assert (refused.status_code, refused.json()["error_code"]) == (403, "FORBIDDEN")
        mine = str(uuid4())
        await alice.get("/health/db", headers={"x-request-id": mine})
    async with client(tokens.url, headers=bearer(issuer.token("bob", ["write"]))) as bob:
        assert (await bob.post("/companies/create", json={})).status_code == 400
        assert (await bob.post("/companies", json={})).status_code == 403
    async with client(tokens.url, headers=bearer(issuer.token("carol", ["jobs", "fly", 7]))) as carol:
        assert (await carol.get("/common/upload-url")).status_code == 400
        assert (await carol.post("/companies", json={})).status_code == 403
    for claim in ("read", None, {"read": True}):
        async with client(tokens.url, headers=bearer(issuer.token("dave", claim))) as dave:
            assert (await dave.post("/companies", json={})).status_code == 403

    assert json.loads(await tokens.logs(mine))["client"] == "token:alice"
    assert "eyJ" not in tokens.log.read_text()
    assert reply.json()["success"] is True


async def test_each_subject_has_a_bucket_of_its_own(tokens: Gateway, issuer: Issuer) -> None:
    async def left(subject: str, calls: int) -> int:
        async with client(tokens.url, headers=bearer(issuer.token(subject))) as http:
            replies = await asyncio.gather(*(http.get("/nothing") for _ in range(calls)))
        return min(int(reply.headers["x-ratelimit-remaining"]) for reply in replies)

    assert await left("carol", 60) < 590
    assert await left("dave", 1) == 599


@pytest.mark.parametrize(
    "claims",
    [{"iss": "https://other.example"}, {"aud": "other"}, {"exp": 1}, {"exp": None}, {"nbf": 2**33}],
    ids=["issuer", "audience", "expired", "endless", "not yet"],
)
async def test_token_that_is_not_good_is_401(tokens: Gateway, issuer: Issuer, claims: dict[str, Any]) -> None:
    async with client(tokens.url, headers=bearer(issuer.token(**claims))) as http:
        reply = await http.get("/health/db")
    assert (reply.status_code, reply.json()["error_code"]) == (401, "UNAUTHORIZED")


async def test_forged_token_and_spoofed_subject_are_401_and_a_key_still_opens(tokens: Gateway) -> None:
    forged = Issuer().token()
    async with client(tokens.url) as http:
        for headers in (bearer(forged), bearer("x.y.z"), {"x-token-subject": "alice", "x-client-id": "token:alice"}):
            assert (await http.get("/health/db", headers=headers)).status_code == 401
        assert (await http.get("/health/db", headers={"x-api-key": tokens.api_key})).status_code == 200


async def test_token_opens_the_typed_door(tokens: Gateway, issuer: Issuer) -> None:
    async with grpc.aio.insecure_channel(tokens.target) as channel:
        query = query_service_pb2_grpc.QueryServiceStub(channel)
        metadata = tuple(bearer(issuer.token()).items())
        assert await query.CountCompanies(query_service_pb2.CountCompaniesRequest(), metadata=metadata)
        metadata = tuple(bearer(Issuer().token()).items())
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await query.CountCompanies(query_service_pb2.CountCompaniesRequest(), metadata=metadata)
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_every_option_together_is_a_configuration_that_envoy_takes(
    issuer: Issuer, services: dict[str, str], tmp_path: Path
) -> None:
    put(tmp_path, trustme.CA())
    (tmp_path / "jwks.json").write_text(issuer.jwks)
    settings = {
        "GATEWAY_TLS_CERT_FILE": "tls.crt",
        "GATEWAY_TLS_KEY_FILE": "tls.key",
        "GATEWAY_JWT_ISSUER": ISSUER,
        "GATEWAY_JWT_AUDIENCE": AUDIENCE,
        "GATEWAY_CORS_ORIGINS": "https://a.example",
        "GATEWAY_RATE_LIMIT_SERVICE": "limits.example:8081",
        "API_KEY": "key-of-a-test",
    }
    for jwks in ("jwks.json", "https://issuer.example/keys"):
        run = subprocess.run(
            [sys.executable, "-m", "connectra_gateway.render", "validate"],
            env={"PATH": os.environ["PATH"], **services, **settings, "GATEWAY_JWT_JWKS": jwks},
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr


# ---- one gateway for the rest: some origins, a shared limit


class Limits(grpc.GenericRpcHandler):
    """A rate limit service that answers `code`, which is RateLimitResponse.overall_code."""

    code = 1

    def service(self, call: Any) -> Any:
        async def should_rate_limit(request: bytes, context: Any) -> bytes:
            return bytes([0x08, self.code])

        return grpc.unary_unary_rpc_method_handler(should_rate_limit)


@pytest.fixture(scope="module")
async def limits() -> AsyncIterator[tuple[Limits, grpc.aio.Server, str]]:
    handler, server = Limits(), grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield handler, server, f"127.0.0.1:{port}"
    await server.stop(0)


@pytest.fixture(scope="module")
async def edge(services: dict[str, str], limits: Any, run_gateway: RunGateway) -> Gateway:
    settings = {"GATEWAY_CORS_ORIGINS": "https://a.example, https://b.example", "GATEWAY_RATE_LIMIT_SERVICE": limits[2]}
    running = await asyncio.to_thread(run_gateway, **services, **settings)
    async with client(running.url) as http:
        await until_status(http, 200, "GET", "/health")
    return running


async def test_only_configured_origins_may_call(edge: Gateway) -> None:
    ask = {"access-control-request-method": "POST"}
    async with client(edge.url) as http:
        for origin, allowed in (("https://a.example", True), ("https://b.example", True), ("https://c.example", False)):
            asked = await http.options("/companies", headers={"origin": origin, **ask})
            answered = await http.get("/health/db", headers={"origin": origin, "x-api-key": edge.api_key})
            assert asked.status_code == (204 if allowed else 401)
            assert answered.status_code == 200
            for reply in (asked, answered):
                assert reply.headers.get("access-control-allow-origin") == (origin if allowed else None)
                assert "origin" in reply.headers["vary"]


async def test_shared_limit_is_a_429_and_lets_pass_while_its_service_is_away(edge: Gateway, limits: Any) -> None:
    handler, server, _ = limits
    async with client(edge.url, edge.api_key) as http:
        assert (await http.get("/health/db")).status_code == 200
        handler.code = 2
        refused = await http.get("/health/db")
        assert (refused.status_code, refused.json()["error_code"]) == (429, "RATE_LIMIT_EXCEEDED")
        assert (await http.get("/health")).status_code == 200
        await server.stop(0)
        assert (await http.get("/health/db")).status_code == 200


async def test_connection_that_only_breaks_streams_off_is_closed(edge: Gateway) -> None:
    port = edge.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    headers = [(":method", "GET"), (":path", "/health/db"), (":scheme", "http"), (":authority", "gateway")]
    opened, closed = 0, False
    async with asyncio.timeout(20):
        while not closed and opened < 20_000:
            for _ in range(50):
                stream = connection.get_next_available_stream_id()
                connection.send_headers(stream, headers, end_stream=True)
                connection.reset_stream(stream)
                opened += 1
            try:
                writer.write(connection.data_to_send())
                await writer.drain()
                data = await asyncio.wait_for(reader.read(65_536), 0.02)
                closed = not data
            except TimeoutError:
                continue
            except (ConnectionError, h2.exceptions.ProtocolError):
                closed = True
    writer.close()
    assert closed
    assert opened < 20_000
    async with client(edge.url) as http:
        assert (await http.get("/health")).status_code == 200


async def test_near_its_memory_limit_requests_are_refused_until_there_is_room(
    run_gateway: RunGateway, services: dict[str, str]
) -> None:
    gateway = await asyncio.to_thread(run_gateway, **services, GATEWAY_MAX_HEAP_MIB="128")
    fields = f"x-api-key: {gateway.api_key}\r\ncontent-type: application/json\r\ncontent-length: {6 * 2**20}"
    request = f"POST /contacts/bulk HTTP/1.1\r\nhost: gateway\r\n{fields}\r\n\r\n".encode()
    held: list[asyncio.StreamWriter] = []
    async with client(gateway.url) as http:
        while (refused := await http.get("/health")).status_code == 200:
            assert len(held) < 60
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            held.append(writer)
            writer.write(request + b" " * (5 * 2**20))  # the last megabyte is never sent
            with contextlib.suppress(ConnectionError):  # refused while it is sent
                await asyncio.wait_for(writer.drain(), 10)
            await asyncio.sleep(0.5)  # memory is checked four times a second
        assert (refused.status_code, refused.json()["error_code"]) == (503, "UNAVAILABLE")
        for writer in held:
            writer.close()
        await until_status(http, 200, "GET", "/health")
