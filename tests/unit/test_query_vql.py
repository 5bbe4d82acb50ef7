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
from connectra_common.vql.ast import And, Query
from connectra_common.vql.limits import Limits
from connectra_common.vql.model import Vql
from connectra_common.vql.order import ordered
from connectra_common.vql.proto import to_json, to_proto
from connectra_common.vql.validate import checked
from connectra_query.search.compile import compile_query, search_body
from google.protobuf import struct_pb2

from tests.support.queries import text_clause, text_query


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
    return [f.message for f in caught.value.fields] or [caught.value.message]


def text(value: str, field: str = "title", kind: str = "exact", **more: object) -> dict[str, Any]:
    return text_query(text_clause(value, field, kind, **more))


def test_no_condition_is_everything() -> None:
    assert conditions({}) == conditions({"where": {}}) == conditions({"where": {"keyword_match": {"must": {}}}})
    assert conditions({}) == {"match_all": {}}


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
            {"range": {"company_employees_count": {"gte": 10, "lt": 20}}},
        ),
        ({"filters": {"field": "email", "operator": "exists"}}, {"exists": {"field": "email"}}),
        (
            {"filters": {"field": "title", "operator": "contains", "value": "ale"}},
            {"match_phrase": {"title.ngram": "ale"}},
        ),
        ({"filters": {"field": "departments", "operator": "contains", "value": "it"}}, {"term": {"departments": "it"}}),
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
                            "filter": [
                                {"bool": {"must_not": [{"terms": {"city": ["rom", "bonn"]}}]}},
                                {"match_none": {}},
                            ]
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
        (text("a", "city", "substring"), "cannot be searched by substring"),
        (text("ab", kind="substring"), "'ab' is too short for a substring; at least 3 characters"),
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
        ({"where": {"keyword_match": {"must": {"email": 2**63}}}}, "is beyond 64 bits"),
        ({"cursor": ["a"]}, "cursor: has 1 values; this order gives 2"),
        ({"cursor": ["1", "u"], "page": 2}, "cannot be given together with page"),
        ({"filters": {"field": "stage", "operator": "is", "value": 1}}, "filters.operator: input should be 'eq'"),
        ({"filters": {"and": [], "or": []}}, "exactly one of"),
        ({"filters": {"and": [], "not": {"or": [{}] * 201}}}, "filters: has more than 200 conditions"),
        (text_query(*[text_clause("a", "title")] * 201), "where.text_matches.must: 201 conditions; at most 200"),
        ({"where": {"range_query": {"must": {f"f{n}": {} for n in range(201)}}}}, "201 conditions; at most 200"),
        ({"where": {"keyword_match": {"must": {"stage": [{}] * 9}}}}, "input should be a valid boolean"),
        ({"where": {f"k{n}": 1 for n in range(30)}}, "20 more unknown fields"),
        ({"order_by": [{"order_by": "agee"}] * 6}, "order_by: 6 keys; at most 5 are allowed"),
        ({"select_columns": ["uuid"] * 101}, "select_columns: 101 columns; at most 100 are allowed"),
        ({"facets": [{"field": "stage"}] * 11}, "facets: 11 facets; at most 10 are allowed"),
        ({"cursor": ["a"] * 7}, "cursor: 7 values; at most 6 are allowed"),
        *(
            ({"where": {"range_query": {"must": {"company_employees_count": {"gt": n}}}}}, "is not a number")
            for n in ("--5", "+-5", " 12 ", "nan", "1" * 4_400)
        ),
        *(
            ({"where": {"range_query": {"must": {"created_at": {"gt": moment}}}}}, "is not a date")
            for moment in ("2024-01-15 08:00:00", "2024-W03-1", "2024-01-15t08:00:00", "2024-13-01")
        ),
        *(
            ({"order_by": [{"order_by": "id"}], "cursor": [number, "u"]}, "is not a value of id")
            for number in ("nan", "inf", "1e400", "--5", "1" * 4_400)
        ),
    ],
)
def test_refusals_say_where_what_and_what_would_be_allowed(document: dict[str, Any], refusal: str) -> None:
    assert refusal in refusals(document)[0]


def test_a_few_names_are_hinted_and_the_others_counted() -> None:
    found = refusals({"select_columns": [f"first_nam{n}" for n in range(50)]})
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
    assert len(refusals(document)) == 3


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
    assert (body["size"], body["from"]) == (25, 50)
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
    "document",
    [
        {},
        text("vp sales", kind="shuffle", operator="or", fuzzy=True),
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
    ],
)
def test_the_typed_spelling_asks_the_same(document: dict[str, Any]) -> None:
    request = read(Vql, document).model
    again = read(Vql, to_json(to_proto(request))).model
    assert unordered(checked(CONTACT, again)) == unordered(checked(CONTACT, request))


def unordered(query: Query) -> Query:
    """The query with its conditions sorted, since protobuf maps have no order."""
    return replace(query, root=And(tuple(sorted(query.root.nodes, key=repr))))
