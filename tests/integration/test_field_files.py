"""Files as people's other tools write them (field_cases/), imported through the gateway: what is stored of each."""

import csv
import io
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.jobs import Job, download, export, import_file
from tests.support.words import word

CASES = Path(__file__).with_name("field_cases")
Row = dict[str, Any]


class Imported:
    """An import that has ended, and what it stored."""

    def __init__(self, job: Job, contacts: list[Row], companies: list[Row], rejected: list[list[str]]) -> None:
        self.job = job
        self.response: dict[str, Any] = job["job_response"]
        self.contacts = {row["first_name"]: row for row in contacts}
        self.count = len(contacts)
        self.companies = {row["name"]: row for row in companies}
        self.rejected = {int(line): reason for line, reason, *_ in rejected}

    def column(self, name: str) -> dict[str, Any]:
        """A field of every contact, by first name."""
        return {first: row[name] for first, row in self.contacts.items()}


@pytest.fixture
def importing(api: httpx.AsyncClient, postgres: asyncpg.Connection) -> Any:
    """`await importing("01-linkedin-preamble.csv")`: the import of a file, or of these bytes."""

    async def run(file: str | bytes, **job_data: Any) -> Imported:
        data = (CASES / file).read_bytes() if isinstance(file, str) else file
        job = await import_file(api, data, file if isinstance(file, str) else "people.csv", **job_data)
        changed = "SELECT uuid FROM audit WHERE actor = $1"
        contacts = await postgres.fetch(
            f"""SELECT c.*, k.name AS company, k.normalized_domain AS domain FROM contacts c
                LEFT JOIN companies k ON k.uuid = c.company_id WHERE c.uuid IN ({changed}) AND c.deleted_at IS NULL""",
            f"job:{job['uuid']}",
        )
        companies = await postgres.fetch(
            f"SELECT * FROM companies WHERE uuid IN ({changed}) AND deleted_at IS NULL", f"job:{job['uuid']}"
        )
        rejected: list[list[str]] = []
        if job["job_response"].get("rejected_s3_key"):
            text = (await download(api, job, "rejected")).decode()
            rejected = list(csv.reader(io.StringIO(text, newline="")))[1:]
        return Imported(job, [dict(row) for row in contacts], [dict(row) for row in companies], rejected)

    return run


async def test_notes_before_the_header(importing: Any) -> None:
    done = await importing("01-linkedin-preamble.csv")
    assert done.job["status"] == "completed", done.response
    assert (done.response["rows"], done.response["rejected"]) == (2, 0)
    assert done.column("company") == {"mirela": "Petrol Lab, Inc.", "oskar": "Nordhaus GmbH"}
    assert done.column("title") == {"mirela": "Head of Sales", "oskar": "Buyer"}
    assert done.column("email") == {"mirela": "mirela@petrol-lab.example", "oskar": None}
    assert done.contacts["mirela"]["linkedin_url"] == "https://www.linkedin.com/in/mirela-fieldcase-0a1"


async def test_namesakes_and_rows_of_only_commas(importing: Any) -> None:
    done = await importing("02-linkedin-plain.csv")
    assert (done.response["rows"], done.response["rejected"], done.count) == (3, 0, 3)
    assert done.contacts["bo"]["last_name"] == "fieldcase, mba"
    assert done.contacts["bo"]["email"] == "bo@zinn-kg.example"
    assert done.contacts["bo"]["title"] == "Owner & Founder"
    assert set(done.companies) == {"Kupfer AG", "Zinn KG"}
    assert "Connected On" in str(done.response["messages"])


async def test_a_german_outlook_in_windows_1252(importing: Any) -> None:
    done = await importing("05-outlook-de-cp1252.csv")
    [row] = done.contacts.values()
    assert (row["first_name"], row["last_name"], row["email"]) == ("jürgen", "fieldcase", "juergen@spedition.example")
    assert (row["company"], row["title"]) == ("Müller & Söhne – Spedition", "Geschäftsführer")
    assert row["mobile_phone"] == "01715550103"
    assert "windows-1252" in str(done.response["messages"]).lower()


