"""All SQL that writes filters_data, and takes what is to be added to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from connectra_common.db import locks
from connectra_common.db.database import Connection
from connectra_common.records.limits import MAX_FILTER_VALUE_CHARS

# About the most values that one transaction adds: those of a record are taken together.
SLICE = 20_000


@dataclass(frozen=True, slots=True)
class Change:
    """What changes in a stored value.

    Args:
        shown: its display value; None if it has only lost records.
        uses: by how much it is used more, or less.
    """

    service: str
    filter_key: str
    value: str
    shown: str | None
    uses: int


class FilterValueRepository:
    """Statements on the stored values of filters."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def newest(self) -> int | None:
        """Number of the newest changes; None when there is nothing to add."""
        newest: int | None = await self._connection.fetchval("SELECT max(id) FROM filter_value_changes")
        return newest

    async def is_behind(self, newest: int) -> bool:
        """Whether changes up to this number are to be added."""
        behind = "SELECT EXISTS (SELECT FROM filter_value_changes WHERE id <= $1)"
        return bool(await self._connection.fetchval(behind, newest))

    async def lock(self) -> bool:
        """Whether this transaction is the one that adds; if so no other is until it ends."""
        return bool(await self._connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", locks.COUNT_FILTER_VALUES))

    async def take(self) -> list[Change]:
        """Removes the oldest changes; returns what they come to."""
        return [Change(*row) for row in await self._connection.fetch(_TAKE)]

    async def add(self, changes: Mapping[str, Change]) -> None:
        """Adds changes, by uuid of the stored value; one that no record has any more goes."""
        uuids = sorted(changes)
        rows = [
            (uuid, c.filter_key, c.service, c.value, c.shown or "", c.uses)
            for uuid, c in ((uuid, changes[uuid]) for uuid in uuids)
        ]
        await self._connection.execute(_ADD, *map(list, zip(*rows, strict=True)))
        await self._connection.execute("DELETE FROM filters_data WHERE uuid = ANY($1::text[]) AND uses = 0", uuids)


# An array, not a join: planned while the table was empty, a join would compare all rows with all.
_TAKE = f"""
    WITH taken AS (
        DELETE FROM filter_value_changes WHERE id = ANY(ARRAY(
            SELECT id FROM (SELECT id, sum(cardinality(changes)) OVER (ORDER BY id) - cardinality(changes) AS before
                            FROM (SELECT id, changes FROM filter_value_changes ORDER BY id LIMIT {SLICE // 5}) AS oldest) AS slice
            WHERE before < {SLICE}))
        RETURNING *)
    SELECT entity, key, value, max(shown) FILTER (WHERE change > 0), sum(change)::bigint
    FROM (SELECT t.entity, c.key, c.value, coalesce(c.shown, c.value) AS shown, sum(c.change) AS change
          FROM taken t, unnest(t.filter_keys, t.filter_values, t.display_values, t.changes) AS c (key, value, shown, change)
          WHERE c.value ~ '\\S' AND length(c.value) <= {MAX_FILTER_VALUE_CHARS}
          GROUP BY 1, 2, 3, 4 HAVING sum(c.change) <> 0) AS changed
    GROUP BY entity, key, value"""
# A value that has only lost records is displayed as before: a slice may end between what a record has more and what it has less, and then
# the next one has just the latter.
_ADD = """
    INSERT INTO filters_data AS f (uuid, filter_key, service, value, display_value, uses)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
    ON CONFLICT (uuid) DO UPDATE
        SET uses = f.uses + excluded.uses, deleted_at = NULL,
            display_value = coalesce(nullif(excluded.display_value, ''), f.display_value)"""
