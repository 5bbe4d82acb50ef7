"""What the columns of the world's files mean."""

import csv
import time

import pytest
from connectra_common.records import column_names
from connectra_common.records.columns import (
    Columns,
    Confidence,
    DuplicateColumn,
    NoKnownColumn,
    UnknownHeader,
    normal,
    targets,
    unknown_headers,
)
from connectra_common.records.csv_rows import RowReader
from connectra_common.records.spread import split_name, split_reversed_name
from hypothesis import given
from hypothesis import strategies as st


def meaning(header: str, delimiter: str = ",") -> dict[str, str | None]:
    """Target by header."""
    columns = Columns.read(next(csv.reader([header], delimiter=delimiter)))
    return dict(zip(columns.headers, columns.targets, strict=True))


def known(header: str, delimiter: str = ",") -> dict[str, str]:
    return {name: target for name, target in meaning(header, delimiter).items() if target}


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("\ufeff\u200bFirst\xa0Name", "firstname"),
        ("  E-Mail*  ", "email"),
        ("Prénom", "prenom"),
        ("Pre\u0301nom", "prenom"),
        ("Ｆｉｒｓｔ Name", "firstname"),
        ("Straße", "strasse"),
        ("Służbowy", "sluzbowy"),
        ("İsim", "isim"),
        ("#", "#"),
        ("", ""),
    ],
)
def test_a_header_cell_is_compared_by_its_letters_and_digits(cell: str, name: str) -> None:
    assert normal(cell) == name


@given(st.text())
def test_a_name_is_its_own_name(cell: str) -> None:
    assert normal(normal(cell)) == normal(cell)


def test_no_name_of_the_table_means_two_things() -> None:
    owners: dict[str, set[object]] = {}
    for target, text in [*column_names.NAMES.items(), *column_names.BARE.items()]:
        for item in text.replace("\n", "|").split("|"):
            if name := normal(item):
                owners.setdefault(name, set()).add(target)
    assert {name: owner for name, owner in owners.items() if len(owner) > 1} == {}


def test_every_target_of_the_table_fills_something() -> None:
    phones = {"phone"}  # which of the phones, the header decides
    bare = {target for pair in column_names.BARE for target in pair if target}
    assert {*column_names.NAMES, *bare} - phones <= targets()