async def test_a_report_with_a_footer(importing: Any) -> None:
    done = await importing("07-salesforce-report.csv")
    assert (done.response["rows"], sorted(done.rejected)) == (6, [7, 9, 10, 11])
    assert done.column("company") == dict.fromkeys(("dana", "eli"), 'Copper "Top" Ltd')
    assert done.column("title") == {"dana": "VP, Sales", "eli": "Buyer"}
    dana = done.contacts["dana"]
    assert (dana["city"], dana["mobile_phone"]) == ("boston", "6175550101")


async def test_contacts_of_apollo(importing: Any) -> None:
    done = await importing("09-apollo-contacts.csv")
    hana, ivo = done.contacts["hana"], done.contacts["ivo"]
    company = done.companies["Brightwell Robotics, Inc."]
    assert company["technologies"] == ["outlook", "amazon aws", "c#"]
    assert company["keywords"] == ["robotics", "c++", "b2b", '"human-robot" teams']
    assert (company["employees_count"], company["annual_revenue"]) == (420, 38_000_000)
    assert (hana["work_direct_phone"], hana["mobile_phone"]) == ("+14155550100", "+14155550101")
    assert hana["departments"] == ["c-suite", "engineering & technical"]
    assert (ivo["email_status"], ivo["linkedin_url"]) == ("unavailable", "http://www.linkedin.com/in/ivo-fc")
    again = await importing("09-apollo-contacts.csv")
    assert (again.response["created"], again.response["updated"], again.response["unchanged"]) == (0, 0, 3)


async def test_accounts_of_apollo(importing: Any) -> None:
    done = await importing("10-apollo-accounts.csv")
    assert (done.count, set(done.companies)) == (0, {"Juniper Fieldworks", "Kelp & Sons"})
    juniper = done.companies["Juniper Fieldworks"]
    assert (juniper["employees_count"], juniper["phone_number"]) == (85, "+441135550100")
    assert juniper["website"] == "http://www.juniper-fw.example"
    assert juniper["linkedin_url"] == "http://www.linkedin.com/company/juniper-fw"
    assert (juniper["city"], juniper["technologies"]) == ("leeds", ["wordpress.org"])


async def test_invisible_signs_and_notes_in_the_header(importing: Any) -> None:
    [noor] = (await importing("12-header-dirt.csv")).contacts.values()
    assert (noor["first_name"], noor["last_name"], noor["email"]) == ("noor", "fieldcase", "noor@palm.example")
    assert (noor["company"], noor["mobile_phone"]) == ("Palm BV", "+31655500100")
    assert noor["linkedin_url"] == "https://www.linkedin.com/in/noor-fc"


async def test_unicode_text_of_excel(importing: Any) -> None:
    [quirin] = (await importing("14-utf16-tab.csv")).contacts.values()
    assert (quirin["email"], quirin["company"]) == ("quirin@utf16.example", "Bräu")


async def test_one_wrong_byte_costs_its_row(importing: Any) -> None:
    done = await importing("15-one-bad-byte.csv")
    assert set(done.contacts) == {"row2", "row4", "row5"}
    assert list(done.rejected) == [3]
    assert "0x96" in done.rejected[3]


async def test_line_ends_of_all_kinds(importing: Any) -> None:
    done = await importing("16-cr-only.csv")
    assert done.column("company") == dict.fromkeys(("ria", "sam", "ted"), "Cr GmbH")
    done = await importing("16-mixed-eol.csv")
    assert set(done.contacts) == {"una", "vic", "wim"}
    assert list(done.rejected) == [7]


async def test_cells_too_many_and_too_few(importing: Any) -> None:
    done = await importing("17-trailing-delimiter.csv")
    assert done.column("company") == dict.fromkeys(("xan", "yul"), "Trail Ltd")
    done = await importing("17-short-rows.csv")
    assert done.column("city") == {"zoe": None, "abe": "bonn", "bea": "bonn"}


