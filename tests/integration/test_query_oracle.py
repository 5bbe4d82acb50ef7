"""Search against an oracle (`tests/support/oracle.py`): the running service must find the same set, and count the same, through both doors,
and judge each record the same that it is asked about (`vql/evaluate.py`).

Texts are made of few words, so that the analysis of the index (lower case, accents folded, words at blanks and hyphens) is modelled
exactly: no letter that folds to two, no word that a fuzzy search would lose among more than fifty others. Names are of many scripts.
"""

import asyncio
import unicodedata
from collections.abc import Iterable
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import httpx
from connectra.query.v1 import query_service_pb2 as query_pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.records.fields import CONTACT
from connectra_common.requests import read
from connectra_common.vql.evaluate import meets
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto
from connectra_common.vql.validate import checked
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.oracle import Json, Record, matches, words
from tests.support.postgres import last_token
from tests.support.words import word

T = TypeVar("T")
SEARCHED_TEXTS = ("title", "first_name", "last_name", "company_name")
ALSO_TEXT = ("city", "company_city")

# ---------------------------------------------------------------- what is generated

VOCABULARY = [
    "zab",
    "zabé",
    "ZABÜ",
    "zaqb",
    "Zabqu",
    "ñaqzob",
    "naqzob",
    "zøzaqba",
    "qozaqba",
    "ba",
    "QÜ",
    "zubazubé",
    "zubazub",
]
PLACES = ("zürqa", "Zurqa", "zab stadt", "Zabé-Stadt")
LEVELS = ("zvp", "ZVP", "zhead")
GROUPS = ("zsales", "ZSales", "zü team", "zops")
DAYS = ("2024-01-15", "2024-01-16", "2024-02-01")
CLOCKS = ("00:00:00", "12:00:00.213798", "23:59:59.999")
MOMENTS = (*DAYS, *(f"{day}T{clock}Z" for day in DAYS[:2] for clock in (*CLOCKS, "12:00:00", "12:00:00.214")))
SIZES = st.integers(0, 6)
PEOPLE = ("Bob", "Robert", "rob", "Kate", "Katherine", "William", "will", "Bob-Will Meier")
FAMILIES = ("Meyer", "MAYR", "Meier", "maier", "Moore", "Schmidt", "Schmitt", "Smith", "Mayr Schmidt")
NAMES = (
    *FAMILIES,
    "Łukasz Wójcik",
    "Søren Ñandú",
    "Дмитрий Йовков",
    "Γιώργος Παπάς",
    "محمد علي",
    "דוד לוי",
    "प्रिया शर्मा",
    "東京 太郎",
    "田中タロウ",
    "ひらがな",
    "김 민수",
    "สมชาย ใจดี",
    "გიორგი",
    "Արամ Li",
    "Li Wei",
    "Lisa O-Lin",
)
DOMAINS = ("acme.example", "notacme.example", "mail.acme.example", "acme.example.org", "münchen.example")
EMAILS = tuple(f"{local}@{domain}" for local in ("ann", "o'neil", "acme.example") for domain in DOMAINS)
PHONES = ("+49301234567", "+14155550100", "0301234567", "7700900")

phrases = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=4).map(" ".join) | st.lists(
    st.sampled_from(VOCABULARY), min_size=2, max_size=3
).map("-".join)


