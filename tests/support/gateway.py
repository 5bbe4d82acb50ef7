"""Gateways of a test's own, for what the shared stack cannot show: low limits, short deadlines, absent services."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.http import client
from tests.support.ports import free_ports
from tests.support.wait import until, until_now

API_KEY = "key-of-a-test"
COMMAND = (sys.executable, "-m", "connectra_gateway.render", "run")


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
        """The file of its clients, in addition to the one whose key is `api_key`."""
        return self.state.parent / "keys.json"

    @property
    def target(self) -> str:
        """host:port for gRPC."""
        return self.url.removeprefix("http://")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        """One of its clients."""
        return client(self.url, key)

    def logged(self, text: str) -> list[str]:
        """The lines of its log with this text, so far."""
        return [line for line in self.log.read_text().splitlines() if text in line]

    async def logs(self, text: str) -> str:
        """The first line of its log with this text, once there is one."""

        async def look() -> list[str]:
            return self.logged(text)

        return (await until(look, seconds=15))[0]


RunGateway = Callable[..., Gateway]
"""`run_gateway(QUERY_ADDRESS=…, …)`: a gateway with these settings, ready."""


def start(
    folder: Path, running: "list[subprocess.Popen[bytes]]", command: Sequence[str] = COMMAND, **settings: str
) -> Gateway:
    """Starts a gateway with these settings and waits until it is ready.

    Args:
        folder: for its files, empty.
        running: gets the process as soon as it is there, so that it can be ended whatever happens.
        command: of the process that has the gateway.
    """
    listen, admin = (f"127.0.0.1:{port}" for port in free_ports(2))
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
            command,
            # Not the project's folder, whose `.env` must not count.
            cwd=folder,
            env={"PATH": os.environ["PATH"], **own, **settings},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    running.append(process)
    gateway = Gateway(process, f"http://{listen}", f"http://{admin}", folder / "state", folder / "log")

    def ready() -> bool:
        assert process.poll() is None, f"the gateway did not start:\n{gateway.log.read_text()}"
        return httpx.get(f"{gateway.admin}/ready", trust_env=False).text.strip() == "LIVE"

    until_now(ready, seconds=90, pause=0.05, away=(httpx.TransportError,))
    return gateway
