"""The statements that change records, each prepared once for an entity and a set of fields.

A statement for one record has the values of filters as its first parameters, where it stores any (`INSERT_PARAMETERS` of them), then the
two of its origin, then what its function says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from connectra_common.records.fields import COMPANY, ENTITIES, Entity, Type
from connectra_common.records.sql import json_object

from connectra_write.filter_values.repository import INSERT_PARAMETERS, INSERT_VALUES

_SQL_TYPES = {Type.INTEGER: "bigint", Type.TEXT: "text", Type.LIST: "text[]", Type.TIME: "timestamptz"}


class _Parameters:
    """Numbers and types the parameters of a statement: those of the filter values come first, then the origin's, then its own."""

    def __init__(self, entity: Entity, with_values: bool) -> None:
        self._entity = entity
        self._used = INSERT_PARAMETERS if with_values else 0
        self.origin = origin(self.add("text"), self.add("text"))

    def add(self, type_: str) -> str:
        self._used += 1
        return f"${self._used}::{type_}"

    def field(self, name: str) -> str:
        return self.add(_SQL_TYPES[self._entity.by_name[name].type])


def origin(actor: str, request_id: str) -> str:
    """A condition that is always true and tells the audit trail's triggers whose work it is; a subquery, so it is evaluated only once."""
    return f"""(SELECT set_config('connectra.actor', {actor}, true) || set_config('connectra.request_id', {request_id}, true)
                IS NOT NULL)"""


def _statement(entity: Entity, written: str, with_values: bool, before: str = "", is_new: str = "true") -> str:
    # `written` returns the row; PostgreSQL writes it as JSON.
    values = f", filter_values AS ({INSERT_VALUES})" if with_values else ""
    return f"""
        WITH {before} written AS ({written}){values}
        SELECT t.uuid, ({json_object(entity, "t")})::text, t.row_version, {is_new} FROM written t"""


def _company_exists(names: Sequence[str], cells: Sequence[str]) -> str:
    # A contact's company must be there; a deleted one counts.
    if "company_id" not in names:
        return "true"
    cell = cells[names.index("company_id")]
    return f"({cell} IS NULL OR EXISTS (SELECT FROM companies WHERE uuid = {cell}))"


@lru_cache(maxsize=512)
def create(entity: Entity, names: tuple[str, ...], with_values: bool) -> str:
    """Parameters: uuid, then the fields of `names`. No row when the uuid exists or the company does not."""
    parameters = _Parameters(entity, with_values)
    cells = [parameters.add("text"), *map(parameters.field, names)]
    written = f"""
        INSERT INTO {entity.table} AS t ({", ".join(("uuid", *names))}) SELECT {", ".join(cells)}
        WHERE {_company_exists(names, cells[1:])} AND {parameters.origin} ON CONFLICT (uuid) DO NOTHING RETURNING t.*"""
    return _statement(entity, written, with_values)


@lru_cache(maxsize=512)
def restart(entity: Entity, with_values: bool) -> str:
    """Parameters: uuid, then all data fields. No row unless there is a deleted record of this uuid, and the company."""
    parameters = _Parameters(entity, with_values)
    uuid = parameters.add("text")
    names = tuple(field.name for field in entity.data_fields)
    cells = [parameters.field(name) for name in names]
    written = f"""
        UPDATE {entity.table} AS t SET {_assignments(names, cells)}deleted_at = NULL, created_at = now(), updated_at = now()
        WHERE uuid = {uuid} AND deleted_at IS NOT NULL AND {_company_exists(names, cells)} AND {parameters.origin}
        RETURNING t.*"""
    return _statement(entity, written, with_values)


@lru_cache(maxsize=512)
def update(entity: Entity, names: tuple[str, ...], with_version: bool, with_values: bool) -> str:
    """Parameters: uuid, the allowed versions if `with_version`, then the fields of `names`. No row when nothing matches."""
    parameters = _Parameters(entity, with_values)
    uuid = parameters.add("text")
    version = f"row_version = ANY({parameters.add('bigint[]')})" if with_version else "true"
    cells = [parameters.field(name) for name in names]
    written = f"""
        UPDATE {entity.table} AS t SET {_assignments(names, cells)}updated_at = now()
        WHERE uuid = {uuid} AND deleted_at IS NULL AND {version} AND {_company_exists(names, cells)} AND {parameters.origin}
        RETURNING t.*"""
    return _statement(entity, written, with_values, is_new="false")


