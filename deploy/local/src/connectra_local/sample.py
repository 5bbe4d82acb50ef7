"""Fictitious contacts and companies as an import file: for trying things out, demonstrations and tests.

The same number of rows and seed always give the same bytes. As in real data, a few companies have many of the contacts, and
a few countries, industries and functions dominate; every row is a different contact. All domains end in `.example`.
"""

import csv
import io
import random
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

COLUMNS = (
    "first_name", "last_name", "title", "company", "email", "email_status", "seniority", "departments", "stage",
    "person_linkedin_url", "city", "state", "country", "mobile_phone", "work_direct_phone", "home_phone", "other_phone",
    "employees", "industry", "keywords", "technologies", "annual_revenue", "total_funding", "latest_funding",
    "latest_funding_amount", "last_raised_at", "website", "company_linkedin_url", "company_name_for_emails",
    "company_address", "company_city", "company_state", "company_country", "company_phone", "facebook_url",
    "twitter_url",
)  # fmt: skip
CONTACTS_PER_COMPANY = 6


@dataclass(frozen=True)
class Region:
    """A country, with what its names and addresses are made of.

    Args:
        country: its name.
        weight: its share of all companies, relative to the others.
        dial: its calling code.
        cities: `city/state`, separated by commas.
        first: first names, see `names`.
        last: last names, see `names`.
        streets: separated by commas.
        forms: legal forms, each with what joins it to the company's name.
    """

    country: str
    weight: int
    dial: str
    cities: str
    first: str
    last: str
    streets: str
    forms: tuple[str, ...]


REGIONS = (
    Region(
        "United States", 42, "+1",
        "Denver/Colorado,Portland/Oregon,Atlanta/Georgia,Minneapolis/Minnesota,Nashville/Tennessee,Phoenix/Arizona",
        "Grace Ethan Olivia Mason Harper Logan Chloe Caleb Naomi Tyler Brooke Marcus Dana Owen Jasmine Victor",
        "Harrison Brooks Ramirez Coleman Whitfield Nguyen Foster Delgado Sullivan Okoye Bennett Park Hayes Sato",
        "Maple Ave,Lakeview Dr,Second St,Mission Blvd", (", Inc.", " LLC", " Corp."),
    ),
    Region(
        "Germany", 14, "+49",
        "Hamburg/Hamburg,Köln/Nordrhein-Westfalen,Stuttgart/Baden-Württemberg,Leipzig/Sachsen,Nürnberg/Bayern",
        "Lena Jonas Käthe Felix Jürgen Sabine Torsten Ayşe Moritz Annika Götz Birgit",
        "Schäfer Krüger Vogel Böhm Yılmaz Lindner Groß Hartmann Seidel Kühn Brandt",
        "Hauptstraße,Lindenweg,Am Markt,Goethestraße", (" GmbH", " AG", " & Co. KG"),
    ),
    Region(
        "United Kingdom", 12, "+44",
        "Manchester/England,Bristol/England,Leeds/England,Edinburgh/Scotland,Cardiff/Wales",
        "Isla Rhys Poppy Callum Fiona Imran Gemma Alistair Nadia Gareth Priti Duncan",
        "Thornton Hughes MacLeod Ashworth Begum Pritchard Osborne Fraser Whittaker O'Connor",
        "High Street,Station Road,Church Lane,Victoria Road", (" Ltd", " plc", " LLP"),
    ),
    Region(
        "India", 12, "+91",
        "Hyderabad/Telangana,Pune/Maharashtra,Chennai/Tamil Nadu,Kochi/Kerala,Jaipur/Rajasthan",
        "Ananya Rohan Kavya Vikram Meera Siddharth Divya Arvind Nisha Rahul Lakshmi Farhan",
        "Iyer Reddy Chatterjee Menon Kapoor Joshi Banerjee Pillai Qureshi Deshpande",
        "MG Road,Link Road,Park Street,Ring Road", (" Pvt. Ltd.", " Ltd.", " LLP"),
    ),
    Region(
        "France", 7, "+33",
        "Lyon/Auvergne-Rhône-Alpes,Nantes/Pays de la Loire,Lille/Hauts-de-France,Toulouse/Occitanie",
        "Élodie Mathieu Anaïs François Inès Rémi Camille Noël Aïcha Gaël",
        "Lefèvre Garnier Béranger Chevalier Marchand Benoît D'Amico Roussel Traoré",
        "rue de la République,avenue Foch,place du Marché", (" SAS", " SARL", " SA"),
    ),
    Region(
        "Brazil", 6, "+55",
        "Curitiba/Paraná,Recife/Pernambuco,Porto Alegre/Rio Grande do Sul,Campinas/São Paulo",
        "Beatriz João Luísa Thiago Conceição Rafael Débora Caio Fabrício Íris",
        "Araújo Gonçalves Teixeira Nogueira Barros dos Santos|Brandão Magalhães Pires",
        "Rua das Flores,Avenida Central,Rua XV de Novembro", (" Ltda.", " S.A."),
    ),
    Region(
        "Poland", 4, "+48",
        "Gdańsk/Pomorskie,Wrocław/Dolnośląskie,Poznań/Wielkopolskie,Łódź/Łódzkie",
        "Agnieszka Paweł Małgorzata Krzysztof Zofia Michał Łucja Wojciech",
        "Wiśniewska Zieliński Dąbrowski Wójcik Kamińska Szymański Głowacki",
        "ul. Długa,ul. Polna,al. Wolności", (" Sp. z o.o.", " S.A."),
    ),
    Region(
        "Japan", 3, "+81",
        "大阪/,名古屋/,Yokohama/Kanagawa,Sapporo/Hokkaido",
        "Haruka Takeshi 美咲 Kenji 翔太 Naoko Daichi",
        "Tanaka 高橋 Kobayashi Ishikawa 山本 Fujita",
        "Chūō-dōri,Sakura-dōri", (" K.K.", ""),
    ),
)  # fmt: skip