def maybe(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.none() | strategy


companies = st.fixed_dictionaries(
    {
        "name": maybe(phrases),
        "normalized_domain": maybe(st.sampled_from(DOMAINS)),
        "city": maybe(st.sampled_from(PLACES)),
        "industries": st.lists(st.sampled_from(GROUPS), max_size=2),
        "employees_count": maybe(SIZES),
    }
)
contacts = st.fixed_dictionaries(
    {
        "title": maybe(phrases),
        "first_name": maybe(phrases | st.sampled_from(PEOPLE)),
        "last_name": maybe(st.sampled_from(NAMES)),
        "email": maybe(st.sampled_from(EMAILS)),
        "mobile_phone": maybe(st.sampled_from(PHONES)),
        "seniority": maybe(st.sampled_from(LEVELS)),
        "departments": st.lists(st.sampled_from(GROUPS), max_size=2),
        "city": maybe(st.sampled_from(PLACES)),
        "day": st.sampled_from(DAYS),
        "clock": st.sampled_from(CLOCKS),
        "company": maybe(st.integers(0, 3)),
    }
)
corpora = st.tuples(st.lists(companies, min_size=4, max_size=4), st.lists(contacts, min_size=8, max_size=14))


@st.composite
def parts(draw: st.DrawFn, whole: str, least: int) -> str:
    """A part of a text in any case, at least so many characters, that begins with a letter of its own."""
    begin = draw(st.integers(0, max(0, len(whole) - least)))
    part = whole[begin : begin + draw(st.integers(least, 8))].strip()
    capital = part.upper()
    # A capital sigma has two small ones, which the index tells apart.
    if draw(st.booleans()) and capital.lower() == part.lower() and "Σ" not in capital:
        part = capital
    return part if len(part) >= least and unicodedata.category(part[0])[0] in "LN" else "zab"


@st.composite
def text_clauses(draw: st.DrawFn) -> Json:
    kind = draw(st.sampled_from(("exact", "shuffle", "substring")))
    field = draw(st.sampled_from((*SEARCHED_TEXTS, *ALSO_TEXT)))
    clause: Json = {"filter_key": field, "search_type": kind}
    text = draw(VALUES[field] | phrases)
    if kind == "exact":
        slop = draw(st.integers(0, 3))
        found = words(text)
        # How far a word that occurs twice in the phrase may move is up to the engine.
        clause |= {"slop": slop if len(set(found)) == len(found) else 0}
    elif kind == "shuffle":
        fuzzy = draw(st.booleans()) and text.isascii()
        clause |= {"operator": draw(st.sampled_from(("and", "or"))), "fuzzy": fuzzy}
        if field in ("first_name", "last_name"):
            text = draw(st.just(text) | st.sampled_from((*PEOPLE, *FAMILIES)))
            clause["alike"] = draw(st.lists(st.sampled_from(("nickname", "sound")), max_size=2))
            clause["fuzzy"] = fuzzy and text.isascii()
    else:
        clause["operator"] = draw(st.sampled_from(("and", "or")))
        text = " ".join(draw(parts(word, 3)) for word in text.split() if len(word) >= 3) or "zab"
        text = " ".join(word for word in text.split() if len(word) >= 3)
    return clause | {"text_value": text}


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "seniority": st.sampled_from(LEVELS),
    "departments": st.sampled_from(GROUPS),
    "company_industries": st.sampled_from(GROUPS),
    "city": st.sampled_from(PLACES),
    "company_city": st.sampled_from(PLACES),
    "title": phrases,
    "first_name": phrases | st.sampled_from(PEOPLE),
    "last_name": st.sampled_from(NAMES),
    "company_name": phrases,
    "company.name": phrases,
    "company.city": st.sampled_from(PLACES),
    "company_employees_count": SIZES,
    "email": st.sampled_from(EMAILS),
    "company_normalized_domain": st.sampled_from(DOMAINS),
    "created_at": st.sampled_from(MOMENTS),
}
keyword_values = st.sampled_from(sorted(VALUES)).flatmap(
    lambda field: st.tuples(st.just(field), VALUES[field] | st.lists(VALUES[field], min_size=1, max_size=3))
)
number_bounds = st.dictionaries(st.sampled_from(("gte", "gt", "lte", "lt")), SIZES, min_size=1, max_size=4)
day_bounds = st.dictionaries(
    st.sampled_from(("gte", "gt", "lte", "lt")), st.sampled_from(MOMENTS), min_size=1, max_size=3
)
ranges = st.tuples(st.just("company_employees_count"), number_bounds) | st.tuples(st.just("created_at"), day_bounds)


