"""The CSV rules, on the documented examples and on everything else."""

import csv
import io
import re

import pytest
from connectra_common.records import ids
from connectra_common.records.cleaning import (
    CellRefused,
    clean,
    lower,
    mail_domain,
    parse_integer,
    parse_phone,
    split_list,
)
from connectra_common.records.columns import Columns, DuplicateColumn, NoKnownColumn
from connectra_common.records.csv_rows import RowReader
from connectra_common.records.identity import Record, lay
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("cell", "cleaned"),
    [
        ("Acme, Inc.", "Acme, Inc"),
        ("$1,234", "1,234"),
        ("(415) 555-0100", "415) 555-0100"),
        ("https://x.com/", "https://x.com"),
        ("-5", "5"),
        ("«Müller & Söhne»", "Müller & Söhne"),
        ("\ufeffcompany", "company"),
        ("  a \t\n b  ", "a b"),
        ("!?", ""),
        ("", ""),
    ],
)
def test_cells_lose_everything_but_letters_and_digits_at_their_ends(cell: str, cleaned: str) -> None:
    assert clean(cell) == cleaned


@given(st.text())
def test_cleaning_twice_is_cleaning_once(cell: str) -> None:
    assert clean(clean(cell)) == clean(cell)


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1,200", 1200),
        ("$5,000,000", 5_000_000),
        ("12000000.00", 12_000_000),
        ("1.5M", 1_500_000),
        ("$5.5M", 5_500_000),
        ("2 billion", 2_000_000_000),
        ("10k", 10_000),
        ("1,2oo+", 12),
        ("11-50", 1150),
        ("n/a", None),
        ("", None),
        ("0", 0),
        (str(2**63 - 1), 2**63 - 1),
    ],
)
def test_amounts_are_read_as_people_write_them(cell: str, number: int | None) -> None:
    assert parse_integer(cell) == number


@pytest.mark.parametrize("cell", ["-5", " - 5", "-$5", "−7", str(2**63), "9" * 40, "1e9".replace("e", "0" * 30)])
def test_amounts_that_cannot_be_stored_are_refused(cell: str) -> None:
    with pytest.raises(CellRefused, match=r"negative|too large"):
        parse_integer(cell)


@given(st.text())
def test_an_amount_is_a_64_bit_number_or_nothing_or_refused(cell: str) -> None:
    try:
        number = parse_integer(cell)
    except CellRefused:
        return
    assert number is None or 0 <= number < 2**63


@pytest.mark.parametrize(
    ("cell", "phone"),
    [("(415) 555-0100", "+4155550100"), ("001-44", "+00144"), ("'+14155550123", "+14155550123"), ("n/a", None)],
)
def test_phones_are_digits_behind_a_plus(cell: str, phone: str | None) -> None:
    assert parse_phone(clean(cell)) == phone


def test_lists_are_split_trimmed_and_lowered_in_order() -> None:
    assert split_list(clean("AI,  Machine   Learning ,")) == ["ai", "machine learning"]
    assert split_list(clean(",, ,A,a , \u200bzero-width,")) == ["a", "a", "\u200bzero-width"]


def test_lower_case_goes_character_by_character() -> None:
    assert lower("ΟΔΟΣ İ ÄÖ") == "οδοσ i äö"


@pytest.mark.parametrize(
    ("address", "domain"),
    [("Jane@ACME.com", "acme.com"), ("a@b@c.de", "b@c.de"), ("x@gmail.com", None), ("nobody", None)],
)
def test_the_domain_of_an_address_is_behind_the_first_at_and_never_a_free_mail_provider(
    address: str, domain: str | None
) -> None:
    assert mail_domain(address) == domain


@pytest.mark.parametrize("domain", ["web.de", "mail.ru", "qq.com", "daum.net", "hey.com", "sfr.fr", "tutanota.com"])
def test_public_mail_providers_are_no_companys_domain(domain: str) -> None:
    assert mail_domain(f"someone@{domain}") is None


JANE = {
    "company": "Acme, Inc.",
    "company_linkedin_url": "http://www.linkedin.com/company/Acme",
    "email": "Jane.Doe@ACME.com",
    "employees": "1,200",
    "industry": "Computer Software, SaaS",
    "keywords": "AI,  Machine   Learning ,",
    "annual_revenue": "$5,000,000",
    "total_funding": "12000000.00",
    "company_phone": "(415) 555-0100",
    "first_name": "Jane",
    "last_name": "DOE",
    "person_linkedin_url": "http://www.linkedin.com/in/Jane-Doe/",
    "mobile_phone": "+1 (415) 555-0199",
    "other_phone": "001-44",
}