STEMS = (
    "Alder Anchor Aster Basalt Beacon Birch Cobalt Compass Copper Coral Crescent Ember Fjord Garnet Granite Halcyon "
    "Heron Indigo Juniper Kestrel Lantern Larch Linden Marble Meadow Meridian Mosaic Nectar Onyx Osprey Pebble Quartz "
    "Raven Saffron Sequoia Solstice Sparrow Tidal Topaz Umber Velvet Willow Zephyr"
)


@dataclass(frozen=True)
class Industry:
    """An industry, with what its companies are made of; the texts are lists separated by commas.

    Args:
        name: as records have it.
        weight: its share of all companies, relative to the others.
        nouns: second words of company names.
        keywords: of its companies.
        technologies: of its companies.
    """

    name: str
    weight: int
    nouns: str
    keywords: str
    technologies: str


INDUSTRIES = (
    Industry(
        "computer software",
        24,
        "Software,Cloud,Labs,Platforms",
        "saas,developer tools,automation,machine learning,api",
        "Kubernetes,PostgreSQL,React,Elasticsearch,Amazon AWS,GitHub,Datadog",
    ),
    Industry(
        "financial services",
        14,
        "Capital,Finance,Payments,Invest",
        "payments,lending,risk,wealth management,fintech",
        "Oracle,Salesforce,Snowflake,Kafka,Tableau",
    ),
    Industry(
        "hospital & health care",
        12,
        "Health,Clinics,Care,Diagnostics",
        "telemedicine,patient care,diagnostics,wellness",
        "Microsoft Azure,Epic,Zendesk,Tableau",
    ),
    Industry(
        "retail",
        11,
        "Market,Goods,Stores,Outfitters",
        "e-commerce,fashion,omnichannel,loyalty",
        "Shopify,Stripe,Google Analytics,Klaviyo,WordPress.org",
    ),
    Industry(
        "marketing & advertising",
        9,
        "Media,Brands,Studio,Creative",
        "branding,seo,content,social media",
        "HubSpot,Google Analytics,Mailchimp,WordPress.org",
    ),
    Industry(
        "logistics & supply chain",
        8,
        "Logistics,Freight,Transport,Supply",
        "freight,warehousing,last mile,fleet",
        "SAP,Microsoft Azure,Tableau",
    ),
    Industry(
        "mechanical or industrial engineering",
        7,
        "Engineering,Machines,Works,Tools",
        "automation,robotics,cnc,maintenance",
        "SAP,Siemens NX,AutoCAD",
    ),
    Industry(
        "renewables & environment",
        5,
        "Energy,Solar,Wind,Power",
        "solar,wind power,storage,grid",
        "Amazon AWS,Python,SAP",
    ),
    Industry(
        "education management",
        5,
        "Academy,Learning,Campus,Schools",
        "e-learning,training,edtech",
        "Moodle,Zoom,WordPress.org",
    ),
    Industry(
        "biotechnology",
        3,
        "Bio,Genomics,Therapeutics",
        "drug discovery,genomics,clinical trials",
        "Python,Benchling,Amazon AWS",
    ),
)

