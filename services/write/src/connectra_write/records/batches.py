"""Batches of records: which stored record each one means, and the outcome, as if they were written one by one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from connectra_common.errors import FieldViolation, ValidationFailed, listed
from connectra_common.records import keys
from connectra_common.records.cleaning import CellRefused
from connectra_common.records.columns import Columns, DuplicateColumn, NoKnownColumn
from connectra_common.records.csv_rows import NOTHING_IDENTIFIED, RowReader, RowRecords
from connectra_common.records.fields import COMPANY, CONTACT, Entity
from connectra_common.records.identity import Record
from connectra_common.records.keys import Key
from connectra_common.records.limits import MAX_HEADER_CHARS, MAX_ROW_COLUMNS
from connectra_common.refusals import BatchTooLarge, EmptyPayload, SeveralRecords
from connectra_common.requests import Warning, path

from connectra_write.records.identities import Claim, Found, Identities
from connectra_write.records.outcomes import RecordFailure, RecordWarning
from connectra_write.records.validation import Mode, candidate, check

ENTITIES = (COMPANY, CONTACT)


@dataclass(frozen=True, slots=True)
class Row:
    """What one record of a batch, or one row, says of a company and a contact; at least one of them.

    Args:
        index: of a record of a request its position, of a row of a file its line.
        text: of a row of a file, as it is there.
    """

    index: int
    company: Claim | None = None
    contact: Claim | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a batch is written.

    Args:
        by: kinds of keys by which records are found.
        clearing: a value of None empties its field.
        warns: about keys that others have.
    """

    by: frozenset[str]
    clearing: bool
    warns: bool


# Records of the API, and rows of a file: two people of one address are not one in a file, where many share a mailbox.
RECORDS = Manner(frozenset((keys.EMAIL, keys.DOMAIN, keys.URL)), clearing=True, warns=True)
ROWS = Manner(frozenset((keys.URL,)), clearing=False, warns=False)


@dataclass(slots=True)
class Batch:
    """The records of a request, or the rows of a file, that can be stored, and those that cannot."""

    rows: list[Row] = field(default_factory=list)
    failures: list[RecordFailure] = field(default_factory=list)

    def claims(self, entity: Entity) -> list[Claim]:
        """What is said of an entity's records."""
        return [claim for row in self.rows if (claim := row.company if entity is COMPANY else row.contact)]


@dataclass(slots=True)
class Folded:
    """The outcome of a batch over the records as they were read.

    Args:
        written: values by uuid that are to be laid over what is stored.
        uuids: of the records that each row means: the contact, else the company.
        merged: records that fell together, see `_falls_together`.
        joined: uuids of the contacts of which the first row here is counted among them.
    """

    written: dict[Entity, dict[str, Record]] = field(default_factory=lambda: {entity: {} for entity in ENTITIES})
    uuids: dict[int, str] = field(default_factory=dict)
    failures: list[RecordFailure] = field(default_factory=list)
    warnings: list[RecordWarning] = field(default_factory=list)
    merged: int = 0
    joined: set[str] = field(default_factory=set)


def fold(batch: Batch, manner: Manner, identities: Mapping[Entity, Identities], companies: set[str]) -> Folded:
    """What is to be written: each row sees the effect of those before it. A row that fails has none.

    Args:
        companies: those of the companies that contacts name by uuid which exist.
    """
    folded = Folded()
    for row in batch.rows:
        try:
            found = {
                entity: (claim, identities[entity].find(claim))
                for entity, claim in ((COMPANY, row.company), (CONTACT, row.contact))
                if claim
            }
            _check(found, identities, companies, rows=row.company is not None and row.contact is not None)
        except _Failed as failed:
            folded.failures.append(failed.of(row))
            continue
        except SeveralRecords as error:
            violation = FieldViolation(str(error.details["field"]), error.message)
            folded.failures.append(_failure(row, error.message, violation))
            continue
        company_id = None
        for entity, (claim, meant) in found.items():
            identity, written = identities[entity], folded.written[entity]
            if _falls_together(entity, claim, meant, written):
                folded.merged += 1
                if entity is CONTACT and meant.uuid not in written:
                    folded.joined.add(meant.uuid)
            values = identity.put(meant.uuid, claim)
            record = written.setdefault(meant.uuid, {"uuid": meant.uuid})
            record.update(values)
            if entity is COMPANY:
                company_id = meant.uuid
            elif company_id:
                record["company_id"] = company_id
            folded.uuids[row.index] = meant.uuid
            if manner.warns:
                folded.warnings += shared_keys(entity, identity, meant.uuid, claim.keys, row.index)
    return folded


