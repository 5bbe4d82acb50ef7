"""Errors of the domain, and the one mapper from everything else to them.

A service raises one of these classes; the interceptor turns it into a google.rpc.Status (typed API) or the JSON envelope (REST API).
A driver's message never reaches a client: it is logged under the request id.

    ConnectraError
    ├─ ValidationFailed     400  one or more fields are wrong, or it cannot be read; named refusals are in `refusals`
    ├─ PayloadTooLarge      413  the request is larger than its method allows
    ├─ Forbidden            403
    ├─ NotFound             404
    ├─ Conflict             409  it exists already
    ├─ WrongState           409  it exists, but its state does not allow this
    ├─ VersionConflict      412  it has changed since it was read
    ├─ TooManyRequests      429  the client has to wait
    ├─ NotImplementedYet    501
    ├─ Unavailable          503  the same request may succeed later
    │  ├─ DatabaseUnavailable
    │  ├─ SearchUnavailable
    │  └─ StorageUnavailable
    ├─ DeadlineExceeded     504
    ├─ InternalError        500  a bug of ours
    ├─ DatabaseError        500  PostgreSQL rejected our request
    ├─ SearchError          500  Elasticsearch did
    └─ StorageError         500  the object store did
"""

import asyncio
import json
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import elastic_transport
import elasticsearch
import google.rpc.error_details_pb2 as error_details_pb2
import google.rpc.status_pb2 as status_pb2
import sqlalchemy.exc
from botocore.exceptions import BotoCoreError, ClientError
from connectra.common.v1.error_reason_pb2 import ErrorReason
from google.protobuf import any_pb2, duration_pb2
from grpc import StatusCode

DOMAIN = "connectra"
# The JSON envelope travels in a trailer; Envoy takes up to 8 KiB safely.
MAX_ENVELOPE_BYTES = 6_000
MAX_MESSAGE_CHARS = 500
# Violations that an error shows.
MAX_FIELDS = 50
# Of names that a message lists.
MAX_LISTED_CHARS = 300
# How many violations follow that of a message.
_MORE = re.compile(r" \(and [\d,]+ more\)\Z")


def listed(names: Iterable[str]) -> str:
    """Names with commas between them, as many as fit into a message, and how many others there are."""
    every = list(names)
    shown = every[:1]
    for name in every[1:]:
        if sum(map(len, shown)) + len(name) > MAX_LISTED_CHARS:
            break
        shown.append(name)
    more = len(every) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one field and what would be allowed."""

    field: str
    message: str

    @classmethod
    def at(cls, field: str, problem: str) -> "FieldViolation":
        """A violation whose message begins with the field's name."""
        return cls(field, f"{field}: {problem}")


