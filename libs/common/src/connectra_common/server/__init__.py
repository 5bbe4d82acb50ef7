"""What every server process is made of."""

from typing import Any, TypeAlias

import grpc

# What grpc hands to every method of a servicer.
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
