"""Requests per minute as Envoy token buckets."""

from typing import Any


def per_minute(requests: int) -> dict[str, Any]:
    """The envoy.type.v3.TokenBucket that starts full. Envoy refills it continuously, at this rate."""
    return {"max_tokens": requests, "tokens_per_fill": requests, "fill_interval": "60s"}
