"""The decision records: one form, and an index that has all of them."""

import re
from datetime import date
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FOLDER = ROOT / "docs/adr"
RECORDS = sorted(file for file in FOLDER.glob("[0-9]*.md") if file.name != "0000-template.md")
HEAD = re.compile(
    r"# (?P<number>\d+)\. (?P<title>.+)\n\n"
    r"- \*\*Status\*\*: (?P<status>proposed|accepted|rejected|superseded by \d{4})\n"
    r"- \*\*Date\*\*: (?P<date>\d{4}-\d\d-\d\d)\n"
    r"- \*\*Area\*\*: (?P<area>.+)\n"
    r"- \*\*References\*\*: .+\n\n"
)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_has_the_head_and_the_parts_and_is_in_the_index(record: Path) -> None:
    text = record.read_text()
    head = HEAD.match(text)

    assert head is not None
    assert int(head["number"]) == int(record.name[:4])
    assert date.fromisoformat(head["date"])
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Alternatives"]
    line = (
        f"| {head['number']} | [{head['title']}]({record.name}) | {head['area']} | {head['status']} | {head['date']} |"
    )
    assert line in (FOLDER / "README.md").read_text()


def test_numbers_are_given_once_and_in_turn() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_links_of_the_records_lead_somewhere() -> None:
    broken = [
        (record.name, target)
        for record in FOLDER.glob("*.md")
        for target in re.findall(r"\]\(([^)#:]+)", record.read_text())
        if not (FOLDER / target).exists()
    ]

    assert broken == []
