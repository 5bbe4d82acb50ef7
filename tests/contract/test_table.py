"""The REST contract, row by row, through Envoy on the real stack; each path bare, with a trailing slash, and both under /v1."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import httpx
import pytest
from connectra_common.records.fields import ENTITIES
from connectra_common.rights import ALL, Right, parsed
from connectra_gateway import clients, descriptors
from connectra_reference.table import (
    ERROR_JSON,
    GIVEN,
    JSON,
    KEYLESS,
    MAX_REQUEST_BYTES,
    OWN,
    STREAMED,
    Like,
    Row,
    filled,
    rows,
    template,
)
from grpc_health.v1 import health, health_pb2_grpc

from tests.support.api_server import RunApiServer, until_ready
from tests.support.function import NEEDS_EMULATOR, Function, RunFunction
from tests.support.gateway import Gateway, RunGateway
from tests.support.health import SERVING
from tests.support.http import client, until_status
from tests.support.jobs import upload
from tests.support.ports import free_address
from tests.support.stack import Stack

SPELLINGS = ("{}", "{}/", "/v1{}", "/v1{}/")
# Distinct from those of another run on the same stack.
RUN, NUMBERS = uuid4().hex[:8], count(1)
# Status and retries of the job a row is given, by the table's name for it.
JOBS = {"completed": ("completed", 0), "failed": ("failed", 0), "waiting": ("failed", 1)}


@dataclass
class Calls:
    """Clients of the gateways, keys by the right they lack, and what rows are given."""

    clients: dict[str, httpx.AsyncClient]
    keys: dict[str, str]
    postgres: asyncpg.Connection
    keys_file: Path
    # Of a function, whose files are those of its image.
    keys_are_fixed: bool
    object_key: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def headers(self, lacks: str = "") -> dict[str, str]:
        return {} if lacks == "key" else {"x-api-key": self.keys[lacks]}

    async def given(self, what: str) -> dict[str, Any]:
        """Values for `{n}`, `{uuid}` and the like; afterwards what the row needs is stored."""
        known: dict[str, Any] = {"n": f"{RUN}-{next(NUMBERS)}", "key": self.object_key}
        kind, _, status = what.partition(" ")
        if kind == "job":
            known["uuid"] = str(uuid4())
            async with self.lock:
                await self.postgres.execute(
                    """INSERT INTO jobs (uuid, job_type, data, status, retry_count, attempts, run_after, client)
                    VALUES ($1, 'insert_csv_file', jsonb_build_object('s3_key', $2::text), $3, $4::int, 1,
                            CASE WHEN $4::int > 0 THEN now() + interval '1 hour' END, 'default')""",
                    *(known["uuid"], self.object_key, *JOBS[status]),
                )
        elif kind == "client":
            rights = frozenset({Right.READ, Right.WRITE})
            await asyncio.to_thread(clients.add, self.keys_file, f"crm-{known['n']}", rights, requests_per_minute=600)
        elif kind == "upload":
            known["uuid"] = await self.upload(status)
        elif kind == "key":
            headers = {**self.headers(), "idempotency-key": f"used-{known['n']}"}
            await self.clients["open"].post("/companies/create", json={"name": f"Acme {known['n']}"}, headers=headers)
        elif kind:
            path, body = f"/{ENTITIES[kind].table}/create", filled(GIVEN[ENTITIES[kind]], known)
            reply = await self.clients["open"].post(path, json=body, headers=self.headers())
            known["uuid"] = reply.json()["data"]["uuid"]
            known |= {"token": reply.headers["x-consistency-token"], "etag": reply.headers["etag"]}
        return known

    async def upload(self, how_far: str) -> str:
        """The id of an upload in parts: begun; with all of its parts sent; or complete."""
        api, headers = self.clients["open"], self.headers()
        wanted = {"filename": "people.csv", "size_bytes": 20_000_000 if how_far == "begun" else 4}
        path = (
            f"/common/uploads/{(await api.post('/common/uploads', json=wanted, headers=headers)).json()['upload_id']}"
        )
        if how_far != "begun":
            urls = (await api.post(f"{path}/parts", json={"part_numbers": [1]}, headers=headers)).json()["parts"]
            async with client() as store:
                (await store.put(urls[0]["upload_url"], content=b"rows")).raise_for_status()
        if how_far == "complete":
            (await api.post(f"{path}/complete", headers=headers)).raise_for_status()
        return path.rpartition("/")[2]

    async def check(self, row: Row, spelling: str) -> None:
        """Sends the call of a row; the answer must be the row's."""
        known = await self.given(row.given)
        verb, path = filled(row.call, known).split(" ")
        path, mark, query = path.partition("?")
        body = row.body if isinstance(row.body, bytes | None) else json.dumps(filled(row.body, known)).encode()
        headers = {**self.headers(row.lacks), **filled(row.headers, known)}
        url = spelling.format(path.rstrip("/")) + mark + query
        reply = await self.clients[row.through].request(verb, url, content=body, headers=headers)
        finds = row.status < 300 or row.status == 404 or "client" in row.given
        if self.keys_are_fixed and row.method in OWN and finds:
            check_fixed(row, reply)
            return
        expected = filled(row.answer, known)
        kind = row.content_type
        answer = reply.json() if kind in (JSON, ERROR_JSON) else reply.text or None
        assert (reply.status_code, answer) == (row.status, expected)
        assert members(answer, expected) == members(expected, expected)
        shown = {"content-type": kind, **filled(row.shows, known)}
        assert {name: reply.headers.get(name) for name in shown} == shown
        assert reply.headers["x-request-id"]


