"""Rows of a CSV text, each with the records it yields or the reason it yields none: the loop of an import, its dry run and its preview."""

import csv
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from connectra_common.records.cleaning import CellRefused
from connectra_common.records.csv_records import MAX_ROW_BYTES, Splitter, cells_of, count_lines
from connectra_common.records.csv_rows import NOTHING_IDENTIFIED, LeftOut, RowReader
from connectra_common.records.identity import Candidate

BOM = b"\xef\xbb\xbf"
# Of a row that cannot be read, so much is shown.
MAX_SHOWN_CHARS = 10_000
# What a row that lacks many cells must have in order to be more than a note below the table.
_ANOTHER_HEADER = "the header again, with other columns; split the file here, its columns are read by its first header"
_KEYS = {"email", "linkedin_url", "website", "normalized_domain"}


class Row(NamedTuple):
    """A row that is not blank.

    Args:
        line: where it begins.
        cells: as far as they can be told.
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
    """The rows of a text; can be iterated once. Rows without any text and repetitions of the header are none.

    Args:
        reader: of the file's header.
        records: whole rows in UTF-8; bytes that are not are kept, and cost the row they are in.
        first_line: of the text, in its file.
    """

    def __init__(self, reader: RowReader, records: bytes, delimiter: str, first_line: int) -> None:
        self._reader, self._records, self._delimiter = reader, records, delimiter
        self._headers = list(reader.headers)
        self._line, self._span = first_line, (0, 0)

    def __iter__(self) -> Iterator[Row]:
        headers, read = self._headers, self._reader.read
        names, width = frozenset(map(_name, headers)) - {""}, len(headers)
        for line, cells, fault in self._split():
            if fault:
                yield self._refused(line, fault)
                continue
            if cells == headers or not (cells[0].strip() or any(map(str.strip, cells))):
                continue
            if _name(cells[0]) in names and (fault := _header_again(cells, headers)) is not None:
                if fault:
                    yield self._refused(line, fault)
                continue
            try:
                found = len(cells)
                whole = found == width or _fit(cells, width)
                company, contact, left_out = read(cells)
            except CellRefused as error:
                yield self._refused(line, str(error))
                continue
            if not (company or contact):
                yield Row(line, cells, problem=NOTHING_IDENTIFIED, left_out=left_out)
            elif not whole and not (_has_key(company) or _has_key(contact)):
                yield self._refused(line, _wrong_width(found, width))
            else:
                yield Row(line, cells, company, contact, None, left_out)

    def _split(self) -> Iterator[tuple[int, list[str], str | None]]:
        """Line, cells and fault of each row that is not blank."""
        records, line, position, index = self._records, self._line, 0, 0
        # Most rows are one line that csv.reader takes as it stands: then the splitter agrees.
        lines = records.splitlines(keepends=True)
        texts: list[str] = []
        parse = csv.reader(iter(texts.pop, None), delimiter=self._delimiter, skipinitialspace=True, strict=True)
        splitter = Splitter(self._delimiter, len(self._headers))
        joined = BOM in records
        while position < len(records):
            row, taken, fault = lines[index], 1, None
            try:
                texts.append(row.decode().removeprefix("\ufeff") if joined else row.decode())
                cells = next(parse)
                whole = len(row) <= MAX_ROW_BYTES
            except (csv.Error, IndexError, UnicodeDecodeError):  # IndexError: a quoted cell goes on in the next line
                texts.clear()
                whole = False
            if not whole:
                end, fault = splitter.row(records, position)
                row = records[position:end]
                taken = max(count_lines(row), 1)
                cells = []
                if not fault:
                    cells, fault = self._lenient(row)
            self._span = (position, position + len(row))
            self._line = line + taken
            if cells or fault:
                yield line, cells, fault
            line, position, index = line + taken, position + len(row), index + taken

    def _lenient(self, row: bytes) -> tuple[list[str], str | None]:
        """Cells and fault of a row that is not one line of csv."""
        try:
            text = row.decode().removeprefix("\ufeff")
            return next(csv.reader([text], delimiter=self._delimiter, skipinitialspace=True), []), None
        except UnicodeDecodeError as error:
            at = f"byte 0x{row[error.start]:02x} at position {error.start + 1} of the row"
            return [], f"{at} is not text in the encoding of the file; encoding can say another"
        except csv.Error as error:
            return [], str(error)

    def _refused(self, line: int, problem: str) -> Row:
        return Row(line, cells_of(self.text, self._delimiter), problem=problem)

    @property
    def next_line(self) -> int:
        """The line after the rows read so far."""
        return self._line

    @property
    def text(self) -> str:
        """The text of the row that was read last, without its line end and shortened when it is very long; a NUL character, which cannot
        be stored, and bytes that are no text are shown as �."""
        start, end = self._span
        row = self._records[start : min(end, start + 4 * MAX_SHOWN_CHARS)].decode(errors="replace")
        row = row.removeprefix("\ufeff").rstrip("\r\n").replace("\0", "\ufffd")
        return row if len(row) <= MAX_SHOWN_CHARS else row[:MAX_SHOWN_CHARS] + "…"


def _name(cell: str) -> str:
    return cell.strip().casefold()


def _header_again(cells: Sequence[str], headers: Sequence[str]) -> str | None:
    """What is wrong with a row of the header's names, nothing if it is the same header; None for another row."""
    found, names = ([name for cell in row if (name := _name(cell))] for row in (cells, headers))
    if found == names:
        return ""
    return _ANOTHER_HEADER if len(found) > 1 and set(names).issuperset(found) else None


def _fit(cells: list[str], width: int) -> bool:
    """Makes a row as wide as the header: empty cells at its end may be left out, or be too many.

    Gives whether so few are missing that it is a row for sure, not a note below the table.

    Raises:
        CellRefused: a cell too many that is not empty.
    """
    found = len(cells)
    if found < width:
        cells += [""] * (width - found)
        return found > 1 and 2 * found >= width
    if any(map(str.strip, cells[width:])):
        raise CellRefused(_wrong_width(found, width))
    del cells[width:]
    return True


def _wrong_width(found: int, width: int) -> str:
    return f"the row has {found} fields; the header has {width}"


def _has_key(candidate: Candidate | None) -> bool:
    return candidate is not None and (candidate.uuid is not None or not _KEYS.isdisjoint(candidate.values))