PEOPLE = {
    "linkedin": (
        "First Name,Last Name,URL,Email Address,Company,Position,Connected On",
        "first_name last_name person_linkedin_url email company title -",
    ),
    "google old": (
        "Name,Given Name,Additional Name,Family Name,E-mail 1 - Type,E-mail 1 - Value,E-mail 2 - Value,Phone 1 - Type,Phone 1 - Value,"
        "Address 1 - City,Address 1 - Region,Address 1 - Country,Organization 1 - Name,Organization 1 - Title,"
        "Organization 1 - Department,"
        "Website 1 - Value",
        "- first_name - last_name - email - phone_1_label phone_1 city state country company title departments person_url",
    ),
    "google new": (
        "First Name,Middle Name,Last Name,Name Prefix,Organization Name,Organization Title,Organization Department,"
        "Labels,E-mail 1 - Label,"
        "E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value,Website 1 - Label,Website 1 - Value",
        "first_name - last_name - company title departments - - email phone_1_label phone_1 phone_2_label phone_2 - person_url",
    ),
    "outlook": (
        "Title,First Name,Middle Name,Last Name,Suffix,Company,Department,Job Title,Business Street,Business City,Business State,"
        "Business Country/Region,Home City,Business Fax,Business Phone,Business Phone 2,Company Main Phone,Home Phone,Mobile Phone,"
        "Other Phone,Primary Phone,E-mail Address,E-mail Type,E-mail 2 Address,Web Page,Personal Web Page",
        "- first_name - last_name - company departments title - city state country - - work_direct_phone - company_phone home_phone "
        "mobile_phone other_phone - email - - website person_website",
    ),
    "outlook de": (
        "Anrede,Vorname,Weitere Vornamen,Nachname,Suffix,Firma,Abteilung,Position,Straße geschäftlich,Ort geschäftlich,"
        "Region geschäftlich,"
        "Land/Region geschäftlich,Telefon geschäftlich,Telefon privat,Mobiltelefon,Telefon Firma,E-Mail-Adresse,"
        "E-Mail 2: Adresse,Webseite",
        "- first_name - last_name - company departments title - city state country work_direct_phone home_phone "
        "mobile_phone company_phone "
        "email - website",
    ),
    "outlook fr": (
        "Titre,Prénom,Deuxième prénom,Nom,Suffixe,Société,Service,Titre,Rue (bureau),Ville (bureau),"
        "Dép/Région (bureau),Pays/Région (bureau),"
        "Téléphone (bureau),Téléphone (domicile),Tél. mobile,Téléphone société,Adresse de messagerie,Adresse de messagerie 2,Page Web",
        "- first_name - last_name - company departments title - city state country work_direct_phone home_phone "
        "mobile_phone company_phone "
        "email - website",
    ),
    "outlook es": (
        "Tratamiento,Nombre,Segundo nombre,Apellidos,Organización,Departamento,Puesto,Ciudad de trabajo,Provincia o estado de trabajo,"
        "País o región del trabajo,Teléfono del trabajo,Particular,Teléfono móvil,Dirección de correo electrónico,Página web",
        "- first_name - last_name company departments title city state country work_direct_phone home_phone mobile_phone email website",
    ),
    "outlook it": (
        "Titolo,Nome,Secondo nome,Cognome,Società,Reparto,Posizione,Città (uff.),Provincia (uff.),Paese/area geografica (uff.),Ufficio,"
        "Abitazione,Cellulare,Indirizzo posta elettronica,Pagina Web",
        "- first_name - last_name company departments title city state country work_direct_phone home_phone mobile_phone email website",
    ),
    "outlook pt": (
        "Título,Nome,Segundo Nome,Sobrenome,Empresa,Departamento,Cargo,Cidade do Endereço Comercial,Estado do Endereço Comercial,"
        "País do Endereço Comercial,Telefone Comercial,Telefone Residencial,Telefone Celular,Endereço de Email,Página da Web",
        "- first_name - last_name company departments title city state country work_direct_phone home_phone mobile_phone email website",
    ),
    "outlook pt-PT": (
        "Título,Nome próprio,Apelido,Empresa,Cargo,Localidade da empresa,País/Região da empresa,Telemóvel,"
        "Endereço de correio electrónico",
        "- first_name last_name company title city country mobile_phone email",
    ),
    "outlook pl": (
        "Tytuł;Imię;Drugie imię;Nazwisko;Firma;Dział;Stanowisko;Miasto (biuro);Województwo (biuro);Kraj/region (biuro);Telefon służbowy;"
        "Telefon domowy;Telefon komórkowy;Adres e-mail",
        "- first_name - last_name company departments title city state country work_direct_phone home_phone mobile_phone email",
    ),
    "outlook nl": (
        "Titel;Voornaam;Middelste naam;Achternaam;Bedrijf;Afdeling;Functie;Werkadres, plaats;Werkadres, provincie;Land/regio (werk);"
        "Telefoon op werk;Telefoon thuis;Mobiele telefoon;Hoofdtelefoon bedrijf;E-mailadres;Webpagina",
        "- first_name - last_name company departments title city state country work_direct_phone home_phone "
        "mobile_phone company_phone email "
        "website",
    ),
    "thunderbird": (
        "First Name,Last Name,Display Name,Nickname,Primary Email,Secondary Email,Work Phone,Home Phone,Mobile Number,"
        "Work City,Work State,"
        "Work Country,Job Title,Department,Organization,Web Page 1",
        "first_name last_name - - email - work_direct_phone home_phone mobile_phone city state country title departments company website",
    ),
    "hubspot": (
        "Record ID,First Name,Last Name,Email,Phone Number,Mobile Phone Number,Contact owner,Associated Company,"
        "Company name,Job Title,City,"
        "State/Region,Country/Region,Lifecycle Stage,Lead Status,Website URL,Number of Employees,Annual Revenue,Industry",
        "- first_name last_name email work_direct_phone mobile_phone - - company title city state country stage - website employees "
        "annual_revenue industry",
    ),
    "salesforce report": (
        "Salutation,First Name,Last Name,Title,Account Name,Mailing Street,Mailing City,Mailing State/Province,"
        "Mailing Country,Phone,Mobile,"
        "Email,Account Owner",
        "- first_name last_name title company - city state country work_direct_phone mobile_phone email -",
    ),
    "data loader": (
        "ID,SALUTATION,FIRSTNAME,LASTNAME,NAME,TITLE,DEPARTMENT,ACCOUNT.NAME,MAILINGCITY,MAILINGSTATE,MAILINGCOUNTRY,PHONE,MOBILEPHONE,"
        "HOMEPHONE,OTHERPHONE,EMAIL,OWNERID",
        "- - first_name last_name - title departments company city state country work_direct_phone mobile_phone "
        "home_phone other_phone email -",
    ),
    "salesforce lead": (
        "FirstName,LastName,Title,Company,City,State,Country,Phone,MobilePhone,Email,Website,Industry,AnnualRevenue,"
        "NumberOfEmployees,Status",
        "first_name last_name title company city state country work_direct_phone mobile_phone email website industry "
        "annual_revenue employees -",
    ),
    "evaboot": (
        "Current Job,First Name,Last Name,Full Name,Email,Email Status,Linkedin URL Public,Linkedin URL Unique ID,"
        "Company Name,Company Domain,"
        "Company Website URL,Company Employee Exact Count,Company Employee Range,Company Industry,Company Linkedin URL Unique ID,"
        "Company Location,Company Year Founded",
        "title first_name last_name - email email_status person_linkedin_url - company company_domain website employees - industry "
        "company_linkedin_url - -",
    ),
    "phantombuster": (
        "profileUrl,fullName,firstName,lastName,companyName,title,companyId,companyUrl,regularCompanyUrl,summary,industry,location,"
        "linkedInProfileUrl,query,timestamp,defaultProfileUrl",
        "- - first_name last_name company title - company_url company_linkedin_url - industry - - - - person_linkedin_url",
    ),
    "wiza": (
        "email,email_status,full_name,first_name,last_name,title,location,linkedin,company,company_industry,domain,company_size,"
        "company_linkedin,mobile_phone1,phone_number1",
        "email email_status - first_name last_name title - person_linkedin_url company industry company_domain employees "
        "company_linkedin_url mobile_phone work_direct_phone",
    ),
    "zoominfo": (
        "First Name,Last Name,Job Title,Management Level,Department,Direct Phone Number,Mobile phone,Email Address,"
        "Person City,Person State,"
        "Country,LinkedIn Contact Profile URL,Company Name,Website,Revenue (in USD),Employees,Primary Industry,Company HQ Phone,"
        "LinkedIn Company Profile URL,Company City,Company State,Company Country",
        "first_name last_name title seniority departments work_direct_phone mobile_phone email city state country person_linkedin_url "
        "company website annual_revenue employees industry company_phone company_linkedin_url company_city company_state company_country",
    ),
    "own": (
        "uuid,first_name,email,linkedin_url,facebook_url,website,city,company_id,company.name,company.city,company.linkedin_url,"
        "company.normalized_domain,company.website,company.facebook_url,company.industries,company.employees_count,company.phone_number,"
        "created_at",
        "uuid first_name email person_linkedin_url person_facebook_url person_website city company_uuid company company_city "
        "company_linkedin_url company_domain website company_facebook_url industry employees company_phone -",
    ),
    "by hand": ("Name,Company,E-Mail,Phone,City", "full_name company email work_direct_phone city"),
    "by hand, two phones": ("Name,Phone,Phone 2,Mobile", "full_name work_direct_phone other_phone mobile_phone"),
    "hubspot, de": (
        "Vorname,Nachname,E-Mail,Name des Unternehmens,Bundesland/Region",
        "first_name last_name email company state",
    ),
    "hubspot, es": ("Nombre,Apellidos,País/región,Etapa del ciclo de vida", "first_name last_name country stage"),
    "by hand, pt": (
        "Razão Social,Nome do contato,E-mail,Nº de funcionários,Web",
        "company full_name email employees website",
    ),
    "by hand, zh": (
        "公司名称,姓名,邮箱,网址,行业,员工人数",
        "company last_first_name email website industry employees",
    ),
    "by hand, whole name": ("Vor-/Nachname,E-Mail", "full_name email"),
    "two profiles": (
        "First Name,LinkedIn (Person),LinkedIn (Company)",
        "first_name person_linkedin_url company_linkedin_url",
    ),
    "by hand, de": ("Name;Vorname;Firma;E-Mail;Telefon", "last_name first_name company email work_direct_phone"),
    "pipedrive": (
        "Person - ID,Person - Name,Person - Email - Work,Person - Email - Home,Person - Phone - Work,Person - Phone - Mobile,"
        "Organization - Name,Organization - Address",
        "- full_name email - work_direct_phone mobile_phone company company_address",
    ),
    "hunter": (
        "Email address,Domain name,Organization,Confidence score,First name,Last name,Department,Position,Twitter handle,Linkedin URL,"
        "Phone number,Industry",
        "email company_domain company - first_name last_name departments title - person_linkedin_url work_direct_phone industry",
    ),
    "two words": (
        "Contact.FirstName,Contact.Account.Name,Firma/Organisation,Position / Jobtitel",
        "first_name company - title",
    ),
    "required": (
        "First Name*,Last Name (required),E-Mail [required],Company (optional)",
        "first_name last_name email company",
    ),
    "rejected": ("line,reason,first_name,email", "- - first_name email"),
}
COMPANIES = {
    "apollo": (
        "Company Name,Account Stage,# Employees,Industry,Website,Company Linkedin Url,Company Street,Company City,"
        "Company Address,Company Phone",
        "company - employees industry website company_linkedin_url - company_city company_address company_phone",
    ),
    "hubspot": (
        "Record ID,Company name,Company owner,Phone Number,City,State/Region,Country/Region,Industry,"
        "Company Domain Name,LinkedIn Company Page,"
        "Number of Employees,Annual Revenue,Total Money Raised,Website URL,Web Technologies",
        "- company - company_phone company_city company_state company_country industry company_domain company_linkedin_url employees "
        "annual_revenue total_funding website technologies",
    ),
    "data loader": (
        "ID,NAME,BILLINGSTREET,BILLINGCITY,BILLINGSTATE,BILLINGCOUNTRY,PHONE,WEBSITE,INDUSTRY,ANNUALREVENUE,NUMBEROFEMPLOYEES",
        "- company company_address company_city company_state company_country company_phone website industry annual_revenue employees",
    ),
    "salesforce report": (
        "Account Name,Billing City,Phone,Website,Employees,Account Owner",
        "company company_city company_phone website employees -",
    ),
    "own": (
        "uuid,name,employees_count,industries,keywords,address,annual_revenue,technologies,city,state,country,linkedin_url,website,"
        "normalized_domain,facebook_url,twitter_url,company_name_for_emails,phone_number,id,updated_at",
        "company_uuid company employees industry keywords company_address annual_revenue technologies company_city company_state "
        "company_country company_linkedin_url website company_domain company_facebook_url company_twitter_url company_name_for_emails "
        "company_phone - -",
    ),
    "own, few": ("uuid,name,city", "company_uuid company company_city"),
    "by hand": ("Name,Website,Phone,City,Industry", "company website company_phone company_city industry"),
    "dynamics": (
        "Account Name,Main Phone,Address 1: City,Address 1: State/Province,Address 1: Country/Region,Number of Employees",
        "company company_phone company_city company_state company_country employees",
    ),
    "crunchbase": (
        "Organization Name,Organization Name URL,Industries,Headquarters Location,Last Funding Type,Last Funding Amount (in USD),Website,"
        "LinkedIn,Estimated Revenue Range",
        "company - industry - latest_funding latest_funding_amount website company_linkedin_url annual_revenue",
    ),
    "by hand, fr": (
        "Société;Ville;Téléphone;Site web;Effectif",
        "company company_city company_phone website employees",
    ),
}


