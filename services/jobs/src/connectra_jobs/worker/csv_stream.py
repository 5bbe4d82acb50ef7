"""CSV bytes cut into batches of whole rows, with the exact place of each."""

from collections.abc import Iterator
from dataclasses import dataclass

from connectra_common.records.csv_records import Passing, Splitter, count_lines

DELIMITERS = (",", ";", "\t", "|")
MAX_BATCH_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole rows. Offsets in bytes of the file, end exclusive; lines from 1. What is left of a row that is too long stands alone."""

    records: bytes
    rows: int
    first_line: int
    byte_start: int
    byte_end: int


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
