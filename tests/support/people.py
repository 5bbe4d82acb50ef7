"""What the CSV rules make of a file, computed apart from the services."""

from collections.abc import Iterable
from typing import Any

from connectra_common.records.cleaning import CellRefused
from connectra_common.records.columns import Columns
from connectra_common.records.csv_rows import RowReader
from connectra_common.records.identity import Candidate

Records = dict[str, dict[str, Any]]


def lay(company: Candidate | None, contact: Candidate | None, companies: Records, contacts: Records) -> None:
    """Lays what a row says over the records of the rows before it, where no profile URL is that of two."""
    company_id = company.recipe if company else None
    if company and company_id:
        companies.setdefault(company_id, {"uuid": company_id}).update(company.values)
    if contact and contact.recipe:
        values = {**contact.values, "company_id": company_id} if company_id else contact.values
        contacts.setdefault(contact.recipe, {"uuid": contact.recipe}).update(values)


def records_of(rows: Iterable[list[str]]) -> tuple[Records, Records, int]:
    """Companies and contacts by uuid as an import of these rows, the header first, leaves them; and how many rows are rejected."""
    lines = iter(rows)
    reader = RowReader(Columns.read(next(lines)))
    companies: Records = {}
    contacts: Records = {}
    rejected = 0
    for row in filter(None, lines):
        try:
            company, contact, _ = reader.read(row)
        except CellRefused:
            rejected += 1
            continue
        rejected += not company and not contact
        lay(company, contact, companies, contacts)
    return companies, contacts, rejected
