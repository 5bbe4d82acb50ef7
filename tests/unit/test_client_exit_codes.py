"""How commands end, and what they say then."""

import pytest
from connectra_client.complaints import told
from connectra_client.errors import ApiError, ClientError, FieldViolation, NoServer, StoreRefused, Unreachable
from connectra_client.exit_codes import ExitCode, exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ClientError("no such folder"), ExitCode.FAILED),
        (NoServer("no server is known"), ExitCode.NOT_ALLOWED),
        (Unreachable("nobody answers"), ExitCode.UNREACHABLE),
        (ApiError("", status=400, code="VALIDATION_ERROR"), ExitCode.REFUSED),
        (ApiError("", status=401), ExitCode.NOT_ALLOWED),
        (ApiError("", status=403), ExitCode.NOT_ALLOWED),
        (ApiError("", status=404), ExitCode.NOT_FOUND),
        (ApiError("", status=409), ExitCode.CONFLICT),
        (ApiError("", status=412), ExitCode.CONFLICT),
        (ApiError("", status=413), ExitCode.REFUSED),
        (ApiError("", status=429), ExitCode.UNREACHABLE),
        (ApiError("", status=500), ExitCode.FAILED),
        (ApiError("", status=503), ExitCode.UNREACHABLE),
        (ApiError("", status=3, code="INVALID_ARGUMENT"), ExitCode.REFUSED),
        (ApiError("", status=5, code="NOT_FOUND"), ExitCode.NOT_FOUND),
        (ApiError("", status=7, code="PERMISSION_DENIED"), ExitCode.NOT_ALLOWED),
        (ApiError("", status=9, code="FAILED_PRECONDITION"), ExitCode.CONFLICT),
        (ApiError("", status=13, code="INTERNAL"), ExitCode.FAILED),
        (ApiError("", status=14, code="UNAVAILABLE"), ExitCode.UNREACHABLE),
        (StoreRefused("", status=403), ExitCode.FAILED),
        (StoreRefused("", status=503), ExitCode.UNREACHABLE),
    ],
)
def test_each_kind_of_failure_has_a_code_of_its_own(error: ClientError, code: ExitCode) -> None:
    assert exit_code(error) is code


def test_codes_are_numbers_that_stay() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]
    assert all(code.meaning for code in ExitCode)


def test_a_complaint_is_told_once_under_the_name_of_the_option() -> None:
    long = "job_data.vql.select_columns[1]: unknown field 'nope'; allowed are " + ", ".join(map(str, range(200)))
    whole = FieldViolation("job_data.vql.select_columns[1]", long.partition(": ")[2])
    cut = ApiError(f"{long[:100]}… (and 900 more characters)", status=400, fields=[whole])
    assert told(cut) == long.replace("job_data.vql.select_columns[1]", "--columns")
    several = [FieldViolation("where.country", "is odd"), FieldViolation("limit", "101; 1 to 100 are allowed")]
    counted = ApiError("where.country: is odd (and 1 more)", status=400, fields=several)
    assert told(counted).splitlines() == ["--where.country: is odd", "limit: 101; 1 to 100 are allowed"]


def test_a_message_that_says_more_than_its_fields_stays() -> None:
    error = ApiError("the job is not valid", status=400, fields=[FieldViolation("email", "is odd")])
    assert told(error).splitlines() == ["the job is not valid", "email: is odd"]
    assert told(ApiError("not found", status=404)) == "not found"
    assert told(ClientError("no\nbecause")) == "no\nbecause"
