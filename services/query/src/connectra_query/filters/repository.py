"""All SQL of filters and their values.

Values that are read from a column come through its partial index: each value once, texts in byte order, numbers by size. A column with few
values is read by skip scan, with one index search per value; one with many values is scanned in order. Both stop at the end of the page.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from connectra_common.db.database import IN_ORDER, Connection
from connectra_common.records.fields import COMPANY, Entity, Field, Type
from connectra_common.records.limits import MAX_FILTER_VALUE_CHARS

# Longer values are not offered: they would not fit into an index entry.
MAX_VALUE_BYTES = 1_000
# From this many rows per value, one index search per value beats reading every entry.
SKIP_FROM_ROWS_PER_VALUE = 25

Value = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Filter:
    """A row of `filters`."""

    id: int
    key: str
    service: str
    filter_type: str
    display_name: str
    direct_derived: bool
    active: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column whose values are read, and whether by skip scan."""

    entity: Entity
    field: Field
    skip: bool


class Listed(ABC):
    """Values that are listed, in their order, each once; `names`: the columns of one."""

    names: ClassVar[str]
    search: str

    @abstractmethod
    def statement(self, after: Any, most: int) -> tuple[str, Sequence[object]]:
        """Those after one of them, to which OFFSET and LIMIT may be added, of which `most` are wanted; and its arguments."""


@dataclass(frozen=True, slots=True)
class OfColumn(Listed):
    """Values of a column that have a text."""

    column: Column
    search: str
    names = "v"

    def statement(self, after: Any, most: int) -> tuple[str, Sequence[object]]:
        """See Listed."""
        more = [_pattern(self.search)] if self.search else []
        return _values(self.column, self.search, after), [*([] if after is None else [after]), *more]


@dataclass(frozen=True, slots=True)
class Stored(Listed):
    """(value, display_value) of a stored filter by display value, which has a text."""

    entity: Entity
    key: str
    search: str
    value: ClassVar[str] = "value"
    names = "value, display_value"

    def statement(self, after: Any, most: int) -> tuple[str, Sequence[object]]:
        """See Listed."""
        arguments = [self.entity.name, self.key, *(after or ()), *([_pattern(self.search)] if self.search else [])]
        return _stored(self.value, bool(self.search), after is not None, most), arguments


class CompanyNames(Stored):
    """(name, name) of companies, each name once."""

    value = "display_value"

    def __init__(self, search: str) -> None:
        super().__init__(COMPANY, "uuid", search)


