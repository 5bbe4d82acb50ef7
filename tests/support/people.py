"""What the CSV rules make of a file, computed apart from the services."""

from collections.abc import Iterable
from typing import Any

from connectra_common.records.cleaning import CellRefused
from connectra_common.records.columns import Columns
from connectra_common.records.csv_rows import RowReader
from connectra_common.records.identity import lay

Records = dict[str, dict[str, Any]]


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
