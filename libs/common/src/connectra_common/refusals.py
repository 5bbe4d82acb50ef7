"""Named refusals: one class each, which builds reason, text and details from the facts.

The texts are documented; clients match on the part before the colon. A test compares the reasons with the contract's.
"""

from collections.abc import Sequence

from connectra_common.errors import (
    Conflict,
    DatabaseUnavailable,
    DeadlineExceeded,
    FieldViolation,
    Forbidden,
    NotFound,
    TooManyRequests,
    Unavailable,
    ValidationFailed,
    WrongState,
    listed,
)
from connectra_common.records.fields import Entity

# In the details of an error.
MAX_UUIDS = 10


class PageSizeExceeded(ValidationFailed):
    """A list was asked for more rows than a page may have."""

    reason = "PAGE_SIZE_EXCEEDED"

    def __init__(self, limit: int, maximum: int) -> None:
        super().__init__(
            "ERR_PAGE_SIZE_EXCEEDED: the requested page size surpasses the maximum allowed limit; "
            "consider using pagination with smaller batches",
            fields=[FieldViolation.at("limit", f"{limit} is more than {maximum}")],
            details={"limit": limit, "maximum": maximum},
        )


class PageOutOfRange(ValidationFailed):
    """`page` or `offset` lies beyond what can be reached without a cursor."""

    reason = "PAGE_OUT_OF_RANGE"

    def __init__(self, parameter: str, given: int, maximum: int) -> None:
        way = "to go deeper, send the `next_cursor` of the last answer as `cursor`"
        super().__init__(
            "ERR_PAGE_OUT_OF_RANGE: the requested page number is beyond the available range; "
            "verify total pages before requesting",
            fields=[FieldViolation.at(parameter, f"{given} is more than {maximum}; {way}")],
            details={parameter: given, "maximum": maximum},
        )


class EmptyPayload(ValidationFailed):
    """A batch without records."""

    reason = "EMPTY_PAYLOAD"

    def __init__(self) -> None:
        super().__init__(
            "ERR_EMPTY_PAYLOAD: the 'data' array in the request body is empty; provide at least one record to process"
        )


class BatchTooLarge(ValidationFailed):
    """A batch of more records than one request may have."""

    reason = "BATCH_TOO_LARGE"

    def __init__(self, count: int, maximum: int) -> None:
        super().__init__(
            "ERR_BATCH_TOO_LARGE: the number of records in the batch exceeds the allowed maximum; "
            "split the data into smaller chunks",
            details={"count": count, "maximum": maximum},
        )


class UnsupportedService(ValidationFailed):
    """A path names neither companies nor contacts."""

    reason = "UNSUPPORTED_SERVICE"

    def __init__(self, service: str, allowed: Sequence[str]) -> None:
        super().__init__(
            "ERR_UNSUPPORTED_SERVICE: the specified service type is not supported for this operation; "
            "verify the endpoint and try again",
            details={"service": service[:100], "allowed": [*allowed]},
        )


