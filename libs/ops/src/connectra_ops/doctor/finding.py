"""What a check says."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Level(StrEnum):
    """How bad it is: `warn` needs a look, `fail` needs a hand."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `advice` is what to do about it, empty when nothing is to be done."""

    check: str
    level: Level
    message: str
    advice: str = ""


Findings: TypeAlias = AsyncIterator[Finding]
Check: TypeAlias = Callable[[], Findings]


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, message)


def warn(check: str, message: str, advice: str) -> Finding:
    """Worth a look."""
    return Finding(check, Level.WARN, message, advice)


def fail(check: str, message: str, advice: str) -> Finding:
    """Broken."""
    return Finding(check, Level.FAIL, message, advice)
