"""Gateways, API servers and functions for one test module."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import api_server, function, gateway
from tests.support.api_server import ApiServer, RunApiServer
from tests.support.function import Function, RunFunction
from tests.support.gateway import Gateway, RunGateway
from tests.support.stack import Stack

Processes = list[subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    """What the tests of the module start, and end with it."""
    running: Processes = []
    yield running
    for process in running:
        process.terminate()
    for process in running:
        process.wait(15)


@pytest.fixture(scope="module")
def run_gateway(tmp_path_factory: pytest.TempPathFactory, processes: Processes) -> RunGateway:
    """`run_gateway(QUERY_ADDRESS=…, …)` starts a gateway with these settings; it ends with the module."""
    tmp_path_factory.getbasetemp()  # made here, since threads that ask for it at once would make one each

    def run(**settings: str) -> Gateway:
        return gateway.start(tmp_path_factory.mktemp("gateway"), processes, **settings)

    return run


@pytest.fixture(scope="module")
def run_api_server(stack: Stack, tmp_path_factory: pytest.TempPathFactory, processes: Processes) -> RunApiServer:
    """`run_api_server(PG_POOL_SIZE=…, …)` starts an API server with these settings on the stack's stores; it ends with the module."""

    def run(**settings: str) -> ApiServer:
        return api_server.start(stack, tmp_path_factory.mktemp("api-server"), processes, **settings)

    return run


@pytest.fixture(scope="module")
def run_function(stack: Stack) -> Iterator[RunFunction]:
    """`run_function(PG_POOL_SIZE=…, …)` starts a Lambda function with these settings on the stack's stores; it ends with the module."""
    running: list[Function] = []

    def run(*, user: int = 0, before: tuple[str, ...] = (), **settings: str) -> Function:
        folder = Path(tempfile.mkdtemp(prefix="connectra-lambda-", dir="/var/tmp"))
        running.append(function.start(stack, folder, user=user, before=before, **settings))
        return running[-1]

    yield run
    for one in running:
        one.kill()
        shutil.rmtree(one.folder)
