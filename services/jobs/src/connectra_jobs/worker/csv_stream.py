"""CSV bytes cut into batches of whole rows, with the exact place of each. Nothing is parsed into cells but the header."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from connectra_common.records.columns import Columns, DuplicateColumn, NoKnownColumn, UnknownHeader
from connectra_common.records.csv_file import BOM
from connectra_common.records.csv_records import MAX_ROW_BYTES, Passing, Splitter, count_lines

DELIMITERS = (",", ";", "\t", "|")
MAX_BATCH_BYTES = 4 * 1024 * 1024


class UnreadableFile(ValueError):
    """The file cannot be read as CSV; says what is wrong and where."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole rows. Offsets in bytes of the file, end exclusive; lines from 1. What is left of a row that is too long stands alone."""

    records: bytes
    rows: int
    first_line: int
    byte_start: int
    byte_end: int


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The header line."""

    cells: tuple[str, ...]
    delimiter: str
    columns: Columns
    # Where the first record begins.
    byte_end: int
    next_line: int


class Cutter:
    """Takes bytes as they come and gives batches. Holds at most one batch and one read's bytes.

    Args:
        byte_start, first_line: where in the file the first byte stands.
        max_rows, max_bytes: a batch is full with the row that reaches one of them.
    """

    def __init__(
        self, splitter: Splitter, byte_start: int, first_line: int, max_rows: int, max_bytes: int = MAX_BATCH_BYTES
    ) -> None:
        self._splitter = splitter
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._data = b""
        self._start = 0  # in _data: where the batch begins
        self._position = 0  # in _data: after its last whole row
        self._rows = 0
        self._offset, self._line = byte_start, first_line
        self._long: _LongRow | None = None

    def feed(self, data: bytes) -> Iterator[Batch]:
        """The batches that `data` completes."""
        self._data = self._data[self._start :] + data
        self._position -= self._start
        self._start = 0
        yield from self._cut(last=False)

    def finish(self) -> Iterator[Batch]:
        """What is left; a last row needs no line end."""
        yield from self._cut(last=True)
        if self._rows:
            yield self._take()

    def _cut(self, last: bool) -> Iterator[Batch]:
        line_end = self._splitter.line_end
        while self._position < len(self._data):
            if self._long:
                if not self._pass(self._long, last):
                    return
                yield self._take_long(self._long)
                continue
            at = line_end(self._data, self._position)
            if not at:
                end = self._splitter.find_end(self._data, self._position, last)
                if end is None:
                    break
                if end.passing:
                    if self._rows:
                        yield self._take()
                    self._long = _LongRow(
                        end.passing, self._data[self._position : self._position + self._splitter.max_bytes + 1]
                    )
                    self._pass_to(self._long, end.at)
                    continue
                at = end.at
            self._position = at
            self._rows += 1
            if self._rows >= self._max_rows or self._position - self._start >= self._max_bytes:
                yield self._take()
        if last and self._long:
            yield self._take_long(self._long)

    def _pass(self, row: "_LongRow", last: bool) -> bool:
        at, ended = row.passing.skip(self._data, self._position, last)
        self._pass_to(row, at)
        return ended

    def _pass_to(self, row: "_LongRow", at: int) -> None:
        row.lines += count_lines(self._data[self._start : at])
        row.size += at - self._start
        self._start = self._position = at

    def _take_long(self, row: "_LongRow") -> Batch:
        """A batch with what is left of a row that is too long: enough for it to be refused, and to count its lines."""
        records = row.head
        while (missing := row.lines - count_lines(records)) > 0:
            records += b"\n" * missing
        batch = Batch(records, 1, self._line, self._offset, self._offset + row.size)
        self._offset, self._line = batch.byte_end, self._line + row.lines
        self._long = None
        return batch

    def _take(self) -> Batch:
        records = self._data[self._start : self._position]
        batch = Batch(records, self._rows, self._line, self._offset, self._offset + len(records))
        self._start = self._position
        self._offset, self._line = batch.byte_end, self._line + count_lines(records)
        self._rows = 0
        return batch


@dataclass(slots=True)
class _LongRow:
    """A row that is too long, as far as it has been passed over."""

    passing: Passing
    head: bytes
    size: int = 0
    lines: int = 0


def read_header(data: bytes, whole: bool, given: Mapping[str, str | None] | None = None) -> FileHeader | None:
    """The header at the beginning of a file; None when more bytes are needed. Its delimiter makes most known columns.

    Args:
        whole: `data` is the whole file.
        given: what the caller says of columns, see `Columns.read`.

    Raises:
        UnreadableFile: empty, not UTF-8, no known column, a column twice, one that the caller names and is not there, no end.
    """
    if not whole and len(data) < len(BOM):
        return None
    start = len(BOM) if data.startswith(BOM) else 0
    if blank := _BLANK_LINES.match(data, start):
        start = blank.end()
    if whole and start == len(data):
        raise UnreadableFile("the file is empty: a header line and rows are expected")
    ends = {delimiter: _header_end(data, start, delimiter, whole) for delimiter in DELIMITERS}
    if None in ends.values() and not whole and len(data) <= MAX_ROW_BYTES:
        return None
    return _best_header(data, start, {delimiter: end for delimiter, end in ends.items() if end is not None}, given)


def _header_end(data: bytes, start: int, delimiter: str, whole: bool) -> int | None:
    """Where the header ends if this is the delimiter; None: not in these bytes."""
    end = Splitter(delimiter, 0).find_end(data, start, last=whole)
    return end.at if end and not end.fault else None


def _best_header(
    data: bytes, start: int, ends: Mapping[str, int], given: Mapping[str, str | None] | None = None
) -> FileHeader:
    """The header by the delimiter that makes most known columns."""
    line = 1 + count_lines(data[:start])
    found: list[tuple[int, int, FileHeader]] = []
    problems: list[tuple[bool, int, str]] = []
    for delimiter, end in ends.items():
        cells = tuple(next(csv.reader([_header_text(data, start, end, line)], delimiter=delimiter), []))
        try:
            columns = Columns.read(cells, given)
        except (NoKnownColumn, DuplicateColumn, UnknownHeader) as error:
            problems.append((isinstance(error, DuplicateColumn), len(cells), str(error)))
            continue
        after = FileHeader(cells, delimiter, columns, end, line + count_lines(data[start:end]))
        found.append((len(columns.positions), len(cells), after))
    if found:
        return max(found, key=lambda item: item[:2])[2]
    if problems:
        # The right delimiter is the one that makes most columns.
        raise UnreadableFile(max(problems, key=lambda problem: problem[:2])[2])
    raise UnreadableFile("the header line has no end: a quote in it is not closed, or the file is not CSV")


def _header_text(data: bytes, start: int, end: int, line: int) -> str:
    text = _decode(data[start:end], start, line)
    if (zero := data.find(b"\0", start, end)) >= 0:
        raise UnreadableFile(
            f"the file is not UTF-8 text: byte 0x00 at offset {zero} (line {line}); it looks like UTF-16. "
            "Save it as UTF-8 and import it again"
        )
    return text


_BLANK_LINES = re.compile(rb"[\r\n]+")


def _decode(data: bytes, offset: int, line: int) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        at = line + count_lines(data[: error.start])
        raise UnreadableFile(
            f"the file is not UTF-8: byte 0x{data[error.start]:02x} at offset {offset + error.start} (line {at}); "
            "save it as UTF-8 and import it again"
        ) from None
