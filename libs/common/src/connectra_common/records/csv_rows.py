"""CSV rows to records."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from connectra_common.records import ids
from connectra_common.records.cleaning import CellRefused, clean
from connectra_common.records.columns import Columns
from connectra_common.records.fields import COMPANY, CONTACT, Entity, Field, Rule
from connectra_common.records.formulas import as_text
from connectra_common.records.identity import Candidate, Record
from connectra_common.records.providers import is_shared_domain
from connectra_common.records.remembered import remembered
from connectra_common.records.spread import Spread
from connectra_common.records.values import READERS, Reader, Refused, Value
from connectra_common.records.values.emails import domain_of, read_address
from connectra_common.records.values.hosts import compared_host
from connectra_common.records.values.numbers import read_scaled, scale_of
from connectra_common.records.values.phones import read_phone
from connectra_common.records.values.text import is_nothing
from connectra_common.records.values.urls import domain_of as domain_of_url

NOTHING_IDENTIFIED = "nothing identifies a company or a person"


class LeftOut(NamedTuple):
    """A cell that is not valid for its field: the row is stored without it. Or what else was in a cell of which a part is stored."""

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
        self._headers = spread.columns.headers
        positions = spread.columns.positions
        self._company, self._contact = (
            _Plan(COMPANY, positions, self._headers),
            _Plan(CONTACT, positions, self._headers),
        )
        self._uuid, self._company_uuid = positions.get("uuid"), positions.get("company_uuid")

    def read(self, cells: Sequence[str]) -> RowRecords:
        """Company and contact of a row.

        Raises:
            CellRefused: with the reason; the row makes nothing then.
        """
        if len(cells) != self._width:
            raise CellRefused(f"the row has {len(cells)} fields; the header has {self._width}")
        if self._widen:
            cells = self._widen(cells)
        left_out: list[LeftOut] = []
        contact, contact_recipe = self._read_contact(cells, left_out)
        company, company_recipe, derived = self._read_company(cells, contact.get("email"), left_out)
        uuid, company_uuid = _uuid(cells, self._uuid), _uuid(cells, self._company_uuid)
        found = (
            _candidate(company, company_uuid, company_recipe, derived),
            _candidate(contact, uuid, contact_recipe, _NONE),
        )
        if not any(found) and left_out:
            raise CellRefused(f"{NOTHING_IDENTIFIED} ({left_out[0].column}: {left_out[0].reason})")
        return RowRecords(
            *found,
            tuple(dict.fromkeys(left_out)) if left_out else (),
        )

    def _read_contact(self, cells: Sequence[str], left_out: list[LeftOut]) -> tuple[Record, str | None]:
        plan = self._contact
        record = plan.read(cells, self._headers, left_out)
        first, last, url = (plan.written(cells, record, name) for name in ("first_name", "last_name", "linkedin_url"))
        email = record.get("email")
        if email is not None and email != (cell := cells[plan.positions["email"]]).lower():
            note = read_address(as_text(cell)).note
            if note:
                left_out.append(LeftOut(self._headers[plan.positions["email"]], cell, note))
        if not (url or email) and _names_nobody(first, last):
            return record, None
        return record, ids.contact_recipe(first, last, url, email)  # type: ignore[arg-type]

    def _read_company(
        self, cells: Sequence[str], email: object, left_out: list[LeftOut]
    ) -> tuple[Record, str | None, frozenset[str]]:
        plan = self._company
        record = plan.read(cells, self._headers, left_out)
        if (name := plan.written(cells, record, "name")) is not None:
            nothing = not name.strip(_DASHES) or name.casefold() in _NAMELESS
            if nothing or not clean(name):
                del record["name"]
                if not nothing:
                    left_out.append(LeftOut(self._headers[plan.positions["name"]], name, "has no letter and no digit"))
                name = None
        recipe = ids.company_recipe(name, plan.written(cells, record, "linkedin_url")) if name else None
        # A company that is named by its uuid has the domain that it has.
        if "normalized_domain" in record or (self._company_uuid is not None and cells[self._company_uuid]):
            return record, recipe, _NONE
        website = record.get("website")
        domain = (_own_domain(domain_of(str(email))) if email else None) or (_site(str(website)) if website else None)
        if domain is None:
            return record, recipe, _NONE
        record["normalized_domain"] = domain
        return record, recipe, _DOMAIN


def _names_nobody(first: str | None, last: str | None) -> bool:
    names = [name for name in (first, last) if name is not None and not is_nothing(name)]
    return not names or " ".join(names).casefold() in _MASKED


# Whom LinkedIn does not show.
_MASKED = frozenset(
    ("linkedin member", "linkedin-mitglied", "linkedin mitglied", "membre de linkedin", "membre linkedin")
)
_MASKED |= {"miembro de linkedin", "membro do linkedin", "membro di linkedin", "linkedin-lid", "linkedin user"}
# What stands for an empty cell.
_DASHES = " \t.-–—_/"
# What is no company's name; other words for nothing are those of some.
_NAMELESS = frozenset(
    ("n/a", "#n/a", "n.a.", "#value!", "#ref!", "#name?", "null", "nan", "nil", "none", "undefined", "unknown")
)
_NAMELESS |= {"not available", "not applicable", "not provided", "no company", "keine angabe", "non renseigné"}
_NAMELESS |= {f"({name})" for name in _NAMELESS} | {"(blank)", "[blank]"}
_NONE = frozenset[str]()
_DOMAIN = frozenset({"normalized_domain"})


@remembered(8_192)
def _own_domain(host: str) -> str | None:
    """The domain of a host in its compared form, unless many share it."""
    domain = compared_host(host)
    return None if domain is None or is_shared_domain(domain) else domain


@remembered(8_192)
def _site(website: str) -> str | None:
    domain = domain_of_url(website)
    return None if domain is None or is_shared_domain(domain) else domain


class _Plan:
    """Where the fields of a record stand in a row, and how each is read."""

    def __init__(self, entity: Entity, columns: dict[str, int], headers: Sequence[str]) -> None:
        found = [(field, at) for field in entity.data_fields if (at := _position(field, columns)) is not None]
        self.positions = {field.name: at for field, at in found}
        rules = [(field.name, at, _rule(field)) for field, at in found if field.rule is not Rule.PHONE]
        # With the values of the cells read before: a file repeats the same companies, places and titles. Nobody changes a value in place.
        self._fields: list[tuple[str, int, dict[str, Value], Reader]]
        self._fields = [(name, at, {}, _reader(rule, headers[at])) for name, at, rule in rules]
        # A number may need the country of its record, which is read first.
        self._phones = [(field.name, at) for field, at in found if field.rule is Rule.PHONE]

    def read(self, cells: Sequence[str], headers: Sequence[str], left_out: list[LeftOut]) -> Record:
        """The values of the cells that are not empty."""
        record: Record = {}
        for name, at, known, read in self._fields:
            if not (cell := cells[at]):
                continue
            if (value := known.get(cell, _UNREAD)) is _UNREAD:
                try:
                    value = read(cell if cell[0] != "'" else as_text(cell))
                except Refused as error:
                    left_out.append(_refused(headers[at], cell, error))
                    continue
                if len(cell) <= _REMEMBERED_CHARS:
                    if len(known) >= _REMEMBERED:
                        known.clear()
                    known[cell] = value
            if value is not None:
                record[name] = value
        country = record.get("country") if self._phones else None
        for name, at in self._phones:
            if not (cell := cells[at]):
                continue
            try:
                number = read_phone(cell if cell[0] != "'" else as_text(cell), country)  # type: ignore[arg-type]
            except Refused as error:
                left_out.append(_refused(headers[at], cell, error))
                continue
            if number is not None:
                record[name] = number
        return record

    def written(self, cells: Sequence[str], record: Record, name: str) -> str | None:
        """The cell of a field that has a value: ids are made of what is written."""
        return as_text(cells[self.positions[name]]) if name in record else None


# Cells of a column that are remembered (a longer one is hardly ever repeated), and what stands for a cell that is not among them.
_REMEMBERED, _REMEMBERED_CHARS = 512, 200
_UNREAD: Any = object()


def _refused(header: str, cell: str, error: Refused) -> LeftOut:
    if "\x00" in cell:
        raise CellRefused(f"{header}: {error}") from None
    return LeftOut(header, cell, str(error))


def _position(field: Field, columns: dict[str, int]) -> int | None:
    if field.own_column in columns:
        return columns[field.own_column]
    # A column of e-mail addresses has no domain of its own.
    return None if field.rule is Rule.DOMAIN else columns.get(field.csv_column or "")


def _rule(field: Field) -> Rule:
    return _LOWER.get(field.rule, field.rule) if field.csv_lower else field.rule


def _reader(rule: Rule, header: str) -> Reader:
    if rule is Rule.INTEGER and (scale := scale_of(header)):
        return lambda cell: read_scaled(cell, scale)
    return READERS[rule]


_LOWER = {Rule.TEXT: Rule.LOWER, Rule.LINKEDIN: Rule.LINKEDIN_LOWER}


def _uuid(cells: Sequence[str], position: int | None) -> str | None:
    if position is None or not (given := cells[position].strip()):
        return None
    uuid = ids.canonical_uuid(given)
    if not ids.is_uuid(uuid):
        raise CellRefused(f"invalid UUID format: {given[:100]}")
    return uuid


def _candidate(values: Record, uuid: str | None, recipe: str | None, derived: frozenset[str]) -> Candidate | None:
    if recipe is None:
        return Candidate(values, uuid, derived=derived) if uuid else None
    return Candidate(values, uuid, ids.uuid5(recipe), recipe, derived)
