"""All passes up to compiling, and the checks of columns."""

from collections.abc import Collection, Sequence

from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records.fields import COMPANY, ROW_VERSION, Entity, column_of
from connectra_common.refusals import MissingSelectColumns
from connectra_common.requests import hinted
from connectra_common.vql.ast import Query
from connectra_common.vql.limits import LIMITS, Limits
from connectra_common.vql.model import Vql
from connectra_common.vql.order import ordered, with_typed_cursor
from connectra_common.vql.parse import parse
from connectra_common.vql.reading import COMPANY_PREFIX
from connectra_common.vql.render import free_texts, texts


def checked(entity: Entity, request: Vql, limits: Limits = LIMITS) -> Query:
    """The tree of a valid request, with its order completed.

    Raises:
        ValidationFailed: with every violation.
    """
    query, errors = parse(entity, request, limits)
    found = unselectable(entity, query.columns)
    if query.company_columns:
        found += unknown_columns(COMPANY, query.company_columns, "company_config.select_columns")
    _raise([*errors, *_as_error(found)])
    if query.highlight and not texts(query.root) and not free_texts(query.root):
        raise ValidationFailed.at("highlight", "there is no text condition whose matches could be shown")
    return with_typed_cursor(ordered(query))


def checked_export(entity: Entity, request: Vql, limits: Limits = LIMITS) -> Query:
    """As `checked`, for an export: columns are required; order and paging have no effect, so they are not checked and stay empty.

    Of contacts, columns of their company such as `company.name` are columns of the file.

    Raises:
        ValidationFailed: with every violation, or without columns.
    """
    if not request.select_columns:
        raise MissingSelectColumns
    ignored = ("limit", "page", "offset", "cursor", "order_by", "sort_by", "sort_direction", "company_config")
    query, errors = parse(entity, request.model_copy(update=dict.fromkeys(ignored)), limits)
    _raise([*errors, *_as_error(unselectable(entity, query.columns, besides=()))])
    return query


def unknown_columns(entity: Entity, columns: Sequence[str], path: str) -> list[FieldViolation]:
    """What is wrong with columns: a violation for each that the entity does not have, see `hinted`."""
    unknown = [(f"{path}[{i}]", name) for i, name in enumerate(columns) if name not in entity.by_name]
    return _too_many(columns, path) or (hinted(unknown, entity.columns, path) if unknown else [])


def unselectable(
    entity: Entity,
    columns: Sequence[str],
    path: str = "select_columns",
    besides: Collection[str] = (ROW_VERSION,),
) -> list[FieldViolation]:
    """As `unknown_columns`, where contacts also have the columns of their company, and records what is besides columns."""
    unknown = [
        (f"{path}[{i}]", name)
        for i, name in enumerate(columns)
        if name not in besides and column_of(entity, name) is None
    ]
    if not unknown:
        return _too_many(columns, path)
    # Those of the company come last among the suggestions.
    known = [*entity.columns, *(f"{COMPANY_PREFIX}{name}" for name in COMPANY.columns if entity is not COMPANY)]
    return _too_many(columns, path) or hinted(unknown, known, path)


def _too_many(columns: Sequence[str], path: str) -> list[FieldViolation]:
    if len(columns) <= LIMITS.columns:
        return []
    return [FieldViolation.at(path, f"{len(columns)} columns; at most {LIMITS.columns} are allowed")]


def _as_error(found: list[FieldViolation]) -> list[ValidationFailed]:
    return [ValidationFailed.of(found)] if found else []


def _raise(errors: Sequence[ValidationFailed]) -> None:
    if errors:
        raise ValidationFailed.together(errors)
