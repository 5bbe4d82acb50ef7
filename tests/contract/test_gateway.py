"""The front door of the real stack: paths, keys, errors, limits, as every client sees them."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest
from connectra.query.v1 import query_service_pb2, query_service_pb2_grpc
from connectra_common.rights import OPEN, Right
from connectra_gateway import clients, descriptors
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from grpc_status import rpc_status

from tests.support.gateway import RunGateway
from tests.support.http import client, until_status
from tests.support.stack import Stack

UUID = "00c5752b-4b70-5e55-a027-63ae68753a52"
UNAUTHORIZED = {
    "success": False,
    "error": "unauthorized",
    "error_code": "UNAUTHORIZED",
    "message": "invalid API key",
}
RATE_LIMITED = {
    "success": False,
    "error": "rate limit exceeded",
    "error_code": "RATE_LIMIT_EXCEEDED",
    "message": "too many requests, please try again later",
}


@pytest.fixture
async def anyone(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with client(stack.gateway) as opened:
        yield opened


def details_of(error: grpc.aio.AioRpcError) -> list[ErrorInfo | RetryInfo]:
    """The details of an error, read as the official helper does; it refuses those of another code."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # what it needs of a call, an error has
    assert status is not None
    found: list[ErrorInfo | RetryInfo] = []
    for packed in status.details:
        detail = ErrorInfo() if packed.Is(ErrorInfo.DESCRIPTOR) else RetryInfo()
        assert packed.Unpack(detail)
        found.append(detail)
    return found


def assert_envelope(reply: httpx.Response, status: int, code: str) -> None:
    body = reply.json()
    assert (reply.status_code, body["error_code"]) == (status, code)
    assert reply.headers["content-type"] == "application/json"
    assert set(body) == {"success", "error", "error_code", "message", "details"}
    assert body["success"] is False
    assert body["error"] == body["message"] != ""


@pytest.mark.parametrize("path", ["/health", "/health/", "/v1/health", "/v1/health/", "/health?verbose=1"])
async def test_health_needs_no_key_and_costs_no_token(anyone: httpx.AsyncClient, path: str) -> None:
    reply = await anyone.get(path)

    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert "x-ratelimit-remaining" not in reply.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/companies"),
        ("POST", "/v1/contacts/count/"),
        ("GET", f"/companies/{UUID}"),
        ("GET", "/health/db"),
        ("POST", "/common/jobs"),
        ("GET", "/companies/count"),
        ("GET", "/nothing"),
        ("POST", "/connectra.query.v1.QueryService/GetCompany"),
    ],
)
@pytest.mark.parametrize("key", [None, "", "wrong-key-altogether"])
async def test_call_without_valid_key_is_401(
    anyone: httpx.AsyncClient, method: str, path: str, key: str | None
) -> None:
    reply = await anyone.request(method, path, headers={} if key is None else {"x-api-key": key})

    assert (reply.status_code, reply.json()) == (401, UNAUTHORIZED)
    assert reply.headers["content-type"] == "application/json"


async def test_key_is_compared_exactly(anyone: httpx.AsyncClient, stack: Stack) -> None:
    for key in (stack.api_key[:-1], stack.api_key + "x", stack.api_key.swapcase()):
        assert (await anyone.get("/health/db", headers={"x-api-key": key})).status_code == 401


async def test_who_comes_without_a_path_is_led_to_the_documentation(anyone: httpx.AsyncClient) -> None:
    for method in ("GET", "HEAD"):
        reply = await anyone.request(method, "/")
        assert (reply.status_code, reply.text) == (302, "")
        assert httpx.URL(reply.headers["location"]).path == "/docs"
    assert (await anyone.post("/")).status_code == 401


