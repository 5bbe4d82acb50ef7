"""Traces across the real parts, received by a real OTLP collector; with tracing off, none of it is even imported."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import httpx
import psutil
import pytest
from connectra.write.internal.v1.import_service_pb2_grpc import ImportServiceStub
from connectra_local import ready
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as pb_grpc

from tests.support.contacts import batch, named, row
from tests.support.health import SERVING, ask_health
from tests.support.http import client
from tests.support.jobs import upload
from tests.support.ports import free_address
from tests.support.stack import Stack
from tests.support.wait import until
from tests.support.words import word


class Collector(pb_grpc.TraceServiceServicer):  # type: ignore[misc]
    """What was exported: (service, span)."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []

    async def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        return pb.ExportTraceServiceResponse()

    def trace(self, trace_id: bytes) -> list[tuple[str, Any]]:
        """The spans of one trace."""
        return [(service, span) for service, span in self.spans if span.trace_id == trace_id]

    def chain(self, service: str, kind: Callable[[dict[str, str]], bool], trace_id: bytes) -> list[str]:
        """The path, as services and span names, from the root of a trace to a span of `service` whose attributes match `kind`."""
        spans = {span.span_id: (name, span) for name, span in self.trace(trace_id)}
        for name, span in spans.values():
            if name == service and kind(attributes(span)):
                chain = [(name, span)]
                while parent := spans.get(chain[0][1].parent_span_id):
                    chain.insert(0, parent)
                return [f"{name}: {span.name}" for name, span in chain]
        return []


def attributes(span: Any) -> dict[str, str]:
    return {a.key: a.value.string_value for a in span.attributes}


class Traced:
    """Extra processes with the environment of the stack's own, apart from tracing and what else is given."""

    def __init__(self, stack: Stack, endpoint: str, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self._tracing = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, part: str, **environment: str) -> str:
        """Starts one; returns where it listens."""
        like = psutil.Process(self._stack.parts()[part]["pid"])
        listen = free_address()
        own = {
            "GRPC_LISTEN": listen,
            "GRPC_INTERNAL_LISTEN": free_address(),
            "METRICS_LISTEN": "",
            "GATEWAY_LISTEN": listen,
            "GATEWAY_ADMIN_LISTEN": free_address(),
            "GATEWAY_METRICS_LISTEN": "",
            "GATEWAY_STATE_DIR": str(self._folder / "gateway"),
        }
        with self.log(part).open("wb") as log:
            self._running.append(
                subprocess.Popen(
                    like.cmdline(), env=like.environ() | own | self._tracing | environment, stdout=log, stderr=log
                )
            )
        return listen

    def log(self, part: str) -> Path:
        return self._folder / f"{part}.log"

    def stop(self) -> None:
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        for process in self._running:
            process.wait(30)