def sides(pairs: st.SearchStrategy[tuple[str, Any]]) -> st.SearchStrategy[Json]:
    few = st.lists(pairs, max_size=2).map(dict)
    return st.fixed_dictionaries({}, optional={"must": few, "must_not": few})


OPERATORS = (
    *("eq", "ne", "in", "nin", "gt", "gte", "lt", "lte", "exists", "nexists"),
    *("contains", "ncontains", "prefix", "domain") * 2,
)
# What has parts: all but numbers and times.
PARTED = tuple(field for field in VALUES if field not in ("company_employees_count", "created_at"))


@st.composite
def filter_leaves(draw: st.DrawFn) -> Json:
    operator = draw(st.sampled_from(OPERATORS))
    if operator in ("gt", "gte", "lt", "lte"):
        field = draw(st.sampled_from(("company_employees_count", "created_at")))
        bound = draw(SIZES if field == "company_employees_count" else st.sampled_from(MOMENTS))
        return {"field": field, "operator": operator, "value": bound}
    if operator == "domain":
        field = draw(st.sampled_from(("email", "company_normalized_domain", "company.normalized_domain")))
        return {
            "field": field,
            "operator": operator,
            "value": draw(st.sampled_from((*DOMAINS, "Acme.Example"))),
        }
    if operator in ("contains", "ncontains", "prefix"):
        return {"operator": operator, **draw(parted(operator))}
    field = draw(st.sampled_from(sorted(VALUES)))
    if operator in ("exists", "nexists"):
        return {"field": field, "operator": operator}
    value = draw(VALUES[field])
    if operator in ("in", "nin"):
        value = draw(st.lists(VALUES[field], min_size=1, max_size=3))
    return {"field": field, "operator": operator, "value": value}


@st.composite
def parted(draw: st.DrawFn, operator: str) -> Json:
    field = draw(st.sampled_from((*PARTED, *SEARCHED_TEXTS, "mobile_phone")))
    whole: str = draw(st.sampled_from(PHONES) if field == "mobile_phone" else VALUES[field])
    if operator == "prefix":
        beginning = whole[: draw(st.integers(2 if field == "mobile_phone" else 1, 6))].strip()
        return {"field": field, "value": beginning if any(c.isalnum() for c in beginning) else "zab"}
    if field == "mobile_phone":
        return {"field": field, "value": whole[draw(st.integers(0, 3)) :][: draw(st.integers(2, 5))]}
    in_list = field in ("departments", "company_industries")
    return {"field": field, "value": whole if in_list else draw(parts(whole, draw(st.sampled_from((1, 2, 3)))))}


trees = st.recursive(
    filter_leaves(),
    lambda children: (
        st.lists(children, max_size=3).map(lambda c: {"and": c})
        | st.lists(children, max_size=3).map(lambda c: {"or": c})
        | children.map(lambda c: {"not": c})
    ),
    max_leaves=5,
)
queries = st.fixed_dictionaries(
    {},
    optional={
        "where": st.fixed_dictionaries(
            {},
            optional={
                "text_matches": st.fixed_dictionaries(
                    {},
                    optional={
                        "must": st.lists(text_clauses(), max_size=3),
                        "must_not": st.lists(text_clauses(), max_size=2),
                    },
                ),
                "keyword_match": sides(keyword_values),
                "range_query": sides(ranges),
            },
        ),
        "filters": trees,
    },
)
# A single condition, whose effect other conditions would hide most of the time.
lone_conditions = text_clauses().map(
    lambda clause: {"where": {"text_matches": {"must": [clause]}}}
) | filter_leaves().map(lambda leaf: {"filters": leaf})

# ---------------------------------------------------------------- the running service


FIRM = ("name", "normalized_domain", "city", "industries", "employees_count")


