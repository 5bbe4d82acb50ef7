"""Makes records of the two tables out of batches of CSV records."""

from dataclasses import dataclass, field

from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records.columns import Columns, DuplicateColumn, NoKnownColumn, hint, targets
from connectra_common.records.csv_file import Rows
from connectra_common.records.csv_rows import RowReader, RowRecords

from connectra_write.imports.outcomes import LeftOutCell, RejectedRow
from connectra_write.records.batches import Batch, of_row


@dataclass(frozen=True, slots=True)
class ImportBatch:
    """A batch as the jobs service sends it; see ImportBatchRequest."""

    job_uuid: str
    number: int
    records: bytes
    columns: tuple[str, ...]
    delimiter: str
    first_line: int
    byte_start: int
    byte_end: int
    targets: tuple[str, ...] = ()
    generation: int = 0
    input: str = ""


@dataclass(slots=True)
class Parsed:
    """The rows of a batch that can be stored, and what is reported of it."""

    rows: int = 0
    next_line: int = 0
    batch: Batch = field(default_factory=Batch)
    rejected: list[RejectedRow] = field(default_factory=list)
    left_out: list[LeftOutCell] = field(default_factory=list)


def parse(batch: ImportBatch) -> Parsed:
    """Reads a batch; blank lines are skipped.

    Raises:
        ValidationFailed: no known column, unknown targets, or a delimiter of more than one character.
    """
    try:
        columns = _columns(batch)
    except (NoKnownColumn, DuplicateColumn) as error:
        raise ValidationFailed.of([FieldViolation("columns", str(error))]) from None
    if len(batch.delimiter) != 1 or not batch.delimiter.isascii():
        raise ValidationFailed.of([FieldViolation("delimiter", "delimiter must be one ASCII character")])
    return _read(RowReader(columns), batch)


def _columns(batch: ImportBatch) -> Columns:
    """What the columns mean: as the jobs service found it, else by their names."""
    if not batch.targets:
        return Columns.read(batch.columns)
    unknown = next((target for target in batch.targets if target and target not in targets()), None)
    if unknown or len(batch.targets) != len(batch.columns):
        problem = hint(unknown) if unknown else "targets must be as many as columns"
        raise ValidationFailed.of([FieldViolation("targets", problem)])
    return Columns(batch.columns, tuple(target or None for target in batch.targets))


def _read(reader: RowReader, batch: ImportBatch) -> Parsed:
    parsed = Parsed()
    rows = Rows(reader, batch.records, batch.delimiter, batch.first_line)
    for row in rows:
        parsed.rows += 1
        if row.problem:
            parsed.rejected.append(RejectedRow(row.line, row.problem, rows.text))
        for column, value, reason in row.left_out:
            parsed.left_out.append(LeftOutCell(row.line, column, value.replace("\0", "\ufffd"), reason))
        if row.company or row.contact:
            parsed.batch.rows.append(of_row(row.line, RowRecords(row.company, row.contact), rows.text))
    parsed.next_line = rows.next_line
    return parsed