@pytest.mark.parametrize(
    ("header", "wanted"),
    [*PEOPLE.values(), *COMPANIES.values()],
    ids=[*PEOPLE, *(f"{n} (companies)" for n in COMPANIES)],
)
def test_a_header_of_a_tool_is_understood(header: str, wanted: str) -> None:
    delimiter = ";" if ";" in header else ","
    columns = Columns.read(next(csv.reader([header], delimiter=delimiter)))
    assert dict(zip(enumerate(columns.headers), columns.targets, strict=True)) == {
        key: None if target == "-" else target
        for key, target in zip(enumerate(columns.headers), wanted.split(), strict=True)
    }


def test_what_a_column_means_is_told_with_its_confidence() -> None:
    columns = Columns.read(["first_name", "Nachname", "Phone", "Notes", ""], {"notes": "title"})
    assert columns.confidence == (Confidence.EXACT, Confidence.KNOWN, Confidence.GUESSED, Confidence.GIVEN, None)


def test_columns_without_use_are_told_apart() -> None:
    columns = Columns.read(
        ["First Name", "Title", "Job Title", "Shoe size", "", "E-mail 1 - Label", "E-mail 1 - Value"]
    )
    assert columns.unknown == ("Shoe size",)
    assert columns.unused == (("Title", "Job Title"),)
    assert unknown_headers(("First Name", "shoe size")) == ("shoe size",)
    assert unknown_headers(("shoe size",)) == ("shoe size",)