def read(row: dict[str, str]) -> tuple[Record | None, Record | None]:
    company, contact, _ = RowReader(Columns.read(list(row))).read(list(row.values()))
    companies: dict[str, Record] = {}
    contacts: dict[str, Record] = {}
    lay(company, contact, companies, contacts)
    return next(iter(companies.values()), None), next(iter(contacts.values()), None)


def test_the_documented_example_gives_the_documented_records() -> None:
    company, contact = read(JANE)
    assert company == {
        "uuid": "00c5752b-4b70-5e55-a027-63ae68753a52",
        "name": "Acme, Inc",
        "linkedin_url": "http://www.linkedin.com/company/acme",
        "employees_count": 1200,
        "industries": ["computer software", "saas"],
        "keywords": ["ai", "machine learning"],
        "annual_revenue": 5_000_000,
        "total_funding": 12_000_000,
        "normalized_domain": "acme.com",
        "phone_number": "+4155550100",
    }
    assert contact == {
        "uuid": "700deee5-ef00-52fa-b669-6d589a9cc1de",
        "company_id": "00c5752b-4b70-5e55-a027-63ae68753a52",
        "first_name": "jane",
        "last_name": "doe",
        "email": "jane.doe@acme.com",
        "linkedin_url": "http://www.linkedin.com/in/jane-doe",
        "mobile_phone": "+14155550199",
        "other_phone": "+00144",
    }


def test_without_profile_url_the_email_tells_namesakes_apart() -> None:
    row = {"company": "Müller & Söhne", "first_name": "Jürgen", "last_name": "Müller", "company_city": "München"}
    company, contact = read(row)
    assert company is not None
    assert contact is not None
    assert (company["uuid"], company["city"]) == ("a5c98c19-d27e-5c1f-9635-0f773ac53f93", "münchen")
    assert contact["uuid"] == "a0f10203-fdd0-5a47-ade2-004a5ea8e38a"
    _, namesake = read({**row, "email": "info@müller.de"})
    assert namesake is not None
    assert namesake["uuid"] == ids.contact_uuid("jürgen", "müller", None, "info@müller.de") != contact["uuid"]


def test_a_row_makes_only_what_it_identifies() -> None:
    assert read(dict.fromkeys(JANE, "")) == (None, None)
    assert read({"company": "Acme", "first_name": ""})[1] is None
    company, contact = read({"company": " - ", "first_name": "Jane"})
    assert company is None
    assert contact is not None
    assert "company_id" not in contact


def test_filter_values_have_the_documented_uuid() -> None:
    assert ids.filter_value_uuid("country", "contact", "united states") == "bd0e4958-1453-598c-80d6-ea9b5ef864b8"


def test_header_names_are_found_whatever_their_case_and_spaces() -> None:
    columns = Columns.read(["\ufeffFirst Name", " COMPANY ", "shoe size"])
    assert columns.positions == {"first_name": 0, "company": 1}
    assert columns.unknown == ("shoe size",)


def test_a_header_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(NoKnownColumn, match="known are annual_revenue"):
        Columns.read(["a", "b"])
    with pytest.raises(DuplicateColumn, match="'email'"):
        Columns.read(["email", "E-mail".replace("-", "")])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["Acme", "-5"], "employees: '-5' is negative"),
        (["Ac\x00me", "5"], "company: contains a NUL"),
        (["x" * 9000, "5"], "company: has 9000 characters; at most 8000"),
        (["Acme"], "the row has 1 fields; the header has 2"),
    ],
)
def test_a_row_that_cannot_be_stored_says_why(row: list[str], reason: str) -> None:
    with pytest.raises(CellRefused, match=re.escape(reason)):
        RowReader(Columns.read(["company", "employees"])).read(row)


@given(st.lists(st.text(), min_size=len(JANE), max_size=len(JANE)))
def test_any_row_makes_identified_records_or_says_why_not(cells: list[str]) -> None:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    try:
        company, contact, _ = RowReader(Columns.read(list(JANE))).read(cells)
    except CellRefused:
        return
    for candidate in filter(None, (company, contact)):
        assert ids.is_uuid(str(candidate.recipe))
        assert all(value not in (None, "", []) for value in candidate.values.values())