LEVELS = {
    "entry": (30, "{}"), "senior": (26, "Senior {}"), "manager": (18, "{} Manager"), "head": (5, "Head of {}"),
    "director": (11, "Director of {}"), "vp": (6, "VP {}"), "c_suite": (3, "Chief {} Officer"),
    "founder": (1, "Founder"),
}  # fmt: skip
FUNCTIONS = {
    "Engineering": (24, ("Software Engineer", "Data Engineer", "Site Reliability Engineer", "QA Analyst")),
    "Sales": (20, ("Account Executive", "Sales Representative", "Sales Consultant")),
    "Marketing": (14, ("Content Specialist", "Growth Marketer", "Brand Strategist")),
    "Operations": (13, ("Operations Analyst", "Logistics Coordinator", "Buyer")),
    "Finance": (9, ("Accountant", "Financial Analyst", "Controller")),
    "Product": (8, ("Product Designer", "Product Owner", "UX Researcher")),
    "Human Resources": (7, ("Recruiter", "People Partner")),
    "Support": (5, ("Support Engineer", "Customer Success Partner")),
}
LEADERS = ("manager", "head", "director", "vp", "c_suite")
EMAIL_STATUS = {"verified": 66, "unverified": 16, "unavailable": 10, "bounced": 8}
STAGES = {"cold": 64, "contacted": 16, "qualified": 9, "negotiation": 6, "closed won": 5}
ROUNDS = ("Seed", "Series A", "Series B", "Series C")

Row = dict[str, str | int]


def sample(
    rows: Annotated[int, typer.Argument(help="Number of contacts.", min=1, metavar="ROWS")],
    seed: Annotated[int, typer.Option("--seed", help="A different number gives different contacts.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file to write; stdout when absent, or -.", dir_okay=False, metavar="FILE"
        ),
    ] = None,
) -> None:
    """Write a CSV file of fictitious contacts and companies for `connectra import`.

    Examples:
        connectra sample 10000 -o people.csv
        connectra sample 100 | connectra import -
    """
    with out.open("wb") if out and str(out) != "-" else nullcontext(sys.stdout.buffer) as file:
        for piece in sample_csv(rows, seed):
            file.write(piece)


def sample_csv(rows: int, seed: int = 1) -> Iterator[bytes]:
    """The file in pieces: a header line, then `rows` lines, UTF-8."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for number, row in enumerate(sample_rows(rows, seed), 1):
        writer.writerow(row)
        if number % 1000 == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def sample_rows(rows: int, seed: int = 1) -> Iterator[Row]:
    """Contacts with the columns of their companies; no person occurs twice."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    companies = [make_company(rng, number) for number in range(max(1, rows // CONTACTS_PER_COMPANY))]
    companies.sort(key=lambda made: int(made[1]["employees"]), reverse=True)  # companies with many contacts are large
    mailboxes: set[str] = set()
    for number in range(rows):
        # The exponent skews it: with 2.2, a tenth of the companies have a third of the contacts.
        region, company = companies[int(len(companies) * rng.random() ** 2.2)]
        yield company | make_contact(rng, number, region, company, mailboxes)


