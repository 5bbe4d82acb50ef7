"""Request model → tree. Both spellings, `where` and `filters`, become the same nodes; nothing is checked against the catalogue yet."""

from collections import defaultdict

from connectra_common.records.fields import CONTACT, Entity, Index
from connectra_common.refusals import PageOutOfRange, PageSizeExceeded
from connectra_common.search.mappings import indexed_fields
from connectra_common.vql.ast import And, Bounds, Exists, Facet, Node, Not, Or, Query, Sort, Terms, Text
from connectra_common.vql.limits import Limits
from connectra_common.vql.model import Facet as FacetModel
from connectra_common.vql.model import FilterNode, TextMatch, Vql, Where


def parse(entity: Entity, request: Vql, limits: Limits) -> Query:
    """The tree of a request.

    Raises:
        PageSizeExceeded, PageOutOfRange: the page lies beyond what can be reached.
    """
    size, skip = _window(request, limits)
    nodes: list[Node] = []
    if request.where:
        nodes += _where(request.where)
    if request.filters:
        nodes.append(_tree(entity, request.filters, "filters"))
    config = request.company_config
    return Query(
        entity=entity,
        root=And(tuple(nodes)),
        sort=tuple(Sort(o.order_by, o.order_direction == "desc") for o in request.order_by or ()),
        size=size,
        skip=skip,
        cursor=tuple(request.cursor) if request.cursor else None,
        columns=tuple(dict.fromkeys(request.select_columns or ())),
        # Only contacts have a company.
        company_columns=tuple(dict.fromkeys(config.select_columns or ()))
        if entity is CONTACT and config and config.populate
        else None,
        facets=tuple(_facet(facet, f"facets[{i}]", limits) for i, facet in enumerate(request.facets or ())),
        explain=request.explain,
        highlight=request.highlight,
        track_total=request.track_total,
    )


def _window(request: Vql, limits: Limits) -> tuple[int, int]:
    limit, page, offset = request.limit or 0, request.page or 0, request.offset or 0
    if limit > limits.page_size:
        raise PageSizeExceeded(limit, limits.page_size)
    # Zero and negative values always meant the default.
    size = limit if limit > 0 else limits.default_page_size
    skip = (page - 1) * size if page > 0 else max(offset, 0)
    if page > limits.pages:
        raise PageOutOfRange("page", page, limits.pages)
    if skip + size > limits.window and offset > 0:
        raise PageOutOfRange("offset", offset, limits.window - size)
    return size, skip


def _facet(facet: FacetModel, path: str, limits: Limits) -> Facet:
    ranges = (Bounds(f"{path}.ranges[{i}]", facet.field, gte=r.gte, lt=r.lt) for i, r in enumerate(facet.ranges or ()))
    return Facet(facet.field, facet.size or limits.default_facet_size, tuple(ranges))


def _where(where: Where) -> list[Node]:
    nodes: list[Node] = []
    if texts := where.text_matches:
        # OR within a field, AND between fields.
        groups: dict[str, list[Node]] = defaultdict(list)
        for i, text in enumerate(texts.must or ()):
            groups[text.filter_key].append(_text(text, f"where.text_matches.must[{i}]"))
        nodes += [group[0] if len(group) == 1 else Or(tuple(group)) for group in groups.values()]
        nodes += [Not(_text(t, f"where.text_matches.must_not[{i}]")) for i, t in enumerate(texts.must_not or ())]
    if match := where.keyword_match:
        nodes += [_terms(f, v, f"where.keyword_match.must.{f}") for f, v in (match.must or {}).items()]
        nodes += [Not(_terms(f, v, f"where.keyword_match.must_not.{f}")) for f, v in (match.must_not or {}).items()]
    if ranges := where.range_query:
        for side, sign in (("must", False), ("must_not", True)):
            for field, r in (getattr(ranges, side) or {}).items():
                node = Bounds(f"where.range_query.{side}.{field}", field, r.gte, r.gt, r.lte, r.lt)
                nodes.append(Not(node) if sign else node)
    return nodes


def _text(text: TextMatch, path: str) -> Text:
    return Text(path, text.filter_key, text.text_value, text.search_type, text.slop, text.operator, text.fuzzy)


def _terms(field: str, value: object, path: str) -> Terms:
    return Terms(path, field, tuple(value) if isinstance(value, list) else (value,))  # type: ignore[arg-type]


def _tree(entity: Entity, node: FilterNode, path: str) -> Node:
    if node.all is not None:
        return And(tuple(_tree(entity, child, f"{path}.and[{i}]") for i, child in enumerate(node.all)))
    if node.any is not None:
        return Or(tuple(_tree(entity, child, f"{path}.or[{i}]") for i, child in enumerate(node.any)))
    if node.negate is not None:
        return Not(_tree(entity, node.negate, f"{path}.not"))
    return _leaf(entity, node, path)


_NEGATED = {"ne": "eq", "nin": "in", "ncontains": "contains", "nexists": "exists"}


def _leaf(entity: Entity, node: FilterNode, path: str) -> Node:
    operator, field = node.operator or "", node.field or ""
    if operator in _NEGATED:
        return Not(_leaf(entity, node.model_copy(update={"operator": _NEGATED[operator]}), path))
    if operator == "exists":
        # {"operator": "exists", "value": false} says the opposite.
        return Not(Exists(path, field)) if node.value is False else Exists(path, field)
    if operator in ("gt", "gte", "lt", "lte"):
        value = node.value if not isinstance(node.value, list) else str(node.value)
        return Bounds(path, field, **{operator: value})
    if operator == "contains":
        kind = indexed_fields(entity).get(field)
        if kind is None or kind.index is Index.TEXT:
            return Text(path, field, str(node.value), "substring")
    return _terms(field, [] if node.value is None else node.value, path)
