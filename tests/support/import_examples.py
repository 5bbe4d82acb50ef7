"""The files of docs/examples/import, and what an import makes of them."""

from typing import Any

from tests.support.paths import ROOT

FOLDER = ROOT / "docs" / "examples" / "import"

Wanted = tuple[dict[str, Any], dict[str, Any]]
"""Contact and company, as far as it matters."""

WANTED: dict[str, list[Wanted]] = {
    "linkedin-connections.csv": [
        (
            {
                "first_name": "mirela",
                "email": "mirela@petrol-lab.example",
                "title": "Head of Sales",
                "linkedin_url": "https://www.linkedin.com/in/mirela-fieldcase-0a1",
            },
            {"name": "Petrol Lab, Inc."},
        ),
        ({"first_name": "oskar", "title": "Buyer", "email": None}, {"name": "Nordhaus GmbH"}),
    ],
    "google-contacts.csv": [
        (
            {
                "first_name": "ines",
                "last_name": "moreau",
                "email": "ines@atelier-moreau.example",
                "title": "Designer",
                "departments": ["studio"],
                "mobile_phone": "+33639980001",
                "work_direct_phone": "+33170180002",
                "city": "lyon",
                "linkedin_url": "https://www.linkedin.com/in/ines-moreau-fc",
            },
            {"name": "Atelier Moreau"},
        )
    ],
    "google-contacts-old.csv": [
        (
            {
                "first_name": "tomas",
                "last_name": "lind",
                "email": "tomas@lindverk.example",
                "mobile_phone": "+46701740603",
                "title": "Owner",
            },
            {"name": "Lindverk AB"},
        )
    ],
    "outlook-en.csv": [
        (
            {
                "first_name": "grace",
                "title": "Head of Purchasing",
                "city": "leeds",
                "country": "united kingdom",
                "work_direct_phone": "+441134960101",
                "mobile_phone": "+447700900101",
                "departments": ["purchasing"],
            },
            {"name": "Harbour Tools Ltd", "website": "https://www.harbour-tools.example"},
        )
    ],
    "outlook-de.csv": [
        (
            {
                "first_name": "jürgen",
                "title": "Geschäftsführer",
                "city": "köln",
                "email": "juergen@spedition-mueller.example",
                "mobile_phone": "+491715550103",
            },
            {"name": "Müller & Söhne – Spedition"},
        )
    ],
    "outlook-fr.csv": [
        (
            {"first_name": "zoé", "last_name": "lefèvre", "title": "Directrice", "city": "nantes"},
            {"name": "Papeterie Lefèvre"},
        )
    ],
    "outlook-es.csv": [
        (
            {"first_name": "lucía", "last_name": "peña ríos", "title": "Directora", "city": "jaén"},
            {"name": "Aceites Peña"},
        )
    ],
    "outlook-it.csv": [
        (
            {"first_name": "marco", "last_name": "d'amico", "title": "Direttore", "work_direct_phone": "+390115550101"},
            {"name": "Officine D'Amico"},
        )
    ],
    "outlook-nl.csv": [
        (
            {"last_name": "van der berg", "title": "Directeur", "city": "utrecht", "mobile_phone": "+31655500102"},
            {"name": "Palm BV"},
        )
    ],
    "outlook-pt.csv": [
        (
            {"first_name": "inês", "last_name": "araújo", "title": "Diretora", "city": "porto"},
            {"name": "Cortiça Araújo"},
        )
    ],
    "outlook-pl.csv": [
        (
            {"first_name": "łukasz", "last_name": "żak", "title": "Kierownik", "city": "łódź"},
            {"name": "Stal Żak sp. z o.o."},
        )
    ],
    "hubspot-contacts.csv": [
        (
            {
                "email": "priya@monsoon-books.example",
                "title": "Publisher",
                "stage": "lead",
                "work_direct_phone": "+918055550101",
            },
            {"name": "Monsoon Books", "employees_count": 45, "industries": ["publishing"]},
        )
    ],
    "hubspot-companies.csv": [
        (
            {},
            {
                "name": "Monsoon Printing",
                "normalized_domain": "monsoon-printing.example",
                "city": "mysuru",
                "phone_number": "+918055550201",
                "employees_count": 120,
                "annual_revenue": 2_500_000,
            },
        )
    ],
    "salesforce-report.csv": [
        (
            {"email": "dana@coppertop.example", "title": "VP, Sales", "city": "boston", "country": "united states"},
            {"name": 'Copper "Top" Ltd'},
        )
    ],
    "salesforce-data-loader.csv": [
        (
            {"first_name": "eli", "work_direct_phone": "+16175550110", "mobile_phone": "+16175550111"},
            {"name": "Tin Top Ltd"},
        )
    ],
    "apollo-contacts.csv": [
        (
            {
                "email": "hana@brightwell.example",
                "seniority": "vp",
                "mobile_phone": "+14155550101",
                "city": "san jose",
                "departments": ["c-suite", "engineering & technical"],
            },
            {"name": "Brightwell Robotics, Inc.", "employees_count": 420, "technologies": ["outlook", "c#"]},
        )
    ],
    "apollo-accounts.csv": [
        (
            {},
            {
                "name": "Juniper Fieldworks",
                "employees_count": 85,
                "city": "leeds",
                "address": "2 Oak, Leeds",
                "phone_number": "+441134960100",
            },
        )
    ],
    "evaboot.csv": [
        (
            {
                "title": "Chief of Staff",
                "linkedin_url": "https://www.linkedin.com/in/yusuf-demir-fc",
                "email_status": "safe",
            },
            {"name": "Anadolu Glass", "normalized_domain": "anadolu-glass.example", "employees_count": 310},
        )
    ],
    "phantombuster.csv": [
        (
            {"first_name": "kai", "title": "CTO", "linkedin_url": "https://www.linkedin.com/in/kai-berg-fc"},
            {"name": "Fjord Data AS", "linkedin_url": "https://www.linkedin.com/company/990002"},
        )
    ],
    "wiza.csv": [
        (
            {
                "first_name": "mei",
                "mobile_phone": "+6580000101",
                "linkedin_url": "https://www.linkedin.com/in/mei-tan-fc",
            },
            {"name": "Lotus Semi", "normalized_domain": "lotus-semi.example"},
        )
    ],
    "zoominfo.csv": [
        (
            {"email": "omar@prairie-steel.example", "seniority": "manager", "work_direct_phone": "+13125550121"},
            {"name": "Prairie Steel", "phone_number": "+13125550120", "employees_count": 800, "city": "chicago"},
        )
    ],
    "by-hand.csv": [
        ({"first_name": "ada", "last_name": "van der berg", "city": "haarlem"}, {"name": "Windmill Works"}),
        ({"first_name": "elena", "last_name": "ruiz", "city": "málaga"}, {"name": "Sol y Mar"}),
    ],
    "own-contacts.csv": [
        ({"email": "bob@roundtrip.example", "title": "New Title Set In The Spreadsheet"}, {"name": "Roundtrip Ltd"})
    ],
    "own-companies.csv": [
        (
            {},
            {
                "name": "Hometrip Ltd",
                "employees_count": 33,
                "industries": ["travel", "hotels"],
                "city": "bergen",
                "normalized_domain": "hometrip.example",
                "phone_number": "+4755500100",
            },
        )
    ],
}


def missed(wanted: dict[str, Any], record: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Fields that are not as wanted, whatever the case of texts: (wanted, found)."""

    def same(one: Any, other: Any) -> bool:
        if isinstance(one, str) and isinstance(other, str):
            return one.casefold() == other.casefold()
        return bool(one == other)

    return {name: (value, record.get(name)) for name, value in wanted.items() if not same(value, record.get(name))}
