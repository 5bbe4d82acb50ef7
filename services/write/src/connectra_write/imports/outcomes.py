"""The outcome of a batch of an import, and how far an import has come."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """Of rows (the first two), of records of both tables, and of cells: those of a batch add up to those of its file.

    Args:
        unchanged: below zero where records change that an earlier batch left as they were.
        merged: records that became part of one that an earlier row of the file wrote (contacts), or that was found by its profile URL and
            has another uuid by the recipe (contacts and companies).
    """

    rows: int
    rejected: int
    created: int
    updated: int
    unchanged: int
    left_out: int = 0
    merged: int = 0


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that yields no record, and why."""

    line: int
    reason: str
    record: str


@dataclass(frozen=True, slots=True)
class LeftOutCell:
    """A cell that is not valid for its field, and why; `column` is the header's cell."""

    line: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Applied:
    """The answer to a batch of an import; `waited_seconds`: for indexers that are far behind."""

    counts: Counts
    rejected: list[RejectedRow]
    left_out: list[LeftOutCell]
    token: int
    replayed: bool
    waited_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far an import has come; `token` covers all that it has stored, and is None before its first batch.

    Args:
        rejected, left_out: of the last batch.
    """

    batches: int
    byte_offset: int
    next_line: int
    counts: Counts
    token: int | None
    rejected: list[RejectedRow]
    left_out: list[LeftOutCell]
