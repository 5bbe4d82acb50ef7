"""Where the rows of a CSV text end: one rule for the jobs service, which cuts files, and the write service, which splits batches.

Where a row ends depends on the bytes from its beginning on, the delimiter and the number of columns, and on nothing else. A batch ends
with a row, so both find the same rows, and where batches end changes nothing.

Rows end at \\n, \\r or \\r\\n outside of quotes; a quote opens only at the beginning of a cell, blanks before it are ignored. In a
well-formed file these are the rows of `csv.reader(skipinitialspace=True)`. A quote that is not closed costs the line it stands in and
no other: the search for its end must not make one row of the rows behind it.
"""

import csv
import re
from typing import NamedTuple

# What a row may have. A longer one is passed over without being held in memory.
MAX_ROW_BYTES = 1024 * 1024
# A cell may be longer than what can be stored: it is refused by name, not by the parser.
csv.field_size_limit(4 * MAX_ROW_BYTES)

UNCLOSED = "a quote in it is not closed"
NOT_DOUBLED = "a quote inside a quoted cell is not doubled"
TOO_LONG = f"the row is longer than {MAX_ROW_BYTES:,} bytes"

# Lines up to this length are looked at in one piece.
_LINE_BYTES = 64 * 1024
# In so many lines one that is no row does not make a text of those that are.
_MANY_LINES = 10
_QUOTE, _CR = b'"\r'
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANKS = re.compile(rb" *+")
_QUOTED = re.compile(rb'"(?:[^"]++|"")*+"')


class End(NamedTuple):
    """The end of a row.

    Args:
        at: after its line end.
        fault: why it cannot be read.
        passing: of a row that is too long: what finds its end, from `at` on.
    """

    at: int
    fault: str | None = None
    passing: "Passing | None" = None