async def test_headers_that_are_empty_or_doubled(importing: Any) -> None:
    done = await importing("18-empty-header.csv")
    assert done.count == 2
    assert "" not in done.response.get("unknown_columns", [])
    done = await importing("18-duplicate-header.csv")
    if done.job["status"] == "completed":
        assert done.column("email") == {"ed": "ed@first.example", "fay": "fay@first.example"}
    told = str(done.response)
    assert "3" in told
    assert "5" in told


async def test_quotes_cost_their_own_rows_only(importing: Any) -> None:
    done = await importing("19-quote-unclosed.csv")
    assert (done.response["rows"], set(done.contacts), list(done.rejected)) == (5, {"kai", "liv", "max", "nia"}, [2])
    done = await importing("19-quotes-inner.csv")
    assert (set(done.contacts), list(done.rejected)) == ({"hal", "ida"}, [2])
    assert done.contacts["hal"]["company"] == '12" Pipe Works'


async def test_a_blank_after_each_comma(importing: Any) -> None:
    done = await importing("20-spaces-after-comma.csv")
    assert done.column("company") == {"ola": "Space, Ltd", "pat": "Space Ltd"}


async def test_a_form_instead_of_the_file(importing: Any) -> None:
    done = await importing("22-multipart-body.csv")
    assert done.job["status"] == "failed"
    assert "form" in done.response["runtime_errors"][0]


async def test_no_bytes_and_no_rows(importing: Any) -> None:
    done = await importing("23-zero-byte.csv")
    assert (done.job["status"], done.response["runtime_errors"]) == (
        "failed",
        ["the file is empty: a header line and rows are expected"],
    )
    done = await importing("23-header-only.csv")
    assert "no row" in str(done.response)


async def test_a_nul_costs_its_row(importing: Any, api: httpx.AsyncClient) -> None:
    done = await importing("24-nul.csv")
    assert (set(done.contacts), list(done.rejected)) == ({"uma", "wes", "xia"}, [3])
    assert "NUL" in done.rejected[3]
    assert "\ufffd" in (await download(api, done.job, "rejected")).decode()


async def test_formulas_go_in_and_out_and_in(importing: Any, api: httpx.AsyncClient) -> None:
    done = await importing("25-formulas.csv")
    assert done.column("company") == {
        "yara": '=HYPERLINK("http://evil.example","x")',
        "-zed": "@home Ltd",
        "'ano": "'tis Ltd",
    }
    assert done.column("title") == {"yara": "+Chief of Staff", "-zed": "-", "'ano": "=1+1"}
    assert done.column("mobile_phone") == {"yara": "+380995550100", "-zed": "+15555550112", "'ano": "+442055500100"}
    assert (await importing("25-formulas.csv")).response["unchanged"] == 6
    await exported_and_imported_again(importing, api, [str(row["uuid"]) for row in done.contacts.values()])


CONTACT_COLUMNS = ["uuid", "first_name", "last_name", "email", "title", "departments", "linkedin_url", "mobile_phone"]
COMPANY_COLUMNS = ["company.uuid", "company.name", "company.technologies", "company.linkedin_url", "company.website"]


async def exported_and_imported_again(importing: Any, api: httpx.AsyncClient, uuids: list[str]) -> None:
    """Imports what the product itself exports of these contacts, which must change nothing."""
    vql = {
        "where": {"keyword_match": {"must": {"uuid": uuids}}},
        "select_columns": CONTACT_COLUMNS,
        "company_config": {
            "populate": True,
            "select_columns": [name.removeprefix("company.") for name in COMPANY_COLUMNS],
        },
    }
    job = await export(api, "contact", vql)
    assert job["job_response"]["rows"] == len(uuids), job
    again = await importing(await download(api, job, "result"))
    counts = again.response
    assert again.job["status"] == "completed", counts
    assert (counts["created"], counts["updated"], counts["rejected"]) == (0, 0, 0), counts


