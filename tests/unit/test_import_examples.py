"""The example files of docs/import.md give the records that the page promises."""

import csv
import io

import pytest
from connectra_common.records.columns import Columns
from connectra_common.records.csv_rows import RowReader

from tests.support.import_examples import FOLDER, WANTED, missed

# Above the header; notes below the table have another width.
NOTES = {"linkedin-connections.csv": 3}


def test_every_example_has_its_records() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(WANTED)


@pytest.mark.parametrize("name", sorted(WANTED))
def test_an_example_gives_its_records(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8").split("\n", NOTES.get(name, 0))[-1]
    delimiter = max(",;", key=text.partition("\n")[0].count)
    header, *rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    reader = RowReader(Columns.read(header))
    found = [reader.read(row) for row in rows if len(row) == len(header)]
    assert len(found) == len(WANTED[name])
    for read, (contact, company) in zip(found, WANTED[name], strict=True):
        assert bool(read.contact) is bool(contact)
        assert missed(contact, dict(read.contact.values if read.contact else {})) == {}
        assert missed(company, dict(read.company.values if read.company else {})) == {}
