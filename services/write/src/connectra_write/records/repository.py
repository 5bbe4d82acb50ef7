"""All SQL on records.

Every transaction takes its locks in one order: idempotency key or job, match keys, companies, contacts (with the outbox after each); keys
and rows in their own order. So concurrent batches wait for each other. They deadlock only when one takes for new what another knows to be
there, for it locks it among the new ones: that one is done again, as it would be anyway (`writing.repeated`).

Whoever decides by a key which record is meant holds the key's lock, and writes only records that still have the keys by which they were
found. Who merely gives a record another key decides nothing by it, and needs none.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import astuple, dataclass, replace

import asyncpg
from connectra_common.db.audit import UNKNOWN, Origin
from connectra_common.db.database import Connection, rows_of
from connectra_common.records import keys
from connectra_common.records.cleaning import Value
from connectra_common.records.fields import COMPANY, CONTACT, Entity

from connectra_write import marks
from connectra_write.records import statements
from connectra_write.records.identities import MAX_HOLDERS, NO_CHANGE, KeyChange, Known

Record = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it is now: its JSON, whether it was created or revived, and whether anything of it was written."""

    uuid: str
    record: str
    version: int
    is_new: bool
    is_written: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """A record that a merge created or changed."""

    id: int
    uuid: str
    created: bool


