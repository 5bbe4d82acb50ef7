"""Tree → JSON for people: the query as understood, in one notation whatever the request's."""

from typing import Any

from connectra_common.vql.ast import And, Bounds, Condition, Exists, Node, Not, Or, Query, Terms, Text


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
        case Text(value=value, search_type=kind):
            return {"field": node.field, kind: value} | _text_options(node)
        case Terms(values=values):
            return {"field": node.field, "in": list(values)}
        case Bounds():
            return {"field": node.field} | {
                b: v for b in ("gte", "gt", "lte", "lt") if (v := getattr(node, b)) is not None
            }
        case Exists():
            return {"field": node.field, "exists": True}


def _text_options(node: Text) -> dict[str, Any]:
    match node.search_type:
        case "exact":
            return {"slop": node.slop}
        case "shuffle":
            return {"operator": node.operator, "fuzzy": node.fuzzy}
    return {"operator": node.operator}


def leaves(node: Node) -> list[Condition]:
    """The conditions of a tree, in the order of the request."""
    match node:
        case And(nodes) | Or(nodes):
            return [leaf for child in nodes for leaf in leaves(child)]
        case Not(child):
            return leaves(child)
    return [node]