class Splitter:
    """Finds the rows of a text with this delimiter and `width` columns; 0: not known yet."""

    def __init__(self, delimiter: str, width: int, max_bytes: int = MAX_ROW_BYTES) -> None:
        self.max_bytes = max_bytes
        self._line_bytes = min(max_bytes, _LINE_BYTES)
        self._delimiter = delimiter.encode()
        self._spaced_delimiter = self._delimiter + b" "
        self._delimiters = width - 1
        self._bare = re.compile(rb"[^" + re.escape(self._delimiter) + rb"\r\n]*+")
        d = re.escape(self._delimiter)
        quoted = rb' *+"(?:[^"\r\n]++|"")*+" *+'
        bare = rb'(?! *+")[^' + d + rb"\r\n]*+"
        cell = rb"(?:" + quoted + rb"|" + bare + rb")"
        # A well-formed row of one line. Possessive: no input makes it slow.
        self._match_line = re.compile(cell + rb"(?:" + d + cell + rb")*+(?:\n|\r\n|\r(?=[^\n]))").match

    def row(self, data: bytes, start: int) -> tuple[int, str | None]:
        """End and fault of the row that begins at `start` of a whole text."""
        end = self.find_end(data, start, last=True)
        assert end is not None  # no more bytes follow
        return (end.passing.skip(data, end.at, last=True)[0] if end.passing else end.at), end.fault

    def line_end(self, data: bytes, start: int) -> int:
        """Where the row that begins at `start` ends, if it is a well-formed line; else 0."""
        # Most lines have no quote and end in \n. The bound keeps a file without \n from being searched to its end for each row.
        end = data.find(b"\n", start, start + self._line_bytes) + 1
        if end and data.find(b'"', start, end) < 0 and data.find(b"\r", start, max(end - 2, start)) < 0:
            return end
        match = self._match_line(data, start, start + self.max_bytes)
        return match.end() if match else 0

    def find_end(self, data: bytes, start: int, last: bool) -> End | None:
        """Where the row that begins at `start` ends; None: not in these bytes, and more follow unless this is the `last` of them."""
        at = self.line_end(data, start)
        return End(at) if at else self._scan(data, start, last)

    def _scan(self, data: bytes, start: int, last: bool) -> End | None:
        """The same, cell by cell."""
        stop = min(len(data), start + self.max_bytes)
        beyond = len(data) > stop  # more than a row may have
        whole = last and not beyond
        fault, at, cells = None, start, 0
        # Where the next line ends. Looked for once a line, not once a cell: a line may be the whole text.
        line_stop = start - 1
        spacing = _Spacing(data, start, self._delimiter)
        while True:
            quote = _BLANKS.match(data, at, stop).end()  # type: ignore[union-attr] # it matches nothing as well
            if quote < stop and data[quote] == _QUOTE:
                quoted = _QUOTED.match(data, quote, stop)
                if quoted is None or (quoted.end() == stop and not whole):  # the next byte may double the quote
                    if whole or (beyond and self._is_stray(data, spacing, cells, quote, None, stop)):
                        return End(self._line_end(data, quote), UNCLOSED)
                    return self._too_long(data, stop, quoted=True) if beyond else None
                close = quoted.end()
                at = _BLANKS.match(data, close, stop).end()  # type: ignore[union-attr]
                if line_stop < at:
                    line_end = _LINE_END.search(data, at, stop)
                    line_stop = line_end.start() if line_end else stop
                if line_stop == stop and not whole:
                    return self._too_long(data, stop) if beyond else None
                proper = at == stop or data[at : at + 1] in (self._delimiter, b"\r", b"\n")
                if _LINE_END.search(data, quote, close) and (
                    not proper or self._is_stray(data, spacing, cells, quote, close, line_stop)
                ):
                    return End(self._line_end(data, quote), UNCLOSED)
                if not proper:
                    fault = NOT_DOUBLED
            at = self._bare.match(data, at, stop).end()  # type: ignore[union-attr]
            if at == stop:
                break
            if data[at : at + 1] != self._delimiter:
                end = _LINE_END.match(data, at)
                assert end is not None
                if data[at] == _CR and end.end() == len(data) and not last:
                    return None  # half a line end, perhaps
                return End(end.end(), fault) if end.end() <= start + self.max_bytes else self._too_long(data, stop)
            at, cells = at + 1, cells + 1
        if whole:
            return End(stop, fault)
        return self._too_long(data, stop) if beyond else None

    def _too_long(self, data: bytes, stop: int, quoted: bool = False) -> End:
        # A line end is not parted.
        at = stop - 1 if data[stop - 1 : stop + 1] == b"\r\n" else stop
        return End(at, TOO_LONG, Passing(self, quoted))

    @staticmethod
    def _line_end(data: bytes, start: int) -> int:
        end = _LINE_END.search(data, start)
        return end.end() if end else len(data)

    def _is_stray(self, data: bytes, spacing: "_Spacing", cells: int, quote: int, close: int | None, stop: int) -> bool:
        """Whether what follows a quote is rows, so that the quote is a stray one, rather than a cell of several lines.

        Args:
            spacing, cells: of the row, and its cells before the quote.
            close: after the closing quote, if it was found.
            stop: the end of the line of the closing quote; of what was looked at, if there is none.
        """
        delimiter, expected = self._delimiter, self._delimiters
        first, *lines = _LINE_END.split(data[quote:stop])
        if close is None:
            lines = lines[:-1]  # not a whole line
        spaced = spacing.until(quote) if cells else self._is_spaced(first)
        opening = cells + self._count(first)
        full = [self.is_full(line, spaced) for line in lines if line.strip(b" ")]
        if expected < 3:  # an address has as many commas
            few = close is not None and len(full) < _MANY_LINES
            enough = len(full) if few else max(1, len(full) // 2)
            return opening == expected and 0 < enough <= sum(full)
        inner = full if close is None else full[:-1]
        if any(inner) or (full and full[-1] and opening == expected):
            return opening <= expected or all(full)
        # Rows may leave out empty cells at their end: then the row is short even if the quotes are right, and each line is cells.
        rest = b"" if close is None else data[close:stop]
        if close is not None and cells + rest.count(delimiter) >= expected:
            return False
        if close is not None:
            lines = lines[:-1] or [lines[-1].removesuffix(rest)]
        return any(lines) and all(self._has_cells(line, spaced) for line in lines if line.strip(b" "))

    def _has_cells(self, line: bytes, spaced: bool) -> bool:
        count = line.rstrip(self._spaced_delimiter).count(self._delimiter)
        return count >= 2 and (spaced or not self._is_spaced(line))

    def is_full(self, line: bytes, spaced: bool) -> bool:
        """Whether a line has the cells of a row. One whose delimiters are followed by blanks is text, unless those of the file are
        as well (`spaced`)."""
        return self._count(line) == self._delimiters and (spaced or not self._is_spaced(line))

    def is_evident(self, line: bytes) -> bool:
        """Whether a line by itself tells that it is a row."""
        enough = self._delimiters == 0 or self._delimiters >= 3
        return enough and len(line) <= _LINE_BYTES and bool(line.strip(b" ")) and self.is_full(line, spaced=False)

    def _count(self, line: bytes) -> int:
        """Delimiters of a line, without those of surplus empty cells at its end."""
        count = line.count(self._delimiter)
        if count > self._delimiters:
            count = max(self._delimiters, line.rstrip(self._spaced_delimiter).count(self._delimiter))
        return count

    def _is_spaced(self, line: bytes) -> bool:
        return 0 < line.count(self._delimiter) == line.count(self._spaced_delimiter)


class _Spacing:
    """Whether all delimiters of a row are followed by blanks. What was counted is not counted again: a row may be all quotes."""

    def __init__(self, data: bytes, start: int, delimiter: bytes) -> None:
        self._data, self._at, self._delimiter = data, start, delimiter
        self._all = self._spaced = 0

    def until(self, quote: int) -> bool:
        """Of the delimiters before a quote."""
        self._all += self._data.count(self._delimiter, self._at, quote)
        self._spaced += self._data.count(self._delimiter + b" ", self._at, quote)
        self._at = quote
        return 0 < self._all == self._spaced


class Passing:
    """Finds the end of a row that is too long, of which nothing is kept: at the end of its line, or of that of its closing quote."""

    def __init__(self, splitter: Splitter, quoted: bool) -> None:
        self._splitter, self._open = splitter, quoted
        self._quoted = quoted
        self._in_line = True  # what comes next is not the beginning of a line

    def skip(self, data: bytes, start: int, last: bool) -> tuple[int, bool]:
        """How far the row goes, and whether it ends there."""
        while start < len(data):
            line_end = _LINE_END.search(data, start)
            if line_end is None or (line_end.end() == len(data) and data[-1] == _CR and not last):
                if not last and len(data) - start <= _LINE_BYTES:
                    return start, False
                stop = len(data) - (data[-1] == _CR and not last)
                self._open ^= self._toggles(data, start, stop)
                self._in_line = True
                return stop, last
            stop = line_end.end()
            line = data[start : line_end.start()]
            self._open ^= self._toggles(data, start, stop)
            if not self._open:
                return stop, True
            if not self._in_line and self._splitter.is_evident(line):
                return start, True  # the quote is a stray one
            start, self._in_line = stop, False
        return start, last

    def _toggles(self, data: bytes, start: int, stop: int) -> bool:
        return self._quoted and data.count(b'"', start, stop) % 2 == 1


def count_lines(data: bytes) -> int:
    """Line ends, \\r\\n being one."""
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def cells_of(row: str, delimiter: str) -> list[str]:
    """Cells of one row as text, as far as they can be told."""
    try:
        return next(csv.reader([row], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return [row]
