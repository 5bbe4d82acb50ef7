"""The last pass over a query: tree → Elasticsearch request. What a user wrote is always a value, never syntax."""

from collections.abc import Mapping
from typing import Any

from connectra_common.records.fields import Field, Index, Rule
from connectra_common.records.ids import canonical_uuid
from connectra_common.records.values.phones import phone_spellings
from connectra_common.search.mappings import indexed_fields, sort_field
from connectra_common.vql.ast import And, Bounds, Exists, Node, Not, Or, Query, Sort, Terms, Text
from connectra_common.vql.order import SCORE, scores

Json = dict[str, Any]


def search_body(query: Query, facets: Json | None = None, highlight: Json | None = None) -> Json:
    """One page, with facets and highlights when they are asked for; of its sort values the last is the uuid.

    Hits carry no stored field: reading one would cost more than the search. Highlights are made from the stored document.
    """
    body: Json = {
        "query": compile_query(query, scored=query.sort[0].field == SCORE),
        "size": query.size,
        "sort": [_sort_key(key, indexed_fields(query.entity)) for key in query.sort],
        "_source": False,
        **({} if highlight else {"stored_fields": "_none_"}),
        "track_total_hits": query.track_total,
    }
    if query.cursor is not None:
        body["search_after"] = list(query.cursor)
    elif query.skip:
        body["from"] = query.skip
    if facets:
        body["aggs"] = facets
    if highlight:
        body["highlight"] = highlight
    return body


def count_body(query: Query) -> Json:
    """The number of matches alone, exactly."""
    return {"query": compile_query(query), "size": 0, "track_total_hits": True}


def walk_body(query: Query, size: int) -> Json:
    """A walk over all matches in the query's order, `size` hits a page."""
    return search_body(query) | {"size": size, "track_total_hits": False}


def slice_body(query: Query, size: int, number: int, slices: int) -> Json:
    """A walk over one of the slices of all matches, `size` hits a page; the second sort value of a hit is its id.

    In the order of the index: nothing has to be sorted for it.
    """
    return {
        "query": compile_query(query),
        "slice": {"id": number, "max": slices},
        "size": size,
        # The id changes no order: among the sort values it costs less than as a field of the hit.
        "sort": [{"_shard_doc": "asc"}, {"id": "asc"}],
        "_source": False,
        "stored_fields": "_none_",
        "track_total_hits": False,
    }


def compile_query(query: Query, *, scored: bool = False) -> Json:
    """The conditions as one bool query, scored only where the order needs it."""
    fields = indexed_fields(query.entity)
    parts: dict[str, list[Json]] = {"must": [], "filter": [], "must_not": []}
    for node in query.root.nodes:
        if isinstance(node, Not):
            parts["must_not"].append(compile_node(node.node, fields))
        else:
            parts["must" if scored and scores(node) else "filter"].append(compile_node(node, fields))
    parts = {name: clauses for name, clauses in parts.items() if clauses}
    return {"bool": parts} if parts else {"match_all": {}}


def _sort_key(key: Sort, fields: Mapping[str, Field]) -> Json:
    name = SCORE if key.field == SCORE else sort_field(key.field, fields[key.field])
    return {name: {"order": "desc" if key.descending else "asc"}}


def compile_node(node: Node, fields: Mapping[str, Field]) -> Json:
    """One condition or group of them, unscored."""
    match node:
        case And(nodes):
            return {"bool": {"filter": [compile_node(n, fields) for n in nodes]}} if nodes else {"match_all": {}}
        case Or(nodes):
            return (
                {"bool": {"should": [compile_node(n, fields) for n in nodes], "minimum_should_match": 1}}
                if nodes
                else {"match_none": {}}
            )
        case Not(child):
            return {"bool": {"must_not": [compile_node(child, fields)]}}
        case Text():
            return _text(node, fields[node.field])
        case Terms():
            return _terms(node, fields[node.field])
        case Bounds():
            return _bounds(node)
        case Exists():
            return {"exists": {"field": node.field}}


def text_field(node: Text, field: Field) -> str:
    """The field or sub-field that a text condition searches."""
    if node.search_type == "substring":
        return f"{node.field}.ngram"
    return node.field if field.index is Index.TEXT else f"{node.field}.text"


def _text(node: Text, field: Field) -> Json:
    name = text_field(node, field)
    if node.search_type == "exact":
        return {"match_phrase": {name: {"query": node.value, "slop": node.slop}}}
    if node.search_type == "shuffle":
        match: Json = {"query": node.value, "operator": node.operator}
        if node.fuzzy:
            match["fuzziness"] = "AUTO"
        return {"match": {name: match}}
    # Each trigram has its own position, so a phrase of them is the substring.
    parts = node.value.split() if node.operator == "or" else [node.value.strip()]
    phrases: list[Json] = [{"match_phrase": {name: part}} for part in parts]
    return phrases[0] if len(phrases) == 1 else {"bool": {"should": phrases, "minimum_should_match": 1}}


def _terms(node: Terms, field: Field) -> Json:
    name = sort_field(node.field, field)
    values = [v if isinstance(v, str) or field.index in (Index.LONG, Index.DATE) else str(v) for v in node.values]
    if field.rule is Rule.UUID:
        values = [canonical_uuid(str(value)) for value in values]
    elif field.rule is Rule.PHONE:
        values = list(dict.fromkeys(spelling for value in values for spelling in phone_spellings(str(value))))
    return {"term": {name: values[0]}} if len(values) == 1 else {"terms": {name: values}}


def _bounds(node: Bounds) -> Json:
    given = {name: value for name in ("gte", "gt", "lte", "lt") if (value := getattr(node, name)) is not None}
    return {"range": {node.field: given}}
