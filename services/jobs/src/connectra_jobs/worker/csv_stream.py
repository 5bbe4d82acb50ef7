"""CSV bytes cut into batches of whole records, with the exact place of each.

Records end where Python's `csv.reader(delimiter=…, strict=False)` over a text opened with newline="" ends them: at
\\n, \\r or \\r\\n outside of quotes, a quote opening only at the beginning of a field. The write service parses the
same bytes with it; a property test holds that the two agree. Here nothing is parsed into cells but the header: one
regular expression finds the end of a record.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from connectra_common.records.columns import Columns, DuplicateColumn, NoKnownColumn

DELIMITERS = (",", ";", "\t", "|")
BOM = b"\xef\xbb\xbf"
MAX_BATCH_BYTES = 4 * 1024 * 1024
# A record that is longer was opened by a stray quote: its first line is cut off and stands in a batch alone, where it
# swallows nothing.
MAX_RECORD_BYTES = 1024 * 1024
MAX_FAST_LINE_BYTES = 64 * 1024
# csv refuses longer fields, and its own default is below what a record may have.
csv.field_size_limit(MAX_RECORD_BYTES)


class UnreadableFile(ValueError):
    """The file cannot be read as CSV; says what is wrong and where."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole records. Offsets in bytes of the file, end exclusive; lines from 1."""

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
    # Column names the import does not know.
    unknown: tuple[str, ...]
    # Where the first record begins.
    byte_end: int
    next_line: int


class Cutter:
    """Takes bytes as they come and gives batches. Holds at most one batch and one read's bytes.

    Args:
        byte_start, first_line: where in the file the first byte stands.
        max_rows, max_bytes: a batch is full with the record that reaches one of them.
    """

    def __init__(
        self, delimiter: str, byte_start: int, first_line: int, max_rows: int, max_bytes: int = MAX_BATCH_BYTES
    ) -> None:
        self._match_record = _record_pattern(delimiter).match
        self._match_last_record = _record_pattern(delimiter, last=True).match
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._data = b""
        self._start = 0  # in _data: where the batch begins
        self._position = 0  # in _data: after its last whole record
        self._rows = 0
        self._offset, self._line = byte_start, first_line

    def feed(self, data: bytes) -> Iterator[Batch]:
        """The batches that `data` completes."""
        self._data = self._data[self._start :] + data
        self._position -= self._start
        self._start = 0
        yield from self._cut(last=False)

    def finish(self) -> Iterator[Batch]:
        """What is left; a last record needs no line end."""
        yield from self._cut(last=True)
        if self._rows:
            yield self._take()

    def _cut(self, last: bool) -> Iterator[Batch]:
        while self._position < len(self._data):
            end = self._find_end(last)
            if end is None and not last and len(self._data) - self._position <= MAX_RECORD_BYTES:
                break
            if end is None or end - self._position > MAX_RECORD_BYTES:
                if self._rows:
                    yield self._take()
                line_end = _LINE_END.search(self._data, self._position)
                self._position, self._rows = (line_end.end() if line_end else len(self._data)), 1
                yield self._take()
                continue
            self._position = end
            self._rows += 1
            if self._rows >= self._max_rows or self._position - self._start >= self._max_bytes:
                yield self._take()

    def _find_end(self, last: bool) -> int | None:
        """End of the record at the position; None: it is not all there, or it never ends."""
        data, position = self._data, self._position
        # Most lines have no quote and end in \n: found without the pattern. The bound keeps a file without \n from
        # being searched to its end for each record.
        end = data.find(b"\n", position, position + MAX_FAST_LINE_BYTES) + 1
        if end and data.find(b'"', position, end) < 0 and data.find(b"\r", position, max(end - 2, 0)) < 0:
            return end
        match = self._match_last_record(data, position) if last else self._match_record(data, position)
        if match is None:
            return None
        # A \r at the very end may be half a line end.
        whole = match.end() < len(data) or last or data.endswith(b"\n")
        return match.end() if whole else None

    def _take(self) -> Batch:
        records = self._data[self._start : self._position]
        batch = Batch(records, self._rows, self._line, self._offset, self._offset + len(records))
        self._start = self._position
        self._offset, self._line = batch.byte_end, self._line + count_lines(records)
        self._rows = 0
        return batch


