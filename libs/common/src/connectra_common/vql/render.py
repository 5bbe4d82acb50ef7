"""Tree → JSON for people: the query as understood, in one notation whatever the request's."""

from typing import Any

from connectra_common.vql.ast import (
    And,
    Condition,
    Domain,
    Equals,
    FreeText,
    Member,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Query,
    Range,
    Substring,
    Word,
)
from connectra_common.vql.values import moment_text


def render(query: Query) -> dict[str, Any]:
    """The whole query, defaults filled in."""
    return {
        "where": render_node(query.root),
        "order_by": [{"order_by": s.field, "order_direction": "desc" if s.descending else "asc"} for s in query.sort],
        "limit": query.size,
        "offset": query.skip,
        "cursor": None if query.cursor is None else list(query.cursor),
        "select_columns": list(query.columns or query.entity.columns),
        "company_columns": None if query.company_columns is None else list(query.company_columns),
    }


def render_node(node: Node) -> dict[str, Any]:
    """One node and everything below it."""
    match node:
        case And(nodes):
            return {"and": [render_node(n) for n in nodes]}
        case Or(nodes):
            return {"or": [render_node(n) for n in nodes]}
        case Not(child):
            return {"not": render_node(child)}
    return {"field": node.field} | _meaning(node)


def _meaning(node: Condition) -> dict[str, Any]:
    match node:
        case FreeText(words=words, instead=instead):
            return {"words": words} | ({"instead": instead} if instead else {}) | _alike(node)
        case Equals(value=value):
            return {"in": [value]}
        case Member(values=values):
            return {"in": list(values)}
        case Phrase(text=text, slop=slop):
            return {"exact": text, "slop": slop}
        case Word(text=text):
            return {"shuffle": text, "operator": node.operator, "fuzzy": node.fuzzy} | _alike(node)
        case Substring(text=text):
            return {"substring": text}
        case Prefix(text=text):
            return {"prefix": text}
        case Domain(text=text):
            return {"domain": text}
        case Range(lower=lower, upper=upper):
            bounds = (("gte", lower), ("lte", upper))
            return {name: moment_text(b) if node.of_time else b for name, b in bounds if b is not None}
    return {"exists": True}


def _alike(node: Word | FreeText) -> dict[str, Any]:
    return {"alike": list(node.alike)} if node.alike else {}


def leaves(node: Node) -> list[Condition]:
    """The conditions of a tree, in the order of the request."""
    match node:
        case And(nodes) | Or(nodes):
            return [leaf for child in nodes for leaf in leaves(child)]
        case Not(child):
            return leaves(child)
    return [node]


Text = Phrase | Word | Substring | Prefix | Domain


def texts(node: Node) -> list[Text]:
    """Those that match a part of a value."""
    return [leaf for leaf in leaves(node) if isinstance(leaf, Text)]


def free_texts(node: Node) -> list[FreeText]:
    """Those that match words anywhere."""
    return [leaf for leaf in leaves(node) if isinstance(leaf, FreeText)]
