"""Files with known people, broken in every way at once: whoever goes in is stored or rejected, and nobody is invented."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from connectra_common.records.columns import Columns
from connectra_common.records.csv_file import Rows
from connectra_common.records.csv_records import Splitter
from connectra_common.records.csv_rows import RowReader
from connectra_jobs.encodings import Encoding
from connectra_jobs.worker import decoding
from connectra_jobs.worker.content import Text
from connectra_jobs.worker.csv_stream import Cutter
from connectra_jobs.worker.table import find_header
from hypothesis import example, given, settings
from hypothesis import strategies as st

HEADER = ("first_name", "last_name", "email", "company", "title", "city")
FAULTS = (
    "none",
    "open quote",
    "late quote",
    "not doubled",
    "short",
    "surplus empty",
    "surplus",
    "nul",
    "byte",
    "inch",
    "lines",
    "blanks",
    "long",
)


@dataclass(frozen=True)
class Person:
    """A row: `fault` is what is wrong with it."""

    name: str
    fault: str
    quoted: bool
    column: int

    def row(self, delimiter: str) -> bytes:
        cells = [self.name, "Fieldcase", f"{self.name}@x.example", "Plain Ltd", "Buyer", "Bonn"]
        at = self.column
        match self.fault:
            case "lines":
                cells[4] = '"1 Main St\nFloor 2"'
            case "nul":
                cells[4] = "Bu\0yer"
            case "long":
                cells[4] = "x" * 9_000
            case "inch":
                cells[3] = '12" Pipe Works'
        if self.quoted:
            cells = [cell if '"' in cell else f'"{cell}"' for cell in cells]
        match self.fault:
            case "open quote":
                cells[at] = '"' + cells[at].strip('"')
            case "late quote":
                cells[at] = cells[at].strip('"') + '"'
            case "not doubled":
                cells[at] = f'"The "best" of {self.name}"'
            case "short":
                cells = cells[:3]
            case "surplus empty":
                cells += ["", ""]
            case "surplus":
                cells += ["", "x"]
            case "blanks":
                cells = [cells[0], *(" " + cell for cell in cells[1:])]
        row = delimiter.join(cells).encode()
        return row.replace(b"Bonn", b"B\x96onn") if self.fault == "byte" else row


persons = st.lists(st.tuples(st.sampled_from(FAULTS), st.booleans(), st.integers(0, 5)), min_size=1, max_size=12).map(
    lambda rows: [Person(f"p{n}q", *row) for n, row in enumerate(rows)]
)


# What made one row of five.
SWALLOWED = [
    Person("p0q", "open quote", False, 5),
    *(Person(f"p{n}q", "none", False, 0) for n in range(1, 4)),
    Person("p4q", "late quote", False, 5),
]


class Pieces:
    """A content in pieces."""

    packed = False

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = data, size

    def again(self) -> "Pieces":
        return self

    async def read(self, offset: int) -> AsyncGenerator[bytes]:
        for start in range(offset, len(self._data), self._size):
            yield self._data[start : start + self._size]


@settings(max_examples=100, deadline=None)
@given(
    persons,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 100),
    st.integers(1, 4),
    st.sampled_from([b"", b"Notes:\n\n", b"\xef\xbb\xbf"]),
    st.booleans(),
)
@example(SWALLOWED, ",", "\n", 9, 2, b"", False)
async def test_who_goes_in_is_stored_or_rejected(
    people: list[Person], delimiter: str, ending: str, size: int, rows: int, before: bytes, joined: bool
) -> None:
    lines = [delimiter.join(HEADER).encode(), *(person.row(delimiter) for person in people)]
    if joined:
        lines[len(lines) // 2 : len(lines) // 2] = [lines[0], delimiter.encode() * 5, b""]
    file = before + b"".join(line + ending.encode() for line in lines)

    stored, rejected, counted = await read(file, size, rows)

    names = {person.name for person in people}
    assert stored.isdisjoint(rejected)
    assert stored | rejected == names
    assert stored >= {person.name for person in people if person.fault in SOUND}
    assert counted >= len(people)


SOUND = {"none", "short", "surplus empty", "inch", "lines", "blanks"}


async def read(file: bytes, size: int, max_rows: int) -> tuple[set[str], set[str], int]:
    """Names of the people that are stored, names in rejected rows, and the number of rows."""
    text = Text(Pieces(file, size), decoding.by_mark(file) or Encoding("utf-8", settled=False))  # type: ignore[arg-type]
    data = b"".join([piece async for piece in text.read(0)])
    header = find_header(data, whole=True)
    assert header is not None
    assert header.columns.headers == HEADER
    reader = RowReader(Columns.read(HEADER))
    cutter = Cutter(Splitter(header.delimiter, len(HEADER)), header.byte_end, header.next_line, max_rows)
    batches: list[Any] = []
    async for piece in text.read(header.byte_end):
        batches += cutter.feed(piece)
    batches += cutter.finish()
    stored, rejected, counted = set[str](), set[str](), 0
    for batch in batches:
        found = Rows(reader, batch.records, header.delimiter, batch.first_line)
        for row in found:
            counted += 1
            if row.problem:
                rejected.update(re.findall(r"p\d+q", found.text))
            elif row.contact:
                [name] = re.findall(r"p\d+q", str(row.contact.values["first_name"]))
                assert set(re.findall(r"p\d+q", str(row.contact.values) + str(row.company and row.company.values))) == {
                    name
                }
                stored.add(name)
    return stored, rejected, counted
