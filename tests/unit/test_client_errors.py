"""What the client says about a refusal."""

import httpx
from connectra_client.client import StatusCodec, translated
from connectra_client.errors import ApiError, FieldViolation, Unreachable
from connectra_client.rest import api_error
from google.rpc import error_details_pb2, status_pb2
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError


def envelope(message: str, **details: object) -> httpx.Response:
    body = {
        "success": False,
        "error": message,
        "error_code": "VALIDATION_ERROR",
        "message": message,
        "details": details,
    }
    return httpx.Response(400, json=body)


def test_every_violation_of_an_envelope_has_a_line_of_its_own() -> None:
    fields = [{"field": "limit", "message": "limit is too high"}, {"field": "page", "message": "page is out of range"}]
    error = api_error(envelope("the query is wrong", fields=fields, reason="LIMIT_TOO_HIGH"))
    assert str(error).splitlines() == ["the query is wrong", "  limit is too high", "  page is out of range"]
    assert (error.code, error.status, error.reason) == ("VALIDATION_ERROR", 400, "LIMIT_TOO_HIGH")


def test_a_message_that_is_the_first_violation_is_not_said_twice() -> None:
    fields = [{"field": "a", "message": "is odd"}, {"field": "b", "message": "b: is even"}]
    assert str(api_error(envelope("is odd (and 1 more)", fields=fields))).splitlines() == ["a: is odd", "b: is even"]


def test_a_single_violation_that_is_the_message_is_said_once() -> None:
    error = api_error(envelope("email is required", fields=[{"field": "email", "message": "email is required"}]))
    assert str(error) == "email is required"
    assert error.fields == (FieldViolation("email", "email is required"),)


def test_an_answer_that_is_no_envelope_is_named_by_its_status() -> None:
    assert str(api_error(httpx.Response(502, text="<html>"))) == "HTTP 502 Bad Gateway"
    assert str(api_error(httpx.Response(500, json=["odd"]))) == "HTTP 500 Internal Server Error"


def test_a_grpc_error_carries_reason_metadata_and_violations() -> None:
    status = status_pb2.Status(code=Status.INVALID_ARGUMENT.value, message="bad query")
    violation = error_details_pb2.BadRequest.FieldViolation(field="where.country", description="unknown field")
    for detail in (
        error_details_pb2.ErrorInfo(reason="VALIDATION_ERROR", domain="connectra", metadata={"index": "3"}),
        error_details_pb2.BadRequest(field_violations=[violation]),
    ):
        status.details.add().Pack(detail)
    details = StatusCodec().decode(Status.INVALID_ARGUMENT, "bad query", status.SerializeToString())
    error = translated(GRPCError(Status.INVALID_ARGUMENT, "bad query", details))
    assert isinstance(error, ApiError)
    assert (error.code, error.status, error.reason) == ("INVALID_ARGUMENT", 3, "VALIDATION_ERROR")
    assert error.details == {"index": "3"}
    assert str(error) == "bad query\n  where.country: unknown field"


def test_a_grpc_error_without_words_is_named_by_its_status() -> None:
    assert str(translated(GRPCError(Status.UNIMPLEMENTED))) == "UNIMPLEMENTED"


def test_what_breaks_underway_is_unreachable_and_what_takes_too_long_is_a_deadline() -> None:
    assert isinstance(translated(ConnectionRefusedError(111, "refused")), Unreachable)
    assert isinstance(translated(StreamTerminatedError("connection lost")), Unreachable)
    late = translated(TimeoutError())
    assert isinstance(late, ApiError)
    assert late.code == "DEADLINE_EXCEEDED"
