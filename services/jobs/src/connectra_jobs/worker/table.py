"""A file of an import as one stream of rows, whatever it is: CSV in any encoding, plain or gzip, or an XLSX workbook."""

import asyncio
import re
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Protocol

from connectra_common.errors import listed
from connectra_common.records.columns import Columns, DuplicateColumn, NoKnownColumn, UnknownHeader
from connectra_common.records.csv_file import BOM
from connectra_common.records.csv_records import MAX_ROW_BYTES, Splitter, cells_of, count_lines
from connectra_common.storage.s3 import ObjectStore

from connectra_jobs.encodings import UTF_8, Encoding
from connectra_jobs.worker import decoding
from connectra_jobs.worker.content import ZIP, Content, Text, UnreadableFile, open_content, refuse_other_kinds
from connectra_jobs.worker.csv_stream import DELIMITERS, Batch, Cutter
from connectra_jobs.worker.objects import Reading, Source
from connectra_jobs.worker.told import MAX_NAMED
from connectra_jobs.worker.workbook import MAX_BYTES, Workbook

# The header is one of so many lines.
HEADER_LINES = 50
# As many as a workbook can have. To find out what each means takes time.
MAX_COLUMNS = 16_384
XLSX_DELIMITER = "\t"


class Wanted(Protocol):
    """What `job_data` says of the file."""

    @property
    def encoding(self) -> str | None: ...
    @property
    def columns(self) -> Mapping[str, str | None] | None: ...