class ConnectraError(Exception):
    """An error a client may see.

    Args:
        message: for people; ends up as `error` and `message` of the envelope.
        fields: all violations, not the first.
        details: further members of the envelope's `details`, and of ErrorInfo's metadata.
    """

    grpc_code = StatusCode.INTERNAL
    http_status = 500
    # Coarse documented code of the envelope.
    error_code = "INTERNAL_ERROR"
    # The specific one: name of an `ErrorReason`. A class without one uses its coarse code as reason.
    reason = "INTERNAL_ERROR"

    def __init_subclass__(cls) -> None:
        if "reason" not in vars(cls) and "error_code" in vars(cls):
            cls.reason = cls.error_code
        ErrorReason.Value(f"ERROR_REASON_{cls.reason}")  # a reason that is not in the contract is a bug

    def __init__(
        self,
        message: str,
        *,
        fields: Sequence[FieldViolation] = (),
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fields = tuple(fields)
        self.details = dict(details or {})


class ValidationFailed(ConnectraError):
    """One or more fields are wrong; without fields, the request cannot be read at all."""

    grpc_code = StatusCode.INVALID_ARGUMENT
    http_status = 400
    error_code = "VALIDATION_ERROR"

    @classmethod
    def of(cls, fields: Sequence[FieldViolation]) -> "ValidationFailed":
        """All violations in one error; the message is the first one, with the number of others."""
        more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
        return cls(f"{fields[0].message}{more}", fields=fields)

    @classmethod
    def at(cls, field: str, problem: str) -> "ValidationFailed":
        """One field is wrong; the message begins with its name."""
        return cls.of([FieldViolation.at(field, problem)])

    @staticmethod
    def together(errors: "Sequence[ValidationFailed]") -> "ValidationFailed":
        """Several errors as one, with the reason and text of the first, and the violations and details of all."""
        if len(errors) == 1:
            return errors[0]
        error = ValidationFailed.of([violation for error in errors for violation in error.fields])
        first = errors[0]
        if len(first.fields) == 1:
            error.message = f"{first.message} (and {len(error.fields) - 1} more)"
        error.reason = first.reason
        error.details = {name: value for each in reversed(errors) for name, value in each.details.items()}
        return error


class PayloadTooLarge(ConnectraError):
    """The request is larger than its method allows. Not RESOURCE_EXHAUSTED, which callers take for a reason to try again."""

    grpc_code = StatusCode.INVALID_ARGUMENT
    http_status = 413
    error_code = "PAYLOAD_TOO_LARGE"


class NotFound(ConnectraError):
    """The named resource does not exist."""

    grpc_code = StatusCode.NOT_FOUND
    http_status = 404
    error_code = "NOT_FOUND"


class Forbidden(ConnectraError):
    """The caller is known, but may not do this."""

    grpc_code = StatusCode.PERMISSION_DENIED
    http_status = 403
    error_code = "FORBIDDEN"


class Conflict(ConnectraError):
    """It exists already."""

    grpc_code = StatusCode.ALREADY_EXISTS
    http_status = 409
    error_code = "CONFLICT"


class VersionConflict(ConnectraError):
    """It has changed since it was read."""

    grpc_code = StatusCode.ABORTED
    http_status = 412
    error_code = "CONFLICT"


class TooManyRequests(ConnectraError):
    """The client asks for more than its share; the same request may succeed later."""

    grpc_code = StatusCode.RESOURCE_EXHAUSTED
    http_status = 429
    error_code = "RATE_LIMIT_EXCEEDED"


class WrongState(ConnectraError):
    """It exists, but its state does not allow this."""

    grpc_code = StatusCode.FAILED_PRECONDITION
    http_status = 409
    error_code = "CONFLICT"


class NotImplementedYet(ConnectraError):
    """Declared in the contract, but not implemented yet."""

    grpc_code = StatusCode.UNIMPLEMENTED
    http_status = 501
    error_code = "NOT_IMPLEMENTED"


class Unavailable(ConnectraError):
    """A dependency is down; the same request may succeed later."""

    grpc_code = StatusCode.UNAVAILABLE
    http_status = 503
    error_code = "UNAVAILABLE"


class DatabaseUnavailable(Unavailable):
    """PostgreSQL is down or busy."""

    reason = "DATABASE_ERROR"


class SearchUnavailable(Unavailable):
    """Elasticsearch is down or busy."""

    reason = "ELASTICSEARCH_ERROR"


class StorageUnavailable(Unavailable):
    """The object store is down or busy."""

    reason = "STORAGE_ERROR"


class DeadlineExceeded(ConnectraError):
    """The answer was not ready in time."""

    grpc_code = StatusCode.DEADLINE_EXCEEDED
    http_status = 504
    error_code = "DEADLINE_EXCEEDED"


class InternalError(ConnectraError):
    """A bug of ours."""


class SearchError(ConnectraError):
    """Elasticsearch rejected our request."""

    error_code = "ELASTICSEARCH_ERROR"


class DatabaseError(ConnectraError):
    """PostgreSQL rejected our request."""

    error_code = "DATABASE_ERROR"


class StorageError(ConnectraError):
    """The object store rejected our request."""

    error_code = "STORAGE_ERROR"


def from_exception(error: BaseException) -> ConnectraError:
    """The client's view of any exception, without the drivers' messages."""
    match error:
        case ConnectraError():
            return error
        case NotImplementedError():  # raised by the generated servicers for methods that are not implemented
            return NotImplementedYet("this method is not available yet")
        case elasticsearch.ApiError() if error.status_code in (429, 502, 503, 504):
            return SearchUnavailable("the search engine is overloaded; try again")
        case elasticsearch.AuthenticationException() | elasticsearch.AuthorizationException():
            return SearchUnavailable("the search engine refuses this service's credentials")
        case elastic_transport.ConnectionTimeout():
            return DeadlineExceeded("the search took too long")
        case elastic_transport.TlsError():
            return SearchUnavailable("the certificate of the search engine cannot be verified")
        case elastic_transport.TransportError():
            return SearchUnavailable("the search engine cannot be reached; try again")
        case elasticsearch.ApiError():
            return SearchError("ERR_ELASTICSEARCH_FAILURE: the search engine refused the query")
        case sqlalchemy.exc.DBAPIError():
            return _from_database(error.orig.__cause__ if error.orig else None)
        case asyncpg.PostgresError() | asyncpg.InterfaceError() | asyncpg.InternalClientError():
            return _from_database(error)
        case ClientError() | BotoCoreError():
            return _from_storage(error)
        case TimeoutError() | asyncio.TimeoutError():
            return DeadlineExceeded("the request took too long")
        case ssl.SSLCertVerificationError():
            return Unavailable("the certificate of a dependency cannot be verified")
        case ConnectionError() | OSError():
            return Unavailable("a dependency cannot be reached; try again")
    return InternalError("an unexpected error occurred")


def _from_database(error: BaseException | None) -> ConnectraError:
    if isinstance(error, asyncpg.QueryCanceledError):
        return DeadlineExceeded("the database took too long")
    if isinstance(error, asyncpg.LockNotAvailableError):
        return DatabaseUnavailable("others have locked what this needs; try again")
    away = (
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
        asyncpg.InsufficientResourcesError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,  # raised by a connection that is cut off between two statements
        OSError,
    )
    if error is None or isinstance(error, away):
        return DatabaseUnavailable("the database cannot be reached; try again")
    if isinstance(error, asyncpg.TransactionRollbackError):
        return DatabaseUnavailable("the database had to undo the change; try again")
    if isinstance(error, asyncpg.CharacterNotInRepertoireError | asyncpg.UntranslatableCharacterError):
        return ValidationFailed("a text has the character U+0000 (NUL), which is not allowed")
    return DatabaseError("the database refused the statement")


def _from_storage(error: Exception) -> ConnectraError:
    code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
    if code in ("404", "NoSuchKey", "NoSuchBucket"):
        return NotFound("no such object in the object store")
    if code and not code.startswith("5") and code not in ("SlowDown", "InternalError", "ServiceUnavailable"):
        return StorageError(f"the object store refused the request ({code})")
    return StorageUnavailable("the object store cannot be reached; try again")


def envelope(error: ConnectraError) -> bytes:
    """The JSON error body, ASCII, below 6,000 bytes; if there are many violations, only the first ones."""
    details: dict[str, Any] = dict(error.details)
    if error.reason != error.error_code:
        details["reason"] = error.reason
    shown = [{"field": f.field, "message": f.message} for f in error.fields[:MAX_FIELDS]]
    while shown:
        text = _body(error, {**details, "fields": shown, **_omitted(len(error.fields) - len(shown))})
        if len(text) <= MAX_ENVELOPE_BYTES:
            return text
        shown = shown[: len(shown) // 2]
    text = _body(error, {**details, **_omitted(len(error.fields))})
    return text if len(text) <= MAX_ENVELOPE_BYTES else _body(error, _omitted(len(error.fields)))


def _omitted(fields: int) -> dict[str, int]:
    return {"fields_omitted": fields} if fields else {}


def _body(error: ConnectraError, details: Mapping[str, Any]) -> bytes:
    message = _shortened(error.message)
    body = {"success": False, "error": message, "error_code": error.error_code, "message": message, "details": details}
    return _ascii(body)


def _shortened(message: str) -> str:
    if len(message) <= MAX_MESSAGE_CHARS:
        return message
    more = found[0] if (found := _MORE.search(message)) else ""
    return f"{message.removesuffix(more)[: MAX_MESSAGE_CHARS - 1 - len(more)]}…{more}"


def _ascii(body: object) -> bytes:
    # A trailer must be ASCII, which orjson cannot produce; errors are rare enough for the slower encoder.
    return json.dumps(body, separators=(",", ":")).encode()


def rich_status(error: ConnectraError) -> status_pb2.Status:
    """google.rpc.Status with ErrorInfo, for violations BadRequest, and RetryInfo where the same call may succeed later."""
    code, _ = error.grpc_code.value
    facts = {**error.details, **_omitted(max(len(error.fields) - MAX_FIELDS, 0))}
    metadata = {key: str(value) for key, value in facts.items() if not isinstance(value, (dict, list))}
    details: list[Any] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)]
    if error.fields:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=f.field, description=f.message)
            for f in error.fields[:MAX_FIELDS]
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if isinstance(error, (Unavailable, TooManyRequests)):
        details.append(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=1)))
    status = status_pb2.Status(code=code, message=_shortened(error.message))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