def check_fixed(row: Row, reply: httpx.Response) -> None:
    """Where the file of clients cannot be written, they are listed, and each change is refused in words."""
    answer = reply.json()
    if row.method == "ListKeys":
        assert (reply.status_code, answer["writable"]) == (200, False)
        assert "cannot write" in answer["read_only_reason"]
    else:
        assert (reply.status_code, answer["details"]["reason"]) == (409, "KEYS_READ_ONLY")


def members(value: Any, expected: Any) -> Any:
    """Names of all members in their order, down to what the table only says the like of."""
    if isinstance(expected, Like):
        return None
    if isinstance(value, dict):
        return [(name, members(item, expected[name])) for name, item in value.items()]
    if isinstance(value, list):
        return [members(item, like) for item, like in zip(value, expected, strict=True)]
    return None


async def hang(request: bytes, context: Any) -> bytes:
    await asyncio.Event().wait()
    return b""


class Silent(grpc.GenericRpcHandler):
    """Takes every call and answers none."""

    def service(self, call: Any) -> Any:
        return None if "Health" in call.method.split("/")[1] else grpc.unary_unary_rpc_method_handler(hang)


@pytest.fixture(scope="module")
async def silent() -> AsyncIterator[str]:
    """Address of a service that is healthy, but never answers."""
    server, servicer = grpc.aio.server(), health.aio.HealthServicer()
    server.add_generic_rpc_handlers((Silent(),))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    for name in ("liveness", "readiness"):
        await servicer.set(name, SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


@pytest.fixture(scope="module", params=["services", "api-server", pytest.param("lambda", marks=NEEDS_EMULATOR)])
async def calls(
    request: pytest.FixtureRequest,
    stack: Stack,
    silent: str,
    run_gateway: RunGateway,
    run_api_server: RunApiServer,
    run_function: RunFunction,
) -> AsyncIterator[Calls]:
    patient = dict.fromkeys(("GATEWAY_UNKNOWN_KEYS_PER_MINUTE", "GATEWAY_UNKNOWN_KEYS_PER_ADDRESS"), "60000")
    bounded = {"GATEWAY_MAX_REQUEST_BYTES": str(MAX_REQUEST_BYTES), **patient}
    services = stack.addresses()
    gateways: dict[str, Gateway | Function] = {}
    if request.param == "api-server":
        server = await asyncio.to_thread(run_api_server, **bounded)
        await until_ready(server)
        services, gateways = server.addresses(), {"open": server.gateway}
    elif request.param == "lambda":
        function = await asyncio.to_thread(run_function, **bounded)
        services, gateways = function.addresses(), {"open": function}
    settings = {
        "open": services | bounded,
        "away": dict.fromkeys(services, free_address()),
        "slow": {**dict.fromkeys(services, silent), "GATEWAY_TIMEOUT_SECONDS": "1"},
        "spent": {**services, "MAX_REQUESTS_PER_MINUTE": "1"},
    }
    absent = [name for name in settings if name not in gateways]
    started = await asyncio.gather(*(asyncio.to_thread(run_gateway, **settings[name]) for name in absent))
    gateways.update(zip(absent, started, strict=True))
    opened = {n: g.client() for n, g in gateways.items()}
    keys_file = gateways["open"].keys_file
    lacking = sorted({row.lacks for row in rows()} - {"", "key"})
    keys = {
        rights: clients.add(keys_file, f"no-{rights.replace(',', '-')}", ALL - parsed(rights)).key for rights in lacking
    }
    made = Calls(
        opened,
        {"": gateways["open"].api_key, **keys},
        await asyncpg.connect(stack.postgres),
        keys_file,
        request.param == "lambda",
    )
    await until_status(opened["open"], 200, "GET", "/health")
    await until_status(opened["slow"], 404, "GET", "/nothing", headers=made.headers())
    await until_status(opened["spent"], 429, "GET", "/nothing", headers=made.headers())
    await until_status(opened["open"], 200, "GET", "/health/db", headers=made.headers(lacking[-1]))
    async with gateways["open"].client(made.keys[""]) as api:
        made.object_key = await upload(api, b"company\nAcme\n")
    await made.given("job completed")  # so that a page of one job has a next one
    yield made
    for http in opened.values():
        await http.aclose()
    await made.postgres.close()


@pytest.mark.parametrize("row", [r for r in rows() if r.through != "slow"], ids=lambda r: f"{r.call} {r.case}")
async def test_a_call_is_answered_as_the_table_says(calls: Calls, row: Row) -> None:
    await asyncio.gather(*(calls.check(row, spelling) for spelling in SPELLINGS))


async def test_a_service_that_is_too_slow_is_a_504_on_every_path(calls: Calls) -> None:
    slow = [row for row in rows() if row.through == "slow"]
    await asyncio.gather(*(calls.check(row, spelling) for row, spelling in zip(slow, cycle(SPELLINGS))))


def test_the_table_has_a_success_and_every_case_for_every_path_of_the_contracts() -> None:
    bindings = [b for service in descriptors.services() for b in service.bindings]
    bare = {
        f"{b.verb} {b.template}": b.method.rpartition(".")[2] for b in bindings if not b.template.startswith("/v1/")
    }
    assert {f"{b.verb} {b.template.removeprefix('/v1')}" for b in bindings if b.template.startswith("/v1/")} == set(
        bare
    )
    assert {template(row.call): row.method for row in rows() if row.status < 300} == bare
    for case, without in (
        ("service away", KEYLESS + OWN),
        ("service too slow", KEYLESS + STREAMED + OWN),
        ("wrong method", ()),
    ):
        assert len([row for row in rows() if row.case == case]) == len(bare) - len(without)


def test_every_path_that_is_documented_is_in_the_contracts() -> None:
    records = (
        "POST {0}", "POST {0}/count", "POST {0}/create", "POST {0}/upsert", "POST {0}/bulk", "POST {0}/batch-upsert",
        "GET {0}/{{uuid}}", "PUT {0}/{{uuid}}", "DELETE {0}/{{uuid}}", "GET {0}/filters", "POST {0}/filters/data",
    )  # fmt: skip
    common = (
        "GET /common/{service}/filters", "POST /common/{service}/filters/data", "POST /common/batch-upsert",
        "GET /common/upload-url", "POST /common/jobs", "POST /common/jobs/create", "GET /health", "GET /health/db",
    )  # fmt: skip
    documented = {path.format(table) for table in ("/companies", "/contacts") for path in records} | set(common)
    assert documented <= {template(row.call) for row in rows()}
