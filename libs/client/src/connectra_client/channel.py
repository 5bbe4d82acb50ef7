"""What the calls of both typed clients have in common: addresses, metadata, deadlines, consistency tokens, errors."""

import enum
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import grpc
from google.rpc import error_details_pb2, status_pb2

from connectra_client.connection import Connection
from connectra_client.errors import ApiError, ClientError, FieldViolation, Unreachable

_API_KEY = "x-api-key"
_CONSISTENCY_TOKEN = "x-consistency-token"  # noqa: S105 - a header's name
_IDEMPOTENCY_KEY = "idempotency-key"
_REQUEST_ID = "x-request-id"
_DETAILS = "grpc-status-details-bin"
# What a query takes.
_MAX_TOKENS = 32
# Queries that wait for what their tokens name, and have the index of contacts or that of companies show it. Others read the database.
_WAITS = re.compile(r"(?:List|Count|Aggregate|Suggest|Explain|Search|Export)(Contact|Compan)(?:s|y|ies)?")
# This one waits as well, for one of the two; its name does not say for which.
_MAY_WAIT = "ListFilterValues"
_QUERY_SERVICE = "/connectra.query.v1.QueryService/"
# Methods of the other services that change nothing.
_READS = ("Get", "List", "Watch", "Preview")

_OPTIONS: list[tuple[str, Any]] = [
    # Rows of a stream come in messages of several megabytes.
    ("grpc.max_receive_message_length", -1),
    # Of a connection that is dead without a word, a stream that waits hears within a minute.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Of a name with several addresses all are used.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
]


class Default(enum.Enum):
    """Says that a call has no deadline of its own: None means as long as it takes."""

    DEFAULT = "default"


DEFAULT = Default.DEFAULT
# Seconds.
Timeout = float | None | Default
Metadata = Mapping[str, str]


@dataclass(frozen=True)
class Tls:
    """Whom to trust, and what to show; PEM files.

    Args:
        ca_file: authorities; None: those of grpcio.
        certificate: files of the certificate and its key, for servers that ask for one.
    """

    ca_file: Path | None = None
    certificate: tuple[Path, Path] | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """For a channel.

        Raises:
            ClientError: a file cannot be read.
        """
        try:
            authorities = self.ca_file.read_bytes() if self.ca_file else None
            chain, key = (file.read_bytes() for file in self.certificate) if self.certificate else (None, None)
        except OSError as error:
            raise ClientError(f"{error.filename} cannot be read: {error.strerror}") from error
        return grpc.ssl_channel_credentials(authorities, key, chain)


def target(to: Connection) -> str:
    """Address for gRPC."""
    return f"[{to.host}]:{to.port}" if ":" in to.host else f"{to.host}:{to.port}"


def options(to: Connection) -> list[tuple[str, Any]]:
    """Options of a channel."""
    return [*_OPTIONS, ("grpc.enable_http_proxy", 0)] if to.loopback else _OPTIONS


class Tokens:
    """Consistency tokens of writes that no query of an index is known to have seen yet; threads may share a client."""

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}
        self._lock = Lock()

    @property
    def waiting(self) -> tuple[str, ...]:
        """What the next query is to wait for."""
        return tuple(self._waiting)

    def add(self, token: str) -> None:
        """Takes the token of a write."""
        with self._lock:
            self._waiting[token] = None
            if (more := len(self._waiting) - _MAX_TOKENS + 1) > 1:
                # A mark alone means all that was written up to it.
                tokens = sorted(self._waiting, key=_mark)
                self._waiting = dict.fromkeys((str(_mark(tokens[more - 1])), *tokens[more:]))

    def seen(self, tokens: Iterable[str]) -> None:
        """Forgets tokens that a query was answered with."""
        with self._lock:
            for token in tokens:
                self._waiting.pop(token, None)


def _mark(token: str) -> int:
    return int(token.partition(".")[0])