def make_company(rng: random.Random, number: int) -> tuple[Region, Row]:
    region = rng.choices(REGIONS, [region.weight for region in REGIONS])[0]
    industry = rng.choices(INDUSTRIES, [industry.weight for industry in INDUSTRIES])[0]
    short = f"{rng.choice(names(STEMS))} {rng.choice(industry.nouns.split(','))}"
    if rng.random() < 0.15:
        short = " & ".join(rng.sample(names(region.last), 2))
    handle = f"{slug(short)}-{number:x}"
    city, state = rng.choice(region.cities.split(",")).split("/")
    size = int(10 ** rng.triangular(0.3, 5, 1.5))
    row: Row = {
        "company": short + rng.choice(region.forms),
        "company_name_for_emails": short,
        "employees": size,
        "industry": industry.name,
        "keywords": some(rng, industry.keywords),
        "technologies": some(rng, industry.technologies),
        "annual_revenue": size * rng.randrange(60, 240) * 1000 if rng.random() < 0.8 else "",
        "website": f"https://www.{handle}.example",
        "company_linkedin_url": f"https://www.linkedin.com/company/{handle}",
        "company_address": f"{rng.randrange(1, 400)} {rng.choice(region.streets.split(','))}, {city}",
        "company_city": city,
        "company_state": state,
        "company_country": region.country,
        "company_phone": phone(rng, region),
        "facebook_url": f"https://www.facebook.com/{handle}" if rng.random() < 0.4 else "",
        "twitter_url": f"https://twitter.com/{handle}" if rng.random() < 0.4 else "",
    }
    if rng.random() < 0.25:
        stage = rng.randrange(len(ROUNDS))
        amount = rng.randrange(2, 30) * 250_000 * 4**stage
        row |= {
            "latest_funding": ROUNDS[stage],
            "latest_funding_amount": amount,
            "total_funding": amount + amount * stage // 2,
            "last_raised_at": f"{rng.randrange(2015, 2026)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
        }
    return region, row


def make_contact(rng: random.Random, number: int, region: Region, company: Row, mailboxes: set[str]) -> Row:
    first, last = rng.choice(names(region.first)), rng.choice(names(region.last))
    level = rng.choices(list(LEVELS), [weight for weight, _ in LEVELS.values()])[0]
    function = rng.choices(list(FUNCTIONS), [weight for weight, _ in FUNCTIONS.values()])[0]
    city, state = str(company["company_city"]), str(company["company_state"])
    if rng.random() < 0.2:  # works in another city of the country
        city, state = rng.choice(region.cities.split(",")).split("/")
    mailbox = f"{slug(first)}.{slug(last)}@{str(company['website']).removeprefix('https://www.')}"
    if mailbox in mailboxes:
        mailbox = mailbox.replace("@", f"{number}@")
    mailboxes.add(mailbox)
    return {
        "first_name": first,
        "last_name": last,
        "title": LEVELS[level][1].format(function if level in LEADERS else rng.choice(FUNCTIONS[function][1])),
        "seniority": level,
        "departments": f"{function}, C-Suite" if level == "c_suite" else function,
        "email": mailbox if rng.random() < 0.95 else "",
        "email_status": rng.choices(list(EMAIL_STATUS), list(EMAIL_STATUS.values()))[0],
        "stage": rng.choices(list(STAGES), list(STAGES.values()))[0],
        "person_linkedin_url": f"https://www.linkedin.com/in/{slug(first)}-{slug(last)}-{number:x}",
        "city": city,
        "state": state,
        "country": region.country,
        "mobile_phone": phone(rng, region) if rng.random() < 0.45 else "",
        "work_direct_phone": phone(rng, region) if rng.random() < 0.3 else "",
        "other_phone": phone(rng, region) if rng.random() < 0.05 else "",
    }


def names(text: str) -> list[str]:
    """Names separated by spaces; one of two words ends with a bar: "Pires dos Santos|Barros" has three names."""
    found: list[str] = []
    for block in text.split("|")[:-1]:
        *single, prefix, rest = block.split()
        found += [*single, f"{prefix} {rest}"]
    return found + text.split("|")[-1].split()


def some(rng: random.Random, items: str) -> str:
    """Some of the items, in their order."""
    choice = items.split(",")
    chosen = set(rng.sample(choice, rng.randrange(1, len(choice) + 1)))
    return ", ".join(item for item in choice if item in chosen)


def phone(rng: random.Random, region: Region) -> str:
    return f"{region.dial} {rng.randrange(200, 990)} {rng.randrange(100, 999)} {rng.randrange(1000, 9999)}"


# Letters that Unicode does not decompose into a plain letter and a mark.
LETTERS = str.maketrans({"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "ı": "i"})


def slug(text: str) -> str:
    """Lower-case ASCII letters, digits and single hyphens; other scripts are spelled by code point."""
    plain = unicodedata.normalize("NFKD", text.translate(LETTERS))
    letters = (
        one if one.isascii() else f"{ord(one):x}" if one.isalpha() else ""
        for one in plain
        if not unicodedata.combining(one)
    )
    words = "".join(one.lower() if one.isalnum() else " " for one in "".join(letters)).split()
    return "-".join(words)
