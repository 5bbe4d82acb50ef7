"""API servers of a test's own, on the stores of a stack."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support import gateway
from tests.support.gateway import Gateway
from tests.support.http import client, until_status
from tests.support.ports import free_ports
from tests.support.stack import Stack, program

COMMAND = (program("connectra"), "api-server")


@dataclass(frozen=True)
class ApiServer:
    """One that is running: its gateway, and where it serves gRPC itself, to all and to worker pools."""

    gateway: Gateway
    grpc: str
    internal: str

    def addresses(self) -> dict[str, str]:
        """The settings that lead a process to its services."""
        return dict.fromkeys(("QUERY_ADDRESS", "WRITE_ADDRESS", "JOBS_ADDRESS"), self.grpc)


RunApiServer = Callable[..., ApiServer]
"""`run_api_server(MAX_REQUESTS_PER_MINUTE=…)`: an API server with these settings, whose gateway is ready."""


def start(stack: Stack, folder: Path, running: "list[subprocess.Popen[bytes]]", **settings: str) -> ApiServer:
    """Starts one; arguments as those of `gateway.start`."""
    grpc, internal = (f"127.0.0.1:{port}" for port in free_ports(2))
    own = {"GRPC_LISTEN": grpc, "GRPC_INTERNAL_LISTEN": internal, **stack.stores(), **stack.objects()}
    return ApiServer(gateway.start(folder, running, COMMAND, **own | settings), grpc, internal)


async def until_ready(server: ApiServer) -> None:
    """Until its gateway has found all services ready."""
    unknown = "00000000-0000-0000-0000-000000000000"
    calls = (
        (200, "GET", "/companies/filters"),
        (404, "GET", f"/common/jobs/{unknown}"),
        (400, "PUT", f"/companies/{unknown}"),
    )
    async with client(server.gateway.url, server.gateway.api_key) as http:
        for status, verb, path in calls:
            await until_status(http, status, verb, path)