@lru_cache(maxsize=512)
def upsert(entity: Entity, names: tuple[str, ...], with_values: bool) -> str:
    """Parameters: uuid, then the fields of `names`. No row when the company does not exist."""
    parameters = _Parameters(entity, with_values)
    cells = [parameters.add("text"), *map(parameters.field, names)]
    # The row as it is now, under its lock: afterwards nobody can tell whether it was revived.
    before = f"""before AS MATERIALIZED (
        SELECT deleted_at IS NOT NULL AS deleted FROM {entity.table} WHERE uuid = {cells[0]} FOR UPDATE),"""
    assignments = _assignments(names, [f"excluded.{name}" for name in names])
    written = f"""
        INSERT INTO {entity.table} AS t ({", ".join(("uuid", *names))}) SELECT {", ".join(cells)}
        FROM (SELECT count(*) FROM before) AS locked
        WHERE {_company_exists(names, cells[1:])} AND {parameters.origin}
        ON CONFLICT (uuid) DO UPDATE SET {assignments}deleted_at = NULL, updated_at = now()
        RETURNING t.*, t.xmax = 0 AS created"""
    is_new = "t.created OR coalesce((SELECT deleted FROM before), false)"
    return _statement(entity, written, with_values, before, is_new)


def _assignments(names: Sequence[str], cells: Sequence[str]) -> str:
    return "".join(f"{name} = {cell}, " for name, cell in zip(names, cells, strict=True))


@dataclass(frozen=True, slots=True)
class Stage:
    """A temporary table that a batch is copied to, and the statement that merges it."""

    name: str
    fields: tuple[str, ...]
    columns: tuple[str, ...]
    create: str
    merge: str


@lru_cache(maxsize=2 * len(ENTITIES))
def stage(entity: Entity, clearing: bool) -> Stage:
    """The parameters of its merge are the origin's. With `clearing` the table has a bit mask of the fields to be emptied."""
    table, staged = entity.table, f"stage_{entity.table}{'_clearing' if clearing else ''}"
    names = tuple(field.name for field in entity.data_fields)
    columns = ", ".join(("uuid", *names))
    definitions = ", ".join(f"{field.name} {_SQL_TYPES[field.type]}" for field in entity.data_fields)
    stored = ", ".join(f"t.{name}" for name in names)
    if clearing:
        # Bit i of `clears`: field i was given empty. It has no column in the table, so `excluded` does not have it.
        kept = ", ".join(
            f"CASE WHEN s.clears & {1 << i} = 0 THEN coalesce(excluded.{name}, t.{name}) END"
            for i, name in enumerate(names)
        )
        own = f"FROM {staged} s WHERE s.uuid = excluded.uuid"
        assigned, differs = f"(SELECT {kept} {own})", f"EXISTS (SELECT {own} AND ({stored}) IS DISTINCT FROM ({kept}))"
        uuid, clears = 'uuid text COLLATE "C" PRIMARY KEY', ", clears bigint"
    else:
        kept = ", ".join(f"coalesce(excluded.{name}, t.{name})" for name in names)
        assigned, differs = f"ROW({kept})", f"({stored}) IS DISTINCT FROM ({kept})"
        uuid, clears = 'uuid text COLLATE "C"', ""
    return Stage(
        name=staged,
        fields=names,
        columns=("uuid", *names, "clears") if clearing else ("uuid", *names),
        # One a connection, emptied by every commit.
        create=f"CREATE TEMPORARY TABLE IF NOT EXISTS {staged} ({uuid}, {definitions}{clears}) ON COMMIT DELETE ROWS",
        # A row that would not change is left alone: no new version, nothing to index.
        merge=f"""
            INSERT INTO {table} AS t ({columns}) SELECT {columns} FROM {staged} WHERE {origin("$1::text", "$2::text")} ORDER BY uuid
            ON CONFLICT (uuid) DO UPDATE SET ({", ".join(names)}) = {assigned}, deleted_at = NULL, updated_at = now()
            WHERE t.deleted_at IS NOT NULL OR {differs}
            RETURNING t.uuid, t.xmax = 0, {"t.name" if entity is COMPANY else "NULL"}""",
    )
