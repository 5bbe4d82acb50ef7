"""Errors as clients of both doors see them."""

import asyncpg
import elastic_transport
import orjson
import pytest
from botocore.exceptions import ClientError
from connectra.common.v1.error_reason_pb2 import ErrorReason
from connectra_common import errors
from connectra_common.errors import (
    ConnectraError,
    FieldViolation,
    NotFound,
    ValidationFailed,
    envelope,
    from_exception,
    listed,
    rich_status,
)
from connectra_common.refusals import MissingJobType, PageSizeExceeded
from connectra_common.requests import nul_violations
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


def test_what_is_cut_says_how_much_follows() -> None:
    assert listed(["ann", "ben"]) == "ann, ben"
    assert listed(f"name{n:03}" for n in range(100)).endswith("name041 and 58 more")
    assert listed(["x" * 1_000, "y"]) == f"{'x' * 1_000} and 1 more"
    many = ValidationFailed.of([FieldViolation(f"f{i}", "long " * 200) for i in range(60)])
    message = orjson.loads(envelope(many))["message"]
    assert (len(message), message.endswith("… (and 59 more)")) == (errors.MAX_MESSAGE_CHARS, True), message
    info = error_details_pb2.ErrorInfo()
    rich_status(many).details[0].Unpack(info)
    assert dict(info.metadata) == {"fields_omitted": "10"}


def test_texts_with_a_nul_are_all_counted() -> None:
    found = nul_violations({"a": ["\0"] * 12, "b\0": 1})
    assert (len(found), found[-1].message) == (11, "3 more texts have the character U+0000 (NUL)")


def test_typed_callers_get_reason_metadata_and_violations() -> None:
    error = PageSizeExceeded(101, 100)
    error.fields = (FieldViolation("limit", "too much"),)
    status = rich_status(error)
    info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status.details[0].Unpack(info)
    status.details[1].Unpack(violations)
    assert (status.code, info.reason, info.domain, dict(info.metadata)) == (
        3,
        "PAGE_SIZE_EXCEEDED",
        "connectra",
        {"limit": "101", "maximum": "100"},
    )
    assert violations.field_violations[0].field == "limit"


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (elastic_transport.ConnectionError("http://secret:9200"), "SearchUnavailable"),
        (elastic_transport.ConnectionTimeout("x"), "DeadlineExceeded"),
        (asyncpg.CannotConnectNowError("x"), "DatabaseUnavailable"),
        (asyncpg.QueryCanceledError("x"), "DeadlineExceeded"),
        (asyncpg.DeadlockDetectedError("x"), "DatabaseUnavailable"),
        (asyncpg.UndefinedColumnError("column secret"), "DatabaseError"),
        (ConnectionRefusedError(), "Unavailable"),
        (TimeoutError(), "DeadlineExceeded"),
        (ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject"), "NotFound"),
        (ClientError({"Error": {"Code": "SlowDown"}}, "GetObject"), "StorageUnavailable"),
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
        type("NoSuch", (NotFound,), {"reason": "NO_SUCH_REASON"})


def test_several_refusals_become_one_with_the_reason_of_the_first() -> None:
    error = ValidationFailed.together([MissingJobType(), ValidationFailed.at("job_data", "must be an object")])
    assert error.reason == "MISSING_JOB_TYPE"
    assert [violation.field for violation in error.fields] == ["job_type", "job_data"]
    assert error.message.endswith("(and 1 more)")
    assert ValidationFailed.together([only := MissingJobType()]) is only


def test_every_reason_of_the_contract_is_one_of_a_class() -> None:
    # What the gateway alone says; no class of ours has it.
    gateway = {"UNSPECIFIED", "BAD_REQUEST", "UNAUTHORIZED"}
    known = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118 - no dict
    ours = {kind.reason for kind in _kinds(ConnectraError) if kind.__module__.startswith("connectra")}
    assert ours == known - gateway


def _kinds(kind: type[ConnectraError]) -> list[type[ConnectraError]]:
    return [kind, *(each for below in kind.__subclasses__() for each in _kinds(below))]


def test_a_message_that_is_cut_says_so() -> None:
    error = ValidationFailed("x" * 1_000)
    assert orjson.loads(envelope(error))["message"] == "x" * 499 + "…"
    assert rich_status(error).message == "x" * 499 + "…"
    assert orjson.loads(envelope(ValidationFailed("x" * 500)))["message"] == "x" * 500
