"""The statements that change records, each prepared once for an entity and a set of fields.

A statement for one record has the numbers of the keys that the record gets and loses as its first parameters, where it changes any, then
the two of its origin, then what its function says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from connectra_common.records import keys
from connectra_common.records.fields import ENTITIES, Entity, Field, Rule, Type
from connectra_common.records.sql import json_object

from connectra_write.marks import Lane

_SQL_TYPES = {Type.INTEGER: "bigint", Type.TEXT: "text", Type.LIST: "text[]", Type.TIME: "timestamptz"}


class _Parameters:
    """Numbers and types the parameters of a statement: those of keys come first, then the origin's, then its own."""

    def __init__(self, entity: Entity, with_keys: bool) -> None:
        self._entity = entity
        self._used = 0
        self._keys = (self.add("bigint[]"), self.add("bigint[]")) if with_keys else None
        self.origin = origin(self.add("text"), self.add("text"))

    def add(self, type_: str) -> str:
        self._used += 1
        return f"${self._used}::{type_}"

    def field(self, name: str) -> str:
        return self.add(_SQL_TYPES[self._entity.by_name[name].type])

    def differs(self, names: Sequence[str], cells: Sequence[str]) -> str:
        """Whether a row `t` would change: by other values than it has, or by its keys."""
        differences = [f"({', '.join(names)}) IS DISTINCT FROM ({', '.join(cells)})"] if names else []
        if self._keys:
            differences += [f"cardinality({numbers}) > 0" for numbers in self._keys]
        return f"({' OR '.join(differences) or 'false'})"

    def statement(self, written: str, is_new: str, same: str = "") -> str:
        """The whole statement; `written` returns the row, which PostgreSQL writes as JSON.

        Args:
            same: selects the row where nothing was written because nothing would change.
        """
        parts = [f"written AS ({written})"]
        if self._keys:
            made, gone = self._keys
            parts.append(f"made AS (INSERT INTO match_keys SELECT key, t.id FROM written t, unnest({made}) AS key)")
            parts.append(
                f"gone AS (DELETE FROM match_keys k USING written t WHERE k.record_id = t.id AND k.key = ANY({gone}))"
            )
        row = f"SELECT t.uuid, ({json_object(self._entity, 't')})::text, t.row_version"
        found = f"{row}, {is_new}, true FROM written t"
        if same:
            found += f" UNION ALL {row}, false, false FROM ({same}) t WHERE NOT EXISTS (SELECT FROM written)"
        return f"WITH {', '.join(parts)} {found}"


def origin(actor: str, request_id: str, lane: Lane = Lane.INTERACTIVE) -> str:
    """A condition that is always true and tells triggers whose work it is, in which lane it is indexed, and that keys are kept; a
    subquery, so it is evaluated once.
    """
    return f"""(SELECT set_config('connectra.actor', {actor}, true) || set_config('connectra.request_id', {request_id}, true)
                || set_config('connectra.lane', '{lane.value}', true) || set_config('connectra.keys', 'kept', true) IS NOT NULL)"""


def _company_exists(names: Sequence[str], cells: Sequence[str]) -> str:
    # A contact's company must be there; a deleted one counts.
    if "company_id" not in names:
        return "true"
    cell = cells[names.index("company_id")]
    return f"({cell} IS NULL OR EXISTS (SELECT FROM companies WHERE uuid = {cell}))"


@lru_cache(maxsize=512)
def create(entity: Entity, names: tuple[str, ...], with_keys: bool) -> str:
    """Parameters: uuid, then the fields of `names`. No row when the uuid exists or the company does not."""
    parameters = _Parameters(entity, with_keys)
    cells = [parameters.add("text"), *map(parameters.field, names)]
    return parameters.statement(
        f"""INSERT INTO {entity.table} AS t ({", ".join(("uuid", *names))}) SELECT {", ".join(cells)}
            WHERE {_company_exists(names, cells[1:])} AND {parameters.origin}
            ON CONFLICT (uuid) DO NOTHING RETURNING t.*""",
        is_new="true",
    )


@lru_cache(maxsize=512)
def restart(entity: Entity, with_keys: bool) -> str:
    """Parameters: uuid, then all data fields. No row unless there is a deleted record of this uuid, and the company."""
    parameters = _Parameters(entity, with_keys)
    uuid = parameters.add("text")
    names = tuple(field.name for field in entity.data_fields)
    cells = [parameters.field(name) for name in names]
    return parameters.statement(
        f"""UPDATE {entity.table} AS t SET {_assignments(names, cells)}deleted_at = NULL, created_at = now(), updated_at = now()
            WHERE uuid = {uuid} AND deleted_at IS NOT NULL AND {_company_exists(names, cells)} AND {parameters.origin}
            RETURNING t.*""",
        is_new="true",
    )