def read_header(data: bytes, whole: bool) -> FileHeader | None:
    """The header at the beginning of a file; None when more bytes are needed. Its delimiter makes most known columns.

    Args:
        whole: `data` is the whole file.

    Raises:
        UnreadableFile: empty, not UTF-8, no known column, a column twice, no end.
    """
    if not whole and len(data) < len(BOM):
        return None
    start = len(BOM) if data.startswith(BOM) else 0
    if blank := _BLANK_LINES.match(data, start):
        start = blank.end()
    if whole and start == len(data):
        raise UnreadableFile("the file is empty: a header line and rows are expected")
    ends = {delimiter: _header_end(data, start, delimiter, whole) for delimiter in DELIMITERS}
    if None in ends.values() and not whole and len(data) <= MAX_RECORD_BYTES:
        return None
    return _best_header(data, start, {delimiter: end for delimiter, end in ends.items() if end is not None})


def _header_end(data: bytes, start: int, delimiter: str, whole: bool) -> int | None:
    """Where the header ends if this is the delimiter; None: not in these bytes."""
    match = _record_pattern(delimiter, last=whole).match(data, start)
    # A \r at the very end may be half a line end.
    if match is None or (match.end() == len(data) and not whole and not data.endswith(b"\n")):
        return None
    return match.end()


def _best_header(data: bytes, start: int, ends: Mapping[str, int]) -> FileHeader:
    """The header by the delimiter that makes most known columns."""
    line = 1 + count_lines(data[:start])
    found: list[tuple[int, int, FileHeader]] = []
    problems: list[NoKnownColumn | DuplicateColumn] = []
    for delimiter, end in ends.items():
        cells = tuple(next(csv.reader([_header_text(data, start, end, line)], delimiter=delimiter), []))
        try:
            columns = Columns.read(cells)
        except (NoKnownColumn, DuplicateColumn) as error:
            problems.append(error)
            continue
        after = FileHeader(cells, delimiter, columns.unknown, end, line + count_lines(data[start:end]))
        found.append((len(columns.positions), len(cells), after))
    if found:
        return max(found, key=lambda item: item[:2])[2]
    if problems:
        duplicate = next((p for p in problems if isinstance(p, DuplicateColumn)), problems[0])
        raise UnreadableFile(str(duplicate))
    raise UnreadableFile("the header line has no end: a quote in it is not closed, or the file is not CSV")


def _header_text(data: bytes, start: int, end: int, line: int) -> str:
    text = _decode(data[start:end], start, line)
    if (zero := data.find(b"\0", start, end)) >= 0:
        raise UnreadableFile(
            f"the file is not UTF-8 text: byte 0x00 at offset {zero} (line {line}); it looks like UTF-16. "
            "Save it as UTF-8 and import it again"
        )
    return text


def check_utf8(batch: Batch) -> None:
    """Whether the batch is text.

    Raises:
        UnreadableFile: with the offset of the wrong byte in the file.
    """
    _decode(batch.records, batch.byte_start, batch.first_line)


def count_lines(data: bytes) -> int:
    """Line ends, \\r\\n being one."""
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def cells_of(record: str, delimiter: str) -> list[str]:
    """Cells of one record as text; a record csv refuses is one cell."""
    try:
        return next(csv.reader([record], delimiter=delimiter), [])
    except csv.Error:
        return [record]


_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANK_LINES = re.compile(rb"[\r\n]+")


@cache
def _record_pattern(delimiter: str, last: bool = False) -> re.Pattern[bytes]:
    """One record with its line end; the last one may end with the file. Possessive: no input makes it slow."""
    d = re.escape(delimiter.encode())
    quoted = rb'"(?:[^"]++|"")*+"[^' + d + rb"\r\n]*+"
    bare = rb'[^"' + d + rb"\r\n][^" + d + rb"\r\n]*+"
    field = rb"(?:" + quoted + rb"|" + bare + rb")?+"
    end = rb"(?:\r\n|\n|\r|\Z)" if last else rb"(?:\r\n|\n|\r)"
    return re.compile(field + rb"(?:" + d + field + rb")*+" + end)


def _decode(data: bytes, offset: int, line: int) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        at = line + count_lines(data[: error.start])
        raise UnreadableFile(
            f"the file is not UTF-8: byte 0x{data[error.start]:02x} at offset {offset + error.start} (line {at}); "
            "save it as UTF-8 and import it again"
        ) from None
