"""What can go wrong for a client, as exceptions whose text can be shown as it is.

ClientError
├── NoServer       it is not known which server is meant, or the key for it
├── Unreachable    nobody answers, or the connection broke
└── ApiError       the server refused
    └── StoreRefused   the object store did
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx


class ClientError(Exception):
    """Anything the user can act on; its text is the whole message, shown without a stack trace."""

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed if it is repeated a little later."""
        return False

    @property
    def retry_after(self) -> float:
        """Seconds before which the server does not want the call again."""
        return 0.0


class NoServer(ClientError):
    """It is not known which server is meant, or the key for it is missing."""


class Unreachable(ClientError):
    """Nobody answers at the address, or the connection broke."""

    @property
    def transient(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one field.

    Args:
        field: its path in the request, such as `where.country`; "" when the server names none.
        message: what is wrong.
    """

    field: str
    message: str

    def __str__(self) -> str:
        named = not self.field or self.message.startswith(self.field)
        return self.message if named else f"{self.field}: {self.message}"


class ApiError(ClientError):
    """The server refused. The text is its message and every field violation, each on its own line.

    Args:
        message: the server's message.
        code: `error_code` of the REST envelope, or the name of the gRPC status.
        status: HTTP status, or the number of the gRPC status.
        reason: machine-readable reason (`ErrorReason` without its prefix), "" when there is none.
        fields: all violations the server reports.
        details: `details` of the REST envelope, or the metadata of the gRPC ErrorInfo.
        retry_after: seconds to wait before the next try, of the header or the gRPC RetryInfo; 0 if the server names none.
        request_id: of the call, as the server's logs have it; "" where it is not known.
        repeatable: whether the call may be made twice: it only reads, or has an idempotency key.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int = 0,
        reason: str = "",
        fields: Sequence[FieldViolation] = (),
        details: Mapping[str, Any] | None = None,
        retry_after: float = 0.0,
        request_id: str = "",
        repeatable: bool = True,
    ) -> None:
        self.message = message
        self._retry_after = retry_after
        self._repeatable = repeatable
        self.request_id = request_id
        self.code = code
        self.status = status
        self.reason = reason
        self.fields = tuple(fields)
        self.details = dict(details or {})
        # The message is often the first violation with "(and 2 more)": do not print it twice.
        repeated = bool(self.fields) and message.startswith(self.fields[0].message)
        lines = [str(field) for field in self.fields]
        super().__init__("\n".join(lines if repeated else [message, *(f"  {line}" for line in lines)]))

    @property
    def transient(self) -> bool:
        if self.code == "DEADLINE_EXCEEDED":  # it may have happened all the same
            return self._repeatable
        return self.status in (429, 502, 503, 504) or self.code in _TRANSIENT_CODES

    @property
    def retry_after(self) -> float:
        return self._retry_after


# Of gRPC.
_TRANSIENT_CODES = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")


class StoreRefused(ApiError):
    """The object store refused."""

    @property
    def transient(self) -> bool:
        return self.status in (408, 429) or self.status >= 500


def unreachable(who: str, error: httpx.HTTPError) -> Unreachable:
    """What went wrong on the way to `who`."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        why = re.sub(r"^\[Errno -?\d+\] ", "", str(error))
        return Unreachable(f"{who} cannot be reached: {why}")
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(f"{who} took too long to answer")
    return Unreachable(f"the connection to {who} broke: {error or type(error).__name__}")