@pytest.fixture
async def collector() -> AsyncIterator[tuple[Collector, str]]:
    taken, server = Collector(), grpc.aio.server()
    pb_grpc.add_TraceServiceServicer_to_server(taken, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield taken, f"http://127.0.0.1:{port}"
    await server.stop(0)


@pytest.fixture
async def traced(stack: Stack, collector: tuple[Collector, str], tmp_path: Path) -> AsyncIterator[Traced]:
    started = Traced(stack, collector[1], tmp_path)
    yield started
    await asyncio.to_thread(started.stop)


async def serving(address: str) -> None:
    # Not `ready.grpc`: grpclib's health messages cannot be loaded beside those of grpcio.
    async with grpc.aio.insecure_channel(address) as channel:
        assert await ask_health(channel, "readiness", timeout=3) == SERVING


async def ready_at(probe: Callable[[], Awaitable[None]]) -> None:
    async def check() -> bool:
        await probe()
        return True

    await until(check, seconds=120, away=(Exception,))


async def test_a_search_is_one_trace_from_the_gateway_to_both_engines(
    stack: Stack, imports: ImportServiceStub, collector: tuple[Collector, str], traced: Traced
) -> None:
    mark = word()
    token = (await imports.ImportBatch(batch(str(uuid4()), 0, row(mark, 1)))).consistency_token
    query = traced.start("query")
    await ready_at(lambda: serving(query))
    gateway = f"http://{traced.start('gateway', QUERY_ADDRESS=query, GATEWAY_TRUST_TRACEPARENT='true')}"
    await ready_at(lambda: ready.http(f"{gateway}/health"))

    trace_id, request_id = os.urandom(16), str(uuid4())
    headers = {
        "x-api-key": stack.api_key,
        "x-consistency-token": token,
        "x-request-id": request_id,
        # As a caller that traces sends it.
        "traceparent": f"00-{trace_id.hex()}-{os.urandom(8).hex()}-01",
    }
    async with client(gateway) as http:
        answer = await http.post("/contacts", json=named(mark), headers=headers)
    assert len(answer.json()["data"]) == 1, answer.text

    taken = collector[0]

    def ways() -> list[list[str]]:
        return [
            taken.chain("connectra-query", lambda found: found.get("db.system") == "postgresql", trace_id),
            taken.chain("connectra-query", lambda found: found.get("db.operation") == "search", trace_id),
        ]

    async def arrived() -> bool:
        return all(len(way) >= 3 for way in ways())

    await until(arrived)
    for way in ways():
        envoy, service, _ = way
        assert envoy.startswith("connectra-gateway: ")
        assert service == "connectra-query: /connectra.query.v1.QueryRestService/ListContacts"
    # Health checks and other background polling leave no spans: those there are came through the gateway.
    seen = {name: {span.trace_id for service, span in taken.spans if service == name} for name, _ in taken.spans}
    assert seen["connectra-query"] <= seen["connectra-gateway"]
    # No span contains what the caller asks for.
    assert not any(mark in value for _, span in taken.trace(trace_id) for value in attributes(span).values())
    await asyncio.to_thread(traced.stop)  # by then Envoy has written its access log
    lines = [json.loads(line) for line in traced.log("gateway").read_text().splitlines() if request_id in line]
    assert [line["trace_id"] for line in lines] == [trace_id.hex()]


async def test_a_batch_of_an_import_is_one_trace_from_the_worker_to_the_database(
    stack: Stack,
    api: httpx.AsyncClient,
    collector: tuple[Collector, str],
    traced: Traced,
    engine: Any,
    empty_database: str,
) -> None:
    mark, uuid = word(), str(uuid4())
    key = await upload(api, f"email\na@{mark}.example\nbad".encode())
    # A database of their own, since the workers of the stack would take the job otherwise.
    internal = free_address()
    own = {"PG_DB_CONNECTION": empty_database, "LOG_LEVEL": "DEBUG", "GRPC_INTERNAL_LISTEN": internal}
    write = traced.start("write", **own)
    await ready_at(lambda: serving(write))
    traced.start("first_time", PG_DB_CONNECTION=empty_database, WRITE_INTERNAL_ADDRESS=internal)
    database = await asyncpg.connect(empty_database)
    try:
        data = json.dumps({"s3_key": key})
        await database.execute(
            "INSERT INTO jobs (uuid, job_type, data) VALUES ($1, 'insert_csv_file', $2::text::jsonb)", uuid, data
        )
        taken = collector[0]

        def batches() -> list[Any]:
            return [span for service, span in taken.spans if span.name == "import batch"]

        async def arrived() -> bool:
            # A statement's span is exported before that of the call around it.
            way = [taken.chain("connectra-write", lambda found: "db.system" in found, b.trace_id) for b in batches()]
            return any(len(spans) > 3 for spans in way)

        await until(arrived, seconds=120)
    finally:
        await database.close()
    (span,) = batches()
    assert attributes(span)["connectra.job"] == uuid
    way = taken.chain("connectra-write", lambda found: found.get("db.system") == "postgresql", span.trace_id)
    name = "/connectra.write.internal.v1.ImportService/ImportBatch"
    assert way[:3] == [
        "connectra-jobs-first_time: import batch",
        f"connectra-jobs-first_time: {name}",
        f"connectra-write: {name}",
    ]
    assert len(way) == 4
    # It links to the run it belongs to, which read the object store.
    await asyncio.to_thread(traced.stop)
    (link,) = span.links
    names = {found.name for _, found in taken.trace(link.trace_id)}
    assert {"job insert_csv_file", "S3.GetObject"} <= names


def test_nothing_of_it_is_there_when_it_is_off() -> None:
    program = """
import sys
import connectra_query.main, connectra_write.main, connectra_jobs.cli
from connectra_common import telemetry
from connectra_common.server import process
from connectra_common.settings import AppSettings, TracingSettings
from elasticsearch import AsyncElasticsearch
process.begin(AppSettings(), TracingSettings(), "test")
with telemetry.trace("run"), telemetry.untraced():
    pass
assert telemetry.server_interceptors() == telemetry.client_interceptors() == []
assert not AsyncElasticsearch("http://localhost:9200")._otel.enabled
# Elasticsearch's client imports a part of the API package, and nothing else does.
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.instr", "opentelemetry.exp"))])
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
