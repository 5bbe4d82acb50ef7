"""The typed spelling of VQL, to and from its JSON document.

A typed request is first converted to the JSON document, so that both APIs share one validator (`model`). Names that exist both here or in
`ast` and in `model` (search types, operators, bounds, Facet, Scalar) are duplicated on purpose: the three change independently.
"""

from typing import Any, Literal

from connectra.common.v1 import vql_pb2
from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict

from connectra_common.vql.model import FilterNode, Range, TextMatch, Vql

_SEARCH_TYPES = {
    "exact": vql_pb2.SEARCH_TYPE_EXACT,
    "shuffle": vql_pb2.SEARCH_TYPE_SHUFFLE,
    "substring": vql_pb2.SEARCH_TYPE_SUBSTRING,
}
_OPERATORS = {"and": vql_pb2.OPERATOR_AND, "or": vql_pb2.OPERATOR_OR}
_BOUNDS: tuple[Literal["gte", "gt", "lte", "lt"], ...] = ("gte", "gt", "lte", "lt")


def to_proto(query: Vql) -> vql_pb2.Vql:
    """The equivalent message."""
    message = vql_pb2.Vql(
        page=query.page or 0,
        limit=query.limit or 0,
        offset=query.offset or 0,
        cursor=[to_value(v) for v in query.cursor or ()],
        select_columns=query.select_columns or [],
        order_by=[
            vql_pb2.OrderBy(order_by=o.order_by, order_direction=o.order_direction) for o in query.order_by or ()
        ],
    )
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
    """The equivalent JSON document; `Vql.model_validate` checks it like a client's."""
    document: dict[str, Any] = {
        "order_by": [{"order_by": o.order_by, "order_direction": o.order_direction} for o in message.order_by],
        "page": message.page,
        "limit": message.limit,
        "offset": message.offset or None,
        "cursor": [_plain(v) for v in message.cursor] or None,
        "select_columns": list(message.select_columns) or None,
        "explain": message.explain,
        "highlight": message.highlight,
        "track_total": message.track_total,
        "facets": [_facet_to_json(facet) for facet in message.facets] or None,
    }
    if message.HasField("company_config"):
        config = message.company_config
        document["company_config"] = {
            "populate": config.populate,
            "select_columns": list(config.select_columns) or None,
        }
    if message.HasField("filters"):
        document["filters"] = _tree_to_json(message.filters)
    if message.HasField("where"):
        where = message.where
        document["where"] = {
            "text_matches": {
                "must": [_text_to_json(t) for t in where.text_matches.must],
                "must_not": [_text_to_json(t) for t in where.text_matches.must_not],
            },
            "keyword_match": {
                side: {
                    f: [_plain(v) for v in values.values] for f, values in getattr(where.keyword_match, side).items()
                }
                for side in ("must", "must_not")
            },
            "range_query": {
                side: {f: _range_to_json(bounds) for f, bounds in getattr(where.range_query, side).items()}
                for side in ("must", "must_not")
            },
        }
    return document


def to_value(value: object) -> struct_pb2.Value:
    """A JSON value from a protobuf Value."""
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case bool():
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=value)
        case list():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[to_value(v) for v in value]))
    return struct_pb2.Value(string_value=str(value))


def _plain(value: struct_pb2.Value) -> Any:
    plain = MessageToDict(value)
    return _number(plain)


def _number(value: Any) -> Any:
    # Value has only one kind of number.
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return [_number(v) for v in value] if isinstance(value, list) else value


def _text(text: TextMatch) -> vql_pb2.TextMatch:
    return vql_pb2.TextMatch(
        text_value=text.text_value,
        filter_key=text.filter_key,
        search_type=_SEARCH_TYPES[text.search_type],
        slop=text.slop,
        operator=_OPERATORS[text.operator],
        fuzzy=text.fuzzy,
    )


def _text_to_json(text: vql_pb2.TextMatch) -> dict[str, Any]:
    document: dict[str, Any] = {
        "text_value": text.text_value,
        "filter_key": text.filter_key,
        "slop": text.slop,
        "fuzzy": text.fuzzy,
    }
    # Unset fields are omitted, so that the JSON rules (a required member, a default) apply.
    if text.search_type:
        document["search_type"] = next((n for n, i in _SEARCH_TYPES.items() if i == text.search_type), "")
    if text.operator:
        document["operator"] = next((n for n, i in _OPERATORS.items() if i == text.operator), "")
    return document


def _range(bounds: Range) -> vql_pb2.Range:
    return vql_pb2.Range(**{b: to_value(v) for b in _BOUNDS if (v := getattr(bounds, b)) is not None})


def _range_to_json(bounds: vql_pb2.Range) -> dict[str, Any]:
    return {b: _plain(getattr(bounds, b)) for b in _BOUNDS if bounds.HasField(b)}


def _facet_to_json(facet: vql_pb2.Facet) -> dict[str, Any]:
    ranges = [{b: _plain(getattr(r, b)) for b in ("gte", "lt") if r.HasField(b)} for r in facet.ranges]
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


def _tree_to_json(message: vql_pb2.FilterNode) -> dict[str, Any]:
    kind = message.WhichOneof("node")
    if kind == "negate":
        return {"not": _tree_to_json(message.negate)}
    for key, field in _LISTS.items():
        if kind == field:
            return {key: [_tree_to_json(child) for child in getattr(message, field).nodes]}
    leaf = message.leaf
    return {"field": leaf.field, "operator": leaf.operator, "value": _plain(leaf.value)}