class RecordRepository:
    """Statements on records. Those that change them tell the audit trail whose work it is, in the same round trip.

    Args:
        connection: each statement is a transaction of its own, unless there is one.
        origin: whose work the changes are.
    """

    def __init__(self, connection: Connection, origin: Origin = UNKNOWN) -> None:
        self._connection = connection
        self._origin = astuple(origin)

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

    async def create(self, entity: Entity, record: Record, change: KeyChange = NO_CHANGE) -> Stored | None:
        """Inserts a record with its keys; None when there is one of its uuid, or its company is missing."""
        names = _names(entity, record)
        statement = statements.create(entity, names, any(change))
        return await self._one(statement, change if any(change) else (), record["uuid"], *map(record.get, names))

    async def restart(self, entity: Entity, record: Record, change: KeyChange) -> Stored | None:
        """Restores a deleted record with only the given fields; None when there is no deleted one, or its company is missing."""
        names = tuple(field.name for field in entity.data_fields)
        statement = statements.restart(entity, any(change))
        return await self._one(statement, change if any(change) else (), record["uuid"], *map(record.get, names))

    async def update(
        self,
        entity: Entity,
        uuid: str,
        record: Record,
        versions: Sequence[int] | None,
        moved: tuple[Known, KeyChange] | None = None,
    ) -> Stored | None:
        """Lays fields over a record, which is left alone if it has these values; None when there is none, it has another version, or its
        company is missing.

        Args:
            moved: the record as it was read and the change of its keys; None too when it has other keys by now.
        """
        names = _names(entity, record)
        statement = statements.update(entity, names, versions is not None, moved is not None)
        more = () if versions is None else (list(versions),)
        columns, change = (moved[0].columns, moved[1]) if moved else ((), ())
        return await self._one(statement, change, uuid, *more, *columns, *map(record.get, names))

    async def lay(self, entity: Entity, known: Known, record: Record, change: KeyChange) -> Stored | None:
        """Lays fields over a record, as `update`, reviving it; None when it is not as it was read, or its company is missing."""
        names = _names(entity, record)
        statement = statements.lay(entity, names, known.deleted, any(change))
        change_ = change if any(change) else ()
        return await self._one(statement, change_, known.uuid, *known.columns, *map(record.get, names))

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

    async def known(self, entity: Entity, numbers: Sequence[int], uuids: Sequence[str]) -> list[Known]:
        """The records that have one of the keys, or one of the uuids. Of a key that many have, only MAX_HOLDERS and one."""
        # Two statements: told the ids, the planner cannot take the whole table for less.
        holders = await self._connection.fetch(_HOLDERS, list(numbers)) if numbers else []
        by_id: dict[int, set[int]] = {}
        for number, id_ in holders:
            by_id.setdefault(id_, set()).add(number)
        (_, first), (_, second) = keys.FIELDS[entity]
        rows = await self._connection.fetch(
            f"""SELECT id, uuid, deleted_at IS NOT NULL, {first}, {second} FROM {entity.table}
                WHERE id = ANY($1::bigint[])
                UNION
                SELECT id, uuid, deleted_at IS NOT NULL, {first}, {second} FROM {entity.table}
                WHERE uuid = ANY($2::text[])""",
            list(by_id),
            list(uuids),
        )
        return await self._recognised(entity, rows, by_id)

    async def lock_keys(self, numbers: Iterable[int]) -> None:
        """Keeps others from deciding by one of these keys until the transaction ends. To be called before any row is touched.

        Who inserts a key that another transaction has inserted waits for its end, even though it has deleted it again.
        """
        if ordered := sorted(set(numbers)):
            await self._connection.execute(_LOCK_KEYS, ordered)
            await self._connection.execute("DELETE FROM key_locks WHERE key = ANY($1::bigint[])", ordered)

    async def lock(self, entity: Entity, uuids: Iterable[str]) -> dict[str, tuple[bool, str | None, str | None]]:
        """Keeps others from changing these records until the transaction ends: whether they are deleted, and their keys."""
        (_, first), (_, second) = keys.FIELDS[entity]
        rows = await self._connection.fetch(
            f"""SELECT uuid, deleted_at IS NOT NULL, {first}, {second} FROM {entity.table}
                WHERE uuid = ANY($1::text[]) ORDER BY uuid FOR NO KEY UPDATE""",
            list(uuids),
        )
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    async def change_keys(self, made: Sequence[tuple[int, int]], gone: Sequence[tuple[int, int]]) -> None:
        """Gives keys to records, and takes them away; each as its number and the record's id."""
        if gone:
            await self._connection.execute(
                """DELETE FROM match_keys m USING unnest($1::bigint[], $2::bigint[]) AS g (key, record_id)
                   WHERE m.key = g.key AND m.record_id = g.record_id""",
                *map(list, zip(*gone, strict=True)),
            )
        if made:
            await self._connection.execute(
                "INSERT INTO match_keys SELECT * FROM unnest($1::bigint[], $2::bigint[])",
                *map(list, zip(*sorted(made), strict=True)),
            )

    async def note_batch(self, uuids: Mapping[Entity, Collection[str]], job: str | None) -> int:
        """Notes the records that were written, for their consistency token; returns the batch's number."""
        mark = await marks.newest(self._connection)
        return await marks.add_batch(self._connection, mark, uuids[COMPANY], uuids[CONTACT], job)

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """A transaction in which the following statements are one; inside another it is a part of that."""
        return self._connection.transaction()

    async def _recognised(
        self, entity: Entity, rows: Sequence[asyncpg.Record], numbers: Mapping[int, set[int]]
    ) -> list[Known]:
        """Records by what was read of them; `numbers`: keys by which some of them were found, by id."""
        found: dict[str, Known] = {}
        # Every domain is stored, but only one that was given is a key: those of which it is not known yet.
        unsure: dict[str, tuple[int, int]] = {}
        for id_, uuid, deleted, *values in rows:
            given = {
                kind: key
                for (kind, _), value in zip(keys.FIELDS[entity], values, strict=True)
                if (key := keys.read(entity, kind, value))
            }
            found[uuid] = Known(id_, uuid, deleted, (values[0], values[1]), given)
            if domain := given.get(keys.DOMAIN):
                number = keys.number(entity, domain)
                if number not in numbers.get(id_, ()):
                    unsure[uuid] = (number, id_)
        if unsure:
            held = await self._connection.fetch(
                """SELECT m.key, m.record_id FROM unnest($1::bigint[], $2::bigint[]) AS w (key, record_id)
                   JOIN match_keys m USING (key, record_id)""",
                *map(list, zip(*unsure.values(), strict=True)),
            )
            given_ = {(row[0], row[1]) for row in held}
            for uuid in [uuid for uuid, pair in unsure.items() if pair not in given_]:
                others = {kind: key for kind, key in found[uuid].keys.items() if kind != keys.DOMAIN}
                found[uuid] = replace(found[uuid], keys=others)
        return list(found.values())

    async def _one(self, statement: str, change: Sequence[Sequence[int]], *arguments: object) -> Stored | None:
        row = await self._connection.fetchrow(statement, *change, *self._origin, *arguments)
        return None if row is None else Stored(*row)


def _names(entity: Entity, record: Record) -> tuple[str, ...]:
    # In the order of the catalogue: one statement for these fields, in whatever order a client names them.
    return tuple(field.name for field in entity.data_fields if field.name in record)


_HOLDERS = f"""
    SELECT w.key, m.record_id FROM unnest($1::bigint[]) AS w (key),
         LATERAL (SELECT record_id FROM match_keys m WHERE m.key = w.key ORDER BY record_id LIMIT {MAX_HOLDERS + 1}) m"""
_LOCK_KEYS = "INSERT INTO key_locks SELECT key FROM unnest($1::bigint[]) AS key ORDER BY key"
