"""Batches of CSV records to records of the two tables."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records.cleaning import CellRefused, Value
from connectra_common.records.csv_rows import DuplicateColumn, Header, NoKnownColumn, RowReader

# A cell may be longer than what can be stored: it is refused by name, not by the parser.
csv.field_size_limit(4 * 1024 * 1024)

Record = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as the jobs service sends it; see ImportBatchRequest."""

    job_uuid: str
    number: int
    records: bytes
    columns: tuple[str, ...]
    delimiter: str
    first_line: int
    byte_start: int
    byte_end: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that makes nothing, and why."""

    line: int
    reason: str
    record: str


@dataclass(slots=True)
class Parsed:
    """What a batch says: by uuid, later rows laid over earlier ones, as if applied one by one."""

    rows: int = 0
    next_line: int = 0
    companies: dict[str, Record] = field(default_factory=dict)
    contacts: dict[str, Record] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)


def parse(batch: Batch) -> Parsed:
    """Reads a batch; blank lines are nothing.

    Raises:
        ValidationFailed: no known column, a delimiter of more than one character, or bytes that are not UTF-8.
    """
    try:
        header = Header.read(batch.columns)
    except (NoKnownColumn, DuplicateColumn) as error:
        raise ValidationFailed.of([FieldViolation("columns", str(error))]) from None
    if len(batch.delimiter) != 1:
        raise ValidationFailed.of([FieldViolation("delimiter", "delimiter must be one character")])
    try:
        text = batch.records.decode()
    except UnicodeDecodeError as error:
        at = batch.byte_start + error.start
        message = f"the file is not UTF-8: byte 0x{batch.records[error.start]:02x} at offset {at}"
        raise ValidationFailed.of([FieldViolation("records", message)]) from None
    return _read(text, RowReader(header), batch)


def _read(text: str, reader: RowReader, batch: Batch) -> Parsed:
    parsed = Parsed()
    lines = _Lines(text)
    rows = csv.reader(lines, delimiter=batch.delimiter)
    while True:
        line = batch.first_line + rows.line_num
        lines.taken.clear()
        try:
            cells = next(rows, None)
            if cells is None:
                break
            if not cells:
                continue
            parsed.rows += 1
            company, contact = reader.read(cells)
        except (CellRefused, csv.Error) as error:
            parsed.rejected.append(Rejected(line, str(error), lines.record()))
            continue
        if company:
            parsed.companies.setdefault(str(company["uuid"]), {}).update(company)
        if contact:
            parsed.contacts.setdefault(str(contact["uuid"]), {}).update(contact)
        if not company and not contact:
            parsed.rejected.append(Rejected(line, "nothing identifies a company or a person", lines.record()))
    parsed.next_line = batch.first_line + rows.line_num
    return parsed


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

    def record(self) -> str:
        """The text of the record being read, without its line end; a NUL character, which cannot be stored, is shown as �."""
        return "".join(self.taken).rstrip("\r\n").replace("\0", "\ufffd")
