"""What the client says about a refusal."""

import grpc
import httpx
import pytest
from connectra_client.channel import Session
from connectra_client.errors import ApiError, ClientError, FieldViolation, Unreachable
from connectra_client.rest import api_error
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2


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
    for odd in ({"message": "no", "details": "text"}, {"message": "no", "details": 5}, ["no"], {}):
        assert str(api_error(httpx.Response(502, json=odd))) == "HTTP 502 Bad Gateway"
    assert str(api_error(httpx.Response(500, json=["odd"]))) == "HTTP 500 Internal Server Error"


QUERY, WRITE = "/connectra.query.v1.QueryService/CountContacts", "/connectra.write.v1.WriteService/CreateContact"
JOBS = "/connectra.jobs.v1.JobsService"


def failed(
    code: grpc.StatusCode,
    text: str = "",
    path: str = QUERY,
    idempotency_key: str | None = None,
    **metadata: str | bytes,
) -> ClientError:
    """What a call says that ends so; `metadata` as trailers, with _ for -."""
    session = Session(timeout=30, read_your_writes=True, is_open=True)
    trailers = [(name.replace("_", "-"), value) for name, value in metadata.items()]
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), text)
    return session.begin("key", path, None, {}, idempotency_key).failed(error)


def test_a_grpc_error_carries_reason_metadata_violations_and_request_id() -> None:
    status = status_pb2.Status(code=3, message="bad query")
    violation = error_details_pb2.BadRequest.FieldViolation(field="where.country", description="unknown field")
    for detail in (
        error_details_pb2.ErrorInfo(reason="VALIDATION_ERROR", domain="connectra", metadata={"index": "3"}),
        error_details_pb2.BadRequest(field_violations=[violation]),
        error_details_pb2.RetryInfo(retry_delay=Duration(seconds=7)),
    ):
        status.details.add().Pack(detail)
    error = failed(
        grpc.StatusCode.INVALID_ARGUMENT,
        "bad query",
        grpc_status_details_bin=status.SerializeToString(),
        x_request_id="r-1",
    )
    assert isinstance(error, ApiError)
    assert (error.code, error.status, error.reason) == ("INVALID_ARGUMENT", 3, "VALIDATION_ERROR")
    assert (error.details, error.retry_after, error.request_id) == ({"index": "3"}, 7, "r-1")
    assert str(error) == "bad query\n  where.country: unknown field"


def test_a_grpc_error_without_words_is_named_by_its_status() -> None:
    assert str(failed(grpc.StatusCode.UNIMPLEMENTED)) == "UNIMPLEMENTED"


def test_an_error_that_no_server_sent_is_unreachable() -> None:
    assert isinstance(failed(grpc.StatusCode.UNAVAILABLE, "failed to connect"), Unreachable)
    assert isinstance(failed(grpc.StatusCode.UNAVAILABLE, "the database is away", x_request_id="r-1"), ApiError)


@pytest.mark.parametrize("code", grpc.StatusCode)
def test_what_may_pass_is_transient(code: grpc.StatusCode) -> None:
    always = code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
    late = code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert failed(code, path=WRITE, date="now").transient is always
    assert failed(code, path=QUERY, date="now").transient is (always or late)
    assert failed(code, path=f"{JOBS}/WatchJob", date="now").transient is (always or late)
    assert failed(code, path=f"{JOBS}/CreateJob", idempotency_key="k", date="now").transient is (always or late)