async def test_the_own_export_edited(importing: Any, api: httpx.AsyncClient) -> None:
    made = {
        "first_name": "Bob",
        "last_name": "Fieldcase",
        "email": "bob@roundtrip.example",
        "title": "Old",
        "linkedin_url": "https://www.linkedin.com/in/bob-roundtrip",
        "mobile_phone": "+14155550100",
    }
    uuid = (await api.post("/contacts/upsert", json=made)).json()["data"]["uuid"]
    text = (CASES / "26-own-export.csv").read_text()
    file = text.replace("<uuid of the contact made by step 1>", uuid).encode()
    done = await importing(file)
    assert (done.response["updated"], done.response.get("unknown_columns", [])) == (1, [])
    [bob] = done.contacts.values()
    assert (bob["uuid"], bob["title"], bob["company"]) == (uuid, "New Title Set In The Spreadsheet", "Roundtrip Ltd")


async def test_phones_as_people_write_them(importing: Any) -> None:
    done = await importing("27-phone-scientific.csv")
    assert done.column("mobile_phone") == {"sci1": None, "sci2": None, "sci3": "442075550123", "sci4": None}
    assert done.response["left_out"] == 3
    done = await importing("27-phone-extension.csv")
    assert done.column("work_direct_phone") == {
        "ext1": "+16085550100",
        "ext2": "+494333555010",
        "ext3": "+16085550100",
        "ext4": "+16085550100",
        "ext5": "+49305550100",
    }


async def test_the_first_of_several_addresses(importing: Any) -> None:
    done = await importing("28-two-emails.csv")
    assert done.column("email") == {f"two{n}": f"two{n}@first.example" for n in range(1, 7)}
    assert done.companies["Two Ltd"]["normalized_domain"] == "first.example"


async def test_addresses_that_are_none(importing: Any) -> None:
    done = await importing("30-email-carry.csv")
    assert [done.contacts[f"car{n}"]["email"] for n in (2, 4)] == [None, None]
    done = await importing("30-email-placeholders.csv")
    none = {f"pl{n}": None for n in (2, 3, 4, 5, 7, 8, 9)}
    assert done.column("email") == {
        "sean": "sean.o'fieldcase@place.example",
        "pl6": "pl6@place.example",
        **none,
    }
    assert done.companies["Place Ltd"]["normalized_domain"] == "place.example"
    assert list(done.rejected) == [11, 12]
    assert done.response["left_out"] >= 3


async def test_numbers_of_other_countries(importing: Any) -> None:
    done = await importing("32-numbers-eu.csv")
    found = {name.split()[1]: (row["employees_count"], row["annual_revenue"]) for name, row in done.companies.items()}
    assert found["One"] == (1234, 1_234_567)
    assert found["Two"] in ((12500, 1355), (12500, 1356))
    assert found["Three"] == (1234, 1_234_567)
    assert found["Four"] == (1234, 1_234_567)
    assert found["Five"] == (850, 2_500_000)
    assert found["Six"] in ((850, 2), (850, None))
    assert found["Seven"] == (100_000, 1_250_000)


async def test_a_company_in_five_spellings(importing: Any) -> None:
    """What identifies a company is its name as the documented recipe cleans it; no word of a legal form is taken off."""
    done = await importing("33-company-spellings.csv")
    assert done.count == 5
    assert len(done.companies) == 3


async def test_composed_and_decomposed_accents(importing: Any) -> None:
    done = await importing("35-nfd-names.csv")
    assert set(done.contacts) == {"josé", "hiếu", "ｊａｎｅ"}
    assert len(done.companies) == 3


