"""The order of the hits, decided once: the sort keys, the cursor that continues in them, the sort values that rows return."""

from dataclasses import replace

from connectra_common.errors import ValidationFailed
from connectra_common.records.fields import Index
from connectra_common.search.mappings import indexed_fields
from connectra_common.vql.ast import And, Node, Or, Query, Scalar, Sort, Text
from connectra_common.vql.values import fits_64_bits, is_date, read_number

# Elasticsearch's name for relevance; never requested by name.
SCORE = "_score"
# Fields that are unique per record.
TIE_BREAKER = "uuid"


def ordered(query: Query) -> Query:
    """The query with a whole order: without one asked, relevance when a text condition counts, else newest first; `uuid` last.

    Keys after `uuid` have no effect and are dropped.
    """
    asked = query.sort or (Sort(SCORE if scores(query.root) else "created_at", descending=True),)
    for i, key in enumerate(asked):
        if key.field == TIE_BREAKER:
            return replace(query, sort=asked[: i + 1])
    return replace(query, sort=(*asked, Sort(TIE_BREAKER, descending=False)))


def with_typed_cursor(query: Query) -> Query:
    """The ordered query with its cursor in the types that Elasticsearch compares: clients hold cursors as text.

    Raises:
        ValidationFailed: the cursor does not fit the order.
    """
    if query.cursor is None:
        return query
    if len(query.cursor) != len(query.sort):
        raise ValidationFailed.at("cursor", f"has {len(query.cursor)} values; this order gives {len(query.sort)}")
    fields = indexed_fields(query.entity)
    values = []
    for value, key in zip(query.cursor, query.sort, strict=True):
        index = Index.LONG if key.field == SCORE else fields[key.field].index
        try:
            values.append(_typed(value, index))
        except ValueError:
            raise ValidationFailed.at("cursor", f"{repr(value)[:60]} is not a value of {key.field}") from None
    return replace(query, cursor=tuple(values))


def scores(node: Node) -> bool:
    """Whether a node has a text condition that makes one hit more relevant than another."""
    match node:
        case Text():
            return True
        case And(nodes) | Or(nodes):
            return any(map(scores, nodes))
    return False  # excluded conditions do not score


def _typed(value: Scalar | None, index: Index) -> Scalar | None:
    if index not in (Index.LONG, Index.DATE):
        return None if value is None else str(value)
    if index is Index.DATE and isinstance(value, str) and is_date(value):
        return value
    if isinstance(value, str):
        # A score may have an exponent.
        number = read_number(value)
        value = float(value) if number is None else number
    if value is None or isinstance(value, bool) or not fits_64_bits(value):
        raise ValueError(value)
    return value
