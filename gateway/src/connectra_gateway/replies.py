"""The errors that the gateway itself replies with: one table for the REST envelope and for native gRPC."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from connectra_common.errors import DOMAIN
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

# The grpc-status of the replies that native gRPC may get, which must be that of their details: clients refuse others. Envoy gives its own
# replies these, but to what ran out of time by which clock it did: also UNAVAILABLE, after which callers repeat a write that may have
# happened, or UNKNOWN.
_GRPC = {
    400: StatusCode.INTERNAL,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.UNIMPLEMENTED,
    408: StatusCode.DEADLINE_EXCEEDED,
    429: StatusCode.RESOURCE_EXHAUSTED,
    502: StatusCode.UNAVAILABLE,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}
# Seconds after which the same request may succeed.
_RETRY = {429: 1, 502: 1, 503: 1}


@dataclass(frozen=True)
class Reply:
    """An error with a fixed text: Envoy's own texts show internals (addresses, filters, causes of resets).

    Args:
        status: HTTP status. For native gRPC Envoy derives the grpc-status from it.
        code: `error_code` of the envelope.
        error: `error` of the envelope.
        message: `message` of the envelope, if it differs from `error`.
        details: `details` of the envelope; None omits the member, as documented for 401 and 429.
    """

    status: int
    code: str
    error: str
    message: str = ""
    details: dict[str, Any] | None = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text for people; the grpc-message of native gRPC."""
        return self.message or self.error

    @property
    def body(self) -> dict[str, Any]:
        """The error envelope."""
        body = {"success": False, "error": self.error, "error_code": self.code, "message": self.text}
        return body if self.details is None else body | {"details": self.details}

    @property
    def envelope(self) -> str:
        """The error envelope as JSON."""
        return json.dumps(self.body, separators=(",", ":"))

    @property
    def grpc_status(self) -> int | None:
        """grpc-status of native gRPC, where it is not Envoy's own."""
        code = _GRPC.get(self.status)
        return code.value[0] if code is StatusCode.DEADLINE_EXCEEDED else None

    @property
    def rich_status(self) -> str | None:
        """grpc-status-details-bin of native gRPC: ErrorInfo, and RetryInfo where it helps to wait. None: it has no such reply."""
        if not (code := _GRPC.get(self.status)):
            return None
        reason = code.name if code is StatusCode.DEADLINE_EXCEEDED else self.code
        details: list[ErrorInfo | RetryInfo] = [ErrorInfo(reason=reason, domain=DOMAIN)]
        if seconds := _RETRY.get(self.status):
            details.append(RetryInfo(retry_delay=Duration(seconds=seconds)))
        status = Status(code=code.value[0], message=self.text)
        for detail in details:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        return base64.b64encode(status.SerializeToString(deterministic=True)).decode().rstrip("=")


NOT_FOUND = Reply(404, "NOT_FOUND", "not found")
METHOD_NOT_ALLOWED = Reply(405, "METHOD_NOT_ALLOWED", "method not allowed")
# For statuses not in the table.
OTHERWISE = Reply(500, "INTERNAL_ERROR", "the request failed")


def too_large(max_bytes: int) -> Reply:
    """The reply to a body that is too large."""
    return Reply(413, "PAYLOAD_TOO_LARGE", "the request body is too large", details={"max_bytes": max_bytes})


def replies(max_request_bytes: int) -> list[Reply]:
    """One reply per status that Envoy, the transcoder or a service that sends no envelope can end with."""
    return [
        Reply(400, "BAD_REQUEST", "the request could not be read"),
        Reply(401, "UNAUTHORIZED", "unauthorized", "invalid API key", details=None),
        Reply(403, "FORBIDDEN", "this key may not do this"),
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        Reply(408, "REQUEST_TIMEOUT", "the request was not received in time"),
        Reply(409, "CONFLICT", "the request conflicts with what is stored"),
        too_large(max_request_bytes),
        Reply(
            429, "RATE_LIMIT_EXCEEDED", "rate limit exceeded", "too many requests, please try again later", details=None
        ),
        Reply(431, "HEADERS_TOO_LARGE", "the request headers are too large"),
        Reply(500, "INTERNAL_ERROR", "an unexpected error occurred"),
        Reply(501, "NOT_IMPLEMENTED", "this method is not available yet"),
        Reply(502, "UNAVAILABLE", "the service is not available; try again"),
        Reply(503, "UNAVAILABLE", "the service is not available; try again"),
        Reply(504, "DEADLINE_EXCEEDED", "the answer was not there in time"),
    ]
