"""The made-up contacts: repeatable, plausible, importable."""

import csv
import io
from collections import Counter

import pytest
from connectra_common.records import ids
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_local.sample import COLUMNS, sample_csv, slug
from connectra_reference.first_tries import SAMPLE

ROWS = 3000


def read(rows: int = ROWS, seed: int = 1) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(sample_csv(rows, seed)).decode())))


@pytest.fixture(scope="module")
def sample() -> list[dict[str, str]]:
    return read()


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert b"".join(sample_csv(500, 3)) == b"".join(sample_csv(500, 3))
    assert b"".join(sample_csv(500, 3)) != b"".join(sample_csv(500, 4))


def test_what_the_documentation_tries_first_is_the_first_row() -> None:
    row = next(csv.DictReader(io.StringIO(b"".join(sample_csv(10_000, 1)).decode())))
    assert {
        CONTACT: ids.contact_uuid(row["first_name"], row["last_name"], row["person_linkedin_url"], row["email"]),
        COMPANY: ids.company_uuid(row["company"], row["company_linkedin_url"]),
    } == SAMPLE


@pytest.mark.parametrize("rows", [1, 2, 999, 1000, 1001])
def test_it_has_as_many_rows_as_asked_for_and_one_header(rows: int) -> None:
    found = read(rows)
    assert len(found) == rows
    assert tuple(found[0]) == COLUMNS


def test_every_row_is_another_person_and_every_address_is_one_persons(sample: list[dict[str, str]]) -> None:
    assert len({row["person_linkedin_url"] for row in sample}) == ROWS
    emails = [row["email"] for row in sample if row["email"]]
    assert len(set(emails)) == len(emails)
    assert all(email.isascii() and " " not in email for email in emails)


def test_a_company_is_the_same_in_all_its_rows(sample: list[dict[str, str]]) -> None:
    shared = ("company", "employees", "company_city", "website", "industry", "technologies", "annual_revenue")
    seen: dict[str, tuple[str, ...]] = {}
    for row in sample:
        described = tuple(row[name] for name in shared)
        assert seen.setdefault(row["company_linkedin_url"], described) == described


def test_it_is_skewed_as_real_data_is(sample: list[dict[str, str]]) -> None:
    companies = Counter(row["company_linkedin_url"] for row in sample)
    biggest = sum(count for _, count in companies.most_common(len(companies) // 10))
    assert biggest > 0.3 * ROWS
    assert all(int(row["employees"]) >= 1 for row in sample)
    top = companies.most_common(1)[0]
    assert next(int(row["employees"]) for row in sample if row["company_linkedin_url"] == top[0]) >= top[1]
    countries = Counter(row["country"] for row in sample)
    assert countries.most_common(1)[0][0] == "United States"
    assert len(countries) == 8


def test_what_must_be_there_is_and_what_may_be_missing_sometimes_is(sample: list[dict[str, str]]) -> None:
    for name in ("first_name", "last_name", "title", "company", "country", "seniority", "company_linkedin_url"):
        assert all(row[name].strip() for row in sample), name
    for name in ("email", "mobile_phone", "total_funding", "annual_revenue", "facebook_url"):
        assert 0 < sum(bool(row[name]) for row in sample) < ROWS, name


@pytest.mark.parametrize(
    ("text", "plain"), [("Łódź Groß", "lodz-gross"), ("O'Brien & Co.", "o-brien-co"), ("高", "9ad8")]
)
def test_addresses_are_plain_letters(text: str, plain: str) -> None:
    assert slug(text) == plain
