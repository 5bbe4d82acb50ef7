"""Every method and path of the contracts, called with a key of each right: the gateway lets through just what the contracts say."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from connectra_common.rights import OPEN, Right
from connectra_gateway import clients, descriptors, render
from connectra_gateway.descriptors import Binding, Method
from grpc_health.v1 import health, health_pb2_grpc

from tests.support.gateway import Gateway, RunGateway
from tests.support.health import SERVING
from tests.support.http import client, until_status

SERVICES = descriptors.services()
METHODS = {method.name: method for service in SERVICES for method in service.methods}
TYPED = [method for service in SERVICES if not service.is_rest for method in service.methods]
BINDINGS = [binding for service in SERVICES for binding in service.bindings]
# Callers, service and its health share one process: more calls at once could make it look ill.
AT_ONCE = asyncio.Semaphore(20)
# Served by the gateway's own process, not by what stands for the services: what it makes of an empty call is another question.
OWN = [method for service in SERVICES if service.cluster == render.OWN for method in service.methods]
UUID = "00c5752b-4b70-5e55-a027-63ae68753a52"


@dataclass
class Everything(grpc.GenericRpcHandler):
    """Serves every method there could be, by an empty message; counts calls by path and by the rights they carry."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)

    def service(self, call: Any) -> Any:
        if "Health/" in call.method:
            return None

        async def answer(_request: bytes, context: Any) -> bytes:
            metadata = dict(context.invocation_metadata())
            self.calls[call.method, metadata.get("x-client-rights", "")] += 1
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture(scope="module")
async def upstream() -> AsyncIterator[tuple[Everything, str]]:
    server, servicer, handler = grpc.aio.server(), health.aio.HealthServicer(), Everything()
    server.add_generic_rpc_handlers((handler,))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    for name in ("liveness", "readiness"):
        await servicer.set(name, SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield handler, f"127.0.0.1:{port}"
    await server.stop(0)


@pytest.fixture(scope="module")
async def gateway(upstream: tuple[Everything, str], run_gateway: RunGateway) -> Gateway:
    peers = dict.fromkeys(("QUERY_ADDRESS", "WRITE_ADDRESS", "JOBS_ADDRESS"), upstream[1])
    patient = dict.fromkeys(("GATEWAY_UNKNOWN_KEYS_PER_MINUTE", "GATEWAY_UNKNOWN_KEYS_PER_ADDRESS"), "60000")
    return await asyncio.to_thread(run_gateway, **peers, **patient)


@pytest.fixture(scope="module")
async def keys(gateway: Gateway) -> dict[Right, str]:
    """A key for each right, which its client has alone."""
    made = {right: clients.add(gateway.keys_file, f"only-{right}", frozenset({right})).key for right in Right}
    async with client(gateway.url) as http:
        for key in made.values():
            await until_status(http, 404, "GET", "/nothing", headers={"x-api-key": key})
        for name in ("company", "contact"):  # until each upstream is known to be well
            await until_status(http, 200, "GET", f"/common/{name}/filters", headers={"x-api-key": made[Right.READ]})
        await until_status(http, 200, "DELETE", f"/companies/{UUID}", headers={"x-api-key": made[Right.WRITE]})
        await until_status(http, 200, "GET", "/common/upload-url", headers={"x-api-key": made[Right.IMPORT]})
    return made


@pytest.fixture
async def channel(gateway: Gateway) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(gateway.target) as opened:
        yield opened


async def code(channel: grpc.aio.Channel, path: str, key: str) -> grpc.StatusCode:
    """What becomes of a call by gRPC."""
    method: Any = channel.unary_unary(path)
    async with AT_ONCE:
        found: grpc.StatusCode = await method(b"", metadata=(("x-api-key", key),), timeout=20).code()
    return found


def opens(right: Right, method: Method) -> bool:
    return bool({right, OPEN} & method.openers)


def url(binding: Binding) -> str:
    return (
        binding.template.replace("{service}", "company")
        .replace("{uuid}", UUID)
        .replace("{upload_id}", UUID)
        .replace("{name}", "nobody")
    )


def answer(method: Method) -> int:
    """What an allowed call of a path ends with: of those that the gateway serves itself, one is refused for its empty body, and three
    because there is no client of the name.
    """
    of_own = {"CreateKey": 400, "UpdateKey": 404, "RotateKey": 404, "RevokeKey": 404}
    return of_own.get(method.name.rpartition(".")[2], 200)


async def test_a_key_opens_the_methods_that_its_right_opens_in_the_contracts(
    channel: grpc.aio.Channel, keys: dict[Right, str], upstream: tuple[Everything, str]
) -> None:
    upstream[0].calls.clear()
    called = [(method, right) for method in TYPED for right in Right]
    codes = await asyncio.gather(*(code(channel, method.path, keys[right]) for method, right in called))

    wanted = {(m.path, r): opens(r, m) for m, r in called}
    found = {(m.path, r): code.name for (m, r), code in zip(called, codes, strict=True)}
    assert {call: code != "PERMISSION_DENIED" for call, code in found.items()} == wanted
    answered = {(m.path, r) for m, r in called if m in OWN}
    assert {code for call, code in found.items() if wanted[call] and call not in answered} == {"OK"}
    assert {code for call, code in found.items() if wanted[call] and call in answered} == {
        "OK",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
    }
    passed = ((method.path, str(right)) for method, right in called if opens(right, method) and method not in OWN)
    assert upstream[0].calls == Counter(passed)


async def test_a_key_opens_the_paths_that_its_right_opens_in_the_contracts(
    gateway: Gateway, keys: dict[Right, str], upstream: tuple[Everything, str]
) -> None:
    upstream[0].calls.clear()
    called = [(binding, right) for binding in BINDINGS for right in Right]

    async def status(binding: Binding, right: Right) -> int:
        content = b"{}" if binding.verb in ("POST", "PUT", "PATCH") else None
        headers = {"x-api-key": keys[right]}
        async with AT_ONCE:
            return (await http.request(binding.verb, url(binding), content=content, headers=headers)).status_code

    async with client(gateway.url) as http:
        found = await asyncio.gather(*(status(binding, right) for binding, right in called))

    wanted = {(b.verb, url(b), r): answer(METHODS[b.method]) if opens(r, METHODS[b.method]) else 403 for b, r in called}
    assert {(b.verb, url(b), r): got for (b, r), got in zip(called, found, strict=True)} == wanted
    # The gateway answers GetHealth itself, and its own methods.
    own = [method.name for method in OWN]
    passed = [(METHODS[b.method], r) for b, r in called if not b.method.endswith(".GetHealth") and b.method not in own]
    assert upstream[0].calls == Counter((method.path, str(right)) for method, right in passed if opens(right, method))


@pytest.mark.parametrize(
    "path",
    [
        "/connectra.write.internal.v1.ImportService/ImportBatch",
        "/connectra.write.internal.v1.ImportService/GetImportProgress",
        "/connectra.write.v1.WriteService/ImportBatch",
        "/connectra.write.v1.WriteRestService/CreateCompany",
        "/connectra.query.v1.QueryService/OfANewerRelease",
        "/grpc.health.v1.Health/Check",
        "/other.Service/Method",
    ],
)
async def test_a_method_that_is_not_for_clients_is_unimplemented_whatever_the_rights(
    channel: grpc.aio.Channel, gateway: Gateway, keys: dict[Right, str], path: str
) -> None:
    for key in (gateway.api_key, keys[Right.READ]):
        assert await code(channel, path, key) is grpc.StatusCode.UNIMPLEMENTED


async def test_nothing_is_open_to_a_caller_without_a_key_but_health_and_pages(
    gateway: Gateway, channel: grpc.aio.Channel
) -> None:
    async with client(gateway.url) as http:
        for binding in BINDINGS:
            wanted = 200 if binding.method.endswith(".GetHealth") else 401
            assert (await http.request(binding.verb, url(binding))).status_code == wanted
    for method in TYPED:
        assert await code(channel, method.path, "no-such-key") is grpc.StatusCode.UNAUTHENTICATED
