"""Rows of a CSV text, each with the records it yields or the reason it yields none: the loop of an import and of its dry run."""

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

from connectra_common.records.cleaning import CellRefused
from connectra_common.records.csv_rows import LeftOut, RowReader
from connectra_common.records.identity import Candidate

NOTHING_IDENTIFIED = "nothing identifies a company or a person"


class Row(NamedTuple):
    """A row that is not blank.

    Args:
        line: where it begins.
        cells: empty when the row cannot even be split into cells.
        company, contact: what it says; None when nothing identifies one.
        problem: why it says neither.
        left_out: cells that are not valid for their fields.
    """

    line: int
    cells: list[str]
    company: Candidate | None = None
    contact: Candidate | None = None
    problem: str | None = None
    left_out: tuple[LeftOut, ...] = ()


class Rows:
    """The rows of a text; can be iterated once.

    Args:
        reader: of the file's header.
        text: whole records.
        first_line: of the text, in its file.
    """

    def __init__(self, reader: RowReader, text: str, delimiter: str, first_line: int) -> None:
        self._reader, self._first_line = reader, first_line
        self._lines = _Lines(text)
        self._rows = csv.reader(self._lines, delimiter=delimiter)

    def __iter__(self) -> Iterator[Row]:
        rows, first_line, taken, read = self._rows, self._first_line, self._lines.taken, self._reader.read
        while True:
            line, cells = first_line + rows.line_num, []
            taken.clear()
            try:
                if (found := next(rows, None)) is None:
                    return
                if not (cells := found):
                    continue
                company, contact, left_out = read(cells)
            except (CellRefused, csv.Error) as error:
                yield Row(line, cells, problem=str(error))
                continue
            yield Row(line, cells, company, contact, None if company or contact else NOTHING_IDENTIFIED, left_out)

    @property
    def next_line(self) -> int:
        """The line after the rows read so far."""
        return self._first_line + self._rows.line_num

    @property
    def text(self) -> str:
        """The text of the row that was read last, without its line end; a NUL character, which cannot be stored, is shown as �."""
        return "".join(self._lines.taken).rstrip("\r\n").replace("\0", "\ufffd")


class _Lines:
    """Lines of a text that remembers those of the record being read."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.taken.append(line)
        return line