async def test_signs_stay(importing: Any) -> None:
    done = await importing("36-symbols.csv")
    assert done.column("company") == {
        "sy1": "Yahooo!",
        "sy2": "C++ Alliance Fieldcase",
        "sy3": "Fieldcase (UK)",
        "sy4": "A+",
        "sy5": None,
    }
    assert done.column("title") == {
        "sy1": "Developer, C++",
        "sy2": "C#",
        "sy3": "CEO (interim)",
        "sy4": "Sr. Buyer @ Fieldcase",
        "sy5": "#1 Salesman",
    }
    assert done.companies["Yahooo!"]["technologies"] == ["c#"]
    assert done.companies["C++ Alliance Fieldcase"]["technologies"] == [".net", "asp.net"]
    assert done.companies["C++ Alliance Fieldcase"]["keywords"] == [".net", "c#"]
    assert done.companies["A+"]["technologies"] == ["f#", "notepad++"]
    assert done.response["left_out"] == 1


async def test_scripts_and_emoji_of_the_world(importing: Any) -> None:
    done = await importing("37-emoji-cjk.csv")
    assert done.column("company") == {
        "伟": "北京科技",
        "さくら": "株式会社さくら",
        "민준": "삼성물산 필드",
        "zoë 🚀": "Rocket 🚀 Labs",
        "🚀": None,
        "𠮷": "𠮷野家",
    }
    assert (done.contacts["zoë 🚀"]["title"], done.contacts["🚀"]["title"]) == ("👩‍💻 Dev", "🤷")
    assert done.response["left_out"] == 1


async def test_no_company_has_the_domain_of_a_mail_provider(importing: Any) -> None:
    done = await importing("39-freemail.csv")
    assert len(done.companies) == 18
    assert {row["normalized_domain"] for row in done.companies.values()} == {None}


async def test_how_imports_end(importing: Any, api: httpx.AsyncClient) -> None:
    tag = word()
    header = "first_name,last_name,email,mobile_phone\n"
    person = f"Tri,{tag},tri@{tag}.example,+1415555010"
    thrice = (header + "".join(f"{person}{n}\n" for n in range(3))).encode()
    done = await importing(thrice)
    assert (done.response["rows"], done.count) == (3, 1)
    assert done.contacts["tri"]["mobile_phone"] == "+14155550102"

    bad = (header + f"Ok,{tag},ok@{tag}.example,\nBad,{tag},bad@{tag}.example,,x\n").encode()
    done = await importing(bad)
    rejected = (await download(api, done.job, "rejected")).decode()
    corrected = await importing(rejected.replace(",x", "").encode())
    assert set(corrected.contacts) == {"bad"}
    whole = await importing(bad.replace(b",,x", b","))
    assert (whole.response["created"], whole.response["unchanged"]) == (0, 2)


async def test_a_fault_of_the_file_ends_the_job_at_its_first_run(api: httpx.AsyncClient) -> None:
    job = await import_file(api, b"", retry_count=3)
    assert (job["status"], job["attempts"], job["run_after"]) == ("failed", 1, None)


async def test_people_who_share_a_page_or_have_no_name_are_not_made_one(importing: Any) -> None:
    mark = word()
    page, found = (
        "https://www.linkedin.com/company/" + mark,
        "https://www.linkedin.com/search/results/people/?keywords=" + mark,
    )
    rows = [
        f"Ann,{mark},,{page}",
        f"Bo,{mark},,{page}",
        f"Cy,{mark},,{found}",
        f"Di,{mark},,{found}",
        "N/A,N/A,null,",
        "-,-,unknown,",
    ]
    done = await importing("\n".join(["First Name,Last Name,Company,Person Linkedin Url", *rows, ""]).encode())
    assert set(done.contacts) == {"ann", "bo", "cy", "di"}
    assert (done.response["created"], done.response["merged"], list(done.rejected)) == (4, 0, [6, 7])
    again = await importing(f"First Name,Last Name,Person Linkedin Url,Title\nAnn,{mark},{page},CEO\n".encode())
    assert (again.response["updated"], again.column("title")) == (1, {"ann": "CEO"})
