"""Conditions on whole values, numbers and dates."""

from collections.abc import Mapping, Sequence

from connectra_common.records.fields import Index
from connectra_common.vql.ast import Equals, Member, Node, Or, Range, Scalar
from connectra_common.vql.model import Range as Bounds
from connectra_common.vql.model import Values
from connectra_common.vql.reading import Target, Wrong
from connectra_common.vql.values import Span, as_text, read_moment, read_number, spellings

BOUNDS = ("gte", "gt", "lte", "lt")


def equals(of: Target, asked: Values | None) -> Node:
    """The value is one of these.

    Raises:
        Wrong: there is none, or too many, or one is not a value of the field.
    """
    if asked is None:
        raise Wrong("needs a `value`; `exists` and `nexists` ask whether there is one")
    values = asked if isinstance(asked, list) else [asked]
    if not values:
        raise Wrong("the list is empty; give at least one value")
    limits = of.amount.limits
    if len(values) > limits.terms:
        raise Wrong(f"{len(values)} values; at most {limits.terms} are allowed")
    if of.is_number:
        return _numbers(of, values)
    found: dict[str | int, None] = {}
    for value in values:
        if len(text := as_text(value)) > limits.value_chars:
            raise Wrong(f"a value has {len(text)} characters; at most {limits.value_chars} are allowed")
        found |= dict.fromkeys(spellings(value, of.field.rule))
    return _one_of(of, list(found))


def within(of: Target, bounds: Mapping[str, Values | None]) -> Range:
    """Within bounds (gte, gt, lte, lt), of which the tighter ones count.

    Raises:
        Wrong: the field has no bounds, there is none, or one is not a value of the field.
    """
    if not of.is_number:
        raise Wrong(f"{of.given} is neither a number nor a date; use keyword_match")
    asked = {bound: value for bound, value in bounds.items() if value is not None}
    if not asked:
        raise Wrong("give at least one of gte, gt, lte, lt")
    lower, upper, problems = [], [], []
    for bound, value in asked.items():
        try:
            first, last = _span(of, value)
        except ValueError as error:
            problems.append(f"{bound}: {error}")
            continue
        if bound in ("gte", "gt"):
            lower.append(first if bound == "gte" else last + 1)
        else:
            upper.append(last if bound == "lte" else first - 1)
    if problems:
        raise Wrong(*problems)
    return Range(of.path, of.name, max(lower, default=None), min(upper, default=None), of.field.index is Index.DATE)


def within_bounds(of: Target, asked: Bounds) -> Range:
    """As `within`, for the bounds of `range_query`."""
    return within(of, {name: getattr(asked, name) for name in BOUNDS})


def _numbers(of: Target, values: Sequence[Scalar]) -> Node:
    try:
        spans = list(dict.fromkeys(_span(of, value) for value in values))
    except ValueError as error:
        raise Wrong(str(error)) from None
    if of.field.index is Index.LONG:
        # A number with a fraction is equal to no whole one.
        return _one_of(of, [first for first, last in spans if first == last])
    of.amount.words += len(spans)
    ranges = tuple(Range(of.path, of.name, *span, of_time=True) for span in spans)
    return ranges[0] if len(ranges) == 1 else Or(ranges)


def _span(of: Target, value: Values | None) -> Span:
    if isinstance(value, list):
        raise ValueError("needs one value, not a list")
    return read_number(value) if of.field.index is Index.LONG else read_moment(value)


def _one_of(of: Target, values: Sequence[str | int]) -> Node:
    if not values:
        return Or(())
    return Equals(of.path, of.name, values[0]) if len(values) == 1 else Member(of.path, of.name, tuple(values))