class _OfField(ValidationFailed):
    """A refusal of one field, whose violation has the same text."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, fields=[FieldViolation(field, message)])


class MissingRight(Forbidden):
    """The client may call the method, but lacks the right for what it asks of it."""

    def __init__(self, right: str) -> None:
        super().__init__(f"this key may not do this: it lacks the right '{right}'", details={"right": right})


class MissingJobType(_OfField):
    """A job without a type."""

    reason = "MISSING_JOB_TYPE"

    def __init__(self) -> None:
        super().__init__(
            "job_type",
            "ERR_MISSING_JOB_TYPE: the 'job_type' field is required; "
            "specify a valid job type such as 'insert_csv_file' or 'export_csv_file'",
        )


class InvalidJobType(_OfField):
    """A job of a type that does not exist."""

    reason = "INVALID_JOB_TYPE"

    def __init__(self, job_type: str) -> None:
        super().__init__(
            "job_type",
            f"ERR_INVALID_JOB_TYPE: job type '{job_type[:100]}' is not recognized; "
            "supported types are 'insert_csv_file' and 'export_csv_file'",
        )


class MissingJobData(_OfField):
    """A job without `job_data`."""

    reason = "MISSING_JOB_DATA"

    def __init__(self) -> None:
        super().__init__(
            "job_data",
            "ERR_MISSING_JOB_DATA: the 'job_data' field is required; include the necessary payload for job execution",
        )


class InvalidRetryCount(_OfField):
    """`retry_count` is not an integer from 0 to the maximum."""

    reason = "INVALID_RETRY_COUNT"

    def __init__(self, given: object, maximum: int) -> None:
        too_many = type(given) is int and given > maximum
        super().__init__(
            "retry_count",
            f"retry_count: at most {maximum} retries are allowed"
            if too_many
            else "ERR_INVALID_RETRY_COUNT: 'retry_count' must be a non-negative integer; "
            "use 0 for no retries or a positive number for retry attempts",
        )


class UnknownService(_OfField):
    """An export of neither companies nor contacts."""

    reason = "UNKNOWN_SERVICE"

    def __init__(self, field: str) -> None:
        super().__init__(
            field,
            "ERR_UNKNOWN_SERVICE: the provided service identifier is not recognized; use 'contacts' or 'companies'",
        )


class MissingSelectColumns(_OfField):
    """An export without columns."""

    reason = "MISSING_SELECT_COLUMNS"

    def __init__(self, field: str = "select_columns") -> None:
        super().__init__(
            field,
            "ERR_MISSING_SELECT_COLUMNS: 'select_columns' is required for export operations; "
            "specify at least one column to include in the output",
        )


class InvalidLimit(_OfField):
    """`limit` of a list of jobs is negative or not an integer."""

    reason = "INVALID_LIMIT"

    def __init__(self) -> None:
        super().__init__(
            "limit",
            "ERR_INVALID_LIMIT: 'limit' must be a non-negative integer; use 0 for default or specify a positive value",
        )


class LimitTooHigh(_OfField):
    """`limit` of a list of jobs is above the documented maximum."""

    reason = "LIMIT_TOO_HIGH"

    def __init__(self) -> None:
        super().__init__(
            "limit",
            "ERR_LIMIT_TOO_HIGH: 'limit' exceeds the maximum of 100 records per request; "
            "reduce the value or use pagination",
        )


class RecordNotFound(NotFound):
    """There is no record with this uuid, or it is deleted."""

    def __init__(self, title: str, uuid: str) -> None:
        super().__init__(f"{title} with identifier 'specified UUID' not found", details={"uuid": uuid})


class JobNotFound(NotFound):
    """There is no job with this uuid."""

    def __init__(self, uuid: str) -> None:
        super().__init__(f"Job with identifier '{uuid}' not found")


class UploadNotFound(NotFound):
    """This client has begun no such upload, or it was aborted, or its file is gone."""

    def __init__(self, uuid: str) -> None:
        super().__init__(f"Upload with identifier '{uuid}' not found")


class RecordExists(Conflict):
    """A record with this uuid exists already."""

    def __init__(self, title: str, uuid: str) -> None:
        super().__init__(f"{title} with uuid '{uuid}' already exists", details={"uuid": uuid})


class SeveralRecords(Conflict):
    """Several records have the key by which one was to be found, so nobody can tell which is meant."""

    def __init__(self, entity: Entity, field: str, value: str, uuids: Sequence[str]) -> None:
        more = {"uuids_omitted": len(uuids) - MAX_UUIDS} if len(uuids) > MAX_UUIDS else {}
        super().__init__(
            f"several {entity.table} have the {field} '{value[:100]}': {listed(uuids)}; say which by its uuid",
            details={"field": field, "uuids": list(uuids[:MAX_UUIDS]), **more},
        )


class IdempotencyKeyReused(Conflict):
    """The key was used for a different request before."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with another request")


class PoolExhausted(DatabaseUnavailable):
    """No connection became available in time."""

    def __init__(self) -> None:
        super().__init__("the database is busy; try again")


class TooManyAtOnce(TooManyRequests):
    """The client has as many calls of a kind as it may have at once."""

    def __init__(self, kind: str, most: int) -> None:
        super().__init__(
            f"too many {kind} at once: a client may have {most}; wait until one has ended",
            details={"kind": kind, "maximum": most},
        )


class Busy(Unavailable):
    """The process has as many calls of a kind, of all clients, as it runs at once."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"the service is busy with {kind}; try again", details={"kind": kind})


class NotRead(DeadlineExceeded):
    """The caller of a stream did not read what it was sent."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the stream has ended, because nothing of it was read for {seconds:g} seconds")


class KeysReadOnly(WrongState):
    """The gateway cannot write the file of clients."""

    reason = "KEYS_READ_ONLY"


class OwnKey(WrongState):
    """A client would remove itself, or its right `admin`, and so perhaps the last administrator.

    Args:
        client: its name.
        what: that it cannot do.
        command: of `connectra keys`, that does it.
    """

    reason = "OWN_KEY"

    def __init__(self, client: str, what: str, command: str) -> None:
        super().__init__(f"client {client!r} cannot {what}: another administrator can, or `connectra keys {command}`")
