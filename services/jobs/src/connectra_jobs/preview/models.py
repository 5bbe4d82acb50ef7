"""What a preview shows."""

from dataclasses import asdict, dataclass, field

from connectra_common.records.columns import Confidence
from connectra_common.records.identity import Candidate, Record

from connectra_jobs.models import JsonObject


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file.

    Args:
        target: the column of the catalogue that it fills; None: none.
        samples: its first values.
        instead: the header of the column that fills this one's target better.
    """

    header: str
    target: str | None
    confidence: Confidence | None
    samples: list[str]
    instead: str | None = None


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row and the records it would make, with the fields it would set."""

    line: int
    company: Record | None
    contact: Record | None


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that would be skipped."""

    line: int
    reason: str
    cells: list[str]


@dataclass(frozen=True, slots=True)
class LeftOutCell:
    """A cell that its row would be stored without."""

    line: int
    column: str
    value: str
    reason: str


@dataclass(slots=True)
class Preview:
    """What an import would make of the beginning of a file.

    Args:
        sampled_rows: how many rows were read.
        whole: whether those are all.
        rejected, left_out: how many; the first of them are in the lists.
    """

    format: str
    gzip: bool
    encoding: str
    delimiter: str
    header_line: int
    columns: list[Column] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    rows: list[StoredRow] = field(default_factory=list)
    rejected_rows: list[RejectedRow] = field(default_factory=list)
    left_out_cells: list[LeftOutCell] = field(default_factory=list)
    sampled_rows: int = 0
    rejected: int = 0
    left_out: int = 0
    whole: bool = False

    def to_json(self) -> JsonObject:
        """As the REST door shows it."""
        return {
            "shape": {
                "format": self.format,
                "gzip": self.gzip,
                "encoding": self.encoding,
                "delimiter": self.delimiter,
                "header_line": self.header_line,
            },
            "columns": [asdict(column) for column in self.columns],
            "rows": [asdict(row) for row in self.rows],
            "problems": {
                "rejected_rows": [asdict(row) for row in self.rejected_rows],
                "left_out_cells": [asdict(cell) for cell in self.left_out_cells],
                "unknown_columns": self.unknown,
            },
            "sample": {
                "rows": self.sampled_rows,
                "rejected": self.rejected,
                "left_out": self.left_out,
                "whole_file": self.whole,
            },
        }


def record_of(candidate: Candidate | None) -> Record | None:
    """The fields that a row would set, its uuid only if the file has it."""
    if candidate is None:
        return None
    return {**({"uuid": candidate.uuid} if candidate.uuid else {}), **candidate.values}
