"""A file read by the rules of an import without storing anything (`validate_only`)."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from connectra_common.records.cleaning import CellRefused
from connectra_common.records.csv_rows import Header, RowReader

from connectra_jobs.worker.csv_stream import Batch, check_utf8

NOTHING = "nothing identifies a company or a person"


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


class Checker:
    """Reads batches of a file with one header."""

    def __init__(self, cells: tuple[str, ...], delimiter: str) -> None:
        self._reader, self._delimiter = RowReader(Header.read(cells)), delimiter

    def check(self, batch: Batch) -> Findings:
        """Reads the rows of a batch.

        Raises:
            UnreadableFile: it is not UTF-8.
        """
        check_utf8(batch)
        found = Findings()
        rows = csv.reader(io.StringIO(batch.records.decode(), newline=""), delimiter=self._delimiter)
        while True:
            line, cells = batch.first_line + rows.line_num, []
            try:
                if (read := next(rows, None)) is None:
                    return found
                if not (cells := read):
                    continue
                found.rows += 1
                company, contact = self._reader.read(cells)
            except (CellRefused, csv.Error) as error:
                found.rows += isinstance(error, csv.Error)
                found.rejected.append(Rejected(line, str(error), cells))
                continue
            found.companies += company is not None
            found.contacts += contact is not None
            if not company and not contact:
                found.rejected.append(Rejected(line, NOTHING, cells))


async def check_all(checker: Checker, batches: AsyncIterator[Batch]) -> AsyncIterator[tuple[Batch, Findings]]:
    """What is found in each batch, in the order of the file."""
    async for batch in batches:
        # In a thread: the heartbeat and other jobs go on meanwhile.
        yield batch, await asyncio.to_thread(checker.check, batch)
