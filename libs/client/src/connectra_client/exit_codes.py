"""The exit codes of the command line, one for each kind of failure, so that scripts need not read messages."""

from enum import IntEnum

from connectra_client.errors import ApiError, ClientError, NoServer, StoreRefused, Unreachable


class ExitCode(IntEnum):
    """How a command ended; `meaning` is for people."""

    meaning: str

    def __new__(cls, number: int, meaning: str) -> "ExitCode":
        code = int.__new__(cls, number)
        code._value_ = number
        code.meaning = meaning
        return code

    DONE = 0, "done"
    FAILED = 1, "anything that no other code stands for; `status` and `doctor`: something does not run, or is broken"
    USAGE = 2, "the command line is wrong: an unknown option, a missing argument, a value that it cannot take"
    NOT_FOUND = 3, "there is no such record, job, file, filter"
    NOT_ALLOWED = 4, "no server or no key is known, the key is wrong, or it lacks the right"
    REFUSED = (
        5,
        "the server refuses what was asked for: an unknown field, a value that is not valid, some records of several",
    )
    CONFLICT = 6, "it exists already, or was changed meanwhile, or its state does not allow it"
    UNREACHABLE = 7, "nobody answers, or not in time, or the server is too busy: the same call may succeed later"
    JOB_FAILED = 8, "the job failed or was cancelled"
    INTERRUPTED = 130, "Ctrl-C"


_BY_STATUS = {
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    408: ExitCode.UNREACHABLE,
    409: ExitCode.CONFLICT,
    412: ExitCode.CONFLICT,
    429: ExitCode.UNREACHABLE,
    502: ExitCode.UNREACHABLE,
    503: ExitCode.UNREACHABLE,
    504: ExitCode.UNREACHABLE,
}
# By the name of the gRPC status.
_BY_CODE = {
    "ABORTED": ExitCode.CONFLICT,
    "ALREADY_EXISTS": ExitCode.CONFLICT,
    "DEADLINE_EXCEEDED": ExitCode.UNREACHABLE,
    "FAILED_PRECONDITION": ExitCode.CONFLICT,
    "INVALID_ARGUMENT": ExitCode.REFUSED,
    "NOT_FOUND": ExitCode.NOT_FOUND,
    "OUT_OF_RANGE": ExitCode.REFUSED,
    "PERMISSION_DENIED": ExitCode.NOT_ALLOWED,
    "RESOURCE_EXHAUSTED": ExitCode.UNREACHABLE,
    "UNAUTHENTICATED": ExitCode.NOT_ALLOWED,
    "UNAVAILABLE": ExitCode.UNREACHABLE,
    "UNIMPLEMENTED": ExitCode.REFUSED,
}
_FIRST_HTTP_ERROR = 400


def exit_code(error: ClientError) -> ExitCode:
    """The code that a command ends with because of an error."""
    if isinstance(error, Unreachable):
        return ExitCode.UNREACHABLE
    if isinstance(error, NoServer):
        return ExitCode.NOT_ALLOWED
    if isinstance(error, StoreRefused):
        return ExitCode.UNREACHABLE if error.transient else ExitCode.FAILED
    if not isinstance(error, ApiError):
        return ExitCode.FAILED
    if error.status < _FIRST_HTTP_ERROR:
        return _BY_CODE.get(error.code, ExitCode.FAILED)
    refused = ExitCode.REFUSED if error.status < 500 else ExitCode.FAILED
    return _BY_STATUS.get(error.status, refused)
