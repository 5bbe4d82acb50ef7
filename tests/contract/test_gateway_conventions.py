"""The conventions between services and gateway, shown with a service made for the purpose."""

import asyncio
import gzip
import json
import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import httpx
import pytest
from connectra.common.v1 import vql_pb2
from connectra.query.v1 import (
    query_rest_pb2_grpc,
    query_service_pb2,
    query_service_pb2_grpc,
)
from connectra.write.v1 import write_rest_pb2_grpc
from connectra_common.rights import ALL, Right
from connectra_common.server.process import CONNECTIONS
from connectra_gateway import clients, descriptors
from google.api.httpbody_pb2 import HttpBody
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health, health_pb2_grpc
from grpc_status import rpc_status

from tests.support.gateway import Gateway, RunGateway
from tests.support.health import NOT_SERVING, SERVING
from tests.support.http import client, until_status
from tests.support.ports import free_address
from tests.support.wait import until

TIMEOUT = 1
ENVELOPE = (
    '{"success":false,"error":"no \\u00e9","error_code":"X","message":"no \\u00e9","details":{"n":9007199254740993}}'
)


def json_body(value: object) -> HttpBody:
    return HttpBody(content_type="application/json; charset=utf-8", data=json.dumps(value).encode())


class Service(  # type: ignore[misc]  # methods of the two query services share their names
    query_rest_pb2_grpc.QueryRestServiceServicer,
    query_service_pb2_grpc.QueryServiceServicer,
    write_rest_pb2_grpc.WriteRestServiceServicer,
):
    """Does what the uuid says; methods that are not overridden are unimplemented as in gRPC."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    async def GetDependencyHealth(self, request: Any, context: Any) -> HttpBody:
        await context.send_initial_metadata((("x-http-code", "503"),))
        return json_body({"status": "degraded"})

    async def GetCompany(self, request: Any, context: Any) -> Any:
        typed = isinstance(request, query_service_pb2.GetCompanyRequest)
        self.calls[request.uuid] += 1
        match request.uuid:
            case "envelope":
                await context.abort(grpc.StatusCode.NOT_FOUND, "for gRPC", (("x-error-json", ENVELOPE),))
            case "status":
                trailer = (("x-error-json", ENVELOPE), ("x-error-http", "412"))
                await context.abort(grpc.StatusCode.ABORTED, "for gRPC", trailer)
            case "late":
                await context.send_initial_metadata((("etag", '"1"'), ("x-http-code", "201")))
                await context.abort(grpc.StatusCode.ALREADY_EXISTS, "for gRPC", (("x-error-json", ENVELOPE),))
            case "crash":
                raise RuntimeError("password=secret")
            case "exhausted":
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
            case "bare":
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "words of the inside")
            case "slow":
                await asyncio.Event().wait()
            case "lingering":
                await asyncio.sleep(2)
            case "unavailable":
                await context.abort(grpc.StatusCode.UNAVAILABLE, "for a moment")
        if typed:
            return query_service_pb2.GetCompanyResponse()
        await context.send_initial_metadata((("etag", '"7"'), ("x-consistency-token", "55")))
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        left = context.time_remaining()
        return json_body(
            {
                "uuid": request.uuid,
                "columns": request.select_columns,
                "metadata": metadata,
                "left": left,
                "pad": "x" * 2000,
            }
        )

    async def ListCompanies(self, request: Any, context: Any) -> Any:
        wanted = int(json.loads(request.body.data or b"{}").get("bytes", 0))
        return json_body({"received": len(request.body.data), "pad": "x" * wanted})

    async def ExportContacts(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for _ in range(64 if request.query.select_columns else 0):
            yield query_service_pb2.ExportContactsResponse(data=bytes(2**20))
        for _ in range(4):
            yield query_service_pb2.ExportContactsResponse()
            await asyncio.sleep(TIMEOUT / 2)

    async def ExportCompanies(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await asyncio.sleep(75)
        yield query_service_pb2.ExportCompaniesResponse()

    async def CreateCompany(self, request: Any, context: Any) -> HttpBody:
        await context.send_initial_metadata((("x-http-code", "201"), ("x-consistency-token", "9")))
        return json_body({"received": len(request.body.data)})

    async def BatchUpsertCompanies(self, request: Any, context: Any) -> HttpBody:
        await context.send_initial_metadata((("x-http-code", "207"),))
        return json_body({"success": False})

    async def DeleteCompany(self, request: Any, context: Any) -> HttpBody:
        if request.uuid == "unavailable":
            self.calls["write"] += 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "for a moment")
        if request.uuid == "lingering":
            self.calls["write"] += 1
            await asyncio.sleep(2)
        await context.send_initial_metadata((("x-http-code", "204"),))
        return HttpBody()


class Upstream:
    """A gRPC server with the service above and the health service that all services have."""

    def __init__(self, port: int = 0) -> None:
        self.service = Service()  # type: ignore[abstract]  # what is left out is unimplemented
        own = [
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", 1 << 24),
            ("grpc.max_send_message_length", 6_000_000),
        ]
        self._server = grpc.aio.server(options=[*own, *CONNECTIONS])
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        query_rest_pb2_grpc.add_QueryRestServiceServicer_to_server(self.service, self._server)
        query_service_pb2_grpc.add_QueryServiceServicer_to_server(self.service, self._server)
        write_rest_pb2_grpc.add_WriteRestServiceServicer_to_server(self.service, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"

    async def start(self, readiness: int = SERVING) -> "Upstream":
        await self._health.set("liveness", SERVING)
        await self.ready(readiness)
        await self._server.start()
        return self

    async def ready(self, readiness: int) -> None:
        await self._health.set("readiness", readiness)

    async def stop(self) -> None:
        await self._server.stop(0)


@pytest.fixture(scope="module")
async def upstream() -> AsyncIterator[Upstream]:
    server = await Upstream().start()
    yield server
    await server.stop()


@pytest.fixture(scope="module")
async def gateway(upstream: Upstream, run_gateway: RunGateway) -> Gateway:
    running = await asyncio.to_thread(
        run_gateway,
        QUERY_ADDRESS=upstream.address,
        WRITE_ADDRESS=upstream.address,
        JOBS_ADDRESS=upstream.address,
        GATEWAY_TIMEOUT_SECONDS=str(TIMEOUT),
        GATEWAY_MAX_REQUEST_BYTES="3000000",
    )
    async with opened(running) as http:
        await until_status(http, 200, "GET", "/companies/u")
    return running


@pytest.fixture(scope="module")
async def rest(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(gateway) as http:
        yield http


@pytest.fixture
async def channel(gateway: Gateway) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(gateway.target) as channel:
        yield channel


def opened(gateway: Gateway) -> httpx.AsyncClient:
    return client(gateway.url, gateway.api_key)


def key(gateway: Gateway) -> tuple[tuple[str, str], ...]:
    return (("x-api-key", gateway.api_key),)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/companies/create", 201), ("POST", "/companies/bulk", 207), ("GET", "/health/db", 503)],
)
async def test_status_is_the_services(rest: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    reply = await rest.request(method, path, content="{}")

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert "error" not in reply.json()
    assert "x-http-code" not in reply.headers
    assert "grpc-status" not in reply.headers


@pytest.mark.parametrize("timeout", ["1n", "x"])
async def test_health_of_the_stores_takes_no_deadline_of_the_caller(rest: httpx.AsyncClient, timeout: str) -> None:
    assert (await rest.get("/health/db", headers={"grpc-timeout": timeout})).status_code == 503


async def test_204_has_neither_body_nor_content_type(rest: httpx.AsyncClient) -> None:
    reply = await rest.delete("/companies/u", headers={"accept-encoding": "gzip"})

    assert (reply.status_code, reply.content) == (204, b"")
    assert "content-type" not in reply.headers
    assert "content-length" not in reply.headers


async def test_headers_of_the_service_are_passed_on(rest: httpx.AsyncClient) -> None:
    reply = await rest.get("/companies/u", headers={"accept-encoding": "gzip"})

    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    # Compression would drop or weaken the ETag, so an answer that has one is not compressed.
    assert reply.headers["etag"] == '"7"'
    assert "content-encoding" not in reply.headers
    assert reply.headers["x-consistency-token"] == "55"


async def test_large_answer_is_compressed_on_request(rest: httpx.AsyncClient) -> None:
    reply = await rest.post("/companies", json={"bytes": 5_000_000}, headers={"accept-encoding": "gzip"})

    assert reply.headers["content-encoding"] == "gzip"
    assert len(reply.json()["pad"]) == 5_000_000


@pytest.mark.parametrize(("uuid", "status"), [("envelope", 404), ("status", 412), ("late", 409)])
async def test_envelope_of_the_service_is_passed_on_byte_for_byte(
    rest: httpx.AsyncClient, uuid: str, status: int
) -> None:
    reply = await rest.get(f"/companies/{uuid}")

    assert (reply.status_code, reply.text) == (status, ENVELOPE)
    assert reply.headers["content-type"] == "application/json"
    assert not {"x-error-json", "x-error-http", "x-http-code", "grpc-status", "grpc-message"} & set(reply.headers)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/companies/crash", 500, "INTERNAL_ERROR"),
        ("/companies/bare", 400, "BAD_REQUEST"),
        ("/companies/slow", 504, "DEADLINE_EXCEEDED"),
        ("/companies/exhausted", 503, "UNAVAILABLE"),
        ("/companies/%ff%fe", 400, "BAD_REQUEST"),
        ("/companies/filters", 501, "NOT_IMPLEMENTED"),
        ("/common/upload-url", 501, "NOT_IMPLEMENTED"),
    ],
)
async def test_error_without_envelope_gets_one_in_fixed_words(
    rest: httpx.AsyncClient, path: str, status: int, code: str
) -> None:
    reply = await rest.get(path)
    body = reply.json()

    assert (reply.status_code, body["error_code"], body["success"], body["details"]) == (status, code, False, {})
    assert body["error"] == body["message"]
    assert "secret" not in reply.text
    assert "inside" not in reply.text


async def test_deadline_is_passed_on(rest: httpx.AsyncClient) -> None:
    reply = await rest.get("/companies/u", headers={"grpc-timeout": "1H", "x-envoy-upstream-rq-timeout-ms": "1"})

    assert 0 < reply.json()["left"] <= TIMEOUT


@pytest.mark.parametrize("path", ["/companies/create", "/companies/bulk", "/companies"])
async def test_headers_of_grpc_are_nothing_to_rest(rest: httpx.AsyncClient, path: str) -> None:
    for name, value in (("grpc-encoding", "gzip"), ("grpc-previous-rpc-attempts", "x"), ("trace-bin", "no base64")):
        assert (await rest.post(path, content="{}", headers={name: value})).is_success


async def test_query_parameters_cannot_override_path_variables(rest: httpx.AsyncClient) -> None:
    body = (await rest.get("/companies/A?uuid=B&select_columns=a,b&unknown=1")).json()

    assert (body["uuid"], body["columns"]) == ("A", "a,b")


async def test_identity_comes_from_the_key(rest: httpx.AsyncClient, gateway: Gateway) -> None:
    spoofed = {
        "x-client-id": "root",
        "x-client-rights": "root",
        "x-envoy-original-path": "/elsewhere",
    }
    metadata = (await rest.get("/companies/u", headers=spoofed)).json()["metadata"]

    assert metadata["x-client-id"] == "default"
    assert metadata["x-client-rights"] == "admin,export,import,read,write"
    assert metadata["x-envoy-original-path"] == "/companies/u"
    assert gateway.api_key not in metadata.values()


async def test_header_that_another_server_might_take_for_ours_is_refused(rest: httpx.AsyncClient) -> None:
    assert (await rest.get("/companies/u", headers={"x_client_id": "root"})).status_code == 400


async def test_key_does_not_go_upstream(rest: httpx.AsyncClient, gateway: Gateway) -> None:
    metadata = (await rest.get("/companies/u")).json()["metadata"]

    assert "x-api-key" not in metadata
    assert gateway.api_key not in metadata.values()


@pytest.mark.parametrize("mine", ["a", "Case-1_2.3", "x" * 128])
async def test_request_id_of_the_caller_is_kept(rest: httpx.AsyncClient, mine: str) -> None:
    reply = await rest.get("/companies/u", headers={"x-request-id": mine})

    assert reply.headers["x-request-id"] == reply.json()["metadata"]["x-request-id"] == mine


@pytest.mark.parametrize("mine", ["x" * 129, "a b", "ä", "<b>", ""])
async def test_request_id_that_fits_no_log_is_replaced(rest: httpx.AsyncClient, mine: str) -> None:
    sent = httpx.Headers({"x-request-id": mine, "x-client-request-id": "mine"}, encoding="utf-8")
    reply = await rest.get("/companies/u", headers=sent)
    made = reply.headers["x-request-id"]

    assert UUID(made)
    assert reply.json()["metadata"]["x-request-id"] == made
    assert "x-client-request-id" not in reply.json()["metadata"]


async def test_callers_do_not_decide_which_of_their_requests_are_traced(rest: httpx.AsyncClient) -> None:
    sent = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "a=1", "baggage": "b=2"}
    metadata = (await rest.get("/companies/u", headers=sent)).json()["metadata"]

    assert not sent.keys() & metadata.keys()


@pytest.mark.parametrize("path", ["/companies/u", "/companies/envelope", "/companies/a/b", "/health"])
async def test_answer_is_for_the_caller_alone_and_no_page(rest: httpx.AsyncClient, path: str) -> None:
    headers = (await rest.get(path)).headers

    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "strict-transport-security" not in headers


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("path", ["/companies/u", "/v1/companies/envelope/", "/health", "/health/db", "/docs"])
async def test_head_is_get_without_the_body(gateway: Gateway, path: str, http2: bool) -> None:
    headers = {"x-api-key": gateway.api_key, "accept-encoding": "identity"}
    async with httpx.AsyncClient(
        base_url=gateway.url, headers=headers, http1=not http2, http2=http2, trust_env=False
    ) as http:
        got, asked = await http.get(path), await http.head(path)
        packed = await http.head(path, headers={"accept-encoding": "gzip"})

    assert (asked.status_code, asked.content, packed.content) == (got.status_code, b"", b"")
    assert asked.headers["content-type"] == got.headers["content-type"]
    assert abs(int(asked.headers["content-length"]) - int(got.headers["content-length"])) < 5  # "HEAD" and "GET" in it


async def test_nothing_follows_the_answer_to_head(gateway: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    request = "{} /companies/u HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\nx-api-key: {}\r\n{}\r\n"
    for verb, more in (("HEAD", ""), ("GET", "connection: close\r\n")):
        writer.write(request.format(verb, gateway.api_key, more).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


@pytest.mark.parametrize("query", ["select_columns=a&{}=b", "x=1&{}=a&y=2&select_columns=a", "select_columns&{}"])
@pytest.mark.parametrize("name", ["select_columns", "select%5Fcolumns", "%73elect_columns"])
async def test_parameter_given_twice_is_400(rest: httpx.AsyncClient, query: str, name: str) -> None:
    reply = await rest.get(f"/companies/u?{query.format(name)}")
    assert (reply.status_code, reply.json()["error_code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("path", ["/companies/u", "/health", "/common/upload-url", "/v1/companies/filters/"])
async def test_parameter_that_nobody_knows_is_not_given_twice_either(rest: httpx.AsyncClient, path: str) -> None:
    for query in ("?x=1&x=2", "?a=1&x&b=2&x", "?x+y=1&x%20y=1"):
        reply = await rest.get(path + query)
        assert (reply.status_code, reply.json()["error_code"]) == (400, "BAD_REQUEST")


async def test_parameters_of_one_value_are_not_the_same(rest: httpx.AsyncClient) -> None:
    reply = await rest.get("/companies/u?select_columns=a&my_select_columns=a&select_column=a&X=a&x=a&&")
    assert reply.json()["columns"] == "a"


async def test_two_keys_are_none(gateway: Gateway, channel: grpc.aio.Channel) -> None:
    good = gateway.api_key
    async with client(gateway.url) as http:
        for keys in ((good, good), (good, "wrong-key-of-somebody"), ("wrong-key-of-somebody", good)):
            reply = await http.get("/companies/u", headers=[("x-api-key", key) for key in keys])
            assert (reply.status_code, reply.json()["error_code"]) == (401, "UNAUTHORIZED")
    query = query_service_pb2_grpc.QueryServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await query.GetCompany(query_service_pb2.GetCompanyRequest(uuid="u"), metadata=2 * key(gateway))
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("path", ["/companies%2Fu", "/companies/u%5c", "/companies%2fcount"])
async def test_escaped_slash_is_in_no_path(rest: httpx.AsyncClient, path: str) -> None:
    reply = await rest.get(path)

    assert (reply.status_code, reply.json()["error_code"]) == (404, "NOT_FOUND")


async def test_large_headers_arrive_or_are_431(rest: httpx.AsyncClient) -> None:
    assert (await rest.get("/companies/u", headers={f"x-{n}": "j" * 150 for n in range(85)})).status_code == 200
    reply = await rest.get("/companies/u", headers={"x-large": "j" * 20_000})
    assert (reply.status_code, reply.json()["error_code"]) == (431, "HEADERS_TOO_LARGE")


async def test_answer_that_the_service_cannot_send_is_no_rate_limit(rest: httpx.AsyncClient) -> None:
    reply = await rest.post("/companies", json={"bytes": 6_000_001})

    assert (reply.status_code, reply.json()["error_code"]) == (500, "INTERNAL_ERROR")


async def test_packed_body_is_unpacked(rest: httpx.AsyncClient) -> None:
    body = json.dumps([{"name": f"company {number}"} for number in range(2000)]).encode()
    reply = await rest.post("/companies/create", content=gzip.compress(body), headers={"content-encoding": "gzip"})

    assert reply.json() == {"received": len(body)}


@pytest.mark.parametrize("path", ["/companies", "/companies/create"])
async def test_body_that_is_not_packed_as_it_says_is_400_and_not_an_empty_one(
    rest: httpx.AsyncClient, path: str
) -> None:
    for body in (b'{"bytes": 1}', zlib.compress(b'{"bytes": 1}'), gzip.compress(b'{"bytes": 1}')[:10]):
        reply = await rest.post(path, content=body, headers={"content-encoding": "gzip"})

        assert (reply.status_code, reply.json()["error_code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_no_body_is_none_however_it_would_be_packed(rest: httpx.AsyncClient, coding: str) -> None:
    headers = {"content-encoding": coding}

    assert (await rest.post("/companies", headers=headers)).json()["received"] == 0
    assert (await rest.get("/companies/u", headers=headers)).json()["uuid"] == "u"
    assert (await rest.delete("/companies/u", headers=headers)).status_code == 204


async def test_what_a_packed_body_becomes_is_limited(rest: httpx.AsyncClient) -> None:
    incompressible = os.urandom(20_000).hex().encode()
    body = gzip.compress(incompressible + b" " * 50_000_000)
    reply = await rest.post("/companies/create", content=body, headers={"content-encoding": "gzip"})

    assert (len(body) < 100_000, reply.status_code) == (True, 413)


@pytest.mark.parametrize(("path", "limit"), [("/companies/create", 2**20), ("/companies/bulk", 3_000_000)])
async def test_body_up_to_the_limit_of_its_kind_arrives(rest: httpx.AsyncClient, path: str, limit: int) -> None:
    assert (await rest.post(path, content=b" " * limit)).status_code in (201, 207)
    packed = gzip.compress(os.urandom(limit // 2).hex().encode(), 1)
    assert (await rest.post(path, content=packed, headers={"content-encoding": "gzip"})).status_code in (201, 207)
    reply = await rest.post(path, content=b" " * (limit + 1))

    assert reply.status_code == 413
    assert reply.json()["error_code"] == "PAYLOAD_TOO_LARGE"
    assert reply.json()["details"] == {"max_bytes": limit}


async def test_what_a_service_answered_is_not_asked_again(rest: httpx.AsyncClient, upstream: Upstream) -> None:
    upstream.service.calls.clear()

    assert (await rest.get("/companies/unavailable")).status_code == 503
    assert (await rest.delete("/companies/unavailable")).status_code == 503
    assert upstream.service.calls == {"unavailable": 1, "write": 1}


class Cable:
    """What leads from a gateway to an upstream, until it is cut. `open` is cleared where nothing shall pass for a while."""

    def __init__(self, upstream: Upstream) -> None:
        self._host, _, port = upstream.address.partition(":")
        self._port = int(port)
        self._ends: list[asyncio.StreamWriter] = []
        self.open = asyncio.Event()
        self.open.set()

    async def lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._port)
        self._ends += [writer, back]
        with suppress(ConnectionError):
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self.open.wait()
            writer.write(data)
            await writer.drain()
        writer.close()

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()


async def test_read_whose_connection_breaks_is_tried_again_and_a_write_is_not(
    run_gateway: RunGateway, upstream: Upstream
) -> None:
    cable, calls = Cable(upstream), upstream.service.calls
    server = await asyncio.start_server(cable.lead, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    gateway = await asyncio.to_thread(run_gateway, QUERY_ADDRESS=address, WRITE_ADDRESS=address)
    async with opened(gateway) as http:
        for method, name, status in (("GET", "lingering", 200), ("DELETE", "write", 503)):
            await until_status(http, 200, "GET", "/companies/u")
            await until_status(http, 204, "DELETE", "/companies/u")
            calls.clear()
            asked = asyncio.create_task(http.request(method, "/companies/lingering"))
            await until(lambda: asyncio.sleep(0, calls[name]), pause=0.01)  # noqa: B023 - of this turn
            cable.cut()
            assert (await asked).status_code == status
            assert calls[name] == (2 if status == 200 else 1)
    server.close()


async def test_calls_that_ran_out_of_time_in_the_gateway_say_so(run_gateway: RunGateway, upstream: Upstream) -> None:
    cable = Cable(upstream)
    server = await asyncio.start_server(cable.lead, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    gateway = await asyncio.to_thread(run_gateway, QUERY_ADDRESS=address, GATEWAY_TIMEOUT_SECONDS=str(TIMEOUT))
    async with opened(gateway) as http:
        await until_status(http, 200, "GET", "/companies/u")

    async def parts(whole: bool) -> AsyncIterator[bytes]:
        yield query_service_pb2.GetCompanyRequest(uuid="u").SerializeToString()
        if not whole:
            await asyncio.Event().wait()

    async def outcome(through: grpc.aio.Channel, whole: bool, timeout: float | None) -> tuple[str, list[str]]:
        call: Any = through.stream_unary("/connectra.query.v1.QueryService/GetCompany")
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(parts(whole), metadata=key(gateway), timeout=timeout)
        status = rpc_status.from_call(error.value)  # type: ignore[arg-type]  # what it needs of a call, an error has
        reasons = [ErrorInfo.FromString(detail.value).reason for detail in status.details] if status else []
        return error.value.code().name, reasons

    cable.open.clear()
    async with grpc.aio.insecure_channel(gateway.target) as own:
        # Without a deadline, with one beyond the gateway's limit, and with a request that never was whole.
        outcomes = await asyncio.gather(outcome(own, True, None), outcome(own, True, 10), outcome(own, False, 10))
    cable.cut()
    server.close()

    assert list(outcomes) == [("DEADLINE_EXCEEDED", ["DEADLINE_EXCEEDED"])] * 3


async def test_stream_outlasts_the_deadline_of_calls_and_is_not_buffered(
    channel: grpc.aio.Channel, gateway: Gateway
) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    request = query_service_pb2.ExportContactsRequest()
    query = query_service_pb2_grpc.QueryServiceStub(channel)
    arrivals = [loop.time() - began async for _ in query.ExportContacts(request, metadata=key(gateway))]

    assert len(arrivals) == 4
    assert arrivals[0] < TIMEOUT / 2
    assert arrivals[-1] > TIMEOUT


@pytest.mark.long
async def test_stream_in_which_nothing_happens_outlasts_the_pings(channel: grpc.aio.Channel, gateway: Gateway) -> None:
    request = query_service_pb2.ExportCompaniesRequest()
    call = query_service_pb2_grpc.QueryServiceStub(channel).ExportCompanies(request, metadata=key(gateway))

    assert len([reply async for reply in call]) == 1


async def test_streams_that_nobody_reads_keep_nobody_else_waiting(rest: httpx.AsyncClient, gateway: Gateway) -> None:
    request = query_service_pb2.ExportContactsRequest(query=vql_pb2.Vql(select_columns=["uuid"]))
    small = [("grpc.http2.lookahead_bytes", 65536), ("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
    async with AsyncExitStack() as parked:
        for _ in range(20):
            channel = await parked.enter_async_context(grpc.aio.insecure_channel(gateway.target, options=small))
            call = query_service_pb2_grpc.QueryServiceStub(channel).ExportContacts(request, metadata=key(gateway))
            assert await call.read()  # one of 64 messages
            parked.callback(call.cancel)
        for _ in range(20):
            reply = await rest.get("/companies/u")
            assert (reply.status_code, reply.elapsed.total_seconds() < 0.5) == (200, True)


async def test_stream_ends_at_the_callers_own_deadline(channel: grpc.aio.Channel, gateway: Gateway) -> None:
    query = query_service_pb2_grpc.QueryServiceStub(channel)
    call = query.ExportContacts(query_service_pb2.ExportContactsRequest(), metadata=key(gateway), timeout=TIMEOUT / 4)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        _ = [reply async for reply in call]

    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("method", "metadata", "uuid", "code", "details", "reason"),
    [
        ("QueryService/GetCompany", (), "u", "UNAUTHENTICATED", "invalid API key", "UNAUTHORIZED"),
        ("QueryService/GetCompany", (("x-api-key", "no"),), "u", "UNAUTHENTICATED", "invalid API key", "UNAUTHORIZED"),
        ("QueryService/GetCompany", None, "envelope", "NOT_FOUND", "for gRPC", None),
        ("QueryService/GetCompany", None, "slow", "DEADLINE_EXCEEDED", None, "DEADLINE_EXCEEDED"),
        ("QueryRestService/GetCompany", None, "u", "UNIMPLEMENTED", "not found", "NOT_FOUND"),
        ("NoSuchService/Method", None, "u", "UNIMPLEMENTED", "not found", "NOT_FOUND"),
    ],
)
async def test_grpc_caller_gets_a_grpc_status(
    channel: grpc.aio.Channel,
    gateway: Gateway,
    method: str,
    metadata: Any,
    uuid: str,
    code: str,
    details: str | None,
    reason: str | None,
) -> None:
    request = query_service_pb2.GetCompanyRequest(uuid=uuid).SerializeToString()
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/connectra.query.v1.{method}")
    for _ in range(5):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(request, metadata=key(gateway) if metadata is None else metadata)

        assert error.value.code() == grpc.StatusCode[code]
        assert details in (None, error.value.details())
        # As the official helper reads it, which refuses those of another code or text.
        status = rpc_status.from_call(error.value)  # type: ignore[arg-type]  # what it needs of a call, an error has
        infos = [ErrorInfo.FromString(detail.value) for detail in status.details] if status else []
        # The backend has the deadline too, and where its library is the first to notice, nothing more is said.
        if infos or code != "DEADLINE_EXCEEDED":
            break
    assert [(info.domain, info.reason) for info in infos] == ([("connectra", reason)] if reason else [])


@pytest.mark.parametrize(
    ("uuid", "with_key", "status"), [("u", True, "0"), ("u", False, "16"), ("envelope", True, "5")]
)
async def test_grpc_web(rest: httpx.AsyncClient, uuid: str, with_key: bool, status: str) -> None:
    message = query_service_pb2.GetCompanyRequest(uuid=uuid).SerializeToString()
    headers = {
        "content-type": "application/grpc-web+proto",
        "x-grpc-web": "1",
        **({} if with_key else {"x-api-key": "no"}),
    }
    reply = await rest.post(
        "/connectra.query.v1.QueryService/GetCompany",
        content=b"\0" + struct.pack(">I", len(message)) + message,
        headers=headers,
    )

    trailer = f"grpc-status:{status}\r\n".encode()
    assert reply.headers["content-type"].startswith("application/grpc-web")
    assert reply.headers.get("grpc-status") == status or trailer in reply.content


async def test_keys_are_exchanged_without_restart(gateway: Gateway) -> None:
    async with opened(gateway) as http:
        key = clients.add(gateway.keys_file, "second", ALL).key
        another = {"x-api-key": key}
        reply = await until_status(http, 200, "GET", "/companies/u", headers=another)
        assert reply.json()["metadata"]["x-client-id"] == "second"
        assert reply.json()["metadata"]["x-client-rights"] == "admin,export,import,read,write"

        valid = gateway.keys_file.read_text()
        gateway.keys_file.write_text("{ broken")
        await gateway.logs("the keys remain unchanged")
        assert (await http.get("/companies/u", headers=another)).status_code == 200
        gateway.keys_file.write_text(valid)
        clients.revoke(gateway.keys_file, "second")
        await until_status(http, 401, "GET", "/companies/u", headers=another)

    # Who changed the file, and how, does not matter: the log has what became of it, without the key.
    assert "client default added: rights admin,export,import,read,write" in await gateway.logs("client default")
    told = [line.partition("client second ")[2] for line in gateway.logged("client second ")]
    assert told == ["added: rights admin,export,import,read,write; the limit of all; keys end: never", "removed"]
    assert key not in gateway.log.read_text()


async def test_keys_overlap_expire_and_have_limits_of_their_own(gateway: Gateway) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=8)
    old = clients.add(gateway.keys_file, "own", ALL, expires_at=soon, requests_per_minute=500).key
    new = clients.rotate(gateway.keys_file, "own", timedelta(hours=1)).key
    # As some editors save it.
    gateway.keys_file.write_bytes(gateway.keys_file.read_text().encode("utf-16"))
    async with client(gateway.url) as http:
        for one in (old, new):
            reply = await until_status(http, 200, "GET", "/companies/u", headers={"x-api-key": one})
            assert reply.json()["metadata"]["x-client-id"] == "own"
            assert reply.headers["x-ratelimit-limit"] == "500"
        await until_status(http, 401, "GET", "/companies/u", headers={"x-api-key": old})
        assert (await http.get("/companies/u", headers={"x-api-key": new})).status_code == 200
        clients.revoke(gateway.keys_file, "own")
        metrics = (await http.get(f"{gateway.admin}/stats/prometheus")).text
        assert re.search(r'^envoy_client_requests\{client="own"\} [1-9]', metrics, re.MULTILINE)


async def test_calls_without_a_key_are_limited_by_address_and_keys_written_as_tokens_are_keys(
    run_gateway: RunGateway, upstream: Upstream
) -> None:
    gateway = await asyncio.to_thread(
        run_gateway,
        QUERY_ADDRESS=upstream.address,
        GATEWAY_UNKNOWN_KEYS_PER_MINUTE="8",
        GATEWAY_UNKNOWN_KEYS_PER_ADDRESS="4",
        GATEWAY_TRUSTED_HOPS="1",
    )
    async with client(gateway.url) as http:

        async def statuses(**headers: str) -> Counter[int]:
            return Counter([(await http.get("/companies/u", headers=headers)).status_code for _ in range(10)])

        assert await statuses(**{"x-forwarded-for": "192.0.2.1"}) == {401: 4, 429: 6}
        assert await statuses(**{"x-forwarded-for": "203.0.113.9, 192.0.2.2"}) == {401: 4, 429: 6}
        assert await statuses(**{"x-forwarded-for": "192.0.2.3"}) == {429: 10}
        for written in (gateway.api_key, f"Bearer {gateway.api_key}"):
            assert await statuses(**{"x-api-key": written}) == {200: 10}
    assert json.loads(await gateway.logs("192.0.2.2"))["remote"] == "192.0.2.2"


async def test_a_client_may_do_only_what_it_has_the_right_to(gateway: Gateway) -> None:
    reader = {"x-api-key": clients.add(gateway.keys_file, "reader", frozenset({Right.READ})).key}
    async with opened(gateway) as http:
        await until_status(http, 200, "GET", "/companies/u", headers=reader)
        refused = await http.post("/companies/create", content="{}", headers=reader)
        assert (refused.status_code, refused.json()["error_code"]) == (403, "FORBIDDEN")
        assert (await http.post("/common/jobs", headers=reader)).status_code == 403
        assert (await http.get("/health/db", headers=reader)).status_code == 503
        assert (await http.post("/companies/create", content="{}")).status_code == 201


async def test_admin_door_does_not_show_the_configuration(gateway: Gateway) -> None:
    async with client(gateway.admin) as admin:
        assert (await admin.get("/ready")).status_code == 200
        assert (await admin.get("/config_dump")).status_code == 403


async def test_access_log_has_the_request_but_no_secret(rest: httpx.AsyncClient, gateway: Gateway) -> None:
    await rest.post(
        "/companies/?token=secret-query",
        content='{"bytes": 1, "x": "secret-body"}',
        headers={"x-request-id": "logged-1"},
    )
    line = json.loads(await gateway.logs("logged-1"))
    log = gateway.log.read_text()

    assert (line["client"], line["path"], line["status"]) == ("default", "/companies/", 200)
    assert line["rpc"] == "/connectra.query.v1.QueryRestService/ListCompanies"
    assert not [word for word in (gateway.api_key, "secret-query", "secret-body") if word in log]


async def test_service_that_is_away_is_503_at_once_and_back_within_two_seconds(run_gateway: RunGateway) -> None:
    first = await Upstream().start()
    port = int(first.address.rpartition(":")[2])
    gateway = await asyncio.to_thread(run_gateway, QUERY_ADDRESS=first.address, WRITE_ADDRESS=first.address)
    async with opened(gateway) as http:
        await until_status(http, 200, "GET", "/companies/u")
        await first.stop()
        for _ in range(5):
            reply = await http.get("/companies/u")
            assert (reply.status_code, reply.json()["error_code"]) == (503, "UNAVAILABLE")
            assert "127.0.0.1" not in reply.text
            assert reply.elapsed.total_seconds() < 1
        async with grpc.aio.insecure_channel(gateway.target) as channel:
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                "/connectra.query.v1.QueryService/GetCompany"
            )
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await call(b"", metadata=key(gateway))
            assert error.value.code() == grpc.StatusCode.UNAVAILABLE
            assert error.value.details() == "the service is not available; try again"

        again = await Upstream(port).start()
        await until_status(http, 200, "GET", "/companies/u", seconds=3)
        await again.stop()


async def test_service_that_is_not_ready_still_tells_its_health(run_gateway: RunGateway) -> None:
    upstream = await Upstream().start(NOT_SERVING)
    gateway = await asyncio.to_thread(run_gateway, QUERY_ADDRESS=upstream.address, WRITE_ADDRESS=upstream.address)
    async with opened(gateway) as http:
        assert (await http.get("/health/db")).json() == {"status": "degraded"}
        assert (await http.get("/companies/u")).json()["error_code"] == "UNAVAILABLE"
        await upstream.ready(SERVING)
        await until_status(http, 200, "GET", "/companies/u", seconds=3)
    await upstream.stop()


async def test_health_and_probes_count_nowhere_need_no_service_and_fail_while_it_stops(run_gateway: RunGateway) -> None:
    probes = f"http://{free_address()}"
    gateway = await asyncio.to_thread(
        run_gateway,
        QUERY_ADDRESS=free_address(),
        GATEWAY_UNKNOWN_KEYS_PER_MINUTE="1",
        GATEWAY_METRICS_LISTEN=probes.removeprefix("http://"),
        LAME_DUCK_SECONDS="5",
    )
    async with client(gateway.url) as http:
        await until_status(http, 429, "GET", "/openapi.json")
        for _ in range(20):
            for verb, path in (("GET", "/health"), ("HEAD", "/v1/health/"), ("GET", f"{probes}/ready")):
                assert (await http.request(verb, path)).status_code == 200
        gateway.process.terminate()
        reply = await until_status(http, 503, "GET", "/health", seconds=3)
        assert reply.json()["error_code"] == "UNAVAILABLE"
        assert not [name for name in reply.headers if name.startswith("x-envoy-")]
        assert (await http.get(f"{probes}/ready")).status_code == 503
        assert (await http.get("/nothing")).status_code == 429  # connections are still accepted


async def test_no_request_is_lost_while_the_gateway_stops(run_gateway: RunGateway, upstream: Upstream) -> None:
    leaving = run_gateway(QUERY_ADDRESS=upstream.address, DRAIN_SECONDS="10")
    async with opened(leaving) as http:
        await until_status(http, 200, "GET", "/companies/u")
    answered = refused = 0

    async def call_until_it_is_gone() -> None:
        nonlocal answered, refused
        async with opened(leaving) as http:
            while True:
                try:
                    reply = await http.get("/companies/leaving")
                # Never read, perhaps out of the queue of a port that was being closed: the caller goes to another replica.
                except (httpx.ConnectError, httpx.ReadError):
                    refused += 1
                    return
                assert reply.status_code == 200
                answered += 1

    calls = [asyncio.create_task(call_until_it_is_gone()) for _ in range(8)]
    async with opened(leaving) as http:
        slow = asyncio.create_task(http.get("/companies/lingering"))

        async def so_far() -> int:
            return answered

        await until(so_far, lambda number: number >= 50, seconds=10, pause=0.01)
        leaving.process.terminate()
        assert (await slow).status_code == 200
        await asyncio.gather(*calls)
    assert refused == len(calls)
    assert upstream.service.calls["leaving"] == answered
    assert await asyncio.to_thread(leaving.process.wait, 15) == 0


async def test_the_console_needs_no_key_and_counts_nowhere(run_gateway: RunGateway) -> None:
    gateway = await asyncio.to_thread(
        run_gateway, GATEWAY_UNKNOWN_KEYS_PER_MINUTE="1", GATEWAY_UPLOAD_ORIGINS="http://127.0.0.1:8333"
    )
    async with client(gateway.url) as anybody:
        for _ in range(3):
            page = await anybody.get("/console/")
            assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        script = await anybody.get("/console/app.js", headers={"accept-encoding": "gzip"})
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        assert script.headers["content-encoding"] == "gzip"
        for reply in (page, script):
            assert "script-src 'self'; " in reply.headers["content-security-policy"]
            assert "connect-src 'self' http://127.0.0.1:8333; " in reply.headers["content-security-policy"]
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers["cache-control"] == "no-cache"
            assert reply.headers["referrer-policy"] == "no-referrer"
        assert (await anybody.get("/console/no.js")).status_code == 401


@pytest.mark.parametrize("path", ["/openapi.json", "/v1/openapi.json", "/openapi.json/"])
async def test_the_description_of_the_api_needs_no_key_and_has_every_path(gateway: Gateway, path: str) -> None:
    async with client(gateway.url) as anybody:
        reply = await anybody.get(path)
        assert (await anybody.post(path)).status_code == 401
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    document = reply.json()
    bindings = [b for service in descriptors.services() for b in service.bindings if not b.template.startswith("/v1/")]
    described = {(verb.upper(), path) for path, verbs in document["paths"].items() for verb in verbs}
    assert described == {(binding.verb, binding.template) for binding in bindings}
    assert document["openapi"] == "3.1.0"
