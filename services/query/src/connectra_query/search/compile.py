"""The last pass over a query: tree → Elasticsearch request. What a user wrote is always a value, never syntax."""

from collections.abc import Mapping, Sequence
from typing import Any

from connectra_common.records.fields import Field, Index, Rule
from connectra_common.search.mappings import indexed_fields, sort_field
from connectra_common.search.words import asked_words, open_part
from connectra_common.vql.ast import (
    And,
    Domain,
    Equals,
    Exists,
    FreeText,
    Member,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Query,
    Range,
    Sort,
    Substring,
    Word,
)
from connectra_common.vql.order import SCORE, scores
from connectra_common.vql.render import Text
from connectra_common.vql.values import LEAST, MOST

from connectra_query.search.alike import alike_queries
from connectra_query.search.free_text import AS_TYPED, compile_free_text

Json = dict[str, Any]

# Which index a record is in, the engine knows at every moment; what this does not hold for, it does not look at.
OF_FIRST_VERSION: Json = {"wildcard": {"_index": "*-v1-*"}}


def search_body(query: Query, facets: Json | None = None, highlight: Json | None = None) -> Json:
    """One page, with facets and highlights when they are asked for; of its sort values the last is the uuid.

    If there is one, it has one hit more than the page has rows, which says that there is a next page. Hits carry no stored field: reading
    one would cost more than the search. Highlights are made from the stored document.
    """
    body: Json = {
        "query": compile_query(query, scored=query.sort[0].field == SCORE),
        "size": query.size + 1,
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


def refill_body(query: Query, after: Sequence[Any], size: int, highlight: Json | None = None) -> Json:
    """The hits that follow one with these sort values."""
    body = search_body(query, highlight=highlight) | {
        "size": size,
        "search_after": list(after),
        "track_total_hits": False,
    }
    body.pop("from", None)
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
    if not query.root.nodes:
        return {"match_all": {}}
    return _all_of(query.root.nodes, indexed_fields(query.entity), scored)


def _sort_key(key: Sort, fields: Mapping[str, Field]) -> Json:
    name = SCORE if key.field == SCORE else sort_field(key.field, fields[key.field])
    return {name: {"order": "desc" if key.descending else "asc"}}


def compile_node(node: Node, fields: Mapping[str, Field], *, scored: bool = False) -> Json:
    """One condition or group of them; `scored`: hits that match its texts better get a higher score."""
    match node:
        case And(nodes):
            return _all_of(nodes, fields, scored) if nodes else {"match_all": {}}
        case Or(nodes):
            clauses = [compile_node(n, fields, scored=scored) for n in nodes]
            return {"bool": {"should": clauses, "minimum_should_match": 1}} if nodes else {"match_none": {}}
        case Not(child):
            return {"bool": {"must_not": [compile_node(child, fields)]}}
        case FreeText():
            return compile_free_text(node)
        case Exists():
            return {"exists": {"field": node.field}}
        case Range():
            return _range(node)
        case Domain():
            return _domain(node, fields[node.field])
        case Equals() | Member():
            name = sort_field(node.field, fields[node.field])
            return {"term": {name: node.value}} if isinstance(node, Equals) else {"terms": {name: list(node.values)}}
    return _text(node, text_field(node, fields[node.field]), scored=scored)


def text_field(node: Text, field: Field) -> str:
    """The field or sub-field that a text condition searches."""
    match node:
        case Substring(whole=False):
            return f"{node.field}.ngram"
        case Phrase() | Word() if field.index is not Index.TEXT:
            return f"{node.field}.text"
        case Domain():
            return f"{node.field}.domain"
    return node.field


def _all_of(nodes: Sequence[Node], fields: Mapping[str, Field], scored: bool) -> Json:
    parts: dict[str, list[Json]] = {"must": [], "filter": [], "must_not": []}
    for node in nodes:
        if isinstance(node, Not):
            parts["must_not"].append(compile_node(node.node, fields))
        elif scored and scores(node):
            parts["must"].append(compile_node(node, fields, scored=True))
        else:
            parts["filter"].append(compile_node(node, fields))
    return {"bool": {name: clauses for name, clauses in parts.items() if clauses}}


def _text(node: Text, name: str, *, scored: bool) -> Json:
    match node:
        case Phrase():
            return {"match_phrase": {name: {"query": node.text, "slop": node.slop}}}
        case Word():
            return _alike_words(node, name, scored=scored) if node.alike else _words(node, name, node.text)
        case Substring(whole=False):
            # Each trigram has its own position, so a phrase of them is the substring.
            return {"match_phrase": {name: node.text}}
        case Prefix(whole=False):
            begins = beginning(name, node.text)
            if not scored:
                return begins
            # Every beginning counts the same: whole words come first.
            return {"bool": {"must": [begins], "should": [{"match": {name: {"query": node.text, "operator": "and"}}}]}}
        case Prefix():
            return {"prefix": {name: {"value": node.text}}}
        case Substring():
            return {"wildcard": {name: {"value": f"*{literal(node.text)}*"}}}
        case Domain():
            return {"match": {name: node.text}}


def beginning(name: str, text: str) -> Json:
    """Has the words of a text, and one that begins as the last of them. AT& is the word at, and the beginning of at&t."""
    begins: Json = {"match_bool_prefix": {name: {"query": text, "operator": "and"}}}
    before, part = open_part(text)
    if not part:
        return begins
    parts: list[Json] = [{"prefix": {name: {"value": part}}}]
    if asked_words(before):
        parts.append({"match": {name: {"query": before, "operator": "and"}}})
    return {"bool": {"should": [begins, {"bool": {"must": parts}}], "minimum_should_match": 1}}


def _words(node: Word, name: str, text: str) -> Json:
    match: Json = {"query": text, "operator": node.operator}
    return {"match": {name: match | ({"fuzziness": "AUTO"} if node.fuzzy else {})}}


def _alike_words(node: Word, name: str, *, scored: bool) -> Json:
    each = [
        {"dis_max": {"queries": [_words(node, name, word), *alike_queries([name], word, node.alike, scored=scored)]}}
        for word in asked_words(node.text)
    ]
    if not each:
        return {"match_none": {}}
    found: Json = {"must": each} if node.operator == "and" else {"should": each, "minimum_should_match": 1}
    if not scored:
        return {"bool": found}
    as_typed = {"bool": {"must": [_words(node, name, node.text)], "boost": AS_TYPED}}
    return {"dis_max": {"queries": [as_typed, {"bool": found}]}}


def _domain(node: Domain, field: Field) -> Json:
    # An index of the first version has no domains: there, what whole values end with.
    name = sort_field(node.field, field)
    this = (
        {"wildcard": {name: {"value": f"*@{literal(node.text)}"}}}
        if field.rule is Rule.EMAIL
        else {"term": {name: node.text}}
    )
    ends = [this, {"wildcard": {name: {"value": f"*.{literal(node.text)}"}}}]
    first = [OF_FIRST_VERSION, {"bool": {"should": ends}}]
    return {"bool": {"should": [_text(node, text_field(node, field), scored=False), {"bool": {"filter": first}}]}}


def literal(text: str) -> str:
    """A text in a wildcard pattern."""
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def _range(node: Range) -> Json:
    lower, upper = node.lower, node.upper
    if (lower is not None and lower > MOST) or (upper is not None and upper < LEAST):
        return {"match_none": {}}
    bounds: Json = {name: bound for name, bound in (("gte", lower), ("lte", upper)) if bound is not None}
    return {"range": {node.field: bounds | ({"format": "epoch_millis"} if node.of_time else {})}}
