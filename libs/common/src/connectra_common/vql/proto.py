"""The typed spelling of VQL, to and from its JSON document.

A typed request is first converted to the JSON document, so that both APIs share one validator (`model`). Names that exist both here or in
`ast` and in `model` (search types, operators, bounds, Facet, Scalar) are duplicated on purpose: the three change independently.
"""

from collections.abc import Sequence, Sized
from typing import Any, Literal, TypeVar

from connectra.common.v1 import vql_pb2
from google.protobuf import struct_pb2

from connectra_common.errors import ValidationFailed
from connectra_common.vql.limits import LIMITS
from connectra_common.vql.model import FilterNode, Range, TextMatch, Vql
from connectra_common.vql.tree import check_tree

Members = TypeVar("Members", bound=Sized)

_SEARCH_TYPES = {
    "exact": vql_pb2.SEARCH_TYPE_EXACT,
    "shuffle": vql_pb2.SEARCH_TYPE_SHUFFLE,
    "substring": vql_pb2.SEARCH_TYPE_SUBSTRING,
}
_OPERATORS = {"and": vql_pb2.OPERATOR_AND, "or": vql_pb2.OPERATOR_OR}
ALIKE = {"nickname": vql_pb2.ALIKE_NICKNAME, "sound": vql_pb2.ALIKE_SOUND}
_BOUNDS: tuple[Literal["gte", "gt", "lte", "lt"], ...] = ("gte", "gt", "lte", "lt")


def to_proto(query: Vql) -> vql_pb2.Vql:
    """The equivalent message."""
    message = vql_pb2.Vql(
        q=query.q or "",
        alike=map(ALIKE.__getitem__, query.alike or ()),
        page=query.page or 0,
        limit=query.limit or 0,
        offset=query.offset or 0,
        cursor=[to_value(v) for v in query.cursor or ()],
        select_columns=query.select_columns or [],
        order_by=[
            vql_pb2.OrderBy(order_by=o.order_by, order_direction=o.order_direction) for o in query.order_by or ()
        ],
    )
    if query.sort_by:
        message.order_by.add(order_by=query.sort_by, order_direction=query.sort_direction or "asc")
    if query.company_config:
        message.company_config.populate = query.company_config.populate
        message.company_config.select_columns.extend(query.company_config.select_columns or [])
    if query.filters is not None:
        message.filters.CopyFrom(_tree_to_proto(query.filters))
    message.explain, message.highlight, message.track_total = query.explain, query.highlight, query.track_total
    for facet in query.facets or ():
        added = message.facets.add(field=facet.field, size=facet.size or 0)
        for r in facet.ranges or ():
            added.ranges.add(**{b: to_value(v) for b in ("gte", "lt") if (v := getattr(r, b)) is not None})
    where = query.where
    if where and where.text_matches:
        message.where.text_matches.must.extend(_text(t) for t in where.text_matches.must or ())
        message.where.text_matches.must_not.extend(_text(t) for t in where.text_matches.must_not or ())
    if where and where.keyword_match:
        for side in ("must", "must_not"):
            target = getattr(message.where.keyword_match, side)
            for field, value in (getattr(where.keyword_match, side) or {}).items():
                target[field].values.extend(to_value(v) for v in (value if isinstance(value, list) else [value]))
    if where and where.range_query:
        for side in ("must", "must_not"):
            for field, bounds in (getattr(where.range_query, side) or {}).items():
                getattr(message.where.range_query, side)[field].CopyFrom(_range(bounds))
    return message


def to_json(message: vql_pb2.Vql) -> dict[str, Any]:
    """The equivalent JSON document; `Vql.model_validate` checks it like a client's.

    Raises:
        ValidationFailed: it has more of something than a query may have.
    """
    counted = _Counted()
    facets = _at_most(message.facets, LIMITS.facets, "facets", "facets")
    document: dict[str, Any] = {
        "q": message.q or None,
        "alike": _alike_to_json(message.alike, "alike"),
        "order_by": [
            {"order_by": o.order_by, "order_direction": o.order_direction}
            for o in _at_most(message.order_by, LIMITS.sort_keys, "order_by", "keys")
        ],
        "page": message.page,
        "limit": message.limit,
        "offset": message.offset or None,
        "cursor": [_plain(v) for v in _at_most(message.cursor, LIMITS.sort_keys + 1, "cursor", "values")] or None,
        "select_columns": list(message.select_columns) or None,
        "explain": message.explain,
        "highlight": message.highlight,
        "track_total": message.track_total,
        "facets": [_facet_to_json(facet, f"facets[{i}]") for i, facet in enumerate(facets)] or None,
    }
    if message.HasField("company_config"):
        config = message.company_config
        document["company_config"] = {
            "populate": config.populate,
            "select_columns": list(config.select_columns) or None,
        }
    if message.HasField("filters"):
        try:
            check_tree(message.filters, _children)
        except ValueError as error:
            raise ValidationFailed.at("filters", str(error)) from None
        document["filters"] = _tree_to_json(message.filters, counted)
    if message.HasField("where"):
        where = message.where
        clauses = {
            "text_matches": {
                side: [_text_to_json(t) for t in _conditions(where.text_matches, "text_matches", side)]
                for side in _SIDES
            },
            "keyword_match": {
                side: {
                    f: _list_to_json(values, f"where.keyword_match.{side}.{f}", counted)
                    for f, values in _conditions(where.keyword_match, "keyword_match", side).items()
                }
                for side in _SIDES
            },
            "range_query": {
                side: {f: _range_to_json(r) for f, r in _conditions(where.range_query, "range_query", side).items()}
                for side in _SIDES
            },
        }
        given = {field.name for field, _ in where.ListFields()}
        document["where"] = {name: clause for name, clause in clauses.items() if name in given}
    return document


