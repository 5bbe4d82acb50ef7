"""The order of the hits, decided once: the sort keys, the cursor that continues in them, the sort values that rows return."""

import math
from dataclasses import replace

from connectra_common.errors import ValidationFailed
from connectra_common.records.fields import Index
from connectra_common.records.ids import canonical_uuid
from connectra_common.search.mappings import indexed_fields
from connectra_common.vql.ast import And, FreeText, Node, Or, Phrase, Prefix, Query, Scalar, Sort, Substring, Word
from connectra_common.vql.values import read_moment, read_number, shown

# Elasticsearch's name for relevance; never requested by name.
SCORE = "_score"
TIE_BREAKER = "uuid"
# Its value is unique as well: a cursor that ends with it needs no tie-breaker.
ALSO_UNIQUE = "id"
# Behind every uuid: with it, a page continues after all rows that have the values before it.
LAST_UUID = "~"


def ordered(query: Query) -> Query:
    """The query with a whole order: without one asked, relevance when a text condition counts, else newest first; `uuid` last.

    Keys after `uuid` have no effect and are dropped.
    """
    if query.keys:
        return query
    asked = query.sort or (Sort(SCORE if scores(query.root) else "created_at", descending=True),)
    for i, key in enumerate(asked):
        if key.field == TIE_BREAKER:
            return replace(query, sort=asked[: i + 1], keys=i + 1)
    return replace(query, sort=(*asked, Sort(TIE_BREAKER, descending=False)), keys=len(asked))


def with_typed_cursor(query: Query) -> Query:
    """The ordered query with its cursor in the types that Elasticsearch compares: clients hold cursors as text.

    A cursor may leave out the value of a tie-breaker that was not asked for: it continues after all rows that have its values.

    Raises:
        ValidationFailed: the cursor does not fit the order.
    """
    if query.cursor is None:
        return query
    given = query.cursor
    if len(given) not in (query.keys, len(query.sort)):
        keys = ", ".join(key.field for key in query.sort)
        problem = f"has {len(given)} values; this order gives {len(query.sort)} ({keys})"
        raise ValidationFailed.at(
            "cursor", f"{problem}. Send the `next_cursor` of the last answer with the same order_by"
        )
    if len(given) < len(query.sort):
        given = (*given, LAST_UUID)
    fields = indexed_fields(query.entity)
    values = []
    for value, key in zip(given, query.sort, strict=True):
        try:
            values.append(_score(value) if key.field == SCORE else _typed(value, fields[key.field].index))
        except (ValueError, OverflowError):
            raise ValidationFailed.at("cursor", f"{shown(value)} is not a value of {key.field}") from None
    return replace(query, cursor=tuple(values))


def cursor_values(query: Query) -> int:
    """How many of a hit's sort values make the cursor that continues after it."""
    unique = any(key.field == ALSO_UNIQUE for key in query.sort[: query.keys])
    return query.keys if unique else len(query.sort)


def scores(node: Node) -> bool:
    """Whether a node has a text condition that makes one hit more relevant than another."""
    match node:
        case Phrase() | Word() | FreeText():
            return True
        case Substring(whole=whole) | Prefix(whole=whole):
            return not whole
        case And(nodes) | Or(nodes):
            return any(map(scores, nodes))
    return False  # excluded conditions do not score


def _score(value: Scalar | None) -> float:
    score = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    if not math.isfinite(score):
        raise ValueError(value)
    return score


def _typed(value: Scalar | None, index: Index) -> Scalar | None:
    if index is Index.DATE:
        try:
            return read_moment(value).first
        except ValueError:
            index = Index.LONG  # the milliseconds that rows have in their cursors
    if index is Index.LONG:
        first, last = read_number(value)
        if first != last:
            raise ValueError(value)
        return first
    if value is None:
        return None
    return canonical_uuid(str(value)) if index is Index.UUID else str(value)
