"""Calls between services when a name resolves to several processes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
from connectra_common.server.interceptors import CallInterceptor
from connectra_common.server.peers import channel
from grpc_health.v1 import health, health_pb2_grpc

from tests.support.health import NOT_SERVING, SERVING, ask_health
from tests.support.wait import until


class Server(health.aio.HealthServicer):
    """A server process as its clients see it; counts its calls."""

    calls = 0
    port = 0

    async def Check(self, request: Any, context: Any) -> Any:
        self.calls += 1
        return await super().Check(request, context)


@asynccontextmanager
async def started() -> AsyncIterator[Server]:
    servicer, server = Server(), grpc.aio.server(interceptors=[CallInterceptor(30)])
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    servicer.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer
    await server.stop(0)


async def test_calls_go_round_the_ready_ones_and_leave_the_others_out() -> None:
    async with AsyncExitStack() as opened:
        servers = [await opened.enter_async_context(started()) for _ in range(3)]
        for server, status in zip(servers, (SERVING, SERVING, NOT_SERVING), strict=True):
            await server.set("readiness", status)
        target = "ipv4:" + ",".join(f"127.0.0.1:{server.port}" for server in servers)
        peer = await opened.enter_async_context(channel(target))

        async def called() -> list[bool]:
            """Which servers get calls now."""
            before = [server.calls for server in servers]
            for _ in range(6):
                await ask_health(peer, timeout=10, wait_for_ready=True)
            return [now.calls > then for now, then in zip(servers, before, strict=True)]

        await until(called, lambda now: now == [True, True, False], seconds=30, pause=0.1)
        await servers[2].set("readiness", SERVING)
        await servers[0].set("readiness", NOT_SERVING)
        await until(called, lambda now: now == [False, True, True], seconds=30, pause=0.1)
