"""JSON queries become the typed message that asks the same."""

from typing import Any

import pytest
from connectra.common.v1 import vql_pb2
from connectra_client import vql
from connectra_client.errors import ClientError
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_json, to_proto

QUERIES: list[dict[str, Any]] = [
    {},
    {"limit": 5, "page": 2, "select_columns": ["uuid"], "order_by": [{"order_by": "uuid", "order_direction": "desc"}]},
    {
        "where": {
            "keyword_match": {"must": {"country": "germany", "city": ["bonn", "köln"]}, "must_not": {"stage": "cold"}}
        }
    },
    {
        "where": {
            "text_matches": {
                "must": [
                    {"text_value": "head", "filter_key": "title", "search_type": "exact", "slop": 2},
                    {
                        "text_value": "ada",
                        "filter_key": "first_name",
                        "search_type": "shuffle",
                        "operator": "or",
                        "fuzzy": True,
                    },
                ],
                "must_not": [{"text_value": "intern", "filter_key": "title", "search_type": "substring"}],
            },
            "range_query": {
                "must": {"company_employees_count": {"gte": 10, "lt": 99.5}, "created_at": {"gt": "2024-01-15"}}
            },
        }
    },
    {"order_by": [{"order_by": "last_name", "order_direction": "asc"}], "search_after": ["müller", 3, None]},
    {
        "filters": {
            "and": [
                {
                    "or": [
                        {"field": "city", "operator": "eq", "value": "bonn"},
                        {"field": "stage", "operator": "exists", "value": None},
                    ]
                },
                {"not": {"field": "departments", "operator": "in", "value": ["sales", "legal"]}},
            ]
        },
        "company_config": {"populate": True, "select_columns": ["name"]},
    },
    {
        "q": "bob mayr",
        "alike": ["nickname"],
        "where": {
            "text_matches": {
                "must": [
                    {
                        "text_value": "x",
                        "filter_key": "last_name",
                        "search_type": "shuffle",
                        "alike": ["sound", "nickname"],
                    }
                ]
            }
        },
    },
    {"sort_by": "company.name", "sort_direction": "desc"},
    {"sort_by": "name", "sort_direction": None},
    {"sort_by": None, "sort_direction": "desc"},
    {"filters": {"field": "id", "operator": "in", "value": [2**53, 2**53 + 1, -(2**63)]}, "cursor": [2**63 - 1, "u"]},
    {"where": {"range_query": {"must": {"id": {"gte": 2**53 + 1}}}, "keyword_match": {"must": {"id": 2**53 + 1}}}},
]


@pytest.mark.parametrize("document", QUERIES)
def test_it_means_what_the_rest_door_would_understand(document: dict[str, Any]) -> None:
    sent = vql_pb2.Vql.FromString(bytes(vql(document)))
    assert Vql.model_validate(to_json(sent)) == Vql.model_validate(to_json(to_proto(Vql.model_validate(document))))


@pytest.mark.parametrize(
    "document",
    [
        {"wehre": {}},
        {"where": {"keywords": {}}},
        {"where": {"text_matches": {"must": [{"text_value": "x", "filter_key": "name", "search_type": "phonetic"}]}}},
        {"filters": ["city"]},
        {"limit": "many"},
        {"sort_by": "id", "order_by": [{"order_by": "uuid"}]},
    ],
)
def test_what_is_no_query_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="not a VQL query"):
        vql(document)
