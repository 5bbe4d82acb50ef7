"""Gateways of a test's own, for what the shared stack cannot show: low limits, short deadlines, absent services."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

API_KEY = "key-of-a-test"


@dataclass(frozen=True)
class Gateway:
    """A running gateway; `state` is its folder of rendered files, `log` what it wrote to stdout and stderr."""

    process: "subprocess.Popen[bytes]"
    url: str
    admin: str
    state: Path
    log: Path
    api_key: str = API_KEY

    @property
    def keys_file(self) -> Path:
        """Its clients beside the one whose key is `api_key`."""
        return self.state.parent / "keys.json"

    @property
    def target(self) -> str:
        """host:port for gRPC."""
        return self.url.removeprefix("http://")


RunGateway = Callable[..., Gateway]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def run_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunGateway]:
    """`run_gateway(QUERY_ADDRESS=…, …)` starts a gateway with these settings; it ends with the module."""
    running: list[subprocess.Popen[bytes]] = []

    def run(**settings: str) -> Gateway:
        folder = tmp_path_factory.mktemp("gateway")
        listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
        own = {
            "API_KEY": API_KEY,
            "GATEWAY_LISTEN": listen,
            "GATEWAY_ADMIN_LISTEN": admin,
            "GATEWAY_STATE_DIR": str(folder / "state"),
            "GATEWAY_KEYS_FILE": str(folder / "keys.json"),
            "MAX_REQUESTS_PER_MINUTE": "60000",
        }
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "connectra_gateway.render", "run"],
                # Elsewhere than at the project, whose `.env` must not count.
                cwd=folder,
                env={"PATH": os.environ["PATH"], **own, **settings},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        gateway = Gateway(process, f"http://{listen}", f"http://{admin}", folder / "state", folder / "log")
        running.append(process)
        deadline = time.monotonic() + 90
        while not _ready(gateway):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the gateway did not start:\n{gateway.log.read_text()}")
            time.sleep(0.05)
        return gateway

    yield run
    for process in running:
        process.terminate()
    for process in running:
        process.wait(15)


def _ready(gateway: Gateway) -> bool:
    try:
        return httpx.get(f"{gateway.admin}/ready", trust_env=False).text.strip() == "LIVE"
    except httpx.TransportError:
        return False
