"""Pieces of VQL."""

from typing import Any

Json = dict[str, Any]


def text_clause(value: str, field: str, kind: str = "exact", **more: Any) -> Json:
    """A condition on a text field; `kind` is exact, shuffle or substring, `more` its options."""
    return {"text_value": value, "filter_key": field, "search_type": kind, **more}


def text_query(*clauses: Json, side: str = "must") -> Json:
    """A query of these text conditions alone."""
    return {"where": {"text_matches": {side: list(clauses)}}}


def keyword_query(**values: Any) -> Json:
    """A query for records that have one of these values in each field."""
    return {"where": {"keyword_match": {"must": values}}}
