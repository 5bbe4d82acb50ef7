"""Request model → tree, and everything that is wrong with it. Both spellings, `where` and `filters`, become the same nodes."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records.fields import CONTACT, Entity
from connectra_common.requests import hint
from connectra_common.search.alike import kinds, name_fields
from connectra_common.vql import parts
from connectra_common.vql.ast import And, Exists, Facet, FacetRange, Node, Not, Or, Query
from connectra_common.vql.free_text import free_text
from connectra_common.vql.limits import Limits
from connectra_common.vql.model import Facet as FacetModel
from connectra_common.vql.model import FilterNode, Values, Vql, Where
from connectra_common.vql.paging import order_keys, window
from connectra_common.vql.reading import Amount, Reading, Target, Wrong
from connectra_common.vql.whole import BOUNDS, equals, within, within_bounds


def parse(entity: Entity, request: Vql, limits: Limits) -> tuple[Query, list[ValidationFailed]]:
    """The tree of a request, and its errors; with one, the tree means nothing.

    The order may not be complete yet, the cursor may not fit it, and columns are not checked.
    """
    reading = Reading(entity, limits)
    nodes: list[Node] = []
    if (asked := request.q) is not None:
        alike = kinds(request.alike)
        nodes.append(reading.whole("q", lambda: free_text(entity, "q", asked, limits, alike)))
    if request.where:
        nodes += _where(reading, request.where)
    if request.filters:
        nodes.append(_tree(reading, request.filters, "filters"))
    found = reading.violations()
    if request.alike and (problem := _not_alike(entity, request)):
        found.append(FieldViolation.at("alike", problem))
    sort = order_keys(reading, request, limits, found)
    facets = tuple(_facets(reading, request.facets or (), limits, found))
    size, skip, errors = window(request, limits)
    if request.cursor and skip:
        problem = "continues after a row, so it cannot be given together with page or offset"
        found.append(FieldViolation.at("cursor", problem))
    config = request.company_config
    query = Query(
        entity=entity,
        root=And(tuple(nodes)),
        sort=sort,
        size=size,
        skip=skip,
        cursor=tuple(request.cursor) if request.cursor else None,
        columns=tuple(dict.fromkeys(request.select_columns or ())),
        # Only contacts have a company.
        company_columns=tuple(dict.fromkeys(config.select_columns or ()))
        if entity is CONTACT and config and config.populate
        else None,
        facets=facets,
        explain=request.explain,
        highlight=request.highlight,
        track_total=request.track_total,
    )
    return query, [*errors, *([ValidationFailed.of(found)] if found else [])]


def _not_alike(entity: Entity, request: Vql) -> str:
    if request.q is None:
        return "is of use only with q; a condition of text_matches has its own"
    return "" if name_fields(entity) else f"is for names of people, which no {entity.name} has"


def _facets(
    reading: Reading, facets: Sequence[FacetModel], limits: Limits, found: list[FieldViolation]
) -> Iterator[Facet]:
    if len(facets) > limits.facets:
        found.append(FieldViolation.at("facets", f"{len(facets)} facets; at most {limits.facets} are allowed"))
    for i, facet in enumerate(facets[: limits.facets]):
        path, name = f"facets[{i}]", reading.name(facet.field)
        if (field := reading.fields.get(name)) is None:
            found.append(FieldViolation.at(f"{path}.field", hint(facet.field, sorted(reading.fields))))
            continue
        size = facet.size or limits.default_facet_size
        if not 1 <= size <= limits.facet_size:
            found.append(FieldViolation.at(f"{path}.size", f"{size}; 1 to {limits.facet_size} are allowed"))
        if len(facet.ranges or ()) > (most := limits.facet_ranges):
            problem = f"{len(facet.ranges or ())} ranges; at most {most} are allowed"
            found.append(FieldViolation.at(f"{path}.ranges", problem))
        ranges = []
        for k, asked in enumerate((facet.ranges or ())[:most]):
            place = f"{path}.ranges[{k}]"
            try:
                bounds = within(
                    Target(place, facet.field, name, field, Amount(limits)), {"gte": asked.gte, "lt": asked.lt}
                )
                ranges.append(FacetRange(bounds, asked.gte, asked.lt))
            except Wrong as wrong:
                found += [FieldViolation.at(place, problem) for problem in wrong.problems]
        yield Facet(name, size, tuple(ranges))


def _where(reading: Reading, where: Where) -> list[Node]:
    nodes: list[Node] = []
    if texts := where.text_matches:
        # OR within a field, AND between fields.
        groups: dict[str, list[Node]] = defaultdict(list)
        for i, text in enumerate(texts.must or ()):
            node = reading.condition(f"where.text_matches.must[{i}]", text.filter_key, _reader(parts.text_match, text))
            groups[reading.name(text.filter_key)].append(node)
        nodes += [group[0] if len(group) == 1 else Or(tuple(group)) for group in groups.values()]
        for i, text in enumerate(texts.must_not or ()):
            path = f"where.text_matches.must_not[{i}]"
            nodes.append(Not(reading.condition(path, text.filter_key, _reader(parts.text_match, text))))
    for name, read in (("keyword_match", equals), ("range_query", within_bounds)):
        clause = getattr(where, name)
        for side in ("must", "must_not") if clause else ():
            for field, asked in (getattr(clause, side) or {}).items():
                node = reading.condition(f"where.{name}.{side}.{field}", field, _reader(read, asked))
                nodes.append(Not(node) if side == "must_not" else node)
    return nodes


def _reader(read: Callable[[Target, Any], Node], asked: Any) -> Callable[[Target], Node]:
    return lambda of: read(of, asked)


def _tree(reading: Reading, node: FilterNode, path: str) -> Node:
    if node.all is not None:
        return And(tuple(_tree(reading, child, f"{path}.and[{i}]") for i, child in enumerate(node.all)))
    if node.any is not None:
        return Or(tuple(_tree(reading, child, f"{path}.or[{i}]") for i, child in enumerate(node.any)))
    if node.negate is not None:
        return Not(_tree(reading, node.negate, f"{path}.not"))
    return _leaf(reading, node, path)


_NEGATED = {"ne": "eq", "nin": "in", "ncontains": "contains", "nexists": "exists"}


def _leaf(reading: Reading, node: FilterNode, path: str) -> Node:
    operator, field, value = node.operator or "", node.field or "", node.value
    if operator in _NEGATED:
        return Not(_leaf(reading, node.model_copy(update={"operator": _NEGATED[operator]}), path))
    found = reading.condition(path, field, lambda of: _operation(of, operator, value))
    # {"operator": "exists", "value": false} says the opposite.
    return Not(found) if operator == "exists" and value is False else found


def _operation(of: Target, operator: str, value: Values | None) -> Node:
    if operator in BOUNDS:
        return within(of, {operator: value})
    match operator:
        case "exists":
            return Exists(of.path, of.name)
        case "contains":
            return parts.contains(of, value)
        case "prefix":
            return parts.prefix(of, value)
        case "domain":
            return parts.domain(of, value)
    return equals(of, value)