def test_the_caller_decides() -> None:
    columns = Columns.read(
        ["Name", "job  title", "Notes", "Title"], {"JOB_TITLE": None, "notes": "title", "gone": None}
    )
    assert columns.targets == ("full_name", None, "title", None)
    assert columns.unknown == ()
    assert columns.unused == (("Title", "Notes"),)


def test_a_column_that_the_caller_names_must_be_there() -> None:
    with pytest.raises(UnknownHeader, match=r"no column 'Jbo Title'.* did you mean 'Job Title'"):
        Columns.read(["Name", "Job Title"], {"Jbo Title": "title"})


@pytest.mark.parametrize("header", ["First Name,Last Name,Email,Company,email", "Vorname,Firma,E-Mail,Ort,E-MAIL"])
def test_a_column_that_stands_twice_is_refused_with_both_places(header: str) -> None:
    with pytest.raises(DuplicateColumn, match=r"twice, as columns 3 and 5"):
        meaning(header)


@pytest.mark.parametrize(
    ("header", "best"),
    [
        ("Email,First Name,Email.1,Email.2", "Email"),
        ("Email_1,Email,First Name", "Email"),
        ("emails.0,emails.1,First Name", "emails.0"),
        ("Company,Revenue 2022,Revenue 2024,Revenue 2023", "Revenue 2024"),
        ("Company,Revenue,Revenue 2024", "Revenue"),
    ],
)
def test_of_a_name_with_several_numbers_one_is_the_best(header: str, best: str) -> None:
    assert {better for _, better in Columns.read(header.split(",")).unused} == {best}