@dataclass
class Session:
    """What the calls of one client share.

    Args:
        timeout: of calls with one answer that say nothing else, in seconds.
        read_your_writes: whether queries wait for the writes before them.
    """

    timeout: float | None
    read_your_writes: bool
    tokens: dict[str, Tokens] = field(default_factory=lambda: {"Contact": Tokens(), "Compan": Tokens()})
    is_open: bool = False

    def require_open(self) -> None:
        """Raises:
        ClientError: the client was not opened yet, or is closed.
        """
        if not self.is_open:
            raise ClientError(
                "this client is not open: use it inside `with SyncConnectra()` or `async with Connectra()`"
            )

    def begin(
        self,
        key: str,
        path: str,
        timeout: Timeout,
        metadata: Metadata | None,
        idempotency_key: str | None = None,
        *,
        stream: bool = False,
    ) -> "Call":
        """A call about to be made.

        Args:
            key: API key, empty for a service that is called directly.
            path: full name of the method.
            timeout: as the caller gave it.
            metadata: of the caller, before which that of the client steps back.
            idempotency_key: makes a write safe to repeat.
            stream: whether there are many answers.
        """
        self.require_open()
        headers = {_REQUEST_ID: str(uuid4())}
        if key:
            headers[_API_KEY] = key
        if idempotency_key is not None:
            headers[_IDEMPOTENCY_KEY] = idempotency_key
        waits = _WAITS.fullmatch(path.removeprefix(_QUERY_SERVICE))
        tokens = self.tokens[waits[1]] if waits else None
        waiting = tokens.waiting if tokens else ()
        if sent := waiting or (self._all() if path == _QUERY_SERVICE + _MAY_WAIT else ()):
            headers[_CONSISTENCY_TOKEN] = ",".join(sent)
        headers |= {name.lower(): value for name, value in (metadata or {}).items()}
        if timeout is DEFAULT:
            timeout = None if stream else self.timeout
        return Call(self, path, timeout, headers, tokens, waiting)

    def written(self, token: str) -> None:
        """Takes the token of a write, which queries of both indices are to see: contacts have columns of their company."""
        for tokens in self.tokens.values():
            tokens.add(token)

    def _all(self) -> tuple[str, ...]:
        together = Tokens()
        for token in dict.fromkeys(token for tokens in self.tokens.values() for token in tokens.waiting):
            together.add(token)
        return together.waiting


@dataclass(frozen=True)
class Call:
    """One call: what is sent along, and what is made of its end."""

    session: Session
    path: str
    timeout: float | None
    headers: dict[str, str]
    tokens: Tokens | None  # of the index that is asked
    waiting: tuple[str, ...]  # those of them that were sent

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.headers.items())

    def seen(self) -> None:
        """A query was answered: with all that was written before it."""
        if self.tokens:
            self.tokens.seen(self.waiting)

    def answered(self, *metadata: Any) -> None:
        """The call went well.

        Args:
            metadata: of the answer, before and after it.
        """
        self.seen()
        if self.session.read_your_writes and (token := _read(_CONSISTENCY_TOKEN, *metadata)):
            self.session.written(token)

    def failed(self, error: Any) -> ClientError:
        """The error of grpcio as one of this package."""
        code, text = error.code(), error.details() or ""
        metadata = [sent or () for sent in (error.initial_metadata(), error.trailing_metadata())]
        if code is grpc.StatusCode.UNAVAILABLE and not metadata[1]:
            # No server ended the call: ours, and Envoy, say more than a code and a text.
            return Unreachable(f"the server cannot be reached, or the connection broke: {text}")
        method = self.path.rpartition("/")[2]
        is_read = self.path.startswith(_QUERY_SERVICE) or method.startswith(_READS)
        details = _Details.read(_read(_DETAILS, *metadata))
        return ApiError(
            "no answer in time" if code is grpc.StatusCode.DEADLINE_EXCEEDED else text or code.name,
            code=code.name,
            status=code.value[0],
            reason=details.reason,
            fields=details.fields,
            details=details.metadata,
            retry_after=details.retry_after or _seconds(_read("retry-after", *metadata)),
            request_id=_read(_REQUEST_ID, *metadata) or self.headers[_REQUEST_ID],
            repeatable=is_read or _IDEMPOTENCY_KEY in self.headers,
        )


@dataclass
class _Details:
    """What the google.rpc.Status of an error says beside code and text."""

    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    fields: list[FieldViolation] = field(default_factory=list)
    retry_after: float = 0.0

    @classmethod
    def read(cls, packed: str | bytes) -> "_Details":
        found = cls()
        for detail in status_pb2.Status.FromString(packed).details if isinstance(packed, bytes) else ():
            info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            retry = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                found.reason, found.metadata = info.reason, dict(info.metadata)
            elif detail.Unpack(violations):
                found.fields = [FieldViolation(one.field, one.description) for one in violations.field_violations]
            elif detail.Unpack(retry):
                found.retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        return found


def _read(name: str, *metadata: Any) -> Any:
    """A value of the metadata; "" if it is not there."""
    return next((value for part in metadata for key, value in part or () if key == name), "")


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0
