"""What passes the checks is never refused by an engine, at either door: any query is answered, or it is a 400 that says why."""

import asyncio
from typing import Any

import grpc
import httpx
import pytest
from connectra.common.v1 import vql_pb2
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra_common.errors import ValidationFailed
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_common.requests import read
from connectra_common.search.mappings import indexed_fields
from connectra_common.vql.limits import LIMITS
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto, to_value
from google.protobuf import struct_pb2
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.queries import text_clause, text_query

Json = dict[str, Any]

FIELDS = [*indexed_fields(CONTACT)]
NAMES = (*FIELDS, *FIELDS, *(f"company.{name}" for name in COMPANY.columns), "facebook_url", "nope", "")
names = st.sampled_from(NAMES)

# Letters of all planes, marks on their own, what is invisible, and what is syntax somewhere.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    (
        *("*", "?", "\\", "\\*", "a*b?c\\", "[a-z]*", "(", "{{x}}", "AND", "~2", "@", "-", "C++", "AT&T", "o'neil"),
        *(
            "東京",
            "京",
            "タ",
            "สม",
            "ß",
            "ΝΊΚΟΣ",
            "İ",
            "Jose\u0301",
            "\u0301",
            "\u200b",
            "👩‍💻",
            "ﬀ",
            "\U0010ffff",
            "Li",
            "VP",
        ),
        *(
            "acme.com",
            "https://www.acme.com/x?y#z",
            "a@acme.com",
            "münchen.example",
            "xn--mnchen-3ya.example",
            "1.2.3.4",
        ),
        *(
            "+49 (30) 123",
            "0049301",
            "x11",
            "4.91E+11",
            "n/a",
            "none",
            "00000000-0000-0000-0000-000000000000",
            "F" * 32,
        ),
    )
)
moments = st.sampled_from(
    (
        *("2024-01-15", "2024/01/15", "20240115", "15.01.2024", "2024-02-30", "0001-01-01", "9999-12-31", "0000-01-01"),
        *("2024-01-15 08:00:00", "2024-01-15T08:00", "2024-01-15t08:00:00z", "2024-01-15T08:00:00.213798123Z"),
        *("2024-01-15T08:00:00+05:30:15", "2024-01-15T08:00:00 -0800", "0001-01-01T00:00:00+23:59", "2024-W03-1"),
        *("9999-12-31T23:59:59.999-23:59", "2024-01-15T24:00:00Z", "2024-01-15T08:00:60Z", "now", "now-1d", "||/d"),
    )
)
numbers = (
    st.integers(-(2**63) - 2, 2**63 + 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from((*(2**n + d for n in (53, 63) for d in (-1, 0, 1)), -(2**63), -0.0, 5.5, 1e300, 9.3e18))
)
spelled = numbers.map(str) | st.sampled_from(
    ("--5", "+-5", " 12 ", "1e5", "nan", "inf", "1e400", "1_0", "٥", "5.", ".5", "9" * 400)
)
scalars = st.booleans() | numbers | spelled | moments | texts
anything = st.none() | scalars | st.lists(scalars, max_size=3)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, max_size=2)


text_clauses = st.fixed_dictionaries(
    {
        "filter_key": names,
        "text_value": texts | st.lists(texts, max_size=4).map(" ".join),
        "search_type": st.sampled_from(("exact", "shuffle", "substring")),
    },
    optional={
        "slop": st.integers(0, 100),
        "operator": st.sampled_from(("and", "or")),
        "fuzzy": st.booleans(),
        "alike": some(st.sampled_from(("nickname", "sound"))),
    },
)
bounds = st.fixed_dictionaries({}, optional=dict.fromkeys(("gte", "gt", "lte", "lt"), numbers | spelled | moments))
operators = {
    st.sampled_from(("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "exists", "nexists")): anything,
    # Larger numbers are texts in messages, which these operators take.
    st.sampled_from(("contains", "ncontains", "prefix", "domain")): texts
    | st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | some(texts),
}
leaves: st.SearchStrategy[Json] = st.one_of(
    [
        st.fixed_dictionaries({"field": names, "operator": operator, "value": value})
        for operator, value in operators.items()
    ]
)
trees = st.recursive(
    leaves,
    lambda children: (
        some(children).map(lambda c: {"and": c})
        | some(children).map(lambda c: {"or": c})
        | children.map(lambda c: {"not": c})
    ),
    max_leaves=3,
)
sides = {
    "text_matches": some(text_clauses),
    "keyword_match": st.dictionaries(names, scalars | st.lists(scalars, max_size=3), max_size=2),
    "range_query": st.dictionaries(names, bounds, max_size=2),
}
wheres = st.fixed_dictionaries(
    {},
    optional={
        name: st.fixed_dictionaries({}, optional=dict.fromkeys(("must", "must_not"), side))
        for name, side in sides.items()
    },
)
# Each part alone most of the time: two wrong ones would hide each other.
documents = st.one_of(
    leaves.map(lambda leaf: {"filters": leaf}),
    text_clauses.map(lambda clause: text_query(clause)),
    st.fixed_dictionaries(
        {"where": wheres}, optional={"filters": trees, "highlight": st.just(True), "explain": st.just(True)}
    ),
    st.fixed_dictionaries(
        {
            "order_by": st.lists(st.fixed_dictionaries({"order_by": st.sampled_from(FIELDS)}), max_size=2),
            "cursor": st.lists(st.none() | scalars, min_size=1, max_size=3),
        }
    ),
    st.fixed_dictionaries(
        {"select_columns": st.lists(names | st.sampled_from(CONTACT.columns), max_size=60)},
        optional={"company_config": st.just({"populate": True})},
    ),
    st.fixed_dictionaries(
        {
            "facets": some(
                st.fixed_dictionaries(
                    {"field": names},
                    optional={
                        "size": st.integers(-1, 101),
                        "ranges": some(
                            st.fixed_dictionaries({}, optional=dict.fromkeys(("gte", "lt"), numbers | moments))
                        ),
                    },
                )
            )
        }
    ),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("limit", "page", "offset"), st.integers(-3, 2_000))
        | {"sort_by": names, "sort_direction": texts},
    ),
)


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(asked=st.lists(documents, min_size=50, max_size=60))
async def test_any_query_is_answered_or_refused_with_a_reason_by_both_doors(
    api: httpx.AsyncClient, query: QueryServiceStub, asked: list[Json]
) -> None:
    async def wrong(document: Json) -> str | None:
        answer = await api.post("/contacts", json=document)
        code = answer.json().get("error_code")
        if (answer.status_code, code) not in ((200, None), (400, "VALIDATION_ERROR")):
            return f"{answer.status_code} {answer.text[:300]}: {document}"
        typed = await typed_code(query, document)
        if (typed is grpc.StatusCode.OK) != (answer.status_code == 200):
            return f"{answer.status_code}, but {typed}: {document}: {answer.text[:300]}"
        return None

    mistakes = await asyncio.gather(*map(wrong, asked))
    assert [mistake for mistake in mistakes if mistake] == []