class FilterRepository:
    """Reads filters and values."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    async def limited(cls, connection: Connection, seconds: float) -> "FilterRepository":
        """In this transaction, each of whose statements ends after `seconds`."""
        # A search of stored values is planned for its own text: a plan for any text would not know whether the trigrams are worth it.
        await connection.execute(
            f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}; "
            "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL max_parallel_workers_per_gather = 0"
        )
        return cls(connection)

    async def filters(self, service: str) -> list[Filter]:
        """The active filters of a service, by id."""
        return [Filter(**row) for row in await self._connection.fetch(_FILTERS, service)]

    async def page(self, listed: Listed, after: Any, skip: int, limit: int) -> list[Any]:
        """At most `limit` values, `skip` values after `after`."""
        statement, arguments = listed.statement(after, skip + limit)
        rows = await self._connection.fetch(f"{statement} OFFSET {int(skip)} LIMIT {int(limit)}", *arguments)
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    async def landmarks(self, listed: Listed, after: Any, every: int, count: int) -> list[Any]:
        """At most `count` values: each `every`th of those after `after`."""
        most = int(every * count)
        statement, arguments = listed.statement(after, most)
        if (
            listed.search == ""
        ):  # by an index, which has the order: to sort all values is slower than what the planner takes it for
            await self._connection.execute(IN_ORDER)
        numbered = f"SELECT *, row_number() OVER () AS n FROM ({statement} LIMIT {most}) AS values"
        rows = await self._connection.fetch(
            f"SELECT {listed.names} FROM ({numbered}) AS numbered WHERE n % {int(every)} = 0 ORDER BY n", *arguments
        )
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    async def column(self, entity: Entity, field: Field) -> Column:
        """How to read a column."""
        rows_per_value = await self._connection.fetchval(_SHAPE, entity.table, field.name)
        return Column(entity, field, rows_per_value >= SKIP_FROM_ROWS_PER_VALUE)


_FILTERS = """
    SELECT id, key, service, filter_type, display_name, direct_derived, active
    FROM filters WHERE service = $1 AND active AND deleted_at IS NULL ORDER BY id"""

# Rows per distinct value, by the planner's statistics.
_SHAPE = """
    SELECT coalesce(
               (SELECT CASE WHEN n_distinct > 0 THEN greatest(c.reltuples, 1) / n_distinct ELSE -1 / nullif(n_distinct, 0) END
                FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = $2), 1)::float8
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)"""


def _stored(column: str, search: bool, after: bool, most: int) -> str:
    """Values as they are counted, and what statements have noted since. What comes and goes is a pair of a value and its display value.

    Args:
        column: whose different values are answered, with their display values.
        search: whether only some display values are wanted; the last parameter.
        after: whether only those after a value and its display value: the two before it.
        most: how many are wanted.
    """
    offered = f"octet_length(display_value) <= {MAX_VALUE_BYTES} AND octet_length(value) <= {MAX_VALUE_BYTES}"
    if after and column == "value":
        offered += ' AND (display_value COLLATE "C", value COLLATE "C") > ($4::text, $3::text)'
    elif after:
        offered += ' AND display_value COLLATE "C" > greatest($4::text, $3::text)'
    if search:
        offered += f' AND display_value COLLATE "default" ILIKE ${5 if after else 3}'
    stored = f"service = $1 AND filter_key = $2 AND deleted_at IS NULL AND {offered}"
    value, shown = 'value COLLATE "C"', 'display_value COLLATE "C"'
    return f"""
        WITH noted AS MATERIALIZED (
            SELECT c.{value} AS value, coalesce(c.shown, c.value) COLLATE "C" AS display_value, sum(c.change)::bigint AS uses
            FROM filter_value_changes, unnest(filter_keys, filter_values, display_values, changes) AS c (key, value, shown, change)
            WHERE entity = $1 AND c.key = $2 AND c.value ~ '\\S' AND length(c.value) <= {MAX_FILTER_VALUE_CHARS} GROUP BY 1, 2)
        SELECT DISTINCT {column} AS value, display_value FROM (
            (SELECT DISTINCT {column} COLLATE "C" AS value, {shown} AS display_value FROM filters_data
             WHERE {stored} AND uses > 0 AND ({value}, {shown}) NOT IN (SELECT value, display_value FROM noted)
             ORDER BY display_value, value LIMIT {int(most)})
            UNION ALL
            SELECT value, display_value FROM noted
            WHERE {offered} AND CASE WHEN uses > 0 THEN true ELSE uses > -coalesce(
                (SELECT f.uses FROM filters_data f
                 WHERE {stored} AND f.{shown} = noted.display_value AND f.{value} = noted.value), 0) END) AS v
        ORDER BY display_value, value"""


def _values(column: Column, search: str, after: str | int | None) -> str:
    """Ordered values as `v`; $1 is the value to continue after, the next parameter the pattern."""
    table, name = column.entity.table, column.field.name
    number = column.field.type is Type.INTEGER
    key = name if number else f'{name} COLLATE "C"'
    live = f"deleted_at IS NULL AND {name} IS NOT NULL"
    if not number:
        live = f"deleted_at IS NULL AND {name} <> '' AND octet_length({name}) <= {MAX_VALUE_BYTES}"
    later = f"AND {key} > $1" if after is not None else ""
    match = _match(column, search, "v", 1 if after is None else 2)
    if column.skip:
        return f"""
            WITH RECURSIVE k (v) AS (
                (SELECT {name} FROM {table} WHERE {live} {later} ORDER BY {key} LIMIT 1)
                UNION ALL
                SELECT (SELECT {name} FROM {table} WHERE {live} AND {key} > k.v ORDER BY {key} LIMIT 1)
                FROM k WHERE k.v IS NOT NULL)
            SELECT v FROM k WHERE v IS NOT NULL {match}"""
    walk = f"SELECT DISTINCT {key} AS v FROM {table} WHERE {live} {later} ORDER BY v"
    # OFFSET 0 keeps the match outside: it runs once per value, not once per row.
    return f"SELECT v FROM ({walk} OFFSET 0) AS each WHERE true {match}" if search else walk


def _match(column: Column, search: str, value: str, parameter: int) -> str:
    if not search:
        return ""
    if column.field.type is Type.INTEGER:
        return f"AND CAST({value} AS text) LIKE ${parameter}"
    # Case is folded by the database's own rules; for plain ASCII the cheaper ones are enough.
    collation = ' COLLATE "C"' if search.isascii() else ' COLLATE "default"'
    return f"AND {value}{collation} ILIKE ${parameter}"


def _pattern(search: str) -> str:
    """A LIKE pattern that takes the text literally."""
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
