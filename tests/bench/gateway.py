"""The gateway: what Envoy adds to a call of the typed door, which is made in turn through Envoy and directly."""

import statistics
import time
from typing import Any

import grpc
from connectra.query.v1.query_service_pb2 import ListContactsRequest
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.requests import read
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto

from tests.bench.options import Options, load
from tests.support.stack import Stack

GOAL_MS = 1.0
WARM_UP = 20


async def run(target: Stack, options: Options) -> list[dict[str, Any]]:
    """One line: a page of 25."""
    await load(target, options.rows)
    request = ListContactsRequest(query=to_proto(read(Vql, {"limit": 25}).model))
    metadata = (("x-api-key", target.api_key),)
    times: dict[str, list[float]] = {target.gateway.removeprefix("http://"): [], target.grpc["query"]: []}
    channels = {address: grpc.aio.insecure_channel(address) for address in times}
    stubs = {address: QueryServiceStub(channel) for address, channel in channels.items()}
    for turn in range(options.requests + WARM_UP):
        for address, stub in stubs.items():
            began = time.perf_counter()
            await stub.ListContacts(request, metadata=metadata)
            if turn >= WARM_UP:
                times[address].append((time.perf_counter() - began) * 1000)
    for channel in channels.values():
        await channel.close()
    through, direct = map(statistics.median, times.values())
    return [
        {
            "call": "a page of 25, typed",
            "p50_ms": round(through, 2),
            "direct_p50_ms": round(direct, 2),
            "added_ms": round(through - direct, 2),
            "goal_ms": GOAL_MS,
        }
    ]
