"""Batches of records: which stored record each one means, and the outcome, as if they were written one by one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records.cleaning import CellRefused, Value
from connectra_common.records.columns import Columns, DuplicateColumn, NoKnownColumn
from connectra_common.records.csv_rows import NOTHING_IDENTIFIED, RowReader, RowRecords
from connectra_common.records.fields import COMPANY, CONTACT, Entity
from connectra_common.records.identity import Record, lay
from connectra_common.refusals import BatchTooLarge, EmptyPayload
from connectra_common.requests import Warning, path

from connectra_write.records.outcomes import RecordFailure
from connectra_write.records.repository import Known
from connectra_write.records.validation import Mode, check, derived_uuid


@dataclass(slots=True)
class Candidate:
    """A record that can be stored; `derived` is the uuid it gets if it is new and was given none."""

    index: int
    values: Record
    uuid: str | None
    key: str | None
    derived: str | None


@dataclass(slots=True)
class Batch:
    """The records of a request that can be stored, and those that cannot."""

    candidates: list[Candidate] = field(default_factory=list)
    failures: list[RecordFailure] = field(default_factory=list)

    @property
    def uuids(self) -> set[str]:
        """Every uuid a record may turn out to have."""
        return {uuid for c in self.candidates if (uuid := c.uuid or c.derived)}

    @property
    def keys(self) -> set[str]:
        """Match keys of records without uuid."""
        return {c.key for c in self.candidates if c.uuid is None and c.key is not None}

    def fail(self, candidate: Candidate, name: str, message: str) -> None:
        """Notes that a record cannot be stored after all; the caller drops it."""
        violation = FieldViolation(name, message)
        self.failures.append(RecordFailure(candidate.index, message, candidate.uuid, (violation,)))

    def without_missing_companies(self, existing: set[str]) -> None:
        """Drops contacts whose company does not exist."""
        kept = []
        for candidate in self.candidates:
            company = candidate.values.get("company_id")
            if company is None or company in existing:
                kept.append(candidate)
            else:
                self.fail(candidate, "company_id", f"Company with identifier '{company}' not found")
        self.candidates = kept


def check_size(count: int, maximum: int) -> None:
    """Checks the number of records in a batch.

    Raises:
        EmptyPayload: no record.
        BatchTooLarge: more than `maximum`.
    """
    if count == 0:
        raise EmptyPayload
    if count > maximum:
        raise BatchTooLarge(count, maximum)


def sort_out(entity: Entity, records: Sequence[object]) -> Batch:
    """Checks every record of a batch."""
    batch = Batch()
    for index, record in enumerate(records):
        checked = check(entity, record, Mode.BULK)
        values: Record = checked.values
        if checked.violations:
            error = ValidationFailed.of(checked.violations).message
            given = record.get("uuid") if isinstance(record, Mapping) else None
            uuid = given if isinstance(given, str) else None
            batch.failures.append(RecordFailure(index, error, uuid, checked.violations))
            continue
        uuid, key = _text(values.pop("uuid", None)), _text(values.get(entity.match_column))
        derived = derived_uuid(entity, values) if uuid is None else None
        batch.candidates.append(Candidate(index, values, uuid, key, derived))
    return batch


def fold(entity: Entity, batch: Batch, known: Iterable[Known], matches: Iterable[Known]) -> dict[str, Record]:
    """The records to be written, by uuid: each record of the batch sees the effect of those before it.

    Args:
        known: the stored records of `batch.uuids`.
        matches: the stored records of `batch.keys`, the best match of each key first.
    """
    owner: dict[str, str] = {}
    key_of: dict[str, str | None] = {}
    for row in (*matches, *known):
        key_of[row.uuid] = row.key
    for row in matches:
        owner.setdefault(str(row.key), row.uuid)
    written: dict[str, Record] = {}
    for candidate in batch.candidates:
        uuid = candidate.uuid or owner.get(candidate.key or "") or candidate.derived
        assert uuid is not None
        if entity is COMPANY and "name" not in candidate.values and uuid not in key_of:
            batch.fail(candidate, "name", "name is required")
            continue
        written.setdefault(uuid, {"uuid": uuid}).update(candidate.values)
        before = key_of.setdefault(uuid, None)
        if entity.match_column in candidate.values and candidate.key != before:
            key_of[uuid] = candidate.key
            if before is not None and owner.get(before) == uuid:
                del owner[before]
            if candidate.key is not None:
                owner.setdefault(candidate.key, uuid)
    return written


@dataclass(slots=True)
class Rows:
    """The records of CSV-like rows, by uuid."""

    companies: dict[str, Record] = field(default_factory=dict)
    contacts: dict[str, Record] = field(default_factory=dict)
    failures: list[RecordFailure] = field(default_factory=list)

    @property
    def by_entity(self) -> tuple[tuple[Entity, dict[str, Record]], ...]:
        """In the order in which tables are written."""
        return (COMPANY, self.companies), (CONTACT, self.contacts)


def read_rows(rows: Sequence[object]) -> Rows:
    """Reads rows of named CSV columns by the rules of an import."""
    found = Rows()
    for index, row in enumerate(rows):
        try:
            read = _read_row(row)
        except (CellRefused, NoKnownColumn, DuplicateColumn) as error:
            found.failures.append(RecordFailure(index, str(error)))
            continue
        lay(read.company, read.contact, found.companies, found.contacts)
    return found


def left_out(row: object, prefix: str) -> list[Warning]:
    """A warning for each cell of a row that is not stored, or not whole."""
    try:
        cells = _read_row(row).left_out
    except (CellRefused, NoKnownColumn, DuplicateColumn):  # an error of its own
        return []
    return [{"field": path((cell.column,), prefix), "message": cell.reason} for cell in cells]


def _read_row(row: object) -> RowRecords:
    if not isinstance(row, Mapping):
        raise CellRefused("a row must be a JSON object of CSV columns and texts")
    read = _reader(tuple(row)).read([_cell(name, value) for name, value in row.items()])
    if read.company is None and read.contact is None:
        raise CellRefused(NOTHING_IDENTIFIED)
    return read


@lru_cache(maxsize=64)
def _reader(columns: tuple[str, ...]) -> RowReader:
    return RowReader(Columns.read(columns))


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise CellRefused(f"{name}: must be a text")


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None
