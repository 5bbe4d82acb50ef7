"""Errors as clients of both doors see them."""

import asyncpg
import elastic_transport
import orjson
import pytest
import sqlalchemy.exc
from botocore.exceptions import ClientError
from connectra_common import errors
from connectra_common.errors import FieldViolation, NotFound, ValidationFailed, envelope, from_exception, rich_status
from google.rpc import error_details_pb2


def test_the_envelope_is_the_documented_one() -> None:
    error = ValidationFailed.of([FieldViolation("name", "name is required"), FieldViolation("website", "bad – URL")])
    assert orjson.loads(envelope(error)) == {
        "success": False,
        "error": "name is required (and 1 more)",
        "error_code": "VALIDATION_ERROR",
        "message": "name is required (and 1 more)",
        "details": {
            "fields": [
                {"field": "name", "message": "name is required"},
                {"field": "website", "message": "bad – URL"},
            ]
        },
    }
    assert envelope(error).isascii()


def test_an_envelope_always_fits_into_a_trailer() -> None:
    many = ValidationFailed.of([FieldViolation(f"f{i}", "ü" * 50) for i in range(500)])
    details = orjson.loads(envelope(many))["details"]
    assert len(envelope(many)) <= errors.MAX_ENVELOPE_BYTES
    assert len(details["fields"]) + details["fields_omitted"] == 500
    assert len(envelope(NotFound("x" * 50_000, details={"y": "z" * 50_000}))) <= errors.MAX_ENVELOPE_BYTES


def test_typed_callers_get_reason_metadata_and_violations() -> None:
    error = ValidationFailed(
        "m", reason="PAGE_SIZE_EXCEEDED", fields=[FieldViolation("limit", "too much")], details={"maximum": 100}
    )
    status = rich_status(error)
    info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status.details[0].Unpack(info)
    status.details[1].Unpack(violations)
    assert (status.code, info.reason, info.domain, dict(info.metadata)) == (
        3,
        "PAGE_SIZE_EXCEEDED",
        "connectra",
        {"maximum": "100"},
    )
    assert violations.field_violations[0].field == "limit"


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (elastic_transport.ConnectionError("http://secret:9200"), "Unavailable"),
        (elastic_transport.ConnectionTimeout("x"), "DeadlineExceeded"),
        (asyncpg.CannotConnectNowError("x"), "Unavailable"),
        (asyncpg.QueryCanceledError("x"), "DeadlineExceeded"),
        (asyncpg.DeadlockDetectedError("x"), "Unavailable"),
        (asyncpg.UndefinedColumnError("column secret"), "DatabaseError"),
        (sqlalchemy.exc.TimeoutError(), "Unavailable"),
        (ConnectionRefusedError(), "Unavailable"),
        (TimeoutError(), "DeadlineExceeded"),
        (ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject"), "NotFound"),
        (ClientError({"Error": {"Code": "SlowDown"}}, "GetObject"), "Unavailable"),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject"), "StorageError"),
        (NotImplementedError(), "NotImplementedYet"),
        (KeyError("secret"), "InternalError"),
    ],
)
def test_drivers_errors_become_ours_and_their_texts_stay_behind(cause: Exception, expected: str) -> None:
    error = from_exception(cause)
    assert type(error).__name__ == expected
    assert "secret" not in error.message


def test_a_reason_that_the_contract_does_not_have_is_a_defect() -> None:
    with pytest.raises(ValueError, match="NO_SUCH_REASON"):
        NotFound("x", reason="NO_SUCH_REASON")