@dataclass(frozen=True, slots=True)
class Shape:
    """All that is needed in order to read the rows of a file from any place.

    Args:
        format: csv or xlsx.
        sheet: of an XLSX workbook.
        encoding: how it is read; of `settled` and `mixed` see `Encoding`.
        header_line: line of the header, from 1; in a workbook the number of the row.
        headers, targets: its cells, and what each of them fills.
        byte_end, next_line: where the first row begins, in bytes of the text in UTF-8.
    """

    format: str
    gzip: bool
    sheet: str
    encoding: str
    settled: bool
    mixed: bool
    delimiter: str
    header_line: int
    headers: tuple[str, ...]
    targets: tuple[str | None, ...]
    byte_end: int
    next_line: int

    def to_json(self) -> dict[str, Any]:
        """As it is stored with a job."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Shape":
        """What `to_json` gave."""
        return cls(**{**values, "headers": tuple(values["headers"]), "targets": tuple(values["targets"])})


class _Body(Protocol):
    """The text of a table in UTF-8."""

    def read(self, offset: int) -> AsyncGenerator[bytes]: ...


class Table:
    """The rows of a file. Close it."""

    def __init__(self, source: Source, content: Content, body: _Body, shape: Shape, columns: Columns) -> None:
        self.source, self.columns = source, columns
        self._content, self._body, self._shape = content, body, shape
        self._repeated = _Repeated(shape)

    @property
    def shape(self) -> Shape:
        """What is known by now: the encoding may be settled while rows are read."""
        if isinstance(self._body, Text):
            name, settled, mixed = self._body.encoding
            return replace(self._shape, encoding=name, settled=settled, mixed=mixed)
        return self._shape

    @property
    def notes(self) -> list[str]:
        """What its owner should know of how the file was read."""
        shape, notes = self.shape, []
        if isinstance(self._body, _Sheet):
            others = [repr(name) for name in self._body.book.sheets if name != shape.sheet]
            more = f", and not {listed(others)}" if others else ""
            notes.append(f"Read the sheet {shape.sheet!r} of the workbook{more}")
        if shape.header_line > 1:
            notes.append(f"Found the header in line {shape.header_line}")
        if lines := self._repeated.lines:
            more = f" and {self._repeated.count - len(lines):,} more" if self._repeated.count > len(lines) else ""
            notes.append(f"Skipped the header where it is repeated, in line {', '.join(map(str, lines))}{more}")
        if unused := self.columns.unused:
            names = ", ".join(f"{name!r} (there is {better!r})" for name, better in unused[:MAX_NAMED])
            more = f" and {len(unused) - MAX_NAMED:,} more" if len(unused) > MAX_NAMED else ""
            notes.append(f"Not used, as another column fills the same field better: {names}{more}")
        return notes

    def position(self, offset: int) -> int:
        """How many bytes of the object are done with at an offset of the text."""
        return offset if isinstance(self._body, Text) and self._body.direct else self._content.position

    async def batches(self, offset: int, line: int, rows: int) -> AsyncGenerator[Batch]:
        """Batches of at most `rows` rows from the beginning of a row on.

        Raises:
            UnreadableFile, JobFailed: of the file, see `Content`.
        """
        splitter = Splitter(self._shape.delimiter, len(self._shape.headers))
        cutter = Cutter(splitter, offset, line, rows)
        async with aclosing(self._body.read(offset)) as stream:
            async for data in stream:
                # In a thread, as all that is done with a file: of one that is not what it should be, a piece may take a second.
                for batch in await asyncio.to_thread(list, cutter.feed(data)):
                    self._repeated.look(batch)
                    yield batch
        for batch in await asyncio.to_thread(list, cutter.finish()):
            self._repeated.look(batch)
            yield batch

    def close(self) -> None:
        """Lets go of what was kept of the file."""
        if isinstance(self._body, _Sheet):
            self._body.book.close()


async def open_table(
    reading: Reading, s3: ObjectStore, source: Source, data: Wanted, shape: Shape | None = None
) -> Table:
    """Finds out what a file is, or takes it as an earlier attempt found it.

    Raises:
        UnreadableFile: no table, or without a header; says what is wrong.
        JobFailed: the object was replaced or removed meanwhile.
    """
    content = await open_content(reading, s3, source)
    head = await content.head()
    if not head:
        raise UnreadableFile("the file is empty: a header line and rows are expected")
    given = data.columns
    if head.startswith(ZIP):
        book = await _download(content)
        try:
            sheet, header = await asyncio.to_thread(_find_sheet, book, given, shape.sheet if shape else None)
            shape = shape or _shape("xlsx", content, sheet, Encoding(UTF_8), header)
            return Table(source, content, _Sheet(content, book, sheet), shape, header.columns)
        except BaseException:
            book.close()
            raise
    if data.encoding:
        encoding = Encoding(data.encoding)
    elif shape:
        encoding = Encoding(shape.encoding, shape.settled, shape.mixed)
    else:
        encoding = decoding.by_mark(head) or Encoding(UTF_8, settled=False)
    text = Text(content, encoding)
    if shape:
        return Table(source, content, text, shape, _columns(shape, given))
    refuse_other_kinds(head)
    found = await _read_header(text, given)
    return Table(source, content, text, _shape("csv", content, "", text.encoding, found), found.columns)


def _columns(shape: Shape, given: Mapping[str, str | None] | None) -> Columns:
    """What an earlier attempt made of the header, with what there is to tell of it."""
    try:
        columns = Columns.read(shape.headers, given)
    except ValueError:  # of another release
        return Columns(shape.headers, shape.targets)
    return replace(columns, targets=shape.targets)


def _shape(kind: str, content: Content, sheet: str, encoding: Encoding, header: "Header") -> Shape:
    return Shape(
        format=kind,
        gzip=content.packed,
        sheet=sheet,
        encoding=encoding.name,
        settled=encoding.settled,
        mixed=encoding.mixed,
        delimiter=header.delimiter,
        header_line=header.line,
        headers=header.columns.headers,
        targets=header.columns.targets,
        byte_end=header.byte_end,
        next_line=header.next_line,
    )


# --- workbooks


class _Sheet(NamedTuple):
    """The text of a sheet. It cannot be entered in the middle: what comes before the offset is dropped."""

    content: Content
    book: Workbook
    name: str

    async def read(self, offset: int) -> AsyncGenerator[bytes]:
        pieces = self.book.text(self.name)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            if offset < len(piece):
                yield piece[offset:]
            offset = max(0, offset - len(piece))


async def _download(content: Content) -> Workbook:
    limit = f"the workbook is larger than {MAX_BYTES // 2**20} MiB; save the table as CSV and import that"
    if content.source.size > MAX_BYTES:
        raise UnreadableFile(limit)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the workbook closes it
    try:
        async with aclosing(content.read(0)) as pieces:
            async for piece in pieces:
                await asyncio.to_thread(file.write, piece)
                if file.tell() > MAX_BYTES:
                    raise UnreadableFile(limit)
        return await asyncio.to_thread(Workbook, file)
    except BaseException:
        file.close()
        raise


def _find_sheet(book: Workbook, given: Mapping[str, str | None] | None, name: str | None) -> tuple[str, "Header"]:
    """The first sheet with a header."""
    problem: UnreadableFile | None = None
    for sheet in [name] if name else book.sheets:
        start, whole = b"", True
        for piece in book.text(sheet):
            start += piece
            if whole := count_lines(start) <= HEADER_LINES:
                continue
            break
        try:
            header = find_header(start, whole, given, XLSX_DELIMITER)
        except UnreadableFile as error:
            problem = problem or error
            continue
        assert header is not None  # there are lines enough, or all
        return sheet, header
    raise problem or UnreadableFile("the workbook has no sheet with cells")


# --- the header


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a table: its line, from 1, and where the rows begin."""

    columns: Columns
    delimiter: str
    line: int
    byte_end: int
    next_line: int