def test_half_of_a_name_is_not_the_meaning_of_a_column() -> None:
    assert known("Title/Position,Company/Organization,Vor-/Familienname") == {
        "Title/Position": "title",
        "Company/Organization": "company",
    }


def test_a_column_twice_is_no_fault_when_it_does_not_count() -> None:
    assert known("Email,Notes,Notes,Secondary Email,Secondary Email") == {"Email": "email"}
    assert Columns.read(["Email", "email", "First Name"], {"email": None}).targets == (None, None, "first_name")


def test_a_header_without_a_known_column_is_refused() -> None:
    with pytest.raises(NoKnownColumn):
        meaning("Notes:")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Anna Schmidt", ("Anna", "Schmidt")),
        ("Schmidt-Fieldcase, Anna Lena", ("Anna Lena", "Schmidt-Fieldcase")),
        ("Ada van der Berg", ("Ada", "van der Berg")),
        ("Maria de la Cruz", ("Maria", "de la Cruz")),
        ("Bo Fieldcase, MBA", ("Bo", "Fieldcase, MBA")),
        ("Bo Fieldcase, Ph.D.", ("Bo", "Fieldcase, Ph.D.")),
        ("Bo Fieldcase, PMP, Ph.D.", ("Bo", "Fieldcase, PMP, Ph.D.")),
        ("Bo Fieldcase, B.Sc., MSc.", ("Bo", "Fieldcase, B.Sc., MSc.")),
        ("Fieldcase, Bo, III", ("Bo", "Fieldcase, III")),
        ("FIELDCASE, BO", ("BO", "FIELDCASE")),
        ("VAN DER BERG, ADA", ("ADA", "VAN DER BERG")),
        ("BO FIELDCASE, MBA", ("BO", "FIELDCASE, MBA")),
        ("Fieldcase,", ("Fieldcase", "")),
        ("Jean  Luc\tPicard", ("Jean Luc", "Picard")),
        ("Ann Lee 🚀", ("Ann", "Lee 🚀")),
        ("Ann Lee - ✅", ("Ann", "Lee - ✅")),
        ("Cher", ("Cher", "")),
        ("Cher 🚀", ("Cher", "🚀")),
        ("Ann B. Lee Jr.", ("Ann B.", "Lee Jr.")),
        ("Ann Lee (she/her)", ("Ann", "Lee (she/her)")),
        ("Ada van der Berg Ph.D.", ("Ada", "van der Berg Ph.D.")),
        ("Kim II", ("Kim", "II")),
        ("山田 太郎", ("太郎", "山田")),
        ("山田太郎", ("山田太郎", "")),
        ("", ("", "")),
    ],
)
def test_a_whole_name_is_split_with_care(name: str, parts: tuple[str, str]) -> None:
    assert split_name(name) == parts


