"""The VQL pipeline: request → tree → checks → Elasticsearch request, without any server."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from connectra.common.v1 import vql_pb2
from connectra_common.errors import ValidationFailed
from connectra_common.records.fields import COMPANY, CONTACT, Entity
from connectra_common.requests import read
from connectra_common.vql.ast import And, Equals, Query, Range
from connectra_common.vql.evaluate import meets
from connectra_common.vql.limits import Limits
from connectra_common.vql.model import Vql
from connectra_common.vql.order import cursor_values, ordered
from connectra_common.vql.proto import to_json, to_proto
from connectra_common.vql.render import texts
from connectra_common.vql.validate import checked
from connectra_query.search.compile import compile_query, search_body
from google.protobuf import struct_pb2

from tests.support.queries import text_clause, text_query

NO_VALUES: list[Any] = [None, {}, [None], [["x"]], [{}] * 9]


def compiled(document: dict[str, Any], entity: Entity = CONTACT) -> Query:
    return checked(entity, read(Vql, document).model)


def conditions(document: dict[str, Any], entity: Entity = CONTACT) -> dict[str, Any]:
    return compile_query(compiled(document, entity))


def sort_of(query: Query) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = search_body(query)["sort"]
    return found


def refusals(document: dict[str, Any], entity: Entity = CONTACT) -> list[str]:
    with pytest.raises(ValidationFailed) as caught:
        compiled(document, entity)
    return [caught.value.message, *(f.message for f in caught.value.fields)]


def text(value: str, field: str = "title", kind: str = "exact", **more: object) -> dict[str, Any]:
    return text_query(text_clause(value, field, kind, **more))


def test_no_condition_is_everything() -> None:
    assert conditions({}) == conditions({"where": {}}) == conditions({"where": {"keyword_match": {"must": {}}}})
    assert conditions({}) == {"match_all": {}}


def leaf(field: str, operator: str, value: object) -> dict[str, Any]:
    return {"filters": {"field": field, "operator": operator, "value": value}}


def within(field: str, **bounds: object) -> dict[str, Any]:
    return {"range": {field: bounds}}


def any_of(*clauses: dict[str, Any]) -> dict[str, Any]:
    return {"bool": {"should": list(clauses), "minimum_should_match": 1}}


def of_domain(domain: dict[str, Any], *in_first_version: dict[str, Any]) -> dict[str, Any]:
    named = [{"wildcard": {"_index": "*-v1-*"}}, {"bool": {"should": list(in_first_version)}}]
    return {"bool": {"should": [domain, {"bool": {"filter": named}}]}}


def begins(field: str, value: str) -> dict[str, Any]:
    return {"match_bool_prefix": {field: {"query": value, "operator": "and"}}}


NICKNAMES_OF_ROBERT = ["bill", "billy", "bob", "bobby", "dob", "dobbin", "hob", "hobkin", "rob", "robby", "rupert"]


def counting(boost: float, query: dict[str, Any]) -> dict[str, Any]:
    return {"constant_score": {"filter": query, "boost": boost}}


@pytest.mark.parametrize(
    ("document", "clause"),
    [
        (text("vp sales", slop=2), {"match_phrase": {"title": {"query": "vp sales", "slop": 2}}}),
        (text("sales vp", kind="shuffle"), {"match": {"title": {"query": "sales vp", "operator": "and"}}}),
        (
            text("sales vp", kind="shuffle", fuzzy=True, operator="or"),
            {"match": {"title": {"query": "sales vp", "operator": "or", "fuzziness": "AUTO"}}},
        ),
        (text("ale", kind="substring"), {"match_phrase": {"title.ngram": "ale"}}),
        (text("berl", "city", kind="substring"), {"wildcard": {"city": {"value": "*berl*"}}}),
        (
            text("ale man", kind="substring", operator="or"),
            {
                "bool": {
                    "should": [{"match_phrase": {"title.ngram": "ale"}}, {"match_phrase": {"title.ngram": "man"}}],
                    "minimum_should_match": 1,
                }
            },
        ),
        (text("berlin", "city"), {"match_phrase": {"city.text": {"query": "berlin", "slop": 0}}}),
        ({"where": {"keyword_match": {"must": {"seniority": "vp"}}}}, {"term": {"seniority": "vp"}}),
        (
            {"where": {"keyword_match": {"must": {"seniority": ["vp", "head"]}}}},
            {"terms": {"seniority": ["vp", "head"]}},
        ),
        (
            {"where": {"range_query": {"must": {"company_employees_count": {"gte": 10, "lt": 20}}}}},
            {"range": {"company_employees_count": {"gte": 10, "lte": 19}}},
        ),
        ({"filters": {"field": "email", "operator": "exists"}}, {"exists": {"field": "email"}}),
        (
            {"filters": {"field": "title", "operator": "contains", "value": "ale"}},
            {"match_phrase": {"title.ngram": "ale"}},
        ),
        (
            leaf("linkedin_url", "eq", "linkedin.com/in/jane"),
            {"terms": {"linkedin_url": ["https://linkedin.com/in/jane", "linkedin.com/in/jane"]}},
        ),
        (
            leaf("linkedin_url", "eq", "https://linkedin.com/in/Jane"),
            {"term": {"linkedin_url": "https://linkedin.com/in/jane"}},
        ),
        (
            leaf("company.website", "in", ["acme.example"]),
            {"terms": {"company_website.keyword": ["https://acme.example", "acme.example"]}},
        ),
        (leaf("departments", "contains", "it"), {"term": {"departments": "it"}}),
        (leaf("email", "contains", "@acme.com"), {"wildcard": {"email": {"value": "*@acme.com*"}}}),
        (leaf("city", "contains", "a*b?c\\"), {"wildcard": {"city": {"value": "*a\\*b\\?c\\\\*"}}}),
        (leaf("mobile_phone", "contains", "(030) 55"), {"wildcard": {"mobile_phone": {"value": "*03055*"}}}),
        (leaf("mobile_phone", "contains", "٠٣٠ ５５"), {"wildcard": {"mobile_phone": {"value": "*03055*"}}}),
        (leaf("mobile_phone", "prefix", "٠٠٤٩ ٣٠"), {"prefix": {"mobile_phone": {"value": "+4930"}}}),
        (leaf("last_name", "contains", "Li"), begins("last_name", "Li")),
        # Two letters with a vowel point, and one that stands for two.
        (leaf("last_name", "contains", "مُح"), begins("last_name", "مُح")),
        (leaf("last_name", "contains", "ßa"), {"match_phrase": {"last_name.ngram": "ßa"}}),
        (leaf("last_name", "contains", "京"), {"match_phrase": {"last_name": {"query": "京", "slop": 0}}}),
        (leaf("title", "prefix", "head of sal"), begins("title", "head of sal")),
        (
            leaf("title", "contains", "R&"),
            any_of(begins("title", "R&"), {"bool": {"must": [{"prefix": {"title": {"value": "r&"}}}]}}),
        ),
        (leaf("city", "prefix", "New Y"), {"prefix": {"city": {"value": "New Y"}}}),
        (leaf("company.city", "prefix", "New Y"), {"prefix": {"company_city": {"value": "New Y"}}}),
        (
            leaf("mobile_phone", "prefix", "030 1"),
            any_of({"prefix": {"mobile_phone": {"value": "+0301"}}}, {"prefix": {"mobile_phone": {"value": "0301"}}}),
        ),
        (leaf("mobile_phone", "prefix", "0049 30"), {"prefix": {"mobile_phone": {"value": "+4930"}}}),
        (
            leaf("email", "domain", "https://www.Acme.com/about"),
            of_domain(
                {"match": {"email.domain": "acme.com"}},
                {"wildcard": {"email": {"value": "*@acme.com"}}},
                {"wildcard": {"email": {"value": "*.acme.com"}}},
            ),
        ),
        (
            leaf("company.normalized_domain", "domain", "jane@acme.com"),
            of_domain(
                {"match": {"company_normalized_domain.domain": "acme.com"}},
                {"term": {"company_normalized_domain.keyword": "acme.com"}},
                {"wildcard": {"company_normalized_domain.keyword": {"value": "*.acme.com"}}},
            ),
        ),
        (
            text("Robert", "first_name", "shuffle", alike=["sound", "nickname"]),
            {
                "bool": {
                    "must": [
                        {
                            "dis_max": {
                                "queries": [
                                    {"match": {"first_name": {"query": "robert", "operator": "and"}}},
                                    counting(0.003, {"terms": {"first_name": NICKNAMES_OF_ROBERT}}),
                                    counting(0.001, {"terms": {"first_name_sound": ["RPRT"]}}),
                                ]
                            }
                        }
                    ]
                }
            },
        ),
        (text("?!", "last_name", "shuffle", alike=["sound"]), {"match_none": {}}),
        (leaf("company.uuid", "eq", "0" * 32), {"term": {"company_id": "00000000-0000-0000-0000-000000000000"}}),
        (leaf("company_employees_count", "eq", 5.5), {"match_none": {}}),
        (leaf("company_employees_count", "gt", 2**63 - 1), {"match_none": {}}),
        (
            leaf("created_at", "eq", "2024-01-15"),
            within("created_at", gte=1705276800000, lte=1705363199999, format="epoch_millis"),
        ),
    ],
)
def test_each_construct_has_its_elasticsearch_clause(document: dict[str, Any], clause: dict[str, Any]) -> None:
    assert conditions(document) == {"bool": {"filter": [clause]}}


def test_conditions_on_one_field_are_joined_by_or_and_fields_by_and() -> None:
    asked = text_query(text_clause("a", "title"), text_clause("b", "title"), text_clause("c", "first_name"))
    clauses = conditions(asked)["bool"]["filter"]
    assert [len(clause.get("bool", {}).get("should", [1])) for clause in clauses] == [2, 1]


CLAUSES = [
    "bool",
    "filter",
    "must",
    "must_not",
    "should",
    "minimum_should_match",
    "match",
    "match_phrase",
    "query",
    "slop",
    "operator",
    "term",
    "terms",
    "wildcard",
    "value",
]


@pytest.mark.parametrize("operator", ["eq", "ne", "in", "contains"])
@pytest.mark.parametrize(
    "value",
    ["'; DROP TABLE contacts; --", '"}},{"script":{"source":"x', "${x}", "{{x}}", "_exists_:email OR *", "field:*"],
)
def test_a_value_is_data_whatever_it_says(value: str, operator: str) -> None:
    def names(part: Any) -> list[str]:
        inner = [*part.values()] if isinstance(part, dict) else part if isinstance(part, list) else []
        return [*(part if isinstance(part, dict) else ()), *(name for member in inner for name in names(member))]

    asked = ("city", "title", "departments")
    given = [value] if operator == "in" else value
    leaves = [{"field": field, "operator": operator, "value": given} for field in asked]
    found = names(conditions({"filters": {"or": leaves}}))
    assert [name for name in found if name not in CLAUSES and name.split(".")[0] not in asked] == []


def test_exclusions_exclude_also_by_range() -> None:
    where = {
        "text_matches": {"must_not": [{"text_value": "a", "filter_key": "title", "search_type": "exact"}]},
        "keyword_match": {"must_not": {"stage": "cold"}},
        "range_query": {"must_not": {"created_at": {"lt": "2024-01-15"}}},
    }
    assert len(conditions({"where": where})["bool"]["must_not"]) == 3


def test_the_boolean_tree_nests_and_joins_where() -> None:
    tree = {
        "or": [
            {"field": "stage", "operator": "eq", "value": "cold"},
            {"and": [{"not": {"field": "city", "operator": "in", "value": ["rom", "bonn"]}}, {"or": []}]},
        ]
    }
    found = conditions({"filters": tree, "where": {"keyword_match": {"must": {"seniority": "vp"}}}})["bool"]["filter"]
    assert found == [
        {"term": {"seniority": "vp"}},
        {
            "bool": {
                "should": [
                    {"term": {"stage": "cold"}},
                    {
                        "bool": {
                            "filter": [{"match_none": {}}],
                            "must_not": [{"terms": {"city": ["rom", "bonn"]}}],
                        }
                    },
                ],
                "minimum_should_match": 1,
            }
        },
    ]


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        (text("a", "tittle"), "unknown field 'tittle'; did you mean 'title'?"),
        (text("a", "seniority"), "seniority is not a text field; use keyword_match"),
        (text("a", "departments", "substring"), "departments is not a text field; use keyword_match"),
        (text("ab", kind="substring"), "'ab' is too short for a substring; at least 3 characters"),
        (text("مُح", kind="substring"), "is too short for a substring; at least 3 characters"),
        (text("  "), "the text is empty"),
        (text("x" * 1001), "at most 1000 are allowed"),
        (text("a", kind="fuzzy"), "search_type: input should be 'exact', 'shuffle' or 'substring'"),
        (text("a", sloop=1), "unknown field 'sloop'; did you mean 'slop'?"),
        ({"where": {"keyword_match": {"must": {"stage": []}}}}, "the list is empty"),
        ({"where": {"keyword_match": {"must": {"stage": ["x"] * 1001}}}}, "1001 values; at most 1000"),
        ({"where": {"range_query": {"must": {"stage": {"gt": 1}}}}}, "neither a number nor a date; use keyword_match"),
        ({"where": {"range_query": {"must": {"company_total_funding": {"gt": "much"}}}}}, "'much' is not a number"),
        (
            {"where": {"range_query": {"must": {"created_at": {"gt": "soon"}}}}},
            "'soon' is not a date; write 2024-01-15",
        ),
        ({"where": {"range_query": {"must": {"created_at": {}}}}}, "give at least one of gte, gt, lte, lt"),
        ({"where": {"keyword": {}}}, "unknown field 'keyword'; did you mean 'keyword_match'?"),
        ({"order_by": [{"order_by": "agee"}]}, "order_by[0].order_by: unknown field 'agee'"),
        ({"select_columns": ["uuid", "emial"]}, "select_columns[1]: unknown field 'emial'; did you mean 'email'?"),
        ({"company_config": {"populate": True, "select_columns": ["nam"]}}, "did you mean 'name'?"),
        ({"limit": 101}, "ERR_PAGE_SIZE_EXCEEDED"),
        ({"page": 11}, "ERR_PAGE_OUT_OF_RANGE"),
        ({"offset": 1000}, "ERR_PAGE_OUT_OF_RANGE"),
        ({"limit": "3"}, "limit: input should be a valid integer"),
        ({"cursor": [2**63, "u"]}, "is not a value of created_at"),
        ({"cursor": ["1", "u", "v"]}, "cursor: has 3 values; this order gives 2 (created_at, uuid)"),
        ({"cursor": ["1", "u"], "page": 2}, "cannot be given together with page"),
        ({"filters": {"field": "stage", "operator": "is", "value": 1}}, "filters.operator: input should be 'eq'"),
        ({"filters": {"and": [], "or": []}}, "exactly one of"),
        ({"filters": {"and": [], "not": {"or": [{}] * 201}}}, "filters: has more than 200 conditions"),
        (text_query(*[text_clause("a", "title")] * 201), "where.text_matches.must: 201 conditions; at most 200"),
        ({"where": {"range_query": {"must": {f"f{n}": {} for n in range(201)}}}}, "201 conditions; at most 200"),
        *(
            (
                {"where": {"keyword_match": {"must": {"stage": value}}}},
                "where.keyword_match.must.stage: input should be a text, a number, true or false, or a list of these",
            )
            for value in NO_VALUES
        ),
        (leaf("stage", "eq", {}), "filters.value: input should be a text, a number, true or false, or a list of these"),
        (
            {"where": {"range_query": {"must": {"id": {"gte": True}}}}},
            "where.range_query.must.id.gte: input should be a number or a text",
        ),
        ({"cursor": [{}]}, "cursor[0]: input should be a text, a number, true, false or null"),
        ({"cursor": [None, "u"]}, "null is not a value of created_at"),
        ({"where": []}, "where: input should be an object"),
        ({"filters": {"not": []}}, "filters.not: input should be an object"),
        ({"where": {"range_query": {"must": {"id": 5}}}}, "where.range_query.must.id: input should be an object"),
        ({"where": {"keyword_match": {"must": []}}}, "where.keyword_match.must: input should be an object"),
        ({"where": {f"k{n}": 1 for n in range(30)}}, "20 more unknown fields"),
        ({"order_by": [{"order_by": "agee"}] * 6}, "order_by: 6 keys; at most 5 are allowed"),
        ({"select_columns": ["uuid"] * 101}, "select_columns: 101 columns; at most 100 are allowed"),
        ({"facets": [{"field": "stage"}] * 11}, "facets: 11 facets; at most 10 are allowed"),
        ({"cursor": ["a"] * 7}, "cursor: 7 values; at most 6 are allowed"),
        *(
            ({"where": {"range_query": {"must": {"company_employees_count": {"gt": n}}}}}, "is not a number")
            for n in ("--5", "+-5", "1 2", "nan", "1" * 4_400)
        ),
        # More than a double can be.
        *(
            (document, "is beyond 64 bits")
            for number in (10**399, -(10**399))
            for document in (
                {"where": {"range_query": {"must": {"company_employees_count": {"gt": number}}}}},
                {"where": {"keyword_match": {"must": {"company_employees_count": number}}}},
                leaf("company_employees_count", "in", [5, number]),
                {"facets": [{"field": "company_employees_count", "ranges": [{"lt": number}]}]},
            )
        ),
        *(
            ({"where": {"range_query": {"must": {"created_at": {"gt": moment}}}}}, "is not a date")
            for moment in ("2024-W03-1", "2024-13-01", "01/15/2024", "2024-01-15T25:00:00Z", 1705276800000)
        ),
        *(
            ({"order_by": [{"order_by": "id"}], "cursor": [number, "u"]}, "is not a value of id")
            for number in ("nan", "inf", "1e400", "--5", "1" * 4_400, "1.5", True, None, 10**399)
        ),
        *(
            ({**text("a"), "cursor": [score, "u"]}, "is not a value of _score")
            for score in ("nan", "inf", "1e400", None, "x", 10**399)
        ),
        *(
            (leaf("title", "contains", value), "contains needs a text as `value`, not ")
            for value in (None, True, 5, ["a"])
        ),
        (leaf("city", "prefix", "東" * 101), "the part of a whole value has 303 bytes"),
        (leaf("city", "contains", "東" * 101), "the part of a whole value has 303 bytes; at most 300 are allowed"),
        (leaf("email", "ncontains", ["a"]), "not a list; for one of several values use `in`"),
        (leaf("company_employees_count", "contains", "5"), "is a number, which has no parts; use eq"),
        (leaf("mobile_phone", "contains", "abc"), "'abc' has no digits"),
        (
            leaf("city", "domain", "acme.com"),
            "city has no domain; e-mail addresses and domains",
        ),
        (text("bob", "title", "shuffle", alike=["sound"]), "`alike` is for names of people (first_name, last_name)"),
        (text("bob", "last_name", alike=["sound"]), "`alike` is for names of people (first_name, last_name) with"),
        (text("bob", "last_name", "shuffle", alike=["soun"]), "alike[0]: input should be 'nickname' or 'sound'"),
        ({"alike": ["sound"]}, "alike: is of use only with q; a condition of text_matches has its own"),
        (leaf("email", "domain", "acme"), "'acme' is not a domain; write one such as example.com"),
        (leaf("city", "eq", None), "needs a `value`; `exists` and `nexists` ask whether there is one"),
        (leaf("created_at", "gt", ["2024-01-15"]), "gt: needs one value, not a list"),
        (leaf("facebook_url", "eq", "x"), "facebook_url cannot be searched"),
        ({"order_by": [{"order_by": "id", "order_direction": "up"}]}, "'up' is neither 'asc' nor 'desc'"),
        ({"sort_by": "id", "sort_direction": "up"}, "sort_direction: 'up' is neither"),
        ({"sort_by": "agee"}, "sort_by: unknown field 'agee'"),
        ({"sort_by": "id", "order_by": [{"order_by": "id"}]}, "sort_by: cannot be given together with order_by"),
        ({"page": 1, "offset": 50}, "offset: cannot be given together with page"),
        (
            text_query(*[text_clause("a " * 400, "title", "shuffle")] * 3),
            "1200 words and dates in all conditions; at most 1000",
        ),
        (
            text_query(*[text_clause("a " * 60, "title", "shuffle", fuzzy=True)] * 2),
            "120 words with `fuzzy` or `alike`; at most 100",
        ),
        ({"filters": {"or": [leaf("email", "contains", "a")["filters"]] * 21}}, "21 parts to look for in whole values"),
    ],
)
def test_refusals_say_where_what_and_what_would_be_allowed(document: dict[str, Any], refusal: str) -> None:
    assert any(refusal in message for message in refusals(document)[:2])


def test_a_few_names_are_hinted_and_the_others_counted() -> None:
    _, *found = refusals({"select_columns": [f"first_nam{n}" for n in range(50)]})
    assert (len(found), found[-1]) == (11, "select_columns: 40 more unknown fields")
    assert len(refusals({"select_columns": ["x" * 100_000]})[0]) < 1_000
    warnings = read(Vql, {f"lim{n}": 1 for n in range(5_000)}).warnings
    assert (len(warnings), warnings[-1]["message"]) == (11, "4,990 more unknown fields")


def test_a_column_asked_twice_is_answered_once() -> None:
    assert compiled({"select_columns": ["uuid", "email", "uuid"]}).columns == ("uuid", "email")


def test_whole_numbers_of_64_bits_are_numbers_in_texts_too() -> None:
    bounds = {"gte": "9223372036854775807", "lt": "-1.5"}
    assert conditions({"where": {"range_query": {"must": {"company_employees_count": bounds}}}})


@pytest.mark.parametrize(
    ("fill", "refusal"),
    [
        (lambda v: v.order_by.extend([vql_pb2.OrderBy()] * 6), "order_by: 6 keys"),
        (lambda v: v.where.text_matches.must.extend([vql_pb2.TextMatch()] * 201), "201 conditions"),
        (lambda v: v.where.keyword_match.must["stage"].values.extend([struct_pb2.Value()] * 1_001), "1001 values"),
        (lambda v: v.filters.all.nodes.extend([vql_pb2.FilterNode()] * 201), "filters: has more than 200 conditions"),
        (lambda v: v.facets.add().ranges.extend([vql_pb2.FacetRange()] * 51), "facets[0].ranges: 51 ranges"),
    ],
)
def test_a_typed_query_is_counted_before_it_is_converted(fill: Callable[[vql_pb2.Vql], None], refusal: str) -> None:
    message = vql_pb2.Vql()
    fill(message)
    with pytest.raises(ValidationFailed, match=re.escape(refusal)):
        to_json(message)


def test_the_lists_of_a_typed_query_are_counted_together() -> None:
    message = vql_pb2.Vql()
    for n in range(51):
        message.where.keyword_match.must[f"f{n}"].values.extend([struct_pb2.Value(number_value=1)] * 1_000)
    with pytest.raises(ValidationFailed, match="more than 50000 values"):
        to_json(message)


def test_an_installation_may_have_limits_of_its_own() -> None:
    limits = Limits(page_size=500, text_chars=3)
    assert checked(CONTACT, read(Vql, {"limit": 500}).model, limits).size == 500
    with pytest.raises(ValidationFailed, match="at most 3 are allowed"):
        checked(CONTACT, read(Vql, text("four")).model, limits)


def test_all_violations_are_reported_at_once() -> None:
    document = {**text("a", "tittle"), "order_by": [{"order_by": "nope"}], "select_columns": ["nope"]}
    assert len(refusals(document)) == 4
    _, *found = refusals({**document, "limit": 200, "page": 99})
    assert [message[:30] for message in found[:2]] == ["limit: 200 is more than 100", "page: 99 is more than 10; to g"]
    assert len(found) == 5


@pytest.mark.parametrize("depth", [8, 9])
def test_the_tree_may_be_eight_levels_deep(depth: int) -> None:
    node: dict[str, Any] = {"field": "stage", "operator": "eq", "value": "x"}
    for _ in range(depth):
        node = {"and": [node]}
    if depth == 8:
        assert compiled({"filters": node})
    else:
        assert "nested deeper than 8 levels" in refusals({"filters": node})[0]


def test_pages() -> None:
    body = search_body(compiled({"page": 3}))
    assert (body["size"], body["from"]) == (26, 50)  # one more says that there is a next page
    assert "from" not in search_body(compiled({"page": -1, "limit": 0}))
    assert search_body(compiled({"offset": 7, "limit": 5}))["from"] == 7


def test_the_order_is_relevance_for_text_else_newest_first_and_ends_with_the_uuid() -> None:
    tie = {"uuid": {"order": "asc"}}
    assert sort_of(compiled({})) == [{"created_at": {"order": "desc"}}, tie]
    assert sort_of(compiled(text("a"))) == [{"_score": {"order": "desc"}}, tie]
    asked = {"order_by": [{"order_by": "name", "order_direction": "desc"}, {"order_by": "id"}]}
    assert sort_of(compiled(asked, COMPANY)) == [
        {"name.keyword": {"order": "desc"}},
        {"id": {"order": "asc"}},
        tie,
    ]
    by_uuid = {"order_by": [{"order_by": "uuid", "order_direction": "desc"}]}
    assert sort_of(compiled(by_uuid)) == [{"uuid": {"order": "desc"}}]


def test_relevance_counts_however_a_text_is_written() -> None:
    sales = {"field": "title", "operator": "contains", "value": "sales"}
    stage = {"field": "stage", "operator": "eq", "value": "x"}
    assert search_body(compiled({"filters": {"and": [sales, stage, {"not": sales}]}}))["query"]["bool"]["must"] == [
        {
            "bool": {
                "must": [{"match_phrase": {"title.ngram": "sales"}}],
                "filter": [{"term": {"stage": "x"}}],
                "must_not": [{"match_phrase": {"title.ngram": "sales"}}],
            }
        }
    ]
    whole = {"field": "city", "operator": "contains", "value": "berl"}
    assert sort_of(compiled({"filters": whole}))[0] == {"created_at": {"order": "desc"}}
    assert sort_of(compiled({"filters": {"not": sales}}))[0] == {"created_at": {"order": "desc"}}


def test_an_order_by_one_key_has_another_spelling() -> None:
    for direction in ("desc", "DESC"):
        asked = {"sort_by": "company.name", "sort_direction": direction}
        assert sort_of(compiled(asked))[0] == {"company_name.keyword": {"order": "desc"}}
    assert sort_of(compiled({"sort_by": "id", "sort_direction": None}))[0] == {"id": {"order": "asc"}}
    assert compiled({"sort_by": None, "sort_direction": "desc"}) == compiled({})


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"gte": 10, "gt": 5}, {"gte": 10}),
        ({"gte": 5, "gt": 5}, {"gte": 6}),
        ({"lte": 5, "lt": 50}, {"lte": 5}),
        ({"gt": "5.5", "lt": 7.5}, {"gte": 6, "lte": 7}),
        ({"gte": " 12 ", "lt": "9223372036854775807"}, {"gte": 12, "lte": 2**63 - 2}),
        ({"gt": -(2**63) + 0.0}, {"gte": -(2**63) + 1}),
    ],
)
def test_of_several_bounds_the_tighter_ones_count(bounds: dict[str, Any], expected: dict[str, int]) -> None:
    asked = {"where": {"range_query": {"must": {"company_employees_count": bounds}}}}
    assert conditions(asked)["bool"]["filter"] == [within("company_employees_count", **expected)]


EIGHT = 1_705_305_600_000


@pytest.mark.parametrize(
    ("given", "milliseconds"),
    [
        ("2024-01-15T08:00:00Z", EIGHT),
        ("2024-01-15 08:00:00", EIGHT),
        ("2024-01-15t08:00:00z", EIGHT),
        ("2024-01-15T08:00", EIGHT),
        ("2024-01-15 08:00:00+00", EIGHT),
        ("2024-01-15 09:00:00 +01:00", EIGHT),
        ("2024-01-15T13:30:15+05:30:15", EIGHT),
        ("2024/01/15 08:00:00", EIGHT),
        ("15.01.2024 08:00", EIGHT),
        ("20240115T080000Z", EIGHT),
        ("2024-01-15T08:00:00.213798Z", EIGHT + 213),
        ("2024-01-15T08:00:00,213798123Z", EIGHT + 213),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000),
    ],
)
def test_moments_are_compared_to_the_millisecond_in_the_spellings_that_people_use(
    given: str, milliseconds: int
) -> None:
    for bound, name, expected in (
        ("gte", "gte", milliseconds),
        ("gt", "gte", milliseconds + 1),
        ("lte", "lte", milliseconds),
        ("lt", "lte", milliseconds - 1),
    ):
        found = conditions(leaf("updated_at", bound, given))["bool"]["filter"]
        assert found == [within("updated_at", **{name: expected}, format="epoch_millis")]


@pytest.mark.parametrize("day", ["2024-01-15", "2024/01/15", "20240115", "15.01.2024"])
def test_a_day_is_all_its_moments(day: str) -> None:
    begin, end = EIGHT - 8 * 3_600_000, EIGHT + 16 * 3_600_000 - 1
    for bound, expected in (("gte", begin), ("gt", end + 1), ("lte", end), ("lt", begin - 1)):
        query = compiled(leaf("created_at", bound, day))
        (node,) = query.root.nodes
        assert isinstance(node, Range)
        assert (node.lower if bound.startswith("g") else node.upper) == expected


@pytest.mark.parametrize(
    ("field", "given", "compared"),
    [
        ("city", "Ko\u0308ln", ["K\xf6ln", "Ko\u0308ln"]),
        ("city", "  New\u00a0 York\u200b ", ["New York", "  New\u00a0 York\u200b "]),
        ("email", "mailto:Jane@Acme.example", ["jane@acme.example", "mailto:Jane@Acme.example"]),
        ("email", "JANE@ACME.EXAMPLE", ["JANE@ACME.EXAMPLE"]),
        ("company_normalized_domain", "www.Acme.example", ["acme.example", "www.Acme.example"]),
        ("city", 5.0, ["5"]),
    ],
)
def test_whole_values_are_compared_as_they_are_stored_and_as_they_are_given(
    field: str, given: object, compared: list[str]
) -> None:
    (node,) = compiled({"where": {"keyword_match": {"must": {field: given}}}}).root.nodes
    assert [node.value] == compared if isinstance(node, Equals) else list(node.values) == compared  # type: ignore[union-attr]


def test_the_words_of_a_substring_are_each_a_part() -> None:
    (node,) = compiled(text("mbus soft", kind="substring")).root.nodes
    assert [leaf.text for leaf in texts(node)] == ["mbus", "soft"]
    assert isinstance(node, And)
    (tree,) = compiled(leaf("title", "contains", "mbus soft")).root.nodes
    assert [leaf.text for leaf in texts(tree)] == ["mbus soft"]


def test_keys_after_the_uuid_do_not_come_before_it() -> None:
    order = [{"order_by": "id"}, {"order_by": "uuid"}, {"order_by": "email"}]
    assert sort_of(compiled({"order_by": order})) == [{"id": {"order": "asc"}}, {"uuid": {"order": "asc"}}]


@pytest.mark.parametrize("order", [[], ["email"], ["uuid"], ["email", "id"]])
def test_a_whole_order_stays_as_it_is(order: list[str]) -> None:
    query = compiled({**text("a"), "order_by": [{"order_by": name} for name in order]})
    assert query.sort[-1].field == "uuid"
    assert ordered(query) == query


def test_text_is_scored_only_when_the_order_needs_it() -> None:
    assert "must" in search_body(compiled(text("a")))["query"]["bool"]
    ordered = {**text("a"), "order_by": [{"order_by": "id"}]}
    assert "filter" in search_body(compiled(ordered))["query"]["bool"]


def test_cursors_come_back_as_text_and_are_sent_in_their_own_types() -> None:
    order = {"order_by": [{"order_by": "company_employees_count"}, {"order_by": "created_at"}, {"order_by": "email"}]}
    for name in ("cursor", "search_after"):
        query = compiled({**order, name: ["12", "1700000000000", "7", "u"]})
        assert search_body(query)["search_after"] == [12, 1700000000000, "7", "u"]


@pytest.mark.parametrize(
    ("order", "cursor", "expected"),
    [
        (["created_at", "id"], ["2024-01-15T08:00:00Z", 123], [EIGHT, 123, "~"]),
        (["created_at"], ["2024-01-15T08:00:00.213798Z"], [EIGHT + 213, "~"]),
        (["email"], ["a@b.example"], ["a@b.example", "~"]),
        (["email"], [None], [None, "~"]),
        (["email", "uuid"], ["a", "0" * 32], ["a", "00000000-0000-0000-0000-000000000000"]),
        ([], [EIGHT], [EIGHT, "~"]),
        (["company_employees_count"], ["9223372036854775807", "u"], [2**63 - 1, "u"]),
    ],
)
def test_a_cursor_may_leave_out_a_tie_breaker_that_was_not_asked_for(
    order: list[str], cursor: list[Any], expected: list[Any]
) -> None:
    query = compiled({"order_by": [{"order_by": name} for name in order], "search_after": cursor})
    assert search_body(query)["search_after"] == expected


def test_the_cursor_of_a_row_has_a_tie_breaker_only_where_one_is_needed() -> None:
    found = [
        cursor_values(compiled({"order_by": [{"order_by": k} for k in keys]}))
        for keys in (["id"], ["email"], ["uuid"], [])
    ]
    assert found == [1, 2, 1, 2]


@pytest.mark.parametrize(
    "document",
    [
        {},
        text("vp sales", kind="shuffle", operator="or", fuzzy=True),
        text("bob", "first_name", kind="shuffle", alike=["nickname", "sound"]),
        {"q": "bob mayr", "alike": ["sound"]},
        {
            "where": {
                "keyword_match": {"must": {"stage": ["a", "b"], "city": "x"}, "must_not": {"email": "y"}},
                "range_query": {
                    "must": {"id": {"gte": 1, "lt": 2.5}},
                    "must_not": {"created_at": {"gt": "2024-01-01"}},
                },
            },
            "order_by": [{"order_by": "email", "order_direction": "desc"}],
            "cursor": [None, "u"],
            "limit": 7,
            "select_columns": ["uuid"],
            "company_config": {"populate": True, "select_columns": ["name"]},
        },
        {
            "filters": {
                "and": [
                    {"not": {"field": "stage", "operator": "in", "value": ["a", True, 2]}},
                    {"or": [{"field": "email", "operator": "exists"}]},
                ]
            },
            "offset": 3,
        },
        {"sort_by": "company.name", "sort_direction": "desc"},
        {"filters": {"field": "id", "operator": "in", "value": [2**53, 2**53 + 1, -(2**63)]}},
        {"where": {"range_query": {"must": {"id": {"gte": 2**53 + 1, "lt": 2**63 - 1}}}}},
        {"filters": {"field": "email", "operator": "domain", "value": "acme.com"}},
    ],
)
def test_the_typed_spelling_asks_the_same(document: dict[str, Any]) -> None:
    request = read(Vql, document).model
    again = read(Vql, to_json(to_proto(request))).model
    assert unordered(checked(CONTACT, again)) == unordered(checked(CONTACT, request))


@pytest.mark.parametrize(
    ("asked", "met"),
    [
        ("head of s", True),
        ("of head sal", True),
        ("head of sales,", True),
        ("head of sal,", False),
        ("head o/", False),
        ("(sal", True),
        ("r&", True),
        ("sales R&", True),
        ("sales of&", True),
        ("sale r&", False),
        ("of&", True),
        ("d&", False),
        ("/", False),
    ],
)
def test_a_beginning_is_judged_as_the_index_does(asked: str, met: bool) -> None:
    """With a sign behind it, the last word is a whole one."""
    (condition,) = compiled(leaf("title", "prefix", asked)).root.nodes
    assert meets(condition, CONTACT, {"title": "Head of Sales, R&D"}) is met


def unordered(query: Query) -> Query:
    """The query with its conditions sorted, since protobuf maps have no order."""
    return replace(query, root=And(tuple(sorted(query.root.nodes, key=repr))))
