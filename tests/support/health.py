"""Asking a gRPC server for its health."""

from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def ask_health(
    channel: grpc.aio.Channel, service: str = "", *, timeout: float, wait_for_ready: bool = False
) -> int:
    """The status of a name, such as `readiness`, which is SERVING or another."""
    stub: Any = health_pb2_grpc.HealthStub(channel)  # whose type has no methods
    request = health_pb2.HealthCheckRequest(service=service)
    return int((await stub.Check(request, timeout=timeout, wait_for_ready=wait_for_ready)).status)
