"""What every call goes through, in one fixed order: (trace →) request id → metrics → errors → deadline.

Errors stand outside the deadline, since a deadline that passes is an error too. Each is an async context manager around the handler,
so that unary and streaming calls are treated alike.
"""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import uuid4

import grpc
import structlog
from grpc_status import rpc_status
from prometheus_client import Counter, Histogram

from connectra_common import errors
from connectra_common.server.metadata import Context

log = structlog.get_logger()

# Names, labels and the spelling of codes are those of grpc-prometheus, which ready-made dashboards and alerts ask for.
_METHOD = ("grpc_type", "grpc_service", "grpc_method")
STARTED = Counter("grpc_server_started_total", "Calls begun.", _METHOD)
HANDLED = Counter("grpc_server_handled_total", "Calls ended, by code.", (*_METHOD, "grpc_code"))
SECONDS = Histogram(
    "grpc_server_handling_seconds",
    "Time a call took.",
    _METHOD,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


def _spelled(code: grpc.StatusCode) -> str:
    match code:
        case grpc.StatusCode.OK:
            return "OK"
        case grpc.StatusCode.CANCELLED:
            return "Canceled"
    return "".join(word.capitalize() for word in code.name.split("_"))


# A context has its code as a number or as the enumeration's value, by who set it.
_CODES = {key: _spelled(code) for code in grpc.StatusCode for key in (code, code.value[0])}

Around = Callable[[str, Context, bool], AbstractAsyncContextManager[None]]


class AroundInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Runs `around(method, context, streams)` around every handler."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(self, continuation: Any, call: grpc.HandlerCallDetails) -> Any:
        """Wraps the handler of one method; it is the same for every call."""
        if call.method in self._wrapped:
            return self._wrapped[call.method]
        handler = await continuation(call)
        if handler is None:
            return None
        method, around = call.method, self._around

        async def unary(request: Any, context: Context) -> Any:
            async with around(method, context, False):
                return await behaviour(request, context)

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            async with around(method, context, True):
                replies = behaviour(request, context)
                if inspect.isawaitable(replies):  # grpcio's own health service writes its replies itself
                    await replies
                    return
                async for reply in replies:
                    yield reply

        for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
            if behaviour := getattr(handler, kind):
                make = getattr(grpc, f"{kind}_rpc_method_handler")
                self._wrapped[call.method] = make(
                    stream if kind.endswith("_stream") else unary,
                    handler.request_deserializer,
                    handler.response_serializer,
                )
                return self._wrapped[call.method]
        return handler


@asynccontextmanager
async def request_id(method: str, context: Context, streams: bool) -> AsyncIterator[None]:
    """Binds the caller's request id, or a new one, and the client's name to every log line of the call."""
    metadata = dict(context.invocation_metadata() or ())
    with structlog.contextvars.bound_contextvars(
        request_id=metadata.get("x-request-id") or str(uuid4()), client=metadata.get("x-client-id")
    ):
        yield


@asynccontextmanager
async def metrics(method: str, context: Context, streams: bool) -> AsyncIterator[None]:
    """Counts and times the call."""
    _, service, name = method.split("/", 2)
    labels = ("server_stream" if streams else "unary", service, name)
    STARTED.labels(*labels).inc()
    began = time.perf_counter()
    code = None
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        code = grpc.StatusCode.CANCELLED.value[0]
        raise
    finally:
        HANDLED.labels(*labels, _CODES[code or context.code() or 0]).inc()
        SECONDS.labels(*labels).observe(time.perf_counter() - began)


@asynccontextmanager
async def map_errors(method: str, context: Context, streams: bool) -> AsyncIterator[None]:
    """Turns any exception into the error its door speaks: JSON envelope or google.rpc.Status."""
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except Exception as cause:
        error = errors.from_exception(cause)
        if isinstance(error, errors.InternalError):
            log.error("call failed", method=method, exc_info=cause)
        elif error is not cause and not isinstance(error, errors.NotImplementedYet):
            log.warning("call failed", method=method, reason=error.reason, cause=repr(cause))
        message = error.message[: errors.MAX_MESSAGE_CHARS]
        if "RestService/" in method:
            trailer: tuple[tuple[str, str | bytes], ...] = (
                ("x-error-json", errors.envelope(error)),
                ("x-error-http", str(error.http_status)),
            )
        else:
            trailer = rpc_status.to_status(errors.rich_status(error)).trailing_metadata
        await context.abort(error.grpc_code, message, trailer)


def deadline(default_seconds: float) -> Around:
    """Ends a call when its deadline passes; a unary call that brings none has `default_seconds`."""

    @asynccontextmanager
    async def around(method: str, context: Context, streams: bool) -> AsyncIterator[None]:
        remaining = context.time_remaining()
        async with asyncio.timeout(remaining if remaining is not None or streams else default_seconds):
            yield

    return around


def stack(default_deadline_seconds: float) -> list[grpc.aio.ServerInterceptor]:
    """The interceptors, outermost first."""
    return [AroundInterceptor(a) for a in (request_id, metrics, map_errors, deadline(default_deadline_seconds))]
