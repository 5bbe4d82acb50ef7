# ruff: noqa: S608 - put together from names of the field catalogue; values are parameters
"""Keeps the stored filter values true to the records: what no record has any more vanishes, what is missing comes, names follow.

Writers put values in as they store records; nobody can see from a single write that a value was the last of its kind, and plain SQL puts
none in at all. So a sweep compares, one filter at a time.
"""

import time
from dataclasses import dataclass

import asyncpg
from connectra_common.db import locks
from connectra_common.db.database import rows_of
from connectra_common.db.engine import transaction
from connectra_common.records.fields import COMPANY, ENTITIES, Entity, Field, Type
from connectra_common.records.ids import filter_value_uuid
from connectra_common.records.limits import MAX_FILTER_VALUE_CHARS
from sqlalchemy.ext.asyncio import AsyncEngine

# A hidden value is removed after this time. Writers remember for a shorter time what they know to be stored.
REMOVE_AFTER_SECONDS = 3_600
# Changes a filter and a run; the next run goes on.
MAX_CHANGES = 20_000


@dataclass(slots=True)
class Swept:
    """What a run changed, in values."""

    added: int = 0
    renamed: int = 0
    revived: int = 0
    hidden: int = 0
    removed: int = 0
    filters: int = 0


class FilterValueSweep:
    """One for a process; several processes may have one, of which one at a time works."""

    def __init__(self, engine: AsyncEngine, remove_after_seconds: float = REMOVE_AFTER_SECONDS) -> None:
        self._engine = engine
        self._remove_after = float(remove_after_seconds)
        self._filters = [(entity, field) for entity in ENTITIES.values() for field in entity.stored_filters]
        self._next = 0
        # The outbox sequence when the round began, and when the last one did: equal means that no record has changed between.
        self._began: int | None = None
        self._swept: int | None = None
        self._idle_until = 0.0

    async def run(self, budget_seconds: float) -> Swept:
        """Sweeps filter after filter, from where the last run ended; begins none after the budget is used up or when a round is complete.

        Each filter is one transaction that reads its column once and then changes what differs. Costs next to nothing when no record
        has changed since the last round.
        """
        done, until = Swept(), time.monotonic() + budget_seconds
        while time.monotonic() < until:
            if self._next == 0 and not await self._is_due():
                break
            entity, field = self._filters[self._next]
            async with transaction(self._engine) as connection:
                if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", locks.SWEEP_FILTER_VALUES):
                    break
                full = await _sweep(connection, entity, field, self._remove_after, done)
            done.filters += 1
            if full:  # there is more to change in this one
                continue
            self._next = (self._next + 1) % len(self._filters)
            if self._next == 0:
                self._swept, self._idle_until = self._began, time.monotonic() + self._remove_after
                break
        return done

    async def _is_due(self) -> bool:
        async with transaction(self._engine) as connection:
            self._began = await connection.fetchval("SELECT last_value FROM outbox_seq")
        return self._began != self._swept or time.monotonic() > self._idle_until


async def _sweep(
    connection: asyncpg.Connection, entity: Entity, field: Field, remove_after: float, done: Swept
) -> bool:
    rows = await connection.fetch(_differences(entity, field), entity.name, field.name, remove_after, MAX_CHANGES)
    change: dict[str, list[asyncpg.Record]] = {}
    for row in rows:
        change.setdefault(row["change"], []).append(row)

    def uuids(kind: str) -> list[str]:
        return sorted(row["uuid"] for row in change.get(kind, ()))

    # Each looks again at what it changes: a writer may have been there since.
    done.hidden += await _count(connection, _HIDE, uuids("hide"))
    done.revived += await _count(connection, _REVIVE, uuids("revive"))
    done.removed += await _count(connection, _REMOVE, uuids("remove"), remove_after)
    if renamed := change.get("rename"):
        done.renamed += await _count(
            connection, _RENAME, [row["uuid"] for row in renamed], [row["shown"] for row in renamed]
        )
    if added := change.get("add"):
        values = sorted(
            (filter_value_uuid(field.name, entity.name, row["value"]), row["value"], row["shown"]) for row in added
        )
        columns = [list(column) for column in zip(*values, strict=True)]
        done.added += await _count(connection, _ADD, *columns, field.name, entity.name)
    return len(rows) == MAX_CHANGES


async def _count(connection: asyncpg.Connection, sql: str, first: list[str], *more: object) -> int:
    if not first:
        return 0
    return rows_of(await connection.execute(sql, first, *more))


def _differences(entity: Entity, field: Field) -> str:
    """What must change: $1 service, $2 filter key, $3 seconds until removal, $4 how many at most."""
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


# Rows that a writer holds at the moment are left to the next run, so that neither waits for the other.
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
