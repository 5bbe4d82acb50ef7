"""The typed client: gRPC through the gateway."""

from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self

import google.rpc.error_details_pb2 as error_details_pb2
import google.rpc.status_pb2 as status_pb2
from betterproto2.grpclib import ServiceStub
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.encoding.base import StatusDetailsCodecBase
from grpclib.encoding.proto import ProtoCodec
from grpclib.events import RecvInitialMetadata, RecvTrailingMetadata, SendRequest, listen
from grpclib.exceptions import GRPCError, StreamTerminatedError

from connectra_client.connection import find_connection
from connectra_client.errors import ApiError, ClientError, FieldViolation, Unreachable
from connectra_client.proto.connectra.jobs.v1 import JobsServiceStub
from connectra_client.proto.connectra.query.v1 import QueryServiceStub
from connectra_client.proto.connectra.write.v1 import IndexServiceStub, WriteServiceStub

_API_KEY = "x-api-key"
_CONSISTENCY_TOKEN = "x-consistency-token"  # noqa: S105 - a header's name
# What a query takes.
_MAX_TOKENS = 32
_QUERY_SERVICE = "/connectra.query.v1.QueryService/"


class Connectra:
    """A connection to a Connectra server, opened by `async with`.

    `query`, `write`, `jobs` and `index` have one typed method per RPC. Reads and searches see what was written before
    through the same object (`read_your_writes`). Every method takes a `timeout` of its own, in seconds, and may raise:

        ApiError: the server refused; `code` is the name of the gRPC status, `reason` and `fields` say more.
        Unreachable: nobody answers, or the connection broke. The next call opens a new one.

    Args:
        url: address of the gateway; by default $CONNECTRA_URL, else the server that runs on this machine.
        api_key: by default $CONNECTRA_API_KEY, else the key of that server.
        timeout: deadline of a call in seconds, unless the call sets its own; None sets no deadline.
        read_your_writes: if False, searches never wait for the index, and may lag up to a second behind one's own writes.

    Raises:
        ClientError: no server is known, its key is missing, or the address is invalid.
    """

    query: QueryServiceStub
    write: WriteServiceStub
    jobs: JobsServiceStub
    index: IndexServiceStub

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float | None = 30.0,
        read_your_writes: bool = True,
    ) -> None:
        self.connection = find_connection(url, api_key)
        self.timeout = timeout
        self.read_your_writes = read_your_writes
        self._tokens = Tokens()
        self._channel: Channel | None = None

    async def __aenter__(self) -> Self:
        to = self.connection
        ssl = True if to.secure else None
        self._channel = Channel(to.host, to.port, ssl=ssl, codec=ProtoCodec(), status_details_codec=StatusCodec())
        if self.read_your_writes:
            listen(self._channel, RecvInitialMetadata, self._keep_token)
            listen(self._channel, RecvTrailingMetadata, self._keep_token)
            listen(self._channel, SendRequest, self._send_token)
        options: dict[str, Any] = {"timeout": self.timeout, "metadata": {_API_KEY: to.api_key}}
        self.query = _QueryStub(self._channel, **options)
        self.query.tokens = self._tokens
        self.write = _WriteStub(self._channel, **options)
        self.jobs = _JobsStub(self._channel, **options)
        self.index = _IndexStub(self._channel, **options)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._channel is not None:
            self._channel.close()

    async def _keep_token(self, event: RecvInitialMetadata | RecvTrailingMetadata) -> None:
        if isinstance(token := event.metadata.get(_CONSISTENCY_TOKEN), str):
            self._tokens.add(token)

    async def _send_token(self, event: SendRequest) -> None:
        if self._tokens.waiting and event.method_name.startswith(_QUERY_SERVICE):
            event.metadata.setdefault(_CONSISTENCY_TOKEN, ",".join(self._tokens.waiting))


class Tokens:
    """Consistency tokens of writes that no query is known to have seen yet."""

    def __init__(self) -> None:
        self.waiting: dict[str, None] = {}

    def add(self, token: str) -> None:
        """Takes the token of a write."""
        self.waiting[token] = None
        if (more := len(self.waiting) - _MAX_TOKENS + 1) > 1:
            # A mark alone means all that was written up to it.
            tokens = sorted(self.waiting, key=_mark)
            self.waiting = dict.fromkeys((str(_mark(tokens[more - 1])), *tokens[more:]))

    def seen(self, tokens: Iterable[str]) -> None:
        """Forgets tokens that a query was answered with."""
        for token in tokens:
            self.waiting.pop(token, None)


def _mark(token: str) -> int:
    return int(token.partition(".")[0])


class _Calls(ServiceStub):
    """Stubs that raise the errors of this package."""

    async def _unary_unary(self, *args: Any, **options: Any) -> Any:
        try:
            return await super()._unary_unary(*args, **options)
        except (GRPCError, StreamTerminatedError, OSError) as error:
            raise translated(error) from error

    async def _unary_stream(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        try:
            async for message in super()._unary_stream(*args, **options):
                yield message
        except (GRPCError, StreamTerminatedError, OSError) as error:
            raise translated(error) from error

    async def _stream_unary(self, *args: Any, **options: Any) -> Any:
        try:
            return await super()._stream_unary(*args, **options)
        except (GRPCError, StreamTerminatedError, OSError) as error:
            raise translated(error) from error


class _QueryStub(_Calls, QueryServiceStub):  # type: ignore[misc]
    """QueryService with our errors; an answer has all writes before the call."""

    tokens: Tokens

    async def _unary_unary(self, *args: Any, **options: Any) -> Any:
        sent = tuple(self.tokens.waiting)
        answer = await super()._unary_unary(*args, **options)
        self.tokens.seen(sent)
        return answer

    async def _unary_stream(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        sent = tuple(self.tokens.waiting)
        async for message in super()._unary_stream(*args, **options):
            self.tokens.seen(sent)
            yield message


class _WriteStub(_Calls, WriteServiceStub):  # type: ignore[misc]
    """WriteService with our errors."""


class _JobsStub(_Calls, JobsServiceStub):  # type: ignore[misc]
    """JobsService with our errors."""


class _IndexStub(_Calls, IndexServiceStub):  # type: ignore[misc]
    """IndexService with our errors."""


class StatusCodec(StatusDetailsCodecBase):  # type: ignore[misc]
    """Keeps error details as the google.rpc.Status they arrived in; grpclib's own codec needs every type registered."""

    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        raise NotImplementedError("only servers send error details")

    def decode(self, status: Status, message: str | None, data: bytes) -> Any:
        return status_pb2.Status.FromString(data)


def translated(error: Exception) -> ClientError:
    """The error of a gRPC call as an error of this package."""
    if isinstance(error, GRPCError):
        return _grpc_error(error)
    if isinstance(error, TimeoutError):
        return ApiError("no answer in time", code=Status.DEADLINE_EXCEEDED.name, status=Status.DEADLINE_EXCEEDED.value)
    if isinstance(error, StreamTerminatedError):
        return Unreachable(f"the connection broke: {error}")
    return Unreachable(f"the server cannot be reached: {error}")


def _grpc_error(error: GRPCError) -> ApiError:
    reason, details, fields = "", {}, []
    if isinstance(error.details, status_pb2.Status):
        for packed in error.details.details:
            info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if packed.Unpack(info):
                reason, details = info.reason, dict(info.metadata)
            elif packed.Unpack(violations):
                fields = [FieldViolation(one.field, one.description) for one in violations.field_violations]
    return ApiError(
        error.message or error.status.name,
        code=error.status.name,
        status=error.status.value,
        reason=reason,
        fields=fields,
        details=details,
    )
