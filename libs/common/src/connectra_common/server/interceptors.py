"""What every call passes through: binding its context, metrics, errors, deadline, and the bulkhead of its kind."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, nullcontext, suppress
from functools import cache
from typing import Any
from uuid import uuid4

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc_health.v1 import health
from grpc_status import rpc_status
from prometheus_client import Counter, Histogram

from connectra_common import errors
from connectra_common.call import REQUEST_ID, Call, bind
from connectra_common.refusals import NotRead
from connectra_common.server import Context
from connectra_common.server.bulkheads import Bulkhead, BulkheadOf
from connectra_common.server.limits import MessageLimits
from connectra_common.server.memory import Memory

log = structlog.get_logger()

# Names, labels and the spelling of codes are those of grpc-prometheus, which ready-made dashboards and alerts expect.
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


# A call ends so much before its deadline, or a tenth of its time: at the deadline itself both libraries end it, without a word of why.
ANSWER_SECONDS = 0.05

# A context's code is a number or an enum value, depending on who set it.
_CODES = {key: _spelled(code) for code in grpc.StatusCode for key in (code, code.value[0])}


def unbounded(method: str) -> Bulkhead | None:
    """A method without a bulkhead."""
    return None


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler, unary or streaming, in `_Method.call`.

    Args:
        default_deadline_seconds: of a unary call without a deadline.
        callers: names of which the certificate of a caller must have one, except to ask for health; empty for any caller, with or without
            a certificate.
        bulkhead_of: the bulkhead of each method.
        idle_seconds: how long a stream waits for its caller to read a message.
    """

    def __init__(
        self,
        default_deadline_seconds: float,
        callers: frozenset[str] = frozenset(),
        bulkhead_of: BulkheadOf = unbounded,
        idle_seconds: float | None = None,
    ) -> None:
        self._default, self._callers = default_deadline_seconds, callers
        self._bulkhead_of, self._idle_seconds = bulkhead_of, idle_seconds
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(self, continuation: Any, call: grpc.HandlerCallDetails) -> Any:
        """Wraps the handler of one method; it is the same for every call."""
        if call.method in self._wrapped:
            return self._wrapped[call.method]
        handler = await continuation(call)
        if handler is None:
            return None
        streams: bool = handler.response_streaming
        # A caller that may not know the health of a server takes it for one that is away.
        callers = frozenset() if call.method.startswith(f"/{health.SERVICE_NAME}/") else self._callers
        default = None if streams else self._default
        method = _Method(call.method, streams, default, callers, self._bulkhead_of(call.method.rpartition("/")[2]))

        async def unary(request: Any, context: Context) -> Any:
            async with method.call(context):
                return await behaviour(_readable(request), context)

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            async with method.call(context):
                replies = behaviour(_readable(request), context)
                if inspect.isawaitable(replies):  # grpcio's own health service writes its replies itself
                    await replies
                    return
                # As this does: a message is written when the caller has room for it, and how long that takes can be bounded only here.
                async with aclosing(replies):
                    async for reply in replies:
                        await _write(context, reply, self._idle_seconds)
            return
            yield  # OpenTelemetry's interceptor takes generators only

        for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
            if behaviour := getattr(handler, kind):
                make = getattr(grpc, f"{kind}_rpc_method_handler")
                read = handler.request_deserializer
                if kind.startswith("unary"):
                    read = _bounded(call.method, read)
                self._wrapped[call.method] = make(stream if streams else unary, read, handler.response_serializer)
                return self._wrapped[call.method]
        return handler


_MEMORY = Memory()


def _bounded(method: str, read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Reads messages within the limits of a method. An error is returned: raised here, it would not reach the caller in words."""
    limits = MessageLimits(method)

    def bounded(data: bytes) -> Any:
        try:
            limits.check(data)
            _MEMORY.take(len(data))
            return read(data)
        except errors.PayloadTooLarge as error:
            return error
        except DecodeError:
            return errors.ValidationFailed("the request is not a message of this method")

    return bounded


def _readable(request: Any) -> Any:
    if isinstance(request, errors.ConnectraError):
        raise request
    return request


class _Method:
    """What the calls of one method pass through. One interceptor, not one per concern: the extra layers cost 14 % of a small call."""

    def __init__(
        self,
        path: str,
        streams: bool,
        default_seconds: float | None,
        callers: frozenset[str],
        bulkhead: Bulkhead | None,
    ) -> None:
        _, service, name = path.split("/", 2)
        labels = ("server_stream" if streams else "unary", service, name)
        self._path, self._default, self._callers, self._bulkhead = path, default_seconds, callers, bulkhead
        self._started, self._seconds = STARTED.labels(*labels), SECONDS.labels(*labels)
        self._handled = cache(lambda code: HANDLED.labels(*labels, _CODES[code]))

    @asynccontextmanager
    async def call(self, context: Context) -> AsyncIterator[None]:
        """In this order: binds what the call carries, with the caller's request id or a new one (each call has its own task, and so its own
        context variables); counts and times the call; turns any exception, including a passed deadline, into its API's error format; takes
        a place in the bulkhead, which it gives back before the caller is told how the call ended.
        """
        metadata = dict(context.invocation_metadata() or ())
        remaining = context.time_remaining()
        seconds = self._default if remaining is None else remaining - min(ANSWER_SECONDS, remaining / 10)
        bind(Call.read(metadata, str(metadata.get(REQUEST_ID) or uuid4()), seconds))
        self._started.inc()
        began = time.perf_counter()
        code = None
        try:
            async with asyncio.timeout(seconds):
                if self._callers:
                    _identify(context, self._callers)
                async with self._bulkhead.entered() if self._bulkhead else nullcontext():
                    yield
        except (asyncio.CancelledError, GeneratorExit):
            code = grpc.StatusCode.CANCELLED.value[0]
            raise
        except grpc.aio.AbortError:
            raise
        except Exception as cause:  # noqa: BLE001 - whatever it is, the client gets an error in its own language
            await _abort(self._path, context, cause)
        finally:
            self._handled(code or context.code() or 0).inc()
            self._seconds.observe(time.perf_counter() - began)


async def _write(context: Context, reply: Any, seconds: float | None) -> None:
    """Sends a message of a stream.

    Raises:
        NotRead: the caller did not take it, and what was sent before it, in time.
    """
    try:
        async with asyncio.timeout(seconds):
            await context.write(reply)
    except TimeoutError:
        raise NotRead(seconds or 0) from None


def _identify(context: Context, allowed: frozenset[str]) -> None:
    """Lets in whose certificate has an allowed name.

    Raises:
        Forbidden: it has none.
    """
    names = {name.decode() for name in context.auth_context().get("x509_subject_alternative_name", ())}
    if not names & allowed:
        raise errors.Forbidden("the certificate of the caller has no name that may call this")


async def _abort(method: str, context: Context, cause: Exception) -> None:
    """Ends the call with the client's view of an exception: a JSON envelope or a google.rpc.Status, depending on the API."""
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
    # An internal error of grpcio: the caller has gone, perhaps while it still had to read what came before this.
    with suppress(grpc.aio.InternalError):
        await context.abort(error.grpc_code, message, trailer)