@lru_cache(maxsize=512)
def update(entity: Entity, names: tuple[str, ...], with_version: bool, with_keys: bool) -> str:
    """Parameters: uuid, the allowed versions if `with_version`, what `_unmoved` wants if `with_keys`, then the fields of `names`.

    No row when there is none that fits, or no company.
    """
    parameters = _Parameters(entity, with_keys)
    uuid = parameters.add("text")
    version = f"row_version = ANY({parameters.add('bigint[]')})" if with_version else "true"
    unmoved = _unmoved(entity, parameters) if with_keys else "true"
    cells = [parameters.field(name) for name in names]
    fits = f"uuid = {uuid} AND deleted_at IS NULL AND {version} AND {unmoved} AND {_company_exists(names, cells)}"
    return _changing(parameters, entity, names, cells, fits)


@lru_cache(maxsize=512)
def lay(entity: Entity, names: tuple[str, ...], deleted: bool, with_keys: bool) -> str:
    """Parameters: uuid, what `_unmoved` wants, then the fields of `names`.

    No row unless there is such a record, which is deleted as `deleted` says, and the company.
    """
    parameters = _Parameters(entity, with_keys)
    uuid, unmoved = parameters.add("text"), _unmoved(entity, parameters)
    cells = [parameters.field(name) for name in names]
    fits = f"uuid = {uuid} AND {unmoved} AND {_company_exists(names, cells)}"
    if not deleted:
        return _changing(parameters, entity, names, cells, f"{fits} AND deleted_at IS NULL")
    return parameters.statement(
        f"""UPDATE {entity.table} AS t SET {_assignments(names, cells)}deleted_at = NULL, updated_at = now()
            WHERE {fits} AND deleted_at IS NOT NULL AND {parameters.origin}
            RETURNING t.*""",
        is_new="true",
    )


def _changing(parameters: _Parameters, entity: Entity, names: Sequence[str], cells: Sequence[str], fits: str) -> str:
    """Lays fields over the live row that `fits`. A row that would not change is left alone: no new version, nothing to index."""
    differs = parameters.differs(names, cells)
    return parameters.statement(
        f"""UPDATE {entity.table} AS t SET {_assignments(names, cells)}updated_at = now()
            WHERE {fits} AND {differs} AND {parameters.origin} RETURNING t.*""",
        is_new="false",
        same=f"SELECT * FROM {entity.table} WHERE {fits} AND NOT {differs}",
    )


def _unmoved(entity: Entity, parameters: _Parameters) -> str:
    # The record still has the keys by which it was found: two parameters.
    names = [name for _, name in keys.FIELDS[entity]]
    cells = ", ".join(parameters.field(name) for name in names)
    return f"({', '.join(names)}) IS NOT DISTINCT FROM ({cells})"


def _assignments(names: Sequence[str], cells: Sequence[str]) -> str:
    return "".join(f"{name} = {cell}, " for name, cell in zip(names, cells, strict=True))


def _laid_over(field: Field) -> str:
    """What a row of a file leaves of a field."""
    new, old = f"excluded.{field.name}", f"t.{field.name}"
    if not field.csv_lower or field.rule in (Rule.LOWER, Rule.LINKEDIN_LOWER):
        return f"coalesce({new}, {old})"
    # A file's value is in lower case, while JSON clients may have given it in another: that is no change.
    lower = f"lower({old}::text)::text[]" if field.type is Type.LIST else f"lower({old})"
    return f"CASE WHEN {new} IS NULL OR {new} = {old} OR {new} = {lower} THEN {old} ELSE {new} END"


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
        kept = ", ".join(map(_laid_over, entity.data_fields))
        assigned, differs = f"ROW({kept})", f"({stored}) IS DISTINCT FROM ({kept})"
        uuid, clears = 'uuid text COLLATE "C"', ""
    told = origin("$1::text", "$2::text", Lane.BULK)
    return Stage(
        name=staged,
        fields=names,
        columns=("uuid", *names, "clears") if clearing else ("uuid", *names),
        # One a connection, emptied by every commit.
        create=f"CREATE TEMPORARY TABLE IF NOT EXISTS {staged} ({uuid}, {definitions}{clears}) ON COMMIT DELETE ROWS",
        # A row that would not change is left alone: no new version, nothing to index.
        merge=f"""
            INSERT INTO {table} AS t ({columns}) SELECT {columns} FROM {staged} WHERE {told} ORDER BY uuid
            ON CONFLICT (uuid) DO UPDATE SET ({", ".join(names)}) = {assigned}, deleted_at = NULL, updated_at = now()
            WHERE t.deleted_at IS NOT NULL OR {differs}
            RETURNING t.id, t.uuid, t.xmax = 0""",
    )
