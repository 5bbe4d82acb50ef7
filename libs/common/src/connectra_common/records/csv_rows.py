"""CSV rows to records."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from connectra_common.records import ids
from connectra_common.records.cleaning import READERS, CellRefused, Value
from connectra_common.records.columns import Columns
from connectra_common.records.fields import COMPANY, CONTACT, CsvRule, Entity
from connectra_common.records.identity import Candidate, Record
from connectra_common.records.limits import MAX_EMAIL_CHARS
from connectra_common.records.spread import Spread


class LeftOut(NamedTuple):
    """A cell that is not valid for its field: the row is stored without it."""

    column: str
    value: str
    reason: str


class RowRecords(NamedTuple):
    """What a row says; None where it identifies nothing."""

    company: Candidate | None
    contact: Candidate | None
    left_out: tuple[LeftOut, ...] = ()


class RowReader:
    """Reads the rows below a header."""

    def __init__(self, columns: Columns) -> None:
        self.headers = columns.headers
        self._width = len(columns.headers)
        spread = Spread(columns)
        self._widen = spread.widen if spread.needed else None
        positions = spread.columns.positions
        self._company = _plan(COMPANY, spread.columns)
        self._contact = _plan(CONTACT, spread.columns)
        self._uuid, self._company_uuid = positions.get("uuid"), positions.get("company_uuid")
        self._derived = frozenset(
            field.name
            for field in COMPANY.fields
            if field.csv_rule is CsvRule.DOMAIN and field.csv_column and field.own_column not in positions
        )

    def read(self, cells: Sequence[str]) -> RowRecords:
        """Company and contact of a row.

        Raises:
            CellRefused: with the reason; the row makes nothing then.
        """
        if len(cells) != self._width:
            raise CellRefused(f"the row has {len(cells)} fields; the header has {self._width}")
        if self._widen:
            cells = self._widen(cells)
        company = _apply(self._company, cells)
        contact = _apply(self._contact, cells)
        uuid, company_uuid = _uuid(cells, self._uuid), _uuid(cells, self._company_uuid)
        name, url = company.get("name"), company.get("linkedin_url")
        company_id = ids.company_uuid(name, url) if name or url else None  # type: ignore[arg-type]
        if (email := contact.get("email")) and len(str(email)) > MAX_EMAIL_CHARS:
            raise CellRefused(f"email: has {len(str(email))} characters; at most {MAX_EMAIL_CHARS} are allowed")
        first, last, url, email = (contact.get(n) for n in ("first_name", "last_name", "linkedin_url", "email"))
        contact_id = ids.contact_uuid(first, last, url, email) if first or last or url or email else None  # type: ignore[arg-type]
        return RowRecords(
            Candidate(company, company_uuid, company_id, self._derived) if company_id or company_uuid else None,
            Candidate(contact, uuid, contact_id) if contact_id or uuid else None,
        )


_Plan = list[tuple[str, str, int, Callable[[str], Value]]]


def _plan(entity: Entity, columns: Columns) -> _Plan:
    positions = columns.positions
    plan: _Plan = []
    for field in entity.fields:
        own, at = (
            field.own_column in positions,
            positions.get(field.own_column or "", positions.get(field.csv_column or "")),
        )
        if at is not None and field.name != "uuid":
            rule = CsvRule.LOWER if own and field.csv_rule is CsvRule.DOMAIN else field.csv_rule
            plan.append((field.name, columns.headers[at], at, READERS[rule]))
    return plan


def _uuid(cells: Sequence[str], position: int | None) -> str | None:
    if position is None or not (given := cells[position].strip()):
        return None
    uuid = ids.canonical_uuid(given)
    if not ids.is_uuid(uuid):
        raise CellRefused(f"invalid UUID format: {given[:100]}")
    return uuid


def _apply(plan: _Plan, cells: Sequence[str]) -> Record:
    record: Record = {}
    for name, header, position, read in plan:
        cell = cells[position]
        if not cell:
            continue
        try:
            value = read(cell)
        except CellRefused as error:
            raise CellRefused(f"{header}: {error}") from None
        if value is not None and value != []:
            record[name] = value
    return record
