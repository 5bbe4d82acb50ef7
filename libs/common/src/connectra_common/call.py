"""What a call carries besides its request. The interceptor binds it once; logs, the audit trail and calls to other services read it."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import inf

from connectra_common import rights
from connectra_common.errors import DeadlineExceeded, FieldViolation, ValidationFailed
from connectra_common.rights import Right

REQUEST_ID = "x-request-id"
# Both are set by the gateway, which removes what a caller sends under these names.
CLIENT = "x-client-id"
RIGHTS = "x-client-rights"
CONSISTENCY_TOKEN = "x-consistency-token"  # noqa: S105 - a header's name
IDEMPOTENCY_KEY = "idempotency-key"
IF_MATCH = "if-match"
IF_NONE_MATCH = "if-none-match"

MAX_KEY_CHARS = 255

_KEY = re.compile(rf"[ -~]{{1,{MAX_KEY_CHARS}}}")
_ETAG = re.compile(r'(?:W/)?"([^"]*)"|(\d+)')


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key and the client it belongs to; `client` is empty for calls that did not come through the gateway."""

    client: str
    key: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call being served, or other work treated the same way.

    Args:
        request_id: of the caller, else a new one; empty outside of any call.
        client: name that the gateway gives the caller; empty for one that did not come through it.
        rights: what the caller may do; all for one that did not come through the gateway.
        ends: when the caller stops waiting, on the monotonic clock in seconds.
        token: the consistency token of a write that must be seen, as sent.
    """

    request_id: str = ""
    client: str = ""
    rights: frozenset[Right] = rights.ALL
    ends: float = inf
    token: str | None = None
    _idempotency_key: str | None = None
    _if_match: str | None = None
    _if_none_match: str | None = None

    @classmethod
    def read(cls, metadata: Mapping[str, str | bytes], request_id: str, seconds: float | None) -> "Call":
        """The call with this metadata, which ends in `seconds`; None means never."""
        client = _text(metadata.get(CLIENT)) or ""
        return cls(
            request_id,
            client,
            rights.parsed(_text(metadata.get(RIGHTS)) or "") if client else rights.ALL,
            inf if seconds is None else time.monotonic() + seconds,
            _text(metadata.get(CONSISTENCY_TOKEN)),
            _text(metadata.get(IDEMPOTENCY_KEY)),
            _text(metadata.get(IF_MATCH)),
            _text(metadata.get(IF_NONE_MATCH)),
        )

    def seconds(self, at_most: float) -> float:
        """The seconds left until the deadline, to pass on to an engine.

        Raises:
            DeadlineExceeded: nothing.
        """
        left = self.ends - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("the request took too long")
        return min(left, at_most)

    @property
    def idempotency_key(self) -> IdempotencyKey | None:
        """The key under which the answer is kept, if the call has one.

        Raises:
            ValidationFailed: empty, too long, or not printable ASCII.
        """
        if self._idempotency_key is None:
            return None
        if not _KEY.fullmatch(self._idempotency_key):
            message = f"Idempotency-Key must have 1 to {MAX_KEY_CHARS} printable ASCII characters"
            raise ValidationFailed.of([FieldViolation("Idempotency-Key", message)])
        return IdempotencyKey(self.client, self._idempotency_key)

    @property
    def versions(self) -> list[int] | None:
        """Versions of a record that the call's If-Match header allows; None for any. Tags that we never issued match nothing.

        Raises:
            ValidationFailed: it is not a list of entity tags.
        """
        # An empty one is of a caller who believes himself protected.
        return None if self._if_match is None else _versions("If-Match", self._if_match)

    def has(self, version: int) -> bool:
        """Whether the call's If-None-Match header says that its caller has this version of a record already.

        Raises:
            ValidationFailed: it is not a list of entity tags.
        """
        if self._if_none_match is None:
            return False
        known = _versions("If-None-Match", self._if_none_match)
        return known is None or version in known


def _versions(header: str, text: str) -> list[int] | None:
    if text.strip() == "*":
        return None
    tags = [_ETAG.fullmatch(part.strip()) for part in text.split(",")]
    if not all(tags):
        message = f'{header} must be "*" or the etag of an answer, such as "42"'
        raise ValidationFailed.of([FieldViolation(header, message)])
    texts = [tag[1] if tag[2] is None else tag[2] for tag in tags if tag]
    return [int(text) for text in texts if text.isascii() and text.isdecimal() and len(text) < 19]


_NONE = Call()
_current: ContextVar[Call] = ContextVar("connectra_call", default=_NONE)


def current() -> Call:
    """The call being served; an empty one outside of any call."""
    return _current.get()


@contextmanager
def bound(call: Call) -> Iterator[Call]:
    """Makes a call the current one within the block, also for tasks started there."""
    token = _current.set(call)
    try:
        yield call
    finally:
        _current.reset(token)


def bind(call: Call) -> None:
    """Makes a call the current one of this task, until it ends."""
    _current.set(call)


def _text(value: str | bytes | None) -> str | None:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value
