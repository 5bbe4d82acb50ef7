"""All SQL that writes filters_data."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

from connectra_common.db import locks
from connectra_common.db.database import Connection, rows_of
from connectra_common.records.fields import COMPANY, Entity, Field, Type
from connectra_common.records.ids import filter_value_uuid
from connectra_common.records.limits import MAX_FILTER_VALUE_CHARS

from connectra_write.filter_values.rows import FilterValue

_SQL_TYPES: dict[object, str] = {str: "text", bool: "bool"}
_COLUMNS = [(field.name, _SQL_TYPES[field.type]) for field in fields(FilterValue)]

# One array for each field of FilterValue.
INSERT_PARAMETERS = len(_COLUMNS)
# Stores filter values if `written`, a CTE of the caller's, has a row; in uuid order. A value that is stored already is neither written nor
# locked, except the name of a company, which may have changed.
INSERT_VALUES = f"""
    INSERT INTO filters_data AS f (uuid, filter_key, service, value, display_value)
    SELECT v.uuid, v.filter_key, v.service, v.value, v.display_value
    FROM unnest({", ".join(f"${number}::{type_}[]" for number, (_, type_) in enumerate(_COLUMNS, 1))})
        AS v ({", ".join(name for name, _ in _COLUMNS)})
    WHERE EXISTS (SELECT FROM written)
      AND (v.may_change OR NOT EXISTS (SELECT FROM filters_data k WHERE k.uuid = v.uuid AND k.deleted_at IS NULL))
    ORDER BY v.uuid
    ON CONFLICT (uuid) DO UPDATE SET display_value = excluded.display_value, deleted_at = NULL
    WHERE f.deleted_at IS NOT NULL OR f.display_value <> excluded.display_value"""


def columns(values: Sequence[FilterValue]) -> tuple[list[object], ...]:
    """The parameters of INSERT_VALUES."""
    ordered = sorted(values, key=lambda value: value.uuid)
    return tuple(list(column) for column in zip(*(astuple(value) for value in ordered), strict=True))


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that records and filters_data do not agree about.

    Args:
        uuid: of the stored row; None when there is none.
        value, shown: as records have them; None when no record has the value.
        change: what is to be done: add, hide, remove, rename or revive.
    """

    uuid: str | None
    value: str | None
    shown: str | None
    change: str


class FilterValueRepository:
    """Statements on the stored values of filters."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, values: Sequence[FilterValue]) -> None:
        """Stores values. Last in a transaction: the locks on them must not cross those on records."""
        if values:
            await self._connection.execute(f"WITH written AS (SELECT) {INSERT_VALUES}", *columns(values))

    async def lock_sweep(self) -> bool:
        """Whether this transaction is the one that sweeps; if so no other is until it ends."""
        return bool(await self._connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", locks.SWEEP_FILTER_VALUES))

    async def differences(self, entity: Entity, field: Field, remove_after: float, limit: int) -> list[Difference]:
        """What must change in the values of a filter, at most `limit`; hidden values are removed after `remove_after` seconds."""
        statement = _differences_of(entity, field)
        rows = await self._connection.fetch(statement, entity.name, field.name, remove_after, limit)
        return [Difference(*row) for row in rows]

    async def hide(self, uuids: Sequence[str]) -> int:
        """Hides values; returns how many."""
        return rows_of(await self._connection.execute(_HIDE, uuids))

    async def revive(self, uuids: Sequence[str]) -> int:
        """Shows hidden values again; returns how many."""
        return rows_of(await self._connection.execute(_REVIVE, uuids))

    async def remove(self, uuids: Sequence[str], remove_after: float) -> int:
        """Removes values that have been hidden for `remove_after` seconds; returns how many."""
        return rows_of(await self._connection.execute(_REMOVE, uuids, remove_after))

    async def rename(self, uuids: Sequence[str], shown: Sequence[str]) -> int:
        """Changes display values; returns how many."""
        return rows_of(await self._connection.execute(_RENAME, uuids, shown))

    async def add_missing(self, entity: Entity, field: Field, values: Sequence[Difference]) -> int:
        """Stores values that records have; returns how many."""
        service, key = entity.name, field.name
        rows = sorted((filter_value_uuid(key, service, str(v.value)), v.value, v.shown) for v in values)
        columns = [list(column) for column in zip(*rows, strict=True)]
        return rows_of(await self._connection.execute(_ADD, *columns, key, service))


def _differences_of(entity: Entity, field: Field) -> str:
    """What must change: $1 service, $2 filter key, $3 seconds until removal, $4 the most rows."""
    table, name, longest = entity.table, field.name, MAX_FILTER_VALUE_CHARS
    if entity is COMPANY and name == "uuid":
        used = (
            f"SELECT uuid AS v, left(name, {longest}) AS shown FROM {table} WHERE deleted_at IS NULL AND name ~ '\\S'"
        )
    else:
        value = f"unnest({name})" if field.type is Type.LIST else name
        used = f"""
            SELECT DISTINCT v, v AS shown FROM (SELECT {value} AS v FROM {table} WHERE deleted_at IS NULL) AS each
            WHERE v ~ '\\S' AND length(v) <= {longest}"""
    return f"""
        WITH used AS MATERIALIZED ({used}),
        stored AS (SELECT * FROM filters_data WHERE service = $1 AND filter_key = $2)
        SELECT * FROM (
            SELECT s.uuid, u.v AS value, u.shown,
                   CASE WHEN s.uuid IS NULL THEN 'add'
                        WHEN u.v IS NULL AND s.deleted_at IS NULL THEN 'hide'
                        WHEN u.v IS NULL AND s.deleted_at < now() - make_interval(secs => $3::float8) THEN 'remove'
                        WHEN u.v IS NOT NULL AND s.display_value <> u.shown THEN 'rename'
                        WHEN u.v IS NOT NULL AND s.deleted_at IS NOT NULL THEN 'revive' END AS change
            FROM stored s FULL JOIN used u ON u.v = s.value) AS compared
        WHERE change IS NOT NULL LIMIT $4::bigint"""


# Rows that a writer holds just now are left to the next run, so that nobody waits.
_LOCKED = "SELECT uuid FROM filters_data WHERE uuid = ANY($1::text[]) ORDER BY uuid FOR UPDATE SKIP LOCKED"
_HIDE = f"""
    WITH mine AS ({_LOCKED})
    UPDATE filters_data f SET deleted_at = now() FROM mine WHERE f.uuid = mine.uuid AND f.deleted_at IS NULL"""
_REVIVE = f"""
    WITH mine AS ({_LOCKED})
    UPDATE filters_data f SET deleted_at = NULL FROM mine WHERE f.uuid = mine.uuid AND f.deleted_at IS NOT NULL"""
_REMOVE = f"""
    WITH mine AS ({_LOCKED})
    DELETE FROM filters_data f USING mine
    WHERE f.uuid = mine.uuid AND f.deleted_at < now() - make_interval(secs => $2::float8)"""
_RENAME = f"""
    WITH mine AS ({_LOCKED})
    UPDATE filters_data f SET display_value = n.shown, deleted_at = NULL
    FROM mine JOIN unnest($1::text[], $2::text[]) AS n (uuid, shown) USING (uuid) WHERE f.uuid = mine.uuid"""
_ADD = """
    INSERT INTO filters_data (uuid, value, display_value, filter_key, service)
    SELECT uuid, value, shown, $4, $5 FROM unnest($1::text[], $2::text[], $3::text[]) AS n (uuid, value, shown)
    ON CONFLICT (uuid) DO NOTHING"""
