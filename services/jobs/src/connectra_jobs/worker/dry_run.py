"""Reads a file by the rules of an import without storing anything (`validate_only`)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from connectra_common.records.columns import Columns
from connectra_common.records.csv_file import Rows
from connectra_common.records.csv_rows import RowReader

from connectra_jobs.worker.csv_stream import Batch


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that an import would leave out."""

    line: int
    reason: str
    cells: list[str]


@dataclass(slots=True)
class Findings:
    """What an import would make of rows: how many name a company, how many a person, which it would reject."""

    rows: int = 0
    companies: int = 0
    contacts: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    # Line, column, value and reason of each.
    left_out: list[tuple[int, str, str, str]] = field(default_factory=list)


class Checker:
    """Reads batches of a file with one header."""

    def __init__(self, columns: Columns, delimiter: str) -> None:
        self._reader, self._delimiter = RowReader(columns), delimiter

    def check(self, batch: Batch) -> Findings:
        """Reads the rows of a batch."""
        found = Findings()
        for row in Rows(self._reader, batch.records, self._delimiter, batch.first_line):
            found.rows += 1
            found.companies += row.company is not None
            found.contacts += row.contact is not None
            found.left_out += [(row.line, *cell) for cell in row.left_out]
            if row.problem:
                found.rejected.append(Rejected(row.line, row.problem, row.cells))
        return found


async def check_all(checker: Checker, batches: AsyncIterator[Batch]) -> AsyncIterator[tuple[Batch, Findings]]:
    """What is found in each batch, in the order of the file."""
    async for batch in batches:
        # In a thread: the heartbeat and other jobs go on meanwhile.
        yield batch, await asyncio.to_thread(checker.check, batch)
