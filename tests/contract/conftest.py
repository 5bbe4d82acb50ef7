"""Gateways for one test module."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.support import gateway
from tests.support.gateway import Gateway, RunGateway


@pytest.fixture(scope="module")
def run_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunGateway]:
    """`run_gateway(QUERY_ADDRESS=…, …)` starts a gateway with these settings; it ends with the module."""
    running: list[subprocess.Popen[bytes]] = []
    tmp_path_factory.getbasetemp()  # made here, since threads that ask for it at once would make one each

    def run(**settings: str) -> Gateway:
        return gateway.start(tmp_path_factory.mktemp("gateway"), running, **settings)

    yield run
    for process in running:
        process.terminate()
    for process in running:
        process.wait(15)