_SIDES = ("must", "must_not")


def _conditions(clause: Any, name: str, side: str) -> Any:
    return _at_most(getattr(clause, side), LIMITS.clauses, f"where.{name}.{side}", "conditions")


def _at_most(members: Members, number: int, path: str, noun: str) -> Members:
    """The members, if there are so few; to be asked before they are converted."""
    if len(members) > number:
        raise ValidationFailed.at(path, f"{len(members)} {noun}; at most {number} are allowed")
    return members


# Whole numbers up to here are exact as a double.
EXACT = 2**53


def to_value(value: object) -> struct_pb2.Value:
    """A protobuf Value from a JSON value; whole numbers that a double does not have are texts, which conditions read as numbers."""
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case bool():
            return struct_pb2.Value(bool_value=value)
        case int() if abs(value) > EXACT:
            return struct_pb2.Value(string_value=str(value))
        case int() | float():
            return struct_pb2.Value(number_value=value)
        case list():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[to_value(v) for v in value]))
    return struct_pb2.Value(string_value=str(value))


def _plain(value: struct_pb2.Value) -> Any:
    """A scalar; of what is none, the empty one of its kind, which is refused as well."""
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            # Value has only one kind of number.
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) <= EXACT else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return []
        case "struct_value":
            return {}
    return None


def _list_to_json(values: struct_pb2.ListValue, path: str, counted: "_Counted") -> list[Any]:
    counted.add(len(_at_most(values.values, LIMITS.terms, path, "values")))
    return [_plain(value) for value in values.values]


class _Counted:
    """The values of all lists so far."""

    def __init__(self) -> None:
        self._values = 0

    def add(self, values: int) -> None:
        self._values += values
        if self._values > LIMITS.values:
            raise ValidationFailed.at("where", f"more than {LIMITS.values} values in all conditions")


def _text(text: TextMatch) -> vql_pb2.TextMatch:
    return vql_pb2.TextMatch(
        text_value=text.text_value,
        filter_key=text.filter_key,
        search_type=_SEARCH_TYPES[text.search_type],
        slop=text.slop,
        operator=_OPERATORS[text.operator],
        fuzzy=text.fuzzy,
        alike=map(ALIKE.__getitem__, text.alike or ()),
    )


def _text_to_json(text: vql_pb2.TextMatch) -> dict[str, Any]:
    document: dict[str, Any] = {
        "text_value": text.text_value,
        "filter_key": text.filter_key,
        "slop": text.slop,
        "fuzzy": text.fuzzy,
        "alike": _alike_to_json(text.alike, "alike"),
    }
    # Unset fields are omitted, so that the JSON rules (a required member, a default) apply.
    if text.search_type:
        document["search_type"] = next((n for n, i in _SEARCH_TYPES.items() if i == text.search_type), "")
    if text.operator:
        document["operator"] = next((n for n, i in _OPERATORS.items() if i == text.operator), "")
    return document


def _alike_to_json(given: Sequence[vql_pb2.Alike.ValueType], path: str) -> list[str] | None:
    kinds = _at_most(given, len(ALIKE), path, "kinds")
    # What is not known is refused by the model.
    return [next((n for n, i in ALIKE.items() if i == kind), "") for kind in kinds] or None


def _range(bounds: Range) -> vql_pb2.Range:
    return vql_pb2.Range(**{b: to_value(v) for b in _BOUNDS if (v := getattr(bounds, b)) is not None})


def _range_to_json(bounds: vql_pb2.Range) -> dict[str, Any]:
    return {b: _plain(getattr(bounds, b)) for b in _BOUNDS if bounds.HasField(b)}


def _facet_to_json(facet: vql_pb2.Facet, path: str) -> dict[str, Any]:
    given = _at_most(facet.ranges, LIMITS.facet_ranges, f"{path}.ranges", "ranges")
    ranges = [{b: _plain(getattr(r, b)) for b in ("gte", "lt") if r.HasField(b)} for r in given]
    return {"field": facet.field, "size": facet.size or None, "ranges": ranges or None}


_LISTS = {"and": "all", "or": "any"}


def _tree_to_proto(node: FilterNode) -> vql_pb2.FilterNode:
    message = vql_pb2.FilterNode()
    for name in _LISTS.values():
        if (children := getattr(node, name)) is not None:
            getattr(message, name).nodes.extend(_tree_to_proto(child) for child in children)
            return message
    if node.negate is not None:
        message.negate.CopyFrom(_tree_to_proto(node.negate))
    else:
        message.leaf.field, message.leaf.operator = node.field or "", node.operator or ""
        message.leaf.value.CopyFrom(to_value(node.value))
    return message


def _tree_to_json(message: vql_pb2.FilterNode, counted: _Counted) -> dict[str, Any]:
    kind = message.WhichOneof("node")
    if kind == "negate":
        return {"not": _tree_to_json(message.negate, counted)}
    for key, field in _LISTS.items():
        if kind == field:
            return {key: [_tree_to_json(child, counted) for child in getattr(message, field).nodes]}
    leaf = message.leaf
    is_list = leaf.value.HasField("list_value")
    value = _list_to_json(leaf.value.list_value, "filters", counted) if is_list else _plain(leaf.value)
    return {"field": leaf.field, "operator": leaf.operator, "value": value}


def _children(message: vql_pb2.FilterNode) -> Sequence[vql_pb2.FilterNode]:
    kind = message.WhichOneof("node")
    if kind == "negate":
        return (message.negate,)
    if kind == "leaf" or kind is None:
        return ()
    nodes: Sequence[vql_pb2.FilterNode] = getattr(message, kind).nodes
    return nodes
