"""`connectra api-server`: all services and their gateway in one process. What it answers is in test_table."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import grpc
import httpx
import psutil
import pytest
from connectra.jobs.v1 import jobs_service_pb2, jobs_service_pb2_grpc
from connectra.query.v1 import query_service_pb2, query_service_pb2_grpc
from connectra.write.internal.v1 import import_service_pb2, import_service_pb2_grpc
from connectra.write.v1 import write_service_pb2, write_service_pb2_grpc

from tests.support.api_server import ApiServer, RunApiServer, until_ready
from tests.support.health import SERVING, ask_health
from tests.support.http import client
from tests.support.stack import Stack, program
from tests.support.wait import until, until_now

ENDS_SECONDS = 30


@pytest.fixture(scope="module")
async def server(run_api_server: RunApiServer) -> ApiServer:
    started = await asyncio.to_thread(run_api_server)
    await until_ready(started)
    return started


@pytest.fixture
async def leaving(run_api_server: RunApiServer) -> ApiServer:
    """One that a test may end."""
    started = await asyncio.to_thread(run_api_server)
    await until_ready(started)
    return started


@pytest.fixture
async def postgres(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(stack.postgres)
    yield connection
    await connection.close()


def envoy_of(server: ApiServer) -> psutil.Process:
    """The only child of the process."""
    (child,) = psutil.Process(server.gateway.process.pid).children(recursive=True)
    return child


async def test_one_process_and_envoy_answer_for_all_services_by_grpc(server: ApiServer) -> None:
    assert envoy_of(server).name().startswith("envoy")
    key = (("x-api-key", server.gateway.api_key),)
    async with grpc.aio.insecure_channel(server.gateway.target) as channel:
        writing = write_service_pb2_grpc.WriteServiceStub(channel)
        name = f"Single {uuid4().hex}"
        request = write_service_pb2.CreateCompanyRequest()
        request.company.name = name
        created = await writing.CreateCompany(request, metadata=key)
        query = query_service_pb2_grpc.QueryServiceStub(channel)
        found = await query.GetCompany(query_service_pb2.GetCompanyRequest(uuid=created.company.uuid), metadata=key)
        assert found.company.name == name
        jobs = jobs_service_pb2_grpc.JobsServiceStub(channel)
        await jobs.ListJobs(jobs_service_pb2.ListJobsRequest(limit=1), metadata=key)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await query.GetCompany(query_service_pb2.GetCompanyRequest(uuid=created.company.uuid))
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_what_is_for_worker_pools_is_served_to_them_alone(server: ApiServer) -> None:
    asked = import_service_pb2.GetImportProgressRequest(job_uuid=str(uuid4()))
    for address in (server.gateway.target, server.grpc):
        async with grpc.aio.insecure_channel(address) as channel:
            stub = import_service_pb2_grpc.ImportServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetImportProgress(asked, metadata=(("x-api-key", server.gateway.api_key),))
            assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    async with grpc.aio.insecure_channel(server.internal) as channel:
        await import_service_pb2_grpc.ImportServiceStub(channel).GetImportProgress(asked)


async def test_it_holds_as_many_connections_as_it_may(run_api_server: RunApiServer, stack: Stack) -> None:
    """However many calls there are at once, all services together."""
    limits = {"PG_POOL_SIZE": "11", "ELASTICSEARCH_MAX_CONNECTIONS": "2"}
    server = await asyncio.to_thread(run_api_server, **limits, MAX_REQUESTS_PER_MINUTE="600000")
    process = psutil.Process(server.gateway.process.pid)
    await until_ready(server)
    async with client(server.gateway.url, server.gateway.api_key) as http:
        calls = [
            asyncio.create_task(http.post(path, json={}))
            for path in ["/companies", "/contacts/count", "/common/jobs", "/contacts/create"] * 40
        ]
        most = {"postgres": 0, "elasticsearch": 0}
        while not all(call.done() for call in calls):
            held = [one.raddr.port for one in await asyncio.to_thread(process.net_connections, "tcp") if one.raddr]
            most = {name: max(number, held.count(port_of(stack, name))) for name, number in most.items()}
        assert {call.result().status_code for call in calls} <= {200, 400, 429, 503}
    assert 3 <= most["postgres"] <= 11
    # Its write service has another client, which these calls do not need.
    assert 1 <= most["elasticsearch"] <= 2


def port_of(stack: Stack, name: str) -> int:
    return urlsplit(stack.stores()[{"postgres": "PG_DB_CONNECTION"}.get(name, "ELASTICSEARCH_CONNECTION")]).port or 0


@pytest.mark.parametrize("switch", ["true", "values"])
async def test_what_is_asked_of_the_stores_is_logged_on_request_with_values_only_when_they_are_asked_for(
    run_api_server: RunApiServer, switch: str
) -> None:
    switches = dict.fromkeys(("PG_DB_DEBUG", "ELASTICSEARCH_DEBUG", "S3_DEBUG"), switch)
    server = await asyncio.to_thread(run_api_server, **switches)
    name = f"secretive{uuid4().hex}"
    await until_ready(server)
    async with client(server.gateway.url, server.gateway.api_key) as http:
        (await http.post("/companies/create", json={"name": name})).raise_for_status()
        found = {"text_matches": {"must": [{"filter_key": "name", "text_value": name, "search_type": "exact"}]}}
        (await http.post("/companies", json={"where": found})).raise_for_status()
        wanted = {"filename": f"{name}.csv", "size_bytes": 20_000_000}
        (await http.post("/common/uploads", json=wanted)).raise_for_status()
    assert await server.gateway.logs("INSERT INTO companies")
    assert json.loads(await server.gateway.logs('"s3"'))["status"] in (200, 403)
    logged = await server.gateway.logs('"operation": "CreateMultipartUpload"')
    assert json.loads(logged).items() >= {"event": "s3", "status": 200}.items()
    searched = re.compile(r"POST http://\S+/companies_index\S*/_search\S* \[status:200 ")
    await asyncio.to_thread(until_now, lambda: searched.search(server.gateway.log.read_text()))
    with_values = {json.loads(line)["event"] for line in server.gateway.logged(name)}
    assert with_values == ({"sql", "elasticsearch", "s3"} if switch == "values" else set())


async def test_a_request_that_runs_when_it_is_told_to_end_is_answered(
    leaving: ApiServer, postgres: asyncpg.Connection
) -> None:
    async with client(leaving.gateway.url, leaving.gateway.api_key) as http:
        made = (await http.post("/companies/create", json={"name": f"Leaving {uuid4().hex}"})).json()["data"]
        async with postgres.transaction():
            await postgres.execute("SELECT 1 FROM companies WHERE uuid = $1 FOR UPDATE", made["uuid"])
            put = asyncio.create_task(http.put(f"/companies/{made['uuid']}", json={"city": "Ulm"}))

            async def waiting() -> int:
                return int(await postgres.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

            await until(waiting, seconds=10)
            leaving.gateway.process.terminate()
            await until_closed(leaving)
            assert leaving.gateway.process.poll() is None
            assert not put.done()
        reply = await put
    assert (reply.status_code, reply.json()["data"]["city"]) == (200, "Ulm")
    assert await asyncio.to_thread(leaving.gateway.process.wait, ENDS_SECONDS) == 0


async def until_closed(server: ApiServer) -> None:
    """Until its gateway takes no new connection."""

    async def refuses() -> bool:
        try:
            async with client(server.gateway.url) as http:
                await http.get("/health")
        except httpx.TransportError:
            return True
        return False

    await until(refuses, seconds=15)


async def test_the_end_of_envoy_ends_it_with_a_reason(leaving: ApiServer) -> None:
    """So that whoever started it starts both again."""
    envoy_of(leaving).kill()

    assert await asyncio.to_thread(leaving.gateway.process.wait, ENDS_SECONDS) == 1
    assert leaving.gateway.logged("Envoy ended with exit code -9")


async def test_envoy_ends_with_it_however_it_ends(leaving: ApiServer) -> None:
    envoy = envoy_of(leaving)
    os.kill(leaving.gateway.process.pid, signal.SIGKILL)
    await asyncio.to_thread(leaving.gateway.process.wait, ENDS_SECONDS)

    await asyncio.to_thread(until_now, lambda: not envoy.is_running() or envoy.status() == psutil.STATUS_ZOMBIE)


async def test_settings_that_are_wrong_are_named_before_anything_starts(stack: Stack, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(program("connectra"), "api-server"),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **stack.stores(), **stack.objects(), "API_KEY": "short", "PG_POOL_SIZE": "0"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert sorted(re.findall(r"^settings: (\w+):", said.decode(), re.MULTILINE)) == ["API_KEY", "PG_POOL_SIZE"]


async def test_readiness_is_told_by_the_names_of_all_services(server: ApiServer) -> None:
    async with grpc.aio.insecure_channel(server.grpc) as channel:
        for name in ("readiness", *(f"connectra.{one}.v1.{one.title()}Service" for one in ("query", "write", "jobs"))):
            assert await ask_health(channel, name, timeout=5) == SERVING, name
