"""Channels to the other services."""

import json

import grpc
import grpc.aio

OPTIONS = [
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 30_000),
    # A restarted peer is found again within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A name with several addresses: calls go round those that say they are ready.
    (
        "grpc.service_config",
        json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": "readiness"}}),
    ),
]


def channel(address: str) -> grpc.aio.Channel:
    """A channel to one service; it connects when first used and again whenever the peer comes back."""
    return grpc.aio.insecure_channel(address, options=OPTIONS)
