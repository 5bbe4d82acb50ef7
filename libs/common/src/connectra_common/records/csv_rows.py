"""CSV rows to records: which column fills which field, and what identifies a company and a contact."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectra_common.records import ids
from connectra_common.records.cleaning import READERS, CellRefused, Value, clean, lower
from connectra_common.records.fields import COMPANY, CONTACT, Entity, csv_columns
from connectra_common.records.limits import MAX_EMAIL_CHARS

Record = dict[str, Value]


class NoKnownColumn(ValueError):
    """A header without any known column."""


class DuplicateColumn(ValueError):
    """A header with a known column twice."""


def column_name(cell: str) -> str:
    """Name of a header cell, whatever its case, spaces and byte order mark."""
    return lower(clean(cell)).replace(" ", "_")


@dataclass(frozen=True)
class Header:
    """What the columns of a file mean.

    Raises:
        NoKnownColumn, DuplicateColumn: at `read`.
    """

    width: int
    positions: dict[str, int]
    unknown: tuple[str, ...]

    @classmethod
    def read(cls, cells: Sequence[str]) -> "Header":
        """Finds the known columns."""
        known = csv_columns()
        positions: dict[str, int] = {}
        unknown = []
        for position, cell in enumerate(cells):
            name = column_name(cell)
            if name not in known:
                unknown.append(cell)
            elif name in positions:
                raise DuplicateColumn(f"the header has the column {name!r} twice")
            else:
                positions[name] = position
        if not positions:
            raise NoKnownColumn(f"no known column in the header; known are {', '.join(sorted(known))}")
        return cls(len(cells), positions, tuple(unknown))


class RowReader:
    """Makes records from the rows under a header. A record has its uuid and the fields that are not empty."""

    def __init__(self, header: Header) -> None:
        self._width = header.width
        self._company = _plan(COMPANY, header)
        self._contact = _plan(CONTACT, header)

    def read(self, cells: Sequence[str]) -> tuple[Record | None, Record | None]:
        """Company and contact of a row, each None when nothing identifies it.

        Raises:
            CellRefused: with the reason; the row makes nothing then.
        """
        if len(cells) != self._width:
            raise CellRefused(f"the row has {len(cells)} fields; the header has {self._width}")
        company = _apply(self._company, cells)
        contact = _apply(self._contact, cells)
        name, url = company.get("name"), company.get("linkedin_url")
        company_id = None
        if name or url:
            company_id = ids.company_uuid(name, url)  # type: ignore[arg-type]
            company["uuid"] = company_id
        if (email := contact.get("email")) and len(str(email)) > MAX_EMAIL_CHARS:
            raise CellRefused(f"email: has {len(str(email))} characters; at most {MAX_EMAIL_CHARS} are allowed")
        first, last, url, email = (contact.get(n) for n in ("first_name", "last_name", "linkedin_url", "email"))
        if first or last or url or email:
            contact["uuid"] = ids.contact_uuid(first, last, url, email)  # type: ignore[arg-type]
            if company_id:
                contact["company_id"] = company_id
        return (company if "uuid" in company else None), (contact if "uuid" in contact else None)


_Plan = list[tuple[str, str, int, Callable[[str], Value]]]


def _plan(entity: Entity, header: Header) -> _Plan:
    return [
        (field.name, field.csv_column, header.positions[field.csv_column], READERS[field.csv_rule])
        for field in entity.fields
        if field.csv_column in header.positions
    ]


def _apply(plan: _Plan, cells: Sequence[str]) -> Record:
    record: Record = {}
    for name, column, position, read in plan:
        cell = cells[position]
        if not cell:
            continue
        try:
            value = read(cell)
        except CellRefused as error:
            raise CellRefused(f"{column}: {error}") from None
        if value is not None and value != []:
            record[name] = value
    return record
