"""What the jobs service takes and refuses, and when a failed job runs again."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from connectra_common.errors import ValidationFailed
from connectra_common.settings import S3Settings
from connectra_common.times import rfc3339
from connectra_jobs import models, states
from connectra_jobs.models import Cursor, JsonObject
from connectra_jobs.places import Places
from connectra_jobs.repository import add_error
from connectra_jobs.requests import MAX_DATA_BYTES, read_create, read_data, read_list
from connectra_jobs.settings import FileSettings
from connectra_jobs.states import retry_delay
from connectra_jobs.uploads.requests import check_filename
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

PLACES = Places("own", ("b",))
EXPORT = {"service": "contact", "vql": {"select_columns": ["uuid", "email"]}}


def refused(body: dict[str, object]) -> ValidationFailed:
    with pytest.raises(ValidationFailed) as caught:
        read_create(body, PLACES)
    return caught.value


def test_an_import_and_an_export_are_taken_as_they_are() -> None:
    data = {"s3_key": "a.csv", "s3_bucket": "b"}
    job, warnings = read_create({"job_type": "insert_csv_file", "job_data": data, "retry_count": 2}, PLACES)
    assert (job.job_type, job.data, job.retry_count, warnings) == ("insert_csv_file", data, 2, [])
    job, warnings = read_create({"job_type": "export_csv_file", "job_data": EXPORT}, PLACES)
    assert (job.data, job.retry_count, warnings) == (EXPORT, 0, [])


def test_all_violations_are_reported_at_once_with_the_documented_texts() -> None:
    error = refused({"retry_count": -1})
    assert [f.field for f in error.fields] == ["job_type", "job_data", "retry_count"]
    assert [f.message.split(":")[0] for f in error.fields] == [
        "ERR_MISSING_JOB_TYPE",
        "ERR_MISSING_JOB_DATA",
        "ERR_INVALID_RETRY_COUNT",
    ]
    assert error.reason == "MISSING_JOB_TYPE"


@pytest.mark.parametrize("retry_count", [-1, 1.5, "3", True])
def test_a_retry_count_is_a_non_negative_integer(retry_count: object) -> None:
    body = {"job_type": "insert_csv_file", "job_data": {"s3_key": "a"}, "retry_count": retry_count}
    assert refused(body).reason == "INVALID_RETRY_COUNT"


def test_an_unknown_type_is_named() -> None:
    error = refused({"job_type": "sleep", "job_data": {}})
    assert error.reason == "INVALID_JOB_TYPE"
    assert error.message.startswith("ERR_INVALID_JOB_TYPE: job type 'sleep' is not recognized")
    of_no_text = refused({"job_type": {"a": True}, "job_data": {}})
    assert of_no_text.message.startswith("ERR_INVALID_JOB_TYPE: job type '{\"a\": true}' is not recognized")


@pytest.mark.parametrize(
    ("data", "field", "reason"),
    [
        ({}, "job_data.service", "UNKNOWN_SERVICE"),
        ({"service": "people", "vql": EXPORT["vql"]}, "job_data.service", "UNKNOWN_SERVICE"),
        ({"service": ["contact"], "vql": EXPORT["vql"]}, "job_data.service", "UNKNOWN_SERVICE"),
        ({"service": "contact"}, "job_data.vql.select_columns", "MISSING_SELECT_COLUMNS"),
        (
            {"service": "contact", "vql": {"select_columns": []}},
            "job_data.vql.select_columns",
            "MISSING_SELECT_COLUMNS",
        ),
        (
            {"service": "company", "vql": {"select_columns": ["emial"]}},
            "job_data.vql.select_columns[0]",
            "VALIDATION_ERROR",
        ),
        ({**EXPORT, "vql": {**EXPORT["vql"], "where": {"x": 1}}}, "job_data.vql.where", "VALIDATION_ERROR"),  # type: ignore[dict-item]
        ({**EXPORT, "s3_bucket": 1}, "job_data.s3_bucket", "VALIDATION_ERROR"),
        ({**EXPORT, "format": "xlsx"}, "job_data.format", "VALIDATION_ERROR"),
    ],
)
def test_an_export_is_checked_at_creation(data: dict[str, object], field: str, reason: str) -> None:
    error = refused({"job_type": "export_csv_file", "job_data": data})
    assert (error.fields[0].field, error.reason) == (field, reason)


def test_a_column_nearly_right_is_suggested() -> None:
    data = {"service": "contacts", "vql": {"select_columns": ["emial"]}}
    assert "did you mean 'email'" in refused({"job_type": "export_csv_file", "job_data": data}).message


def test_unknown_members_are_named_but_neither_hurt_nor_are_stored() -> None:
    job, warnings = read_create(
        {"job_type": "insert_csv_file", "job_data": {"s3_key": "a", "x": 1}, "retries": 1}, PLACES
    )
    assert [w["field"] for w in warnings] == ["retries", "job_data.x"]
    assert job.data == {"s3_key": "a"}


def test_what_a_job_is_given_is_small() -> None:
    room = MAX_DATA_BYTES - len('{"s3_key": "a", "columns": {"": null}}')
    fits = {"s3_key": "a", "columns": {"ü" * 500 + str(n): None for n in range(60)}}
    assert read_create({"job_type": "insert_csv_file", "job_data": fits}, PLACES)[0].data == fits
    error = refused({"job_type": "insert_csv_file", "job_data": {"s3_key": "a", "columns": {"x" * (room + 1): None}}})
    assert error.message == "job_data: has 65,537 bytes; at most 65,536 are allowed"


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"s3_key": "uploads/a.csv"}, None),
        ({"s3_key": "/uploads/a.csv", "s3_bucket": "own"}, None),
        ({"s3_key": "s3://own/in/a.csv"}, None),
        ({"s3_key": "uploadsx/a.csv"}, "job_data.s3_key"),
        ({"s3_key": "backups/a.csv"}, "job_data.s3_key"),
        ({"s3_key": "backups/a.csv", "s3_bucket": "own"}, "job_data.s3_key"),
        ({"s3_key": "uploads/../backups/a.csv"}, "job_data.s3_key"),
        ({"s3_key": "uploads\\..\\backups/a.csv"}, "job_data.s3_key"),
        ({"s3_key": "s3://own/uploads/../../other/a.csv"}, "job_data.s3_key"),
        # The operator named this bucket as a whole.
        ({"s3_key": "anything.csv", "s3_bucket": "partner"}, None),
        ({"s3_key": "uploads/a.csv", "s3_bucket": "foreign"}, "job_data.s3_bucket"),
        ({"s3_key": "s3://foreign/uploads/a.csv"}, "job_data.s3_bucket"),
        ({"s3_key": "a.csv", "s3_bucket": ".."}, "job_data.s3_bucket"),
    ],
)
def test_an_import_reads_where_the_settings_allow(data: JsonObject, field: str | None) -> None:
    files = FileSettings(other_buckets="partner, more", import_prefixes="uploads,/in/")
    places = Places.of(S3Settings(access_key="a", secret_key=SecretStr("s"), bucket="own"), files)
    body: JsonObject = {"job_type": "insert_csv_file", "job_data": data}
    if field is None:
        stored = read_create(body, places)[0]
        assert read_data(stored.job_type, stored.data, places)
        return
    with pytest.raises(ValidationFailed) as caught:
        read_create(body, places)
    assert [violation.field for violation in caught.value.fields] == [field]
    # Nor is it read once the settings have become narrower.
    with pytest.raises(ValidationFailed):
        read_data("insert_csv_file", data, places)


def test_an_export_writes_where_the_settings_allow() -> None:
    job, _ = read_create({"job_type": "export_csv_file", "job_data": {**EXPORT, "s3_bucket": "b"}}, PLACES)
    assert job.data["s3_bucket"] == "b"
    error = refused({"job_type": "export_csv_file", "job_data": {**EXPORT, "s3_bucket": "c"}})
    assert error.message == "job_data.s3_bucket: jobs may not use this bucket; allowed: own, b"


def test_a_stored_job_of_an_unknown_type_is_refused_when_it_runs() -> None:
    with pytest.raises(ValidationFailed, match="ERR_INVALID_JOB_TYPE"):
        read_data("sleep", {}, PLACES)


def test_a_list_has_defaults_and_documented_limits() -> None:
    assert read_list({}) == (models.JobFilter(None, None, 25), [])
    assert read_list({"limit": 0})[0].limit == 25
    condition, warnings = read_list({"job_type": "x", "status": ["open", "done"], "limit": 100, "sort": 1})
    assert condition == models.JobFilter("x", ("open", "done"), 100)
    assert [warning["field"] for warning in warnings] == ["sort", "status", "job_type"]
    for limit, reason in ((-1, "INVALID_LIMIT"), ("5", "INVALID_LIMIT"), (101, "LIMIT_TOO_HIGH")):
        with pytest.raises(ValidationFailed) as caught:
            read_list({"limit": limit})
        assert caught.value.reason == reason


@given(st.integers(0, 2**31).map(lambda s: datetime.fromtimestamp(s, UTC)), st.integers(0, 2**63 - 1))
def test_a_cursor_is_read_as_it_was_written(moment: datetime, number: int) -> None:
    cursor = Cursor(moment, number)
    assert Cursor.read(str(cursor)) == cursor


@pytest.mark.parametrize("text", ["x", "2026-01-01", "2026-01-01_", "_1", f"2026-01-01_{2**63}"])
def test_what_is_not_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed, match="cursor: is not the next_cursor of an earlier page"):
        Cursor.read(text)


@pytest.mark.parametrize(
    "given", [5, 20260101, "yesterday", True, "0001-01-01T00:00:00+10:00", "9999-12-31T23:00:00-10:00"]
)
def test_a_moment_is_a_text(given: object) -> None:
    with pytest.raises(ValidationFailed, match="created_after: must be a moment"):
        read_list({"created_after": given})


def key_of(name: str, prefix: str = "uploads") -> str:
    return f"{prefix}/6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11_{name}"


@pytest.mark.parametrize(
    "name",
    [
        "a.csv",
        "Kontakte März.csv",
        "x" * 200,
        "a..b",
        " a ",
        "a#b?c%20&d=e.csv",
        "👩\u200d💻.csv",
        "9\u202fpm.csv",
        "連" * 72,
    ],
)
def test_ordinary_file_names_are_taken(name: str) -> None:
    assert check_filename(name, key_of(name)) == name


@pytest.mark.parametrize("name", ["", " ", "../x", "a/b", "a\\b", ".hidden", "a\nb", "a\x00", "a\u2028", "x" * 201])
def test_odd_file_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationFailed, match="filename"):
        check_filename(name, key_of(name))


def test_a_name_that_the_store_would_refuse_is_refused_by_its_bytes() -> None:
    for name, prefix, problem in (
        ("連" * 73, "uploads", "has 219 bytes in UTF-8; at most 218 are allowed"),
        ("a" * 50, "p/" * 480, "has 50 bytes in UTF-8; at most 27 are allowed"),
    ):
        with pytest.raises(ValidationFailed, match=problem):
            check_filename(name, key_of(name, prefix.rstrip("/")))


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        ({"s3_key": "s3://b/uploads/a b.csv"}, {"s3_key": "uploads/a b.csv", "s3_bucket": "b"}),
        ({"s3_key": "s3://b/a.csv", "s3_bucket": "b"}, {"s3_key": "a.csv", "s3_bucket": "b"}),
        ({"s3_key": "/uploads/a.csv"}, {"s3_key": "uploads/a.csv"}),
        ({"s3_key": "a%20b.csv"}, {"s3_key": "a%20b.csv"}),
    ],
)
def test_an_object_is_found_in_every_usual_spelling_of_its_key(data: JsonObject, stored: JsonObject) -> None:
    assert read_create({"job_type": "insert_csv_file", "job_data": data}, PLACES)[0].data == stored


@pytest.mark.parametrize(
    "key",
    [
        "https://s3.example/b/a.csv?X-Amz-Signature=5ec2e7",
        "HTTP://s3.example/a.csv",
        "b/a.csv?AWSAccessKeyId=x&Signature=5ec2e7",
        "s3://other/a.csv",
        "s3://",
        "/",
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(key: str) -> None:
    error = refused({"job_type": "insert_csv_file", "job_data": {"s3_key": key, "s3_bucket": "b"}})
    assert [violation.field for violation in error.fields] == ["job_data.s3_key"]
    assert "5ec2e7" not in f"{error.message}{error.fields}{error.details}"


def test_times_are_utc_with_microseconds() -> None:
    assert rfc3339(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05.000000Z"
    there = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=there)) == "2026-01-02T01:04:05.000006Z"


def test_the_delay_of_a_retry_doubles_up_to_an_hour() -> None:
    assert [retry_delay(30, n) for n in (1, 2, 3, 4)] == [30, 60, 120, 240]
    assert retry_delay(30, 10**9) == 3600
    assert retry_delay(10**9, 1) == 3600


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_a_later_retry_never_waits_less(interval: int, failures: int) -> None:
    assert 0 <= retry_delay(interval, failures) <= retry_delay(interval, failures + 1) <= 3600


def test_errors_accumulate_over_the_runs() -> None:
    response = add_error(add_error({"rows": 1, "messages": "x"}, "first"), "second")
    assert response == {"rows": 1, "runtime_errors": ["first", "second"]}


def test_the_pools_name_documented_states_only() -> None:
    named = {states.OPEN, states.COMPLETED, states.FAILED, *states.LEASED}
    assert named == set(states.STATES)
    assert (
        *("open", "in_queue", "processing", "completed"),
        *("failed", "retry_in_queued", "retrying"),
    ) == states.STATES
    assert {status: states.source_of(status) for status in states.LEASED} == {
        "in_queue": "open",
        "processing": "open",
        "retry_in_queued": "failed",
        "retrying": "failed",
    }


def test_a_mapping_of_columns_is_taken_as_it_is() -> None:
    data = {"s3_key": "a.csv", "columns": {"Job Title": "title", "Notes": None}}
    job, warnings = read_create({"job_type": "insert_csv_file", "job_data": data}, PLACES)
    assert (job.data, warnings) == (data, [])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"Job": "titel"}, "unknown target 'titel'; did you mean 'title'?"),
        ({"Job": "title", "Role": "title"}, "'title' is given to 2 columns"),
        ({"Job Title": "title", "job_title": None}, "'job_title' is given twice"),
        ({"Job": 5}, "string"),
        (["Job"], "input should be an object"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(columns: object, message: str) -> None:
    error = refused({"job_type": "insert_csv_file", "job_data": {"s3_key": "a.csv", "columns": columns}})
    assert [found.field.split(".")[:2] for found in error.fields] == [["job_data", "columns"]]
    assert message in error.message