async def _read_header(text: Text, given: Mapping[str, str | None] | None) -> Header:
    data = b""
    async with aclosing(text.read(0)) as stream:
        async for more in stream:
            data += more
            if header := await asyncio.to_thread(find_header, data, False, given):
                return header
    header = await asyncio.to_thread(find_header, data, True, given)
    assert header is not None
    return header


def find_header(
    data: bytes, whole: bool, given: Mapping[str, str | None] | None = None, delimiter: str | None = None
) -> Header | None:
    """The line among the first ones in which most columns are known; None when more bytes are needed.

    Args:
        data: the beginning of the text.
        whole: it is all of it.
        given: what the caller says of the columns.
        delimiter: the only one that there can be.

    Raises:
        UnreadableFile: empty, no known column, a column twice, no end.
    """
    start = len(BOM) if data.startswith(BOM) else 0
    if not whole and len(data) <= MAX_ROW_BYTES and count_lines(data) <= HEADER_LINES:
        return None
    if said := _SEP.match(data, start):
        start, delimiter = said.end(), said[1].decode()
    best: _Candidate | None = None
    first, unclosed, widest = "", False, 0
    for at in _line_starts(data, start):
        line = data[at : _LINE.match(data, at).end()]  # type: ignore[union-attr] # it matches nothing as well
        for sign in (delimiter,) if delimiter else DELIMITERS:
            if sign != (delimiter or ",") and sign.encode() not in line:
                continue
            end = Splitter(sign, 0).find_end(data, at, last=whole)
            if end is None or end.fault:
                unclosed = unclosed or bool(end)
                continue
            cells = cells_of(data[at : end.at].decode(errors="replace"), sign)
            first = first or " ".join(line.decode(errors="replace").split())
            widest = max(widest, len(cells))
            if len(cells) > MAX_COLUMNS:
                continue
            candidate = _Candidate.read(cells, given, sign, at, end.at)
            if candidate and (best is None or candidate.better_than(best)):
                best = candidate
    if best is None and widest > MAX_COLUMNS:
        raise UnreadableFile(f"the header has {widest:,} columns; at most {MAX_COLUMNS:,} are allowed")
    if best is None:
        raise UnreadableFile(_no_header(first, unclosed, given))
    if isinstance(best.columns, Exception):
        raise UnreadableFile(str(best.columns))
    line_number = 1 + count_lines(data[: best.start])
    next_line = line_number + count_lines(data[best.start : best.end])
    return Header(best.columns, best.delimiter, line_number, best.end, next_line)