async def stored(postgres: asyncpg.Connection, mark: str, corpus: Any) -> tuple[list[Record], str]:
    """The corpus in the database; its records as the index has them, and the token with which a search sees them all."""
    firms, people = corpus
    ids = [str(uuid4()) for _ in firms]
    records: list[Record] = []
    async with postgres.transaction():
        await postgres.executemany(
            f"INSERT INTO companies (uuid, {', '.join(FIRM)}) VALUES ($1, $2, $3, $4, $5, $6)",
            [(i, *(firm[name] for name in FIRM)) for i, firm in zip(ids, firms, strict=True)],
        )
        for person in people:
            firm = None if person["company"] is None else firms[person["company"]]
            record = {name: value for name, value in person.items() if name not in ("day", "clock", "company")}
            row = await postgres.fetchrow(
                f"""INSERT INTO contacts (uuid, company_id, stage, created_at, {", ".join(record)})
                VALUES ($1, $2, $3, ($4 || ' UTC')::timestamptz, {", ".join(f"${n + 5}" for n in range(len(record)))})
                RETURNING uuid, created_at""",
                *(str(uuid4()), None if firm is None else ids[person["company"]], mark),
                *(f"{person['day']} {person['clock']}", *record.values()),
            )
            assert row is not None
            copied = {f"company_{name}": firm[name] for name in firm} if firm else {}
            records.append(
                record | copied | {"uuid": row["uuid"], "created_at": row["created_at"].replace(tzinfo=None)}
            )
    return records, await last_token(postgres)


def as_json(record: Record) -> Json:
    """The record as the service has it."""
    return {**record, "created_at": f"{record['created_at'].isoformat()}Z"}


def only(mark: str, document: Json) -> Json:
    """The query, over the corpus alone."""
    mine = {"field": "stage", "operator": "eq", "value": mark}
    return {**document, "filters": {"and": [mine, *([document["filters"]] if "filters" in document else [])]}}


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # every shrinking attempt would wait for the index
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    corpus=corpora,
    asked=st.lists(queries, min_size=20, max_size=30),
    lone=st.lists(lone_conditions, min_size=50, max_size=60),
)
async def test_search_finds_and_counts_what_the_oracle_does(
    postgres: asyncpg.Connection,
    api: httpx.AsyncClient,
    query: QueryServiceStub,
    corpus: Any,
    asked: list[Json],
    lone: list[Json],
) -> None:
    mark = word()
    records, token = await stored(postgres, mark, corpus)
    first = await api.post("/contacts/count", json=only(mark, {}), headers={"x-consistency-token": token})
    assert first.json() == {"count": len(records), "success": True}

    async def wrong(document: Json) -> str | None:
        expected = uuids(record for record in records if matches(document, record))
        root = checked(CONTACT, read(Vql, document).model).root
        if (judged := uuids(record for record in records if meets(root, CONTACT, as_json(record)))) != expected:
            return f"evaluated to {judged} instead of {expected}: {document}"
        body = only(mark, document)
        page = await api.post("/contacts", json={**body, "limit": 100, "select_columns": ["uuid"]})
        if page.status_code != 200:
            return f"{page.json()['message']}: {document}"
        found = uuids(page.json()["data"])
        counted = (await api.post("/contacts/count", json=body)).json()["count"]
        typed = await query.ListContacts(
            query_pb.ListContactsRequest(query=to_proto(read(Vql, {**body, "limit": 100}).model))
        )
        if found == expected == sorted(row.contact.uuid for row in typed.rows) and counted == len(expected):
            return None
        differ = [record for record in records if record["uuid"] in {*found} ^ {*expected}]
        return f"found {len(found)}, counted {counted}, expected {len(expected)}: {document}; differ: {differ}"

    mistakes = await asyncio.gather(*map(wrong, asked + lone))
    assert [mistake for mistake in mistakes if mistake] == []


def uuids(rows: Iterable[Record]) -> list[str]:
    return sorted(row["uuid"] for row in rows)
