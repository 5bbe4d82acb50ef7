"""What the CSV rules make of a file, computed apart from the services."""

from collections.abc import Iterable
from typing import Any

from connectra_common.records.cleaning import CellRefused
from connectra_common.records.csv_rows import Header, RowReader

Records = dict[str, dict[str, Any]]


def records_of(rows: Iterable[list[str]]) -> tuple[Records, Records, int]:
    """Companies and contacts by uuid as an import of these rows, the header first, leaves them; and how many rows are rejected."""
    lines = iter(rows)
    reader = RowReader(Header.read(next(lines)))
    companies: Records = {}
    contacts: Records = {}
    rejected = 0
    for row in filter(None, lines):
        try:
            company, contact = reader.read(row)
        except CellRefused:
            rejected += 1
            continue
        rejected += not company and not contact
        for record, into in ((company, companies), (contact, contacts)):
            if record:
                into.setdefault(str(record["uuid"]), {}).update(record)
    return companies, contacts, rejected
