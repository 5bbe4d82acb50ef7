"""What the CSV rules make of a file, computed apart from the services."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from connectra_common.records.columns import Columns
from connectra_common.records.csv_file import Rows
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
    header, *lines = rows
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    companies: Records = {}
    contacts: Records = {}
    rejected = 0
    for row in Rows(RowReader(Columns.read(header)), text.getvalue().encode(), ",", 2):
        rejected += row.problem is not None
        lay(row.company, row.contact, companies, contacts)
    return companies, contacts, rejected