async def test_a_browser_gets_an_icon_without_a_key(anyone: httpx.AsyncClient) -> None:
    reply = await anyone.get("/favicon.ico")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/svg+xml; charset=utf-8")
    assert reply.text.startswith("<svg")


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/v2/companies", "/companies/a/b", "/admin/", "/config_dump", "/health/other"],
)
async def test_unknown_path_is_404(api: httpx.AsyncClient, path: str) -> None:
    assert_envelope(await api.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/companies", "POST"),
        ("DELETE", "/v1/contacts/", "POST"),
        ("PATCH", f"/companies/{UUID}", "DELETE, GET, HEAD, PUT"),
        ("POST", f"/contacts/{UUID}", "DELETE, GET, HEAD, PUT"),
        ("GET", "/companies/count", "POST"),
        ("PUT", "/v1/contacts/batch-upsert/", "POST"),
        ("DELETE", "/companies/filters?x=1", "GET, HEAD"),
        ("GET", "/common/jobs/create", "POST"),
        ("POST", "/common/upload-url", "GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
        ("OPTIONS", "/companies", "POST"),
    ],
)
async def test_wrong_method_is_405_and_names_the_right_ones(
    api: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    reply = await api.request(method, path)

    assert_envelope(reply, 405, "METHOD_NOT_ALLOWED")
    assert reply.headers["allow"] == allow


@pytest.mark.parametrize("path", ["/companies", "/companies/", "/v1/companies", "/v1/companies/", "/v1//companies//"])
async def test_all_spellings_of_a_path_are_one(api: httpx.AsyncClient, path: str) -> None:
    reply = await api.post(path, json={"limit": 1})

    assert (reply.status_code, reply.json()["success"]) == (200, True)
    assert reply.headers["content-type"] == "application/json; charset=utf-8"


async def test_body_that_is_not_json_is_400_with_the_position(api: httpx.AsyncClient) -> None:
    reply = await api.post("/companies", content='{"where": ')

    assert_envelope(reply, 400, "VALIDATION_ERROR")
    assert {"line", "column"} <= set(reply.json()["details"])


async def test_path_that_is_not_utf8_is_400(api: httpx.AsyncClient) -> None:
    assert_envelope(await api.get("/companies/%ff%fe"), 400, "VALIDATION_ERROR")


async def test_unknown_record_is_404(api: httpx.AsyncClient) -> None:
    assert_envelope(await api.get(f"/companies/{uuid4()}"), 404, "NOT_FOUND")


@pytest.mark.parametrize(("path", "mib"), [("/companies", 1), ("/companies/bulk", 6)])
async def test_too_large_body_is_413(api: httpx.AsyncClient, path: str, mib: int) -> None:
    reply = await api.post(path, content=b" " * (mib * 2**20 + 1))

    assert_envelope(reply, 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("path", ["/companies", f"/v1/contacts/{UUID}", "/health", "/companies/count"])
async def test_preflight_needs_no_key(anyone: httpx.AsyncClient, path: str) -> None:
    headers = {"origin": "https://app.example", "access-control-request-method": "POST"}
    reply = await anyone.options(path, headers=headers)

    assert (reply.status_code, reply.content) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in reply.headers
    methods = set(reply.headers["access-control-allow-methods"].split(", "))
    assert methods == {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"}
    documented = {"Origin", "Content-Type", "Accept", "Authorization", "X-Requested-With", "X-API-Key"}
    used = {"If-Match", "If-None-Match", "Idempotency-Key", "X-Consistency-Token", "Traceparent"}
    assert documented | used <= set(reply.headers["access-control-allow-headers"].split(", "))


@pytest.mark.parametrize("key", [True, False])
async def test_page_of_another_origin_may_read_every_answer(api: httpx.AsyncClient, key: bool) -> None:
    headers = {"origin": "https://app.example", **({} if key else {"x-api-key": "wrong"})}
    for method, path in (("GET", "/health/db"), ("GET", "/companies/count"), ("GET", "/nothing")):
        reply = await api.request(method, path, headers=headers)
        assert reply.headers["access-control-allow-origin"] == "*"
        shown = {"ETag", "Location", "Idempotent-Replayed", "Retry-After", "WWW-Authenticate", "X-Consistency-Token"}
        assert shown <= set(reply.headers["access-control-expose-headers"].split(", "))


async def test_headers_with_names_that_grpc_does_not_know_change_nothing(api: httpx.AsyncClient) -> None:
    for name in ("*", "x|y", "#q", "8~TzAM", "d^&"):
        assert (await api.get("/companies/filters", headers={name: "1"})).status_code == 200


async def test_request_id_is_returned_or_made(api: httpx.AsyncClient) -> None:
    mine = str(uuid4())

    for path in ("/health", "/health/db", "/nothing"):
        assert (await api.get(path, headers={"x-request-id": mine})).headers["x-request-id"] == mine
    assert len((await api.get("/health")).headers["x-request-id"]) == 36


async def test_client_of_the_log_is_that_of_the_key(run_gateway: RunGateway, stack: Stack) -> None:
    gateway = await asyncio.to_thread(run_gateway, **stack.addresses())
    mine = str(uuid4())
    async with client(gateway.url, gateway.api_key, headers={"x-client-id": "root", "x-request-id": mine}) as http:
        await http.get("/health/db")

    assert json.loads(await gateway.logs(mine))["client"] == "default"


async def test_typed_service_by_grpc_with_a_key(stack: Stack) -> None:
    async with grpc.aio.insecure_channel(stack.gateway.removeprefix("http://")) as channel:
        query = query_service_pb2_grpc.QueryServiceStub(channel)
        count = await query.CountCompanies(
            query_service_pb2.CountCompaniesRequest(), metadata=(("x-api-key", stack.api_key),)
        )
        assert count.count >= 0
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await query.CountCompanies(query_service_pb2.CountCompaniesRequest())

    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert error.value.details() == "invalid API key"
    assert details_of(error.value) == [ErrorInfo(reason="UNAUTHORIZED", domain="connectra")]


async def test_limit_is_a_bucket_that_fills_continuously(run_gateway: RunGateway, stack: Stack) -> None:
    gateway = await asyncio.to_thread(run_gateway, MAX_REQUESTS_PER_MINUTE="30", **stack.addresses())
    async with client(gateway.url, gateway.api_key) as http:
        await until_status(http, 200, "GET", "/health")
        statuses = Counter([(await http.get("/nothing")).status_code for _ in range(29)])
        assert statuses == {404: 29}
        reply = await http.get("/health/db")
        assert reply.headers["x-ratelimit-limit"] == "30"

        while (reply := await http.get("/health/db")).status_code == 200:
            pass
        refused = time.monotonic()
        assert (reply.status_code, reply.json()) == (429, RATE_LIMITED)
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-ratelimit-remaining"] == "0"
        assert 1 <= int(reply.headers["retry-after"]) <= 2
        assert (await http.get("/health")).status_code == 200
        for path in ("/companies/x", "/companies/a%2fb"):
            refused_web = await http.get(path, headers={"content-type": "application/grpc-web"})
            assert refused_web.status_code == 429
            assert 1 <= int(refused_web.headers["retry-after"]) <= 2

        async with grpc.aio.insecure_channel(gateway.target) as channel:
            query = query_service_pb2_grpc.QueryServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await query.CountCompanies(
                    query_service_pb2.CountCompaniesRequest(), metadata=(("x-api-key", gateway.api_key),)
                )
            assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            limited = ErrorInfo(reason="RATE_LIMIT_EXCEEDED", domain="connectra")
            assert details_of(error.value) == [limited, RetryInfo(retry_delay=Duration(seconds=1))]

        await until_status(http, 404, "GET", "/nothing")
        # One token every two seconds, rather than thirty at the end of the minute.
        assert time.monotonic() - refused < 3
        assert (await http.get("/nothing")).status_code == 429


async def test_wrong_keys_are_limited_on_their_own(run_gateway: RunGateway, stack: Stack) -> None:
    gateway = await asyncio.to_thread(
        run_gateway, MAX_REQUESTS_PER_MINUTE="30", GATEWAY_UNKNOWN_KEYS_PER_MINUTE="5", **stack.addresses()
    )
    async with client(gateway.url, gateway.api_key) as http:
        replies = [await http.get("/nothing", headers={"x-api-key": f"wrong-{number}"}) for number in range(12)]
        assert Counter(reply.status_code for reply in replies) == {401: 5, 429: 7}
        assert replies[-1].json() == RATE_LIMITED
        assert {"retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(
            replies[-1].headers
        )

        reply = await http.get("/nothing")
        assert reply.status_code == 404
        assert reply.headers["x-ratelimit-remaining"] == "29"


# ---- reflection


async def shown(target: str, key: str = "") -> dict[str, set[str]]:
    """The services that a server shows by reflection, and the methods of ours."""
    metadata = (("x-api-key", key),) if key else ()
    found: dict[str, set[str]] = {}
    async with grpc.aio.insecure_channel(target) as channel:
        stub: Any = ServerReflectionStub(channel)  # type: ignore[arg-type]

        async def ask(what: ServerReflectionRequest) -> Any:
            (reply,) = [reply async for reply in stub.ServerReflectionInfo(iter([what]), metadata=metadata, timeout=20)]
            return reply

        for service in (await ask(ServerReflectionRequest(list_services=""))).list_services_response.service:
            answer = await ask(ServerReflectionRequest(file_containing_symbol=service.name))
            files = map(FileDescriptorProto.FromString, answer.file_descriptor_response.file_descriptor_proto)
            found[service.name] = {
                method.name
                for file in files
                for declared in file.service
                if f"{file.package}.{declared.name}" == service.name
                for method in declared.method
            }
            for method in sorted(found[service.name])[:1]:
                answer = await ask(ServerReflectionRequest(file_containing_symbol=f"{service.name}.{method}"))
                assert answer.HasField("file_descriptor_response")
    return {name: methods for name, methods in found.items() if name.startswith("connectra.")}


@pytest.mark.parametrize(
    ("server", "services"),
    [
        ("query", {"connectra.query.v1.QueryService"}),
        ("write", {"connectra.write.v1.WriteService", "connectra.write.v1.IndexService"}),
        ("write_internal", {"connectra.write.internal.v1.ImportService"}),
        ("jobs", {"connectra.jobs.v1.JobsService"}),
    ],
)
async def test_a_server_shows_by_reflection_what_it_serves(stack: Stack, server: str, services: set[str]) -> None:
    assert set(await shown(stack.grpc[server])) == services


async def test_a_client_is_shown_by_reflection_what_it_may_call(stack: Stack) -> None:
    target = stack.gateway.removeprefix("http://")
    typed = [service for service in descriptors.services() if not service.is_rest]
    everything = {service.name: {m.name.rpartition(".")[2] for m in service.methods} for service in typed}
    assert await shown(target, stack.api_key) == everything

    reader = clients.add(stack.home / "keys.json", f"reader-{uuid4()}", frozenset({Right.READ}))
    try:
        async with client(stack.gateway, reader.key) as http:
            await until_status(http, 404, "GET", "/nothing")
        (query,) = (service for service in typed if service.cluster == "query")
        opened = {m.name.rpartition(".")[2] for m in query.methods if m.openers & {Right.READ, OPEN}}
        assert await shown(target, reader.key) == {query.name: opened}
    finally:
        clients.revoke(stack.home / "keys.json", reader.name)
