"""CSV rows to records."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from connectra_common.records import ids
from connectra_common.records.cleaning import READERS, CellRefused, Value
from connectra_common.records.columns import Columns
from connectra_common.records.fields import COMPANY, CONTACT, CsvRule, Entity
from connectra_common.records.identity import Candidate, Record
from connectra_common.records.limits import MAX_EMAIL_CHARS


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
        self._width = len(columns.headers)
        self._company = _plan(COMPANY, columns)
        self._contact = _plan(CONTACT, columns)
        self._derived = frozenset(
            field.name for field in COMPANY.fields if field.csv_rule is CsvRule.DOMAIN and field.csv_column
        )

    def read(self, cells: Sequence[str]) -> RowRecords:
        """Company and contact of a row.

        Raises:
            CellRefused: with the reason; the row makes nothing then.
        """
        if len(cells) != self._width:
            raise CellRefused(f"the row has {len(cells)} fields; the header has {self._width}")
        company = _apply(self._company, cells)
        contact = _apply(self._contact, cells)
        name, url = company.get("name"), company.get("linkedin_url")
        company_id = ids.company_uuid(name, url) if name or url else None  # type: ignore[arg-type]
        if (email := contact.get("email")) and len(str(email)) > MAX_EMAIL_CHARS:
            raise CellRefused(f"email: has {len(str(email))} characters; at most {MAX_EMAIL_CHARS} are allowed")
        first, last, url, email = (contact.get(n) for n in ("first_name", "last_name", "linkedin_url", "email"))
        contact_id = ids.contact_uuid(first, last, url, email) if first or last or url or email else None  # type: ignore[arg-type]
        return RowRecords(
            Candidate(company, recipe=company_id, derived=self._derived) if company_id else None,
            Candidate(contact, recipe=contact_id) if contact_id else None,
        )


_Plan = list[tuple[str, str, int, Callable[[str], Value]]]


def _plan(entity: Entity, columns: Columns) -> _Plan:
    positions = columns.positions
    return [
        (field.name, columns.headers[positions[field.csv_column]], positions[field.csv_column], READERS[field.csv_rule])
        for field in entity.fields
        if field.csv_column in positions
    ]


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
