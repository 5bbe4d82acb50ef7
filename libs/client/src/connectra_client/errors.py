"""What can go wrong for a client, as exceptions whose text is ready for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class ClientError(Exception):
    """Anything a person can act on; its text is the whole message, shown without a stack trace."""

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed a little later."""
        return False


class Unreachable(ClientError):
    """Nobody answers at the address, or the connection broke."""

    @property
    def transient(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one field."""

    field: str
    message: str

    def __str__(self) -> str:
        named = not self.field or self.message.startswith(self.field)
        return self.message if named else f"{self.field}: {self.message}"


class ApiError(ClientError):
    """The server refused. The text is its message and every field violation, each on a line of its own.

    Args:
        message: the server's own words.
        code: `error_code` of the REST envelope, or the name of the gRPC status.
        status: HTTP status, or the number of the gRPC status.
        reason: machine-readable reason (`ErrorReason` without its prefix), "" when there is none.
        fields: all violations the server names.
        details: whatever else it says.
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
    ) -> None:
        self.message = message
        self.code = code
        self.status = status
        self.reason = reason
        self.fields = tuple(fields)
        self.details = dict(details or {})
        # The message often is the first violation, with "(and 2 more)": saying it twice helps nobody.
        repeated = bool(self.fields) and message.startswith(self.fields[0].message)
        lines = [str(field) for field in self.fields]
        super().__init__("\n".join(lines if repeated else [message, *(f"  {line}" for line in lines)]))

    @property
    def transient(self) -> bool:
        return self.status in (429, 502, 503, 504)
