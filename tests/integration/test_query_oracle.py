"""Search against an oracle: VQL evaluated in plain Python over plain records must find the same set, and count the same, as the running
service does through both doors.

Texts are made of few words, so that the analysis of the index (lower case, accents folded, words at blanks and hyphens) is modelled
exactly: no letter that folds to two, no word that a fuzzy search would lose among more than fifty others.
"""

import asyncio
import json
import re
from collections.abc import Iterable
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import httpx
from connectra.query.v1 import query_service_pb2 as query_pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.requests import read
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.postgres import last_token
from tests.support.words import word

T = TypeVar("T")
Record = dict[str, Any]
Json = dict[str, Any]

# ---------------------------------------------------------------- the oracle

TEXTS = ("title", "first_name", "company_name")
KEYWORDS = ("seniority", "departments", "city", "company_city", "company_industries")
ALSO_TEXT = ("city", "company_city")
NUMBERS = ("company_employees_count",)
FOLD = str.maketrans("éèüñøÉÈÜÑØ", "eeunoeeuno")


def fold(text: str) -> str:
    return text.translate(FOLD).lower()


def words(text: str) -> list[str]:
    return [word for word in re.split(r"[ -]+", fold(text)) if word]


def all_of(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def matches(document: Json, record: Record) -> bool:
    where = document.get("where", {})
    texts, keywords, ranges = (where.get(n, {}) for n in ("text_matches", "keyword_match", "range_query"))
    groups: dict[str, list[bool]] = {}
    for clause in texts.get("must", []):
        groups.setdefault(clause["filter_key"], []).append(text_matches(clause, record))
    return (
        all(any(group) for group in groups.values())
        and not any(text_matches(clause, record) for clause in texts.get("must_not", []))
        and all(is_one_of(f, v, record) for f, v in keywords.get("must", {}).items())
        and not any(is_one_of(f, v, record) for f, v in keywords.get("must_not", {}).items())
        and all(is_within(f, r, record) for f, r in ranges.get("must", {}).items())
        and not any(is_within(f, r, record) for f, r in ranges.get("must_not", {}).items())
        and ("filters" not in document or holds(document["filters"], record))
    )


def text_matches(clause: Json, record: Record) -> bool:
    text = record.get(clause["filter_key"])
    if text is None:
        return False
    asked, operator = clause["text_value"], any if clause.get("operator") == "or" else all
    if clause["search_type"] == "exact":
        return has_phrase(words(text), words(asked), clause.get("slop", 0))
    if clause["search_type"] == "shuffle":
        there = words(text)
        return operator(any(is_near(w, t, clause.get("fuzzy", False)) for t in there) for w in words(asked))
    parts = asked.split() if operator is any else [asked.strip()]
    return any(fold(part) in fold(text) for part in parts)


def has_phrase(text: list[str], phrase: list[str], slop: int) -> bool:
    """Whether each word can be assigned a position such that positions minus offsets in the phrase differ by at most `slop`."""
    places = [[i - n for i, word in enumerate(text) if word == wanted] for n, wanted in enumerate(phrase)]
    if slop == 0:
        return bool(set.intersection(*map(set, places)))
    return any(
        all(any(low <= place <= low + slop for place in of_word) for of_word in places)
        for low in {place for of_word in places for place in of_word}
    )


def is_near(wanted: str, word: str, fuzzy: bool) -> bool:
    allowed = 0 if not fuzzy or len(wanted) < 3 else 1 if len(wanted) < 6 else 2
    return wanted == word or (allowed > 0 and edits(wanted, word) <= allowed)


def edits(a: str, b: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours."""
    table = [[max(i, j) if 0 in (i, j) else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            change = a[i - 1] != b[j - 1]
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + change)
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


def is_one_of(field: str, value: Any, record: Record) -> bool:
    # Whole texts are compared with case and accents folded, keywords with case folded only.
    same = fold if field in TEXTS else lambda one: one.lower() if isinstance(one, str) else one
    return bool({same(v) for v in all_of(value)} & {same(v) for v in all_of(record.get(field))})


def is_within(field: str, bounds: Json, record: Record) -> bool:
    value = record.get(field)
    if value is None:
        return False
    if field == "created_at":
        # A day without a time begins at midnight, and as an upper bound ends with it.
        value = value.isoformat()
        bounds = {name: day + ("T00:00:00" if name in ("gte", "lt") else "T24") for name, day in bounds.items()}
    return (
        ("gte" not in bounds or value >= bounds["gte"])
        and ("gt" not in bounds or value > bounds["gt"])
        and ("lte" not in bounds or value <= bounds["lte"])
        and ("lt" not in bounds or value < bounds["lt"])
    )


def holds(node: Json, record: Record) -> bool:
    if "and" in node:
        return all(holds(child, record) for child in node["and"])
    if "or" in node:
        return any(holds(child, record) for child in node["or"])
    if "not" in node:
        return not holds(node["not"], record)
    field, operator, value = node["field"], node["operator"], node.get("value")
    match operator:
        case "eq" | "in":
            return is_one_of(field, value, record)
        case "contains":
            if field in TEXTS:
                return fold(str(value).strip()) in fold(record.get(field) or "")
            return is_one_of(field, value, record)
        case "exists":
            return bool(all_of(record.get(field)))
        case "ne" | "nin" | "ncontains" | "nexists":
            positive = {"ne": "eq", "nin": "in", "ncontains": "contains", "nexists": "exists"}[operator]
            return not holds({**node, "operator": positive}, record)
    return is_within(field, {operator: value}, record)


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
SIZES = st.integers(0, 6)

phrases = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=4).map(" ".join) | st.lists(
    st.sampled_from(VOCABULARY), min_size=2, max_size=3
).map("-".join)


def maybe(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.none() | strategy


companies = st.fixed_dictionaries(
    {
        "name": maybe(phrases),
        "city": maybe(st.sampled_from(PLACES)),
        "industries": st.lists(st.sampled_from(GROUPS), max_size=2),
        "employees_count": maybe(SIZES),
    }
)
contacts = st.fixed_dictionaries(
    {
        "title": maybe(phrases),
        "first_name": maybe(phrases),
        "seniority": maybe(st.sampled_from(LEVELS)),
        "departments": st.lists(st.sampled_from(GROUPS), max_size=2),
        "city": maybe(st.sampled_from(PLACES)),
        "day": st.sampled_from(DAYS),
        "hour": st.sampled_from((0, 12)),
        "company": maybe(st.integers(0, 3)),
    }
)
corpora = st.tuples(st.lists(companies, min_size=4, max_size=4), st.lists(contacts, min_size=8, max_size=14))


@st.composite
def text_clauses(draw: st.DrawFn) -> Json:
    kind = draw(st.sampled_from(("exact", "shuffle", "substring")))
    field = draw(st.sampled_from(TEXTS if kind == "substring" else (*TEXTS, *ALSO_TEXT)))
    clause: Json = {"filter_key": field, "search_type": kind}
    text = draw(phrases | st.sampled_from(PLACES))
    if kind == "exact":
        slop = draw(st.integers(0, 3))
        found = words(text)
        # How far a word that occurs twice in the phrase may move is up to the engine.
        clause |= {"slop": slop if len(set(found)) == len(found) else 0}
    elif kind == "shuffle":
        clause |= {"operator": draw(st.sampled_from(("and", "or"))), "fuzzy": draw(st.booleans())}
    else:
        clause["operator"] = draw(st.sampled_from(("and", "or")))
        if clause["operator"] == "or":
            text = " ".join(word for word in text.split() if len(word) >= 3) or "zab"
        else:
            begin = draw(st.integers(0, max(0, len(text) - 3)))
            text = text[begin : begin + draw(st.integers(3, 12))]
            if len(text.strip()) < 3:
                text = "zab"
    return clause | {"text_value": text}


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "seniority": st.sampled_from(LEVELS),
    "departments": st.sampled_from(GROUPS),
    "company_industries": st.sampled_from(GROUPS),
    "city": st.sampled_from(PLACES),
    "company_city": st.sampled_from(PLACES),
    "title": phrases,
    "company_name": phrases,
    "company_employees_count": SIZES,
}
keyword_values = st.sampled_from(sorted(VALUES)).flatmap(
    lambda field: st.tuples(st.just(field), VALUES[field] | st.lists(VALUES[field], min_size=1, max_size=3))
)
number_bounds = st.dictionaries(st.sampled_from(("gte", "gt", "lte", "lt")), SIZES, min_size=1, max_size=2)
day_bounds = st.dictionaries(st.sampled_from(("gte", "gt", "lte", "lt")), st.sampled_from(DAYS), min_size=1, max_size=2)
ranges = st.tuples(st.just("company_employees_count"), number_bounds) | st.tuples(st.just("created_at"), day_bounds)


def sides(pairs: st.SearchStrategy[tuple[str, Any]]) -> st.SearchStrategy[Json]:
    few = st.lists(pairs, max_size=2).map(dict)
    return st.fixed_dictionaries({}, optional={"must": few, "must_not": few})


@st.composite
def filter_leaves(draw: st.DrawFn) -> Json:
    operator = draw(
        st.sampled_from(
            ["eq", "ne", "in", "nin", "gt", "gte", "lt", "lte", "contains", "ncontains", "exists", "nexists"]
        )
    )
    if operator in ("gt", "gte", "lt", "lte"):
        field = draw(st.sampled_from(("company_employees_count", "created_at")))
        bound = draw(SIZES if field == "company_employees_count" else st.sampled_from(DAYS))
        return {"field": field, "operator": operator, "value": bound}
    field = draw(st.sampled_from(sorted(VALUES)))
    if operator in ("exists", "nexists"):
        return {"field": field, "operator": operator}
    value = draw(VALUES[field])
    if operator in ("in", "nin"):
        value = draw(st.lists(VALUES[field], min_size=1, max_size=3))
    if operator in ("contains", "ncontains") and field in TEXTS:
        value = draw(st.sampled_from(("zab", "aqz", "bé-", "b z", "zubazubé", "qozaqbaa")))
    return {"field": field, "operator": operator, "value": value}


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
# A single text condition, whose effect other conditions would hide most of the time.
lone_texts = text_clauses().map(lambda clause: {"where": {"text_matches": {"must": [clause]}}})

# ---------------------------------------------------------------- the running service


async def stored(postgres: asyncpg.Connection, mark: str, corpus: Any) -> tuple[list[Record], str]:
    """The corpus in the database; its records as the index has them, and the token with which a search sees them all."""
    firms, people = corpus
    ids = [str(uuid4()) for _ in firms]
    records: list[Record] = []
    async with postgres.transaction():
        await postgres.executemany(
            "INSERT INTO companies (uuid, name, city, industries, employees_count) VALUES ($1, $2, $3, $4, $5)",
            [(i, f["name"], f["city"], f["industries"], f["employees_count"]) for i, f in zip(ids, firms, strict=True)],
        )
        for person in people:
            firm = None if person["company"] is None else firms[person["company"]]
            record = {name: person[name] for name in ("title", "first_name", "seniority", "departments", "city")}
            row = await postgres.fetchrow(
                """INSERT INTO contacts (uuid, title, first_name, seniority, departments, city, company_id, stage, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, ($9 || ' UTC')::timestamptz) RETURNING uuid, created_at""",
                *(str(uuid4()), *record.values(), None if firm is None else ids[person["company"]], mark),
                f"{person['day']} {person['hour']:02}:00",
            )
            assert row is not None
            copied = {f"company_{name}": firm[name] for name in firm} if firm else {}
            records.append(
                record | copied | {"uuid": row["uuid"], "created_at": row["created_at"].replace(tzinfo=None)}
            )
    return records, await last_token(postgres)


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
    texts=st.lists(lone_texts, min_size=30, max_size=40),
)
async def test_search_finds_and_counts_what_the_oracle_does(
    postgres: asyncpg.Connection,
    api: httpx.AsyncClient,
    query: QueryServiceStub,
    corpus: Any,
    asked: list[Json],
    texts: list[Json],
) -> None:
    mark = word()
    records, token = await stored(postgres, mark, corpus)
    first = await api.post("/contacts/count", json=only(mark, {}), headers={"x-consistency-token": token})
    assert first.json() == {"count": len(records), "success": True}

    async def check(document: Json) -> None:
        expected = uuids(record for record in records if matches(document, record))
        body = only(mark, document)
        page = await api.post("/contacts", json={**body, "limit": 100, "select_columns": ["uuid"]})
        assert page.status_code == 200, (page.text, body)
        assert uuids(page.json()["data"]) == expected, json.dumps(document, ensure_ascii=False)
        assert (await api.post("/contacts/count", json=body)).json()["count"] == len(expected)
        typed = await query.ListContacts(
            query_pb.ListContactsRequest(query=to_proto(read(Vql, {**body, "limit": 100}).model))
        )
        assert sorted(row.contact.uuid for row in typed.rows) == expected

    await asyncio.gather(*map(check, asked + texts))


def uuids(rows: Iterable[Record]) -> list[str]:
    return sorted(row["uuid"] for row in rows)