def test_a_name_that_begins_with_the_last_is_turned() -> None:
    assert split_reversed_name("Dupont Jean Paul") == ("Jean Paul", "Dupont")
    assert split_reversed_name("van der Berg Ada") == ("Ada", "van der Berg")
    assert split_reversed_name("Dupont, Jean") == ("Jean", "Dupont")


@given(st.text())
def test_splitting_a_name_loses_no_letter(name: str) -> None:
    for split in (split_name, split_reversed_name):
        letters = sorted(char for char in name if not char.isspace() and char != ",")
        assert sorted(char for part in split(name) for char in part if not char.isspace() and char != ",") == letters


def read(header: str, row: str) -> tuple[dict[str, object], dict[str, object]]:
    columns = Columns.read(next(csv.reader([header])))
    found = RowReader(columns).read(next(csv.reader([row])))
    return dict(found.company.values if found.company else {}), dict(found.contact.values if found.contact else {})


@pytest.mark.parametrize(
    ("header", "cell", "revenue"),
    [
        ("Revenue (in 000s USD)", "1500", 1_500_000),
        ("Revenue (in 000s USD)", "$1,500", 1_500_000),
        ("Revenue (,000)", "1.5", 1500),
        ("Revenue ($M)", "1.5", 1_500_000),
        ("Revenue ($M)", "10-50", 10_000_000),
        ("Annual Revenue [in million USD]", "12", 12_000_000),
        ("Annual Revenue (USD millions)", "12", 12_000_000),
        ("Annual Revenue (USD m)", "12", 12_000_000),
        ("Umsatz (Mio. €)", "1,5 €", 1_500_000),
        ("Umsatz (TEUR)", "1.500", 1_500_000),
        ("Umsatz (T€)", "1.500", 1_500_000),
        ("Umsatz (mEUR)", "2", 2_000_000),
        ("Revenue ($M)", "900k", 900_000),
        ("Revenue ($M)", "n/a", None),
        ("Revenue (USD)", "1500", 1500),
        ("Revenue (m/f/d)", "1500", 1500),
        ("Revenue (10,000 and more)", "15000", 15_000),
        ("Revenue", "1500", 1500),
    ],
)
def test_amounts_have_the_scale_that_their_header_says(header: str, cell: str, revenue: int | None) -> None:
    columns = Columns.read(["Company", header])
    company = RowReader(columns).read(["Acme", cell]).company
    assert company is not None
    assert company.values.get("annual_revenue") == revenue


