"""Request model → tree, and everything that is wrong with it. Both spellings, `where` and `filters`, become the same nodes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records.fields import CONTACT, Entity
from connectra_common.refusals import PageOutOfRange, PageSizeExceeded
from connectra_common.requests import hint, hinted
from connectra_common.vql.ast import And, Facet, FacetRange, Node, Not, Or, Query, Sort
from connectra_common.vql.conditions import Conditions
from connectra_common.vql.limits import Limits
from connectra_common.vql.model import Facet as FacetModel
from connectra_common.vql.model import FilterNode, Vql, Where

_DIRECTIONS = {"asc": False, "desc": True, "": False}


def parse(entity: Entity, request: Vql, limits: Limits) -> tuple[Query, list[ValidationFailed]]:
    """The tree of a request, and its errors; with one, the tree means nothing.

    The order may not be complete yet, the cursor may not fit it, and columns are not checked.
    """
    conditions = Conditions(entity, limits)
    nodes: list[Node] = []
    if request.where:
        nodes += _where(conditions, request.where)
    if request.filters:
        nodes.append(_tree(conditions, request.filters, "filters"))
    found = conditions.violations()
    sort = _order(conditions, request, limits, found)
    facets = tuple(_facets(conditions, request.facets or (), limits, found))
    size, skip, errors = _window(request, limits)
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


def _window(request: Vql, limits: Limits) -> tuple[int, int, list[ValidationFailed]]:
    """Rows of the page, rows before it, and what is wrong with them."""
    limit, page, offset = request.limit or 0, request.page or 0, request.offset or 0
    errors: list[ValidationFailed] = []
    if limit > limits.page_size:
        errors.append(PageSizeExceeded(limit, limits.page_size))
    # Zero and negative values always meant the default.
    size = limit if limit > 0 else limits.default_page_size
    if page > limits.pages:
        errors.append(PageOutOfRange("page", page, limits.pages))
    if page > 0 and offset > 0:
        errors.append(ValidationFailed.at("offset", "cannot be given together with page; give one of the two"))
    elif offset > 0 and offset + size > limits.window:
        errors.append(PageOutOfRange("offset", offset, max(0, limits.window - size)))
    return size, (page - 1) * size if page > 0 else max(offset, 0), errors


def _order(conditions: Conditions, request: Vql, limits: Limits, found: list[FieldViolation]) -> tuple[Sort, ...]:
    asked = [(f"order_by[{i}]", o.order_by, o.order_direction) for i, o in enumerate(request.order_by or ())]
    if request.sort_by and asked:
        found.append(FieldViolation.at("sort_by", "cannot be given together with order_by; give one of the two"))
    elif request.sort_by:
        asked = [("", request.sort_by, request.sort_direction or "asc")]
    if len(asked) > limits.sort_keys:
        found.append(FieldViolation.at("order_by", f"{len(asked)} keys; at most {limits.sort_keys} are allowed"))
    known, unknown, sort = conditions.fields, [], []
    for path, given, direction in asked[: limits.sort_keys]:
        if (name := conditions.name(given)) not in known:
            unknown.append((f"{path}.order_by" if path else "sort_by", given))
        if (descending := _DIRECTIONS.get(direction.lower())) is None:
            place = f"{path}.order_direction" if path else "sort_direction"
            found.append(FieldViolation.at(place, f"{direction[:60]!r} is neither 'asc' nor 'desc'"))
        sort.append(Sort(name, bool(descending)))
    found += hinted(unknown, sorted(known), "order_by")
    return tuple(sort)


def _facets(
    conditions: Conditions, facets: Sequence[FacetModel], limits: Limits, found: list[FieldViolation]
) -> Iterator[Facet]:
    if len(facets) > limits.facets:
        found.append(FieldViolation.at("facets", f"{len(facets)} facets; at most {limits.facets} are allowed"))
    for i, facet in enumerate(facets[: limits.facets]):
        path, name = f"facets[{i}]", conditions.name(facet.field)
        if (field := conditions.fields.get(name)) is None:
            found.append(FieldViolation.at(f"{path}.field", hint(facet.field, sorted(conditions.fields))))
            continue
        size = facet.size or limits.default_facet_size
        if not 1 <= size <= limits.facet_size:
            found.append(FieldViolation.at(f"{path}.size", f"{size}; 1 to {limits.facet_size} are allowed"))
        if len(facet.ranges or ()) > (most := limits.facet_ranges):
            problem = f"{len(facet.ranges or ())} ranges; at most {most} are allowed"
            found.append(FieldViolation.at(f"{path}.ranges", problem))
        ranges = []
        for k, r in enumerate((facet.ranges or ())[:most]):
            within = conditions.within(f"{path}.ranges[{k}]", name, field, {"gte": r.gte, "lt": r.lt}, found)
            if within is not None:
                ranges.append(FacetRange(within, r.gte, r.lt))
        yield Facet(name, size, tuple(ranges))


def _where(conditions: Conditions, where: Where) -> list[Node]:
    nodes: list[Node] = []
    if texts := where.text_matches:
        # OR within a field, AND between fields.
        groups: dict[str, list[Node]] = defaultdict(list)
        for i, text in enumerate(texts.must or ()):
            node = conditions.text(f"where.text_matches.must[{i}]", text)
            groups[conditions.name(text.filter_key)].append(node)
        nodes += [group[0] if len(group) == 1 else Or(tuple(group)) for group in groups.values()]
        for i, text in enumerate(texts.must_not or ()):
            nodes.append(Not(conditions.text(f"where.text_matches.must_not[{i}]", text)))
    for name, read in (("keyword_match", conditions.equals), ("range_query", conditions.range)):
        clause = getattr(where, name)
        for side in ("must", "must_not") if clause else ():
            for field, asked in (getattr(clause, side) or {}).items():
                node = read(f"where.{name}.{side}.{field}", field, asked)
                nodes.append(Not(node) if side == "must_not" else node)
    return nodes


def _tree(conditions: Conditions, node: FilterNode, path: str) -> Node:
    if node.all is not None:
        return And(tuple(_tree(conditions, child, f"{path}.and[{i}]") for i, child in enumerate(node.all)))
    if node.any is not None:
        return Or(tuple(_tree(conditions, child, f"{path}.or[{i}]") for i, child in enumerate(node.any)))
    if node.negate is not None:
        return Not(_tree(conditions, node.negate, f"{path}.not"))
    return _leaf(conditions, node, path)


_NEGATED = {"ne": "eq", "nin": "in", "ncontains": "contains", "nexists": "exists"}


def _leaf(conditions: Conditions, node: FilterNode, path: str) -> Node:
    operator, field, value = node.operator or "", node.field or "", node.value
    if operator in _NEGATED:
        return Not(_leaf(conditions, node.model_copy(update={"operator": _NEGATED[operator]}), path))
    match operator:
        case "exists":
            # {"operator": "exists", "value": false} says the opposite.
            return Not(conditions.exists(path, field)) if value is False else conditions.exists(path, field)
        case "gt" | "gte" | "lt" | "lte":
            return conditions.bound(path, field, operator, value)
        case "contains":
            return conditions.contains(path, field, value)
        case "prefix":
            return conditions.prefix(path, field, value)
        case "domain":
            return conditions.domain(path, field, value)
    return conditions.equals(path, field, value)
