"""What rows of files say, and the ids that are made of them: on the documented examples and on everything else."""

import csv
import io
import re
from typing import Any

import pytest
from connectra_common.records import ids
from connectra_common.records.cleaning import CellRefused, clean
from connectra_common.records.columns import Columns, DuplicateColumn, NoKnownColumn
from connectra_common.records.csv_rows import NOTHING_IDENTIFIED, LeftOut, RowReader
from connectra_common.records.formulas import as_text, harmless
from hypothesis import given
from hypothesis import strategies as st

from tests.support.people import Records, lay


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


def read(row: dict[str, str]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    company, contact, _ = RowReader(Columns.read(list(row))).read(list(row.values()))
    companies: Records = {}
    contacts: Records = {}
    lay(company, contact, companies, contacts)
    return next(iter(companies.values()), None), next(iter(contacts.values()), None)


def test_the_documented_example_gives_the_documented_records() -> None:
    company, contact = read(JANE)
    assert company == {
        "uuid": "00c5752b-4b70-5e55-a027-63ae68753a52",
        "name": "Acme, Inc.",
        "linkedin_url": "http://www.linkedin.com/company/acme",
        "employees_count": 1200,
        "industries": ["computer software", "saas"],
        "keywords": ["ai", "machine learning"],
        "annual_revenue": 5_000_000,
        "total_funding": 12_000_000,
        "normalized_domain": "acme.com",
        "phone_number": "4155550100",
    }
    assert contact == {
        "uuid": "700deee5-ef00-52fa-b669-6d589a9cc1de",
        "company_id": "00c5752b-4b70-5e55-a027-63ae68753a52",
        "first_name": "jane",
        "last_name": "doe",
        "email": "jane.doe@acme.com",
        "linkedin_url": "http://www.linkedin.com/in/jane-doe/",
        "mobile_phone": "+14155550199",
        "other_phone": "+144",
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


@pytest.mark.parametrize("nothing", ["-", "---", "N/A", "null", "(none)", "Unknown"])
def test_what_stands_for_nothing_is_nobody_s_name(nothing: str) -> None:
    header = ("first_name", "last_name", "email", "company")

    def read(*cells: str) -> tuple[object, object]:
        company, contact, _ = RowReader(Columns.read(header)).read(cells)
        return company and company.values.get("name"), contact and contact.values.get("last_name")

    assert read(nothing, nothing, "", nothing) == (None, None)
    assert read("Chris", "Null", "", "Null & Sons") == ("Null & Sons", "null")
    assert read(nothing, nothing, "a@x.example", nothing) == (None, nothing.lower())


@pytest.mark.parametrize("name", [("LinkedIn", "Member"), ("LinkedIn Member", ""), ("LinkedIn-Mitglied", "-")])
def test_whom_linkedin_does_not_show_is_nobody_without_an_address(name: tuple[str, str]) -> None:
    reader = RowReader(Columns.read(("first_name", "last_name", "email", "company")))
    assert reader.read([*name, "", "Acme"]).contact is None
    assert reader.read([*name, "a@x.example", "Acme"]).contact is not None
    assert reader.read(["Ann", "Member", "", "Acme"]).contact is not None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["Ac\x00me", "5"], "company: contains a NUL"),
        (["x" * 9000, "5"], f"{NOTHING_IDENTIFIED} (company: has 9000 characters; at most 8000 are allowed)"),
        (["!!!", "5"], f"{NOTHING_IDENTIFIED} (company: has no letter and no digit)"),
        (["Acme"], "the row has 1 fields; the header has 2"),
    ],
)
def test_a_row_that_cannot_be_stored_says_why(row: list[str], reason: str) -> None:
    with pytest.raises(CellRefused, match=re.escape(reason)):
        RowReader(Columns.read(["company", "employees"])).read(row)


@pytest.mark.parametrize(
    ("row", "left_out"),
    [
        ({"company": "Acme", "employees": "-5"}, LeftOut("employees", "-5", "'-5' is negative; allowed are numbers from 0")),
        ({"first_name": "Ann", "company": "🍕"}, LeftOut("company", "🍕", "has no letter and no digit")),
        (
            {"first_name": "Ann", "email": "a@x.de; b@x.de"},
            LeftOut("email", "a@x.de; b@x.de", "has 2 addresses; the first one, a@x.de, is stored"),
        ),
        (
            {"first_name": "Ann", "facebook_url": "no page"},  # of both records, told once
            LeftOut("facebook_url", "no page", "'no page' is not the address of a web page; write one such as https://example.com"),
        ),
        ({"first_name": "Ann", "company": "-"}, None),
        ({"first_name": "Ann", "email": "n/a"}, None),
    ],
)  # fmt: skip
def test_what_is_not_valid_is_left_out_and_told(row: dict[str, str], left_out: LeftOut | None) -> None:
    found = RowReader(Columns.read(list(row))).read(list(row.values()))
    assert found.left_out == ((left_out,) if left_out else ())
    assert found.contact is not None or found.company is not None


@pytest.mark.parametrize(
    ("row", "domain"),
    [
        ({"email": "Jane@ACME.com"}, "acme.com"),
        ({"email": "x@gmail.com"}, None),
        ({"email": "x@gmail.com", "website": "www.acme.com/en"}, "acme.com"),
        ({"email": "info@xn--mller-kva.de"}, "müller.de"),
        ({"website": "https://facebook.com/acme"}, None),
        ({"website": "https://docs.github.io"}, "docs.github.io"),
        ({"email": "x@acme.com", "company_domain": "Bolt.IO."}, "bolt.io"),
    ],
)
def test_the_domain_of_a_company_is_given_or_derived_but_never_a_shared_one(
    row: dict[str, str], domain: str | None
) -> None:
    cells = {"company": "Acme", **row}
    company, _, _ = RowReader(Columns.read(list(cells))).read(list(cells.values()))
    assert company is not None
    assert company.values.get("normalized_domain") == domain
    assert company.derived == ({"normalized_domain"} if domain and "company_domain" not in row else set())


def test_a_national_number_is_of_the_country_of_its_record() -> None:
    row = {
        "company": "A",
        "company_phone": "030 5550100",
        "company_country": "Germany",
        "first_name": "B",
        "home_phone": "(415) 555-0100",
        "country": "USA",
        "other_phone": "12",
    }
    company, contact, _ = RowReader(Columns.read(list(row))).read(list(row.values()))
    assert company is not None
    assert contact is not None
    assert company.values["phone_number"] == "+49305550100"
    assert (contact.values["home_phone"], contact.values["other_phone"]) == ("+14155550100", "12")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+Chief", "'+Chief"),
        ("@home", "'@home"),
        ("-", "'-"),
        ("'=x", "''=x"),
        ("＝1+1", "'＝1+1"),
        ("＠home", "'＠home"),
        ("－5", "'－5"),
        ("\n=1+1", "'\n=1+1"),
        ("'tis Ltd", "'tis Ltd"),
        ("'", "'"),
        ("-5", "-5"),
        ("+14155550100", "+14155550100"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_an_apostrophe_that_keeps_a_spreadsheet_from_calculating_comes_off_again(text: str, cell: str) -> None:
    assert harmless(text) == cell
    assert as_text(cell) == text


@given(st.text(alphabet="'=+-@＝\t1a.") | st.text())
def test_what_is_made_harmless_is_read_as_it_was(text: str) -> None:
    assert as_text(harmless(text)) == text


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
