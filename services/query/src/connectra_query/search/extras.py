"""What a list may have besides its rows: facets, explanation, highlights. Requests and their answers, without I/O."""

from connectra_common.records.fields import Field, Index
from connectra_common.search.free_text import searched_fields, words_field
from connectra_common.search.mappings import indexed_fields, shown_field, sort_field
from connectra_common.vql.ast import Domain, Facet, Query, Range
from connectra_common.vql.render import free_texts, leaves, render, render_node, texts

from connectra_query.search.compile import Json, compile_node, text_field

_TAGS = {"pre_tags": ["<em>"], "post_tags": ["</em>"]}


def facet_requests(query: Query, version: int) -> Json:
    """Aggregations on an index of this version, named by position; none when no facet is asked for."""
    fields = indexed_fields(query.entity)
    return {str(i): _facet(facet, fields[facet.field], version) for i, facet in enumerate(query.facets)}


def facet_results(query: Query, answer: Json) -> list[Json]:
    """`[{"field", "values": [{"value", "count"}] or "ranges": [{"gte"?, "lt"?, "count"}], "other", "exact"}]`."""
    found = answer.get("aggregations", {})
    return [_result(facet, found[str(i)]) for i, facet in enumerate(query.facets)]


def highlight_request(query: Query) -> Json | None:
    """Whole texts, as HTML, with what matched between <em> and </em>; None when they are not asked for."""
    if not query.highlight:
        return None
    fields = indexed_fields(query.entity)
    names: Json = {text_field(leaf, fields[leaf.field]): {} for leaf in texts(query.root)}
    # In an index of the first version a domain is found in the whole value.
    names |= {sort_field(n.field, fields[n.field]): {} for n in texts(query.root) if isinstance(n, Domain)}
    if free_texts(query.root):
        names |= {words_field(query.entity, name): {} for name in searched_fields(query.entity)}
    return {"fields": names, "number_of_fragments": 0, "encoder": "html", **_TAGS}


def highlight_result(hit: Json) -> dict[str, list[str]]:
    """Texts by field; a field matched in several ways has one for each."""
    found: dict[str, list[str]] = {}
    for name, fragments in hit.get("highlight", {}).items():
        found.setdefault(name.partition(".")[0], []).extend(fragments)
    return found


def clause_request(query: Query) -> Json:
    """How many records each condition matches on its own."""
    fields = indexed_fields(query.entity)
    clauses = {str(i): compile_node(leaf, fields) for i, leaf in enumerate(leaves(query.root))}
    body: Json = {"query": {"match_all": {}}, "size": 0, "track_total_hits": False}
    return {**body, "aggs": {"clauses": {"filters": {"filters": clauses}}}} if clauses else body


def explanation(query: Query, request: Json, answer: Json) -> Json:
    """`{"query", "elasticsearch", "clauses": [{"path", "condition", "hits"}]}`."""
    counts = answer.get("aggregations", {}).get("clauses", {}).get("buckets", {})
    clauses = [
        {"path": leaf.path, "condition": render_node(leaf), "hits": counts[str(i)]["doc_count"]}
        for i, leaf in enumerate(leaves(query.root))
    ]
    return {"query": render(query), "elasticsearch": request, "clauses": clauses}


def _facet(facet: Facet, field: Field, version: int) -> Json:
    name = shown_field(facet.field, field, version)
    if facet.ranges:
        bounds = [{"key": str(i), **_bounds(r.within)} for i, r in enumerate(facet.ranges)]
        ranges: Json = {"field": name, "keyed": True, "ranges": bounds}
        is_date = field.index is Index.DATE
        return {"date_range": ranges | {"format": "epoch_millis"}} if is_date else {"range": ranges}
    # Each shard returns more than is shown, so that the sums are exact more often.
    return {"terms": {"field": name, "size": facet.size, "shard_size": facet.size * 3 + 50}}


def _bounds(within: Range) -> Json:
    # In an aggregation the upper bound is excluded.
    bounds = (("from", within.lower), ("to", None if within.upper is None else within.upper + 1))
    return {name: bound for name, bound in bounds if bound is not None}


def _result(facet: Facet, found: Json) -> Json:
    if facet.ranges:
        counts = [
            {"gte": r.gte, "lt": r.lt, "count": found["buckets"][str(i)]["doc_count"]}
            for i, r in enumerate(facet.ranges)
        ]
        return {"field": facet.field, "ranges": counts, "exact": True}
    values = [{"value": b.get("key_as_string", b["key"]), "count": b["doc_count"]} for b in found["buckets"]]
    return {
        "field": facet.field,
        "values": values,
        "other": found["sum_other_doc_count"],
        "exact": found["doc_count_error_upper_bound"] == 0,
    }
