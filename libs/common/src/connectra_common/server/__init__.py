"""Building blocks of every server process."""

from typing import Any, TypeAlias

import grpc

# The context that grpc passes to every servicer method.
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