async def typed_code(query: QueryServiceStub, document: Json) -> grpc.StatusCode:
    try:
        request = pb.ListContactsRequest(query=to_proto(read(Vql, document).model))
    except ValidationFailed:
        return grpc.StatusCode.INVALID_ARGUMENT  # no message says it
    return await code_of(query, request.query)


async def code_of(query: QueryServiceStub, message: vql_pb2.Vql) -> grpc.StatusCode:
    try:
        await query.ListContacts(pb.ListContactsRequest(query=message))
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), 2.0**63, -(2.0**63), 2.0**53 + 2])
async def test_numbers_that_only_messages_have_are_answered_or_refused(query: QueryServiceStub, number: float) -> None:
    value = struct_pb2.Value(number_value=number)
    messages = [vql_pb2.Vql() for _ in range(5)]
    messages[0].where.range_query.must["id"].gte.CopyFrom(value)
    messages[1].where.keyword_match.must["id"].values.append(value)
    messages[2].where.keyword_match.must["email"].values.append(value)
    messages[3].order_by.add(order_by="id")
    messages[3].cursor.append(value)
    messages[4].facets.add(field="id").ranges.add(gte=value)
    allowed = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}
    assert {await code_of(query, message) for message in messages} <= allowed


LARGEST = {
    "values": {"where": {"keyword_match": {"must": {"email": [f"n{n}@x.example" for n in range(LIMITS.terms)]}}}},
    "words": text_query(*[text_clause("ab " * 250, "title", "shuffle") for _ in range(4)]),
    "ideographs": text_query(*[text_clause("東" * 250, "title", "shuffle") for _ in range(4)]),
    "signs": text_query(*[text_clause("a-" * 250, "title", "shuffle") for _ in range(2)]),
    "fuzzy": text_query(
        *[text_clause(" ".join(f"manag{a}{b}" for a in "abcde" for b in "abcde"), "title", "shuffle", fuzzy=True)] * 2
    ),
    "alike": text_query(
        *[text_clause("robert katherine " * 25, "first_name", "shuffle", alike=["nickname", "sound"], operator="or")]
        * 2
    ),
    "alike names": {
        "q": " ".join(f"robert katherin{a}" for a in "abcdefghij"),
        "alike": ["nickname", "sound"],
        **text_query(text_clause("meyer " * 100, "last_name", "shuffle", alike=["nickname", "sound"], fuzzy=True)),
    },
    "substrings": text_query(*[text_clause("abc " * 250, "title", "substring", operator="or") for _ in range(4)]),
    "phrase": text_query(text_clause("a " * 500, "title", "exact", slop=100)),
    "part": {"filters": {"or": [{"field": "title", "operator": "contains", "value": "x" * 1_000}] * 200}},
    **{
        f"scans for {part}": {
            "filters": {"or": [{"field": "email", "operator": "contains", "value": part * times}] * LIMITS.scans}
        }
        for part, times in (("x", 300), ("ab", 150), ("東", 100), ("\U0001f600", 75))
    },
    "long domains": {
        "filters": {"field": "email", "operator": "domain", "value": ".".join(["東" * 24] * 4 + ["com"])},
    },
    "long prefix": {"filters": {"field": "email", "operator": "prefix", "value": "東" * 100}},
    "long word": {"filters": {"field": "title", "operator": "prefix", "value": "ส" * 1_000}},
    "domains": {"filters": {"or": [{"field": "email", "operator": "domain", "value": "a.example"}] * LIMITS.scans}},
    "prefixes": {"filters": {"or": [{"field": "title", "operator": "prefix", "value": "a"}] * 200}},
    "days": {"where": {"keyword_match": {"must": {"created_at": [f"{y:04}-01-01" for y in range(1, LIMITS.terms)]}}}},
    "columns": {"select_columns": [*CONTACT.columns, *(f"company.{name}" for name in COMPANY.columns)]},
}


@pytest.mark.parametrize("name", LARGEST)
async def test_the_largest_that_is_allowed_is_answered(
    api: httpx.AsyncClient, query: QueryServiceStub, name: str
) -> None:
    document = LARGEST[name]
    answer = await api.post("/contacts", json=document)
    assert answer.status_code == 200, answer.text
    assert await typed_code(query, document) is grpc.StatusCode.OK


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, -(2**53) - 1])
def test_whole_numbers_are_exact_in_messages(number: int) -> None:
    assert to_value(number).string_value == str(number)
    assert to_value(2**53).number_value == 2**53
