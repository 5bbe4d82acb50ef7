"""VQL in its JSON spelling, for the typed clients."""

from collections.abc import Mapping, Sequence
from typing import Any

from connectra_client.errors import ClientError
from connectra_client.proto.connectra.common.v1 import Vql

_TREE = {"and": "all", "or": "any"}


def vql(document: Mapping[str, Any]) -> Vql:
    """A query in JSON, as the REST API takes it, as the message of the typed client.

        await connectra.query.list_contacts(ListContactsRequest(query=vql({
            "where": {"keyword_match": {"must": {"country": "germany"}}}, "limit": 10})))

    Whether the fields exist and the values are valid is left to the server.

    Args:
        document: the JSON object of the REST API; it is not changed.

    Raises:
        ClientError: it is not a query: an unknown key, or a value of the wrong type.
    """
    written: dict[str, Any] = _exact(document)
    key, direction = written.pop("sort_by", None), written.pop("sort_direction", None)
    if key and written.get("order_by"):
        raise ClientError("this is not a VQL query: it has both sort_by and order_by")
    if key:
        written["order_by"] = [{"order_by": key, "order_direction": direction or "asc"}]
    if (after := written.pop("search_after", None)) is not None:
        written["cursor"] = after
    try:
        if where := written.get("where"):
            written["where"] = _where(where)
        if kinds := written.get("alike"):
            written["alike"] = _alike(kinds)
        if tree := written.get("filters"):
            written["filters"] = _tree(tree)
        query: Vql = Vql.from_dict(written)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ClientError(f"this is not a VQL query: {error}") from error
    return query


def _exact(value: Any) -> Any:
    # A number of the message is a double; as a text, a larger whole number keeps all its digits.
    match value:
        case Mapping():
            return {name: _exact(member) for name, member in value.items()}
        case list():
            return [_exact(member) for member in value]
        case int() if abs(value) > 2**53:
            return str(value)
    return value


def _where(where: Mapping[str, Any]) -> dict[str, Any]:
    written = dict(where)
    if texts := written.get("text_matches"):
        written["text_matches"] = {side: [_text(text) for text in conditions] for side, conditions in texts.items()}
    if keywords := written.get("keyword_match"):
        written["keyword_match"] = {
            side: {field: value if isinstance(value, list) else [value] for field, value in conditions.items()}
            for side, conditions in keywords.items()
        }
    return written


def _text(text: Mapping[str, Any]) -> dict[str, Any]:
    enums = {"search_type": "SEARCH_TYPE_", "operator": "OPERATOR_"}
    named = {key: f"{enums[key]}{value.upper()}" if key in enums else value for key, value in text.items()}
    return named | ({"alike": _alike(text["alike"])} if text.get("alike") else {})


def _alike(kinds: Sequence[str]) -> list[str]:
    return [f"ALIKE_{kind.upper()}" for kind in kinds]


def _tree(node: Mapping[str, Any]) -> dict[str, Any]:
    for written, name in _TREE.items():
        if written in node:
            return {name: {"nodes": [_tree(child) for child in node[written]]}}
    return {"negate": _tree(node["not"])} if "not" in node else {"leaf": dict(node)}
