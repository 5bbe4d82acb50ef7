"""Tree × field catalogue → everything that is wrong with it. `checked` runs all passes up to compiling."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records.fields import COMPANY, Entity, Field, Index
from connectra_common.refusals import MissingSelectColumns
from connectra_common.requests import hint, hinted
from connectra_common.search.mappings import indexed_fields
from connectra_common.vql.ast import And, Bounds, Exists, Leaf, Node, Not, Or, Query, Scalar, Terms, Text
from connectra_common.vql.limits import LIMITS, Limits
from connectra_common.vql.model import Vql
from connectra_common.vql.order import ordered, with_typed_cursor
from connectra_common.vql.parse import parse
from connectra_common.vql.render import leaves as leaves_of
from connectra_common.vql.values import fits_64_bits, is_date, read_number

# Prefix of columns of a contact's company in an export.
COMPANY_PREFIX = "company."


def checked(entity: Entity, request: Vql, limits: Limits = LIMITS) -> Query:
    """The tree of a valid request, with its order completed.

    Raises:
        ValidationFailed: with every violation.
    """
    query = parse(entity, request, limits)
    if found := validate(query, limits):
        raise ValidationFailed.of(found)
    return with_typed_cursor(ordered(query))


def checked_export(entity: Entity, request: Vql, limits: Limits = LIMITS) -> Query:
    """As `checked`, for an export: columns are required; order and paging have no effect, so they are not checked and stay empty.

    For contacts, the columns may include those of their company, such as `company.name`.

    Raises:
        ValidationFailed: with every violation, or without columns.
    """
    if not request.select_columns:
        raise MissingSelectColumns
    ignored = ("limit", "page", "offset", "cursor", "order_by", "company_config")
    query = parse(entity, request.model_copy(update=dict.fromkeys(ignored)), limits)
    unknown = _unknown(query.columns, export_columns(entity), "select_columns")
    if found := [*validate(replace(query, columns=()), limits), *unknown]:
        raise ValidationFailed.of(found)
    return query


def export_columns(entity: Entity) -> list[str]:
    """The columns an export may have."""
    companies = () if entity is COMPANY else COMPANY.columns
    return [*entity.columns, *(f"{COMPANY_PREFIX}{name}" for name in companies)]


def validate(query: Query, limits: Limits) -> list[FieldViolation]:
    """All violations, in the order of the request."""
    fields = indexed_fields(query.entity)
    leaves = leaves_of(query.root)
    found: list[FieldViolation] = []
    if len(leaves) > limits.clauses:
        found.append(FieldViolation.at("where", f"{len(leaves)} conditions; at most {limits.clauses} are allowed"))
    if _depth(query.root) - 1 > limits.depth:
        found.append(FieldViolation.at("filters", f"nested deeper than {limits.depth} levels"))
    unknown = []
    for leaf in leaves[: limits.clauses]:
        field = fields.get(leaf.field)
        if field is None:
            unknown.append((leaf.path, leaf.field))
        else:
            found += [FieldViolation.at(leaf.path, message) for message in _leaf(leaf, field, limits)]
    found += hinted(unknown, sorted(fields), "where")
    found += _order(query, fields, limits)
    found += _facets(query, fields, limits)
    if query.highlight and not any(isinstance(leaf, Text) for leaf in leaves):
        found.append(FieldViolation.at("highlight", "there is no text condition whose matches could be shown"))
    found += unknown_columns(query.entity, query.columns, "select_columns")
    if query.company_columns:
        found += unknown_columns(COMPANY, query.company_columns, "company_config.select_columns")
    return found


def unknown_columns(entity: Entity, columns: Sequence[str], path: str) -> list[FieldViolation]:
    """What is wrong with columns: a violation for each that the entity does not have, see `hinted`."""
    return _unknown(columns, entity.columns, path)


def _unknown(columns: Sequence[str], known: Sequence[str], path: str) -> list[FieldViolation]:
    if len(columns) > LIMITS.columns:
        return [FieldViolation.at(path, f"{len(columns)} columns; at most {LIMITS.columns} are allowed")]
    return hinted([(f"{path}[{i}]", name) for i, name in enumerate(columns) if name not in known], known, path)


def _depth(node: Node) -> int:
    match node:
        case And(nodes) | Or(nodes):
            return 1 + max(map(_depth, nodes), default=0)
        case Not(child):
            return 1 + _depth(child)
    return 0


def _leaf(leaf: Leaf, field: Field, limits: Limits) -> Iterator[str]:
    match leaf:
        case Text():
            yield from _text(leaf, field, limits)
        case Terms():
            yield from _terms(leaf, field, limits)
        case Bounds():
            yield from _bounds(leaf, field, limits)
        case Exists():
            pass


def _text(leaf: Text, field: Field, limits: Limits) -> Iterator[str]:
    if field.index is not Index.TEXT and not field.also_text:
        yield f"{leaf.field} is not a text field; use {_clause(field)}"
        return
    words = leaf.value.split()
    if not words:
        yield "the text is empty"
    elif len(leaf.value) > limits.text_chars:
        yield f"the text has {len(leaf.value)} characters; at most {limits.text_chars} are allowed"
    if leaf.search_type == "substring":
        if field.index is not Index.TEXT:
            yield f"{leaf.field} cannot be searched by substring; use exact or shuffle"
        parts = words if leaf.operator == "or" else [leaf.value.strip()]
        short = [part for part in parts if len(part) < limits.substring_chars]
        if short and words:
            yield f"{short[0]!r} is too short for a substring; at least {limits.substring_chars} characters are needed"


def _terms(leaf: Terms, field: Field, limits: Limits) -> Iterator[str]:
    if not leaf.values:
        yield "the list is empty; give at least one value"
    elif len(leaf.values) > limits.terms:
        yield f"{len(leaf.values)} values; at most {limits.terms} are allowed"
    for value in leaf.values[: limits.terms]:
        if problem := _bad_value(value, field, limits):
            yield problem
            return


def _bounds(leaf: Bounds, field: Field, limits: Limits) -> Iterator[str]:
    if field.index not in (Index.LONG, Index.DATE):
        yield f"{leaf.field} is neither a number nor a date; use {_clause(field)}"
        return
    given = {name: value for name in ("gte", "gt", "lte", "lt") if (value := getattr(leaf, name)) is not None}
    if not given:
        yield "give at least one of gte, gt, lte, lt"
    for name, value in given.items():
        if problem := _bad_value(value, field, limits):
            yield f"{name}: {problem}"


def _bad_value(value: Scalar, field: Field, limits: Limits) -> str | None:
    if field.index is Index.LONG:
        number = read_number(value) if isinstance(value, str) else value
        if number is None or isinstance(number, bool):
            return f"{_shown(value)} is not a number"
        if not fits_64_bits(number):
            return f"{_shown(value)} is beyond 64 bits"
    elif field.index is Index.DATE:
        if not isinstance(value, str) or not is_date(value):
            return f"{_shown(value)} is not a date; write 2024-01-15 or 2024-01-15T08:00:00Z"
    elif isinstance(value, int) and not fits_64_bits(value):
        return f"{_shown(value)} is beyond 64 bits"
    elif isinstance(value, str) and len(value) > limits.value_chars:
        return f"a value has {len(value)} characters; at most {limits.value_chars} are allowed"
    return None


def _order(query: Query, fields: Mapping[str, Field], limits: Limits) -> Iterator[FieldViolation]:
    if len(query.sort) > limits.sort_keys:
        yield FieldViolation.at("order_by", f"{len(query.sort)} keys; at most {limits.sort_keys} are allowed")
    unknown = [(f"order_by[{i}].order_by", key.field) for i, key in enumerate(query.sort) if key.field not in fields]
    yield from hinted(unknown, sorted(fields), "order_by")
    if query.cursor is not None and query.skip:
        yield FieldViolation.at("cursor", "continues after a row, so it cannot be given together with page or offset")


def _facets(query: Query, fields: Mapping[str, Field], limits: Limits) -> Iterator[FieldViolation]:
    if len(query.facets) > limits.facets:
        yield FieldViolation.at("facets", f"{len(query.facets)} facets; at most {limits.facets} are allowed")
    for i, facet in enumerate(query.facets[: limits.facets]):
        path, field = f"facets[{i}]", fields.get(facet.field)
        if field is None:
            yield FieldViolation.at(f"{path}.field", hint(facet.field, sorted(fields)))
            continue
        if not 1 <= facet.size <= limits.facet_size:
            yield FieldViolation.at(f"{path}.size", f"{facet.size}; 1 to {limits.facet_size} are allowed")
        if len(facet.ranges) > limits.facet_ranges:
            yield FieldViolation.at(
                f"{path}.ranges", f"{len(facet.ranges)} ranges; at most {limits.facet_ranges} are allowed"
            )
        for bounds in facet.ranges[: limits.facet_ranges]:
            yield from (FieldViolation.at(bounds.path, message) for message in _bounds(bounds, field, limits))


def _clause(field: Field) -> str:
    return "range_query" if field.index in (Index.LONG, Index.DATE) else "keyword_match"


def _shown(value: object) -> str:
    text = repr(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 60 else text[:60] + "…"