def test_phones_of_google_go_where_their_labels_say() -> None:
    _, contact = read(
        "First Name,Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value,Phone 3 - Label,Phone 3 - Value,"
        "Phone 4 - Label,Phone 4 - Value",
        "Ada,* Mobile,+4915155501,Work Fax,+4930555099,Work,+4930555001,Work,+4930555002",
    )
    assert {name: value for name, value in contact.items() if "phone" in name} == {
        "mobile_phone": "+4915155501",
        "work_direct_phone": "+4930555001",
        "other_phone": "+4930555002",
    }


def test_of_several_values_in_a_cell_of_google_the_first_counts() -> None:
    company, contact = read(
        "First Name,E-mail 1 - Value,Organization Name,Organization Department",
        "Ada,ada@one.example ::: ada@two.example,One Ltd ::: Two Ltd,Sales ::: Care",
    )
    assert (company["name"], contact["email"], contact["departments"]) == (
        "One Ltd",
        "ada@one.example",
        ["sales", "care"],
    )


def test_a_url_of_any_site_is_a_profile_or_a_website() -> None:
    header = "First Name,Company,URL"
    assert (
        read(header, "Ada,One,https://www.linkedin.com/in/ada")[1]["linkedin_url"] == "https://www.linkedin.com/in/ada"
    )
    _, contact = read(header, "Ada,One,https://ada.example/me")
    assert (contact["website"], "linkedin_url" in contact) == ("https://ada.example/me", False)


def test_a_whole_name_makes_a_person() -> None:
    _, contact = read("Full Name,Email", "Ada van der Berg,ada@one.example")
    assert (contact["first_name"], contact["last_name"]) == ("ada", "van der berg")


def test_the_uuids_of_our_own_export_are_given() -> None:
    uuid, company = "3f2b1c4d-0000-4000-8000-000000000001", "3f2b1c4d-0000-4000-8000-000000000002"
    columns = Columns.read(["uuid", "first_name", "company.uuid", "company.name"])
    found = RowReader(columns).read([uuid.upper(), "ada", company.replace("-", ""), "One"])
    assert found.company is not None
    assert found.contact is not None
    assert (found.contact.uuid, found.company.uuid) == (uuid, company)


def test_a_given_domain_is_not_a_derived_one() -> None:
    def derived(*header: str) -> frozenset[str]:
        found = RowReader(Columns.read(header)).read(["One", "ada@one.example"])
        assert found.company is not None
        return found.company.derived & {"normalized_domain"}

    assert derived("company", "email") == {"normalized_domain"}
    assert derived("company", "company_domain") == set()


def test_a_row_of_addresses_is_no_header() -> None:
    urls = ["https://www.linkedin.com/sales/company/990002", "https://www.linkedin.com/company/990002"]
    with pytest.raises(NoKnownColumn):
        Columns.read(urls)


@pytest.mark.parametrize("text", ["\ufdfa", "(", "(a ", "a/", "phone ", "1", "e\u0301", "\u0344"])
def test_a_cell_of_a_header_costs_no_more_than_its_length(text: str) -> None:
    began = time.process_time()
    columns = Columns.read(["email", text * 80_000])
    assert columns.targets == ("email", None)
    with pytest.raises(UnknownHeader):
        Columns.read(["email", text * 80_000], {"e-mai": "email", "title of the person": "title"})
    assert time.process_time() - began < 1
