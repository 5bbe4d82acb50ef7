"""Metadata that both doors read and write."""

from typing import Any, TypeAlias

import grpc

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

CONSISTENCY_TOKEN = "x-consistency-token"  # noqa: S105 - a header's name


def get(context: Context, key: str) -> str | None:
    """First value of a metadata key of the call."""
    for name, value in context.invocation_metadata() or ():
        if name == key:
            return value if isinstance(value, str) else value.decode()
    return None
