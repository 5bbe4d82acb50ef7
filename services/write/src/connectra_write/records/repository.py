"""All SQL on records.

Every transaction takes its locks in one order: idempotency key, match keys, companies, contacts (with the outbox after each), filter
values; rows in uuid order. So concurrent batches wait for each other and never deadlock.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import astuple, dataclass
from zlib import crc32

from connectra_common.db.audit import UNKNOWN, Origin
from connectra_common.db.database import Connection, rows_of
from connectra_common.records.cleaning import Value
from connectra_common.records.fields import Entity

from connectra_write.filter_values.repository import FilterValueRepository, columns
from connectra_write.filter_values.rows import FilterValue, name_value
from connectra_write.records import statements

Record = Mapping[str, Value]
Values = Sequence[FilterValue]

# Enough that two keys seldom share one, far fewer than what a server can hold (max_locks_per_transaction x max_connections).
_KEY_LOCKS = 1_024
_KEY_LOCK_SPACE = {"company": 7_262_541, "contact": 7_262_542}


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it is now: its JSON, and whether it was created or revived."""

    uuid: str
    record: str
    version: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """A record that a merge created or changed; `name` is None for contacts."""

    uuid: str
    created: bool
    name: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """A stored record that a record of a batch may mean: its uuid, and its normalised domain or e-mail address."""

    uuid: str
    key: str | None
    deleted: bool


class RecordRepository:
    """Statements on records. Those that change them tell the audit trail whose work it is, in the same round trip.

    Args:
        connection: each statement is a transaction of its own, unless there is one.
        origin: whose work the changes are.
    """

    def __init__(self, connection: Connection, origin: Origin = UNKNOWN) -> None:
        self._connection = connection
        self._origin = astuple(origin)
        self.filter_values = FilterValueRepository(connection)

    async def merge(self, entity: Entity, records: Sequence[Record], *, clearing: bool = False) -> list[Changed]:
        """Inserts or completes records, one for each uuid: fields that a record does not name stay as they are. Revives deleted ones.

        Returns those that are new or have changed. A field that is None stays as it is too, or is cleared when `clearing`.
        """
        if not records:
            return []
        emptied = clearing and any(None in record.values() for record in records)
        stage = statements.stage(entity, emptied)
        await self._connection.execute(stage.create)
        names = stage.fields
        rows: list[tuple[object, ...]] = [(r["uuid"], *(r.get(name) for name in names)) for r in records]
        if emptied:
            clears = [sum(1 << i for i, n in enumerate(names) if n in r and r[n] is None) for r in records]
            rows = [(*row, cleared) for row, cleared in zip(rows, clears, strict=True)]
        await self._connection.copy_records_to_table(stage.name, records=rows, columns=stage.columns)
        return [Changed(*row) for row in await self._connection.fetch(stage.merge, *self._origin)]

    async def create(self, entity: Entity, record: Record, values: Values) -> Stored | None:
        """Inserts a record, with its filter values; None when there is one of its uuid, or its company is missing."""
        names = tuple(name for name in record if name != "uuid")
        return await self._one(
            statements.create(entity, names, bool(values)), values, record["uuid"], *map(record.get, names)
        )

    async def restart(self, entity: Entity, record: Record, values: Values) -> Stored | None:
        """Restores a deleted record with only the given fields; None when there is no deleted one."""
        names = tuple(field.name for field in entity.data_fields)
        return await self._one(
            statements.restart(entity, bool(values)), values, record["uuid"], *map(record.get, names)
        )

    async def update(
        self, entity: Entity, uuid: str, record: Record, versions: Sequence[int] | None, values: Values
    ) -> Stored | None:
        """Lays fields over a record; None when there is none, it has another version, or its company is missing."""
        names = tuple(name for name in record if name != "uuid")
        statement = statements.update(entity, names, versions is not None, bool(values))
        more = () if versions is None else (list(versions),)
        return await self._one(statement, values, uuid, *more, *map(record.get, names))

    async def upsert(self, entity: Entity, record: Record, values: Values) -> Stored | None:
        """Inserts a record or lays its fields over the one of its uuid, reviving it; None when its company is missing."""
        names = tuple(name for name in record if name != "uuid")
        return await self._one(
            statements.upsert(entity, names, bool(values)), values, record["uuid"], *map(record.get, names)
        )

    async def delete(self, entity: Entity, uuid: str, versions: Sequence[int] | None) -> bool:
        """Marks a record as deleted; False when there is none or it has another version."""
        status = await self._connection.execute(
            f"""UPDATE {entity.table} SET deleted_at = now(), updated_at = now()
                WHERE uuid = $1 AND deleted_at IS NULL AND ($2::bigint[] IS NULL OR row_version = ANY($2))
                  AND {statements.origin("$3", "$4")}""",
            uuid,
            None if versions is None else list(versions),
            *self._origin,
        )
        return rows_of(status) == 1

    async def version(self, entity: Entity, uuid: str) -> tuple[int, bool] | None:
        """row_version of a record and whether it is deleted; None when there is none."""
        row = await self._connection.fetchrow(
            f"SELECT row_version, deleted_at IS NOT NULL FROM {entity.table} WHERE uuid = $1", uuid
        )
        return None if row is None else (row[0], row[1])

    async def existing_companies(self, uuids: Sequence[str]) -> set[str]:
        """Those of the uuids that are of companies, deleted ones included."""
        rows = await self._connection.fetch("SELECT uuid FROM companies WHERE uuid = ANY($1::text[])", list(uuids))
        return {row[0] for row in rows}

    async def match(self, entity: Entity, keys: Sequence[str]) -> list[Known]:
        """Records with these normalised domains or e-mail addresses; of several with one, the best match comes first."""
        rows = await self._connection.fetch(
            f"""SELECT uuid, {entity.match_column}, deleted_at IS NOT NULL FROM {entity.table}
                WHERE {entity.match_column} = ANY($1::text[]) ORDER BY deleted_at IS NOT NULL, id""",
            list(keys),
        )
        return [Known(*row) for row in rows]

    async def find(self, entity: Entity, uuids: Sequence[str]) -> list[Known]:
        """Records with these uuids."""
        rows = await self._connection.fetch(
            f"""SELECT uuid, {entity.match_column}, deleted_at IS NOT NULL FROM {entity.table}
                WHERE uuid = ANY($1::text[])""",
            list(uuids),
        )
        return [Known(*row) for row in rows]

    async def lock_keys(self, entity: Entity, keys: Iterable[str]) -> None:
        """Keeps others from making records of these normalised domains or e-mail addresses until the transaction ends.

        To be called before any row is touched. The keys share a fixed number of locks, so that no batch, however large, can fill the
        server's lock table; locks are taken in one order.
        """
        slots = sorted({crc32(key.encode()) % _KEY_LOCKS for key in keys})
        space = _KEY_LOCK_SPACE[entity.name]
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock($1, slot) FROM unnest($2::int[]) AS slot", space, slots
        )

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """A transaction in which the following statements are one; inside another it is a part of that."""
        return self._connection.transaction()

    async def _one(self, statement: str, values: Values, *arguments: object) -> Stored | None:
        before = columns(values) if values else ()
        row = await self._connection.fetchrow(statement, *before, *self._origin, *arguments)
        return None if row is None else Stored(*row)


def company_names(changed: Iterable[Changed]) -> list[FilterValue]:
    """The filter values that show the names of changed companies."""
    return [name_value(row.uuid, row.name) for row in changed if row.name]