def shared_keys(
    entity: Entity, identities: Identities, uuid: str, given: Iterable[Key], index: int = 0
) -> list[RecordWarning]:
    """A warning for each key of a record that others have as well."""
    found = []
    for key in given:
        if others := identities.live_holders(key, but=uuid):
            name = keys.field(entity, key)
            found.append(RecordWarning(index, name, f"other {entity.table} have this {name} as well: {listed(others)}"))
    return found


def _falls_together(entity: Entity, claim: Claim, found: Found, written: Mapping[str, Record]) -> bool:
    """Whether a record becomes part of one that its names did not make: of an earlier one of the batch, or one found by its key.

    That many rows name one company is what files are like.
    """
    if entity is CONTACT and found.uuid in written:
        return True
    return found.key is not None and found.uuid != claim.candidate.recipe


class _Failed(Exception):
    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self._violation = FieldViolation(name, message)

    def of(self, row: Row) -> RecordFailure:
        return _failure(row, self._violation.message, self._violation)


def _failure(row: Row, message: str, violation: FieldViolation) -> RecordFailure:
    claim = row.contact or row.company
    return RecordFailure(row.index, message, claim.candidate.uuid if claim else None, (violation,))


def _check(
    found: dict[Entity, tuple[Claim, Found]], identities: Mapping[Entity, Identities], companies: set[str], rows: bool
) -> None:
    if company := found.get(COMPANY):
        claim, meant = company
        if not claim.candidate.values.get("name") and not identities[COMPANY].is_known(meant.uuid):
            if not rows:
                raise _Failed("name", "name is required")
            # A company without a name is not stored, but the contact of its row is.
            del found[COMPANY]
    if contact := found.get(CONTACT):
        company_id = contact[0].candidate.values.get("company_id")
        if company_id is not None and company_id not in companies:
            raise _Failed("company_id", f"Company with identifier '{company_id}' not found")


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
        if checked.violations:
            error = ValidationFailed.of(checked.violations).message
            given = record.get("uuid") if isinstance(record, Mapping) else None
            uuid = given if isinstance(given, str) else None
            batch.failures.append(RecordFailure(index, error, uuid, checked.violations))
            continue
        claim = Claim.of(entity, candidate(entity, checked))
        batch.rows.append(Row(index, company=claim) if entity is COMPANY else Row(index, contact=claim))
    return batch


def read_rows(rows: Sequence[object]) -> Batch:
    """Reads rows of named CSV columns by the rules of an import."""
    batch = Batch()
    for index, row in enumerate(rows):
        try:
            read = _read_row(row)
        except (CellRefused, NoKnownColumn, DuplicateColumn) as error:
            batch.failures.append(RecordFailure(index, str(error)))
            continue
        batch.rows.append(of_row(index, read))
    return batch


def of_row(index: int, read: RowRecords, text: str = "") -> Row:
    """What a row of a file says."""
    company = Claim.of(COMPANY, read.company) if read.company else None
    contact = Claim.of(CONTACT, read.contact) if read.contact else None
    return Row(index, company, contact, text)


def left_out(row: object, prefix: str) -> list[Warning]:
    """A warning for each cell of a row that is not stored, or not whole."""
    try:
        cells = _read_row(row).left_out
    except (CellRefused, NoKnownColumn, DuplicateColumn):  # an error of its own
        return []
    return [{"field": path((cell.column,), prefix), "message": cell.reason} for cell in cells]


def is_header(names: Collection[str]) -> bool:
    """Whether the keys of a row may be columns; thousands of them would take seconds to understand, and are remembered."""
    return len(names) <= MAX_ROW_COLUMNS and sum(map(len, names)) <= MAX_HEADER_CHARS


def _read_row(row: object) -> RowRecords:
    if not isinstance(row, Mapping):
        raise CellRefused("a row must be a JSON object of CSV columns and texts")
    if not is_header(row):
        raise CellRefused(
            f"a row may have {MAX_ROW_COLUMNS} columns, whose names together have at most {MAX_HEADER_CHARS:,} characters"
        )
    read = _reader(tuple(row)).read([_cell(name, value) for name, value in row.items()])
    if read.company is None and read.contact is None:
        raise CellRefused(NOTHING_IDENTIFIED)
    return read


@lru_cache(maxsize=8)
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