class _Candidate(NamedTuple):
    """A line that may be the header, or what is wrong with it."""

    columns: Columns | DuplicateColumn | UnknownHeader
    known: int
    width: int
    delimiter: str
    start: int
    end: int

    @classmethod
    def read(
        cls, cells: list[str], given: Mapping[str, str | None] | None, delimiter: str, start: int, end: int
    ) -> "_Candidate | None":
        columns: Columns | DuplicateColumn | UnknownHeader
        try:
            columns = Columns.read(cells, given)
            known = sum(target is not None for target in columns.targets)
        except NoKnownColumn:
            return None
        except DuplicateColumn as error:
            columns, known = error, error.known
        except UnknownHeader as error:
            other = cls.read(cells, None, delimiter, start, end)
            if other is None:
                return None
            columns, known = error, other.known
        return cls(columns, known, len(cells), delimiter, start, end)

    def better_than(self, other: "_Candidate") -> bool:
        """Of lines that are alike the first is the header, of delimiters the one that makes most columns."""
        if self.start == other.start:
            return (self.known, self.width) > (other.known, other.width)
        return self.known > other.known


def _line_starts(data: bytes, start: int) -> Iterator[int]:
    """Where the first lines that are not blank begin."""
    for _ in range(HEADER_LINES):
        if start >= len(data):
            return
        line = _LINE.match(data, start)
        assert line is not None
        if line[0].strip():
            yield start
        start = line.end()


def _no_header(first: str, unclosed: bool, given: Mapping[str, str | None] | None) -> str:
    if not first:
        if unclosed:
            return "the header line has no end: a quote in it is not closed, or the file is not CSV"
        return "the file is empty: a header line and rows are expected"
    try:
        Columns.read([first], None)
        problem = "no known column in the header"
    except (NoKnownColumn, DuplicateColumn) as error:
        problem = str(error)
    if "\ufffd" in first:
        problem += ". The file is in another encoding than it was read in; encoding can say which, such as shift_jis"
    shown = first if len(first) <= 80 else first[:80] + "…"
    return f"{problem}. The first line is {shown!r}; the header is looked for in the first {HEADER_LINES} lines"


_LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\n|\r|\Z)")
# Excel's way to name the delimiter.
_SEP = re.compile(rb'[\r\n]*"?sep=([\t !#-/:-@\[-`{-~])"?[;,\t]*(?:\r\n|\n|\r)', re.IGNORECASE)


class _Repeated:
    """Where the header stands again inside a file that was joined of several. The rows are skipped where they are read."""

    def __init__(self, shape: Shape) -> None:
        quoted = [f'"{header}"' for header in shape.headers]
        self._lines = [shape.delimiter.join(cells).encode() for cells in (shape.headers, quoted)]
        self._seen = 0  # bytes of the file
        self.lines: list[int] = []
        self.count = 0

    def look(self, batch: Batch) -> None:
        """Notes the lines of a batch that are the header."""
        if batch.byte_start < self._seen:
            return
        self._seen = batch.byte_end
        for line in self._lines:
            for start in _whole_lines(line, batch.records):
                self.count += 1
                if len(self.lines) < 10:
                    self.lines.append(batch.first_line + count_lines(batch.records[:start]))


def _whole_lines(line: bytes, text: bytes) -> list[int]:
    """Where a line of any length stands in a text, alone; before it may be a byte order mark."""
    if line not in text:
        return []
    found, text = list[int](), b"\n" + text
    for begin in (b"\n", b"\r", b"\n" + BOM, b"\r" + BOM):
        at = text.find(begin + line)
        while at >= 0:
            end = at + len(begin) + len(line)
            if text[end : end + 1] in (b"", b"\r", b"\n"):
                found.append(at)
            at = text.find(begin + line, at + 1)
    return sorted(found)
