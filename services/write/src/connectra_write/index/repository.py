"""All SQL of the index service: the state of the outbox, dead letters, and operations as they are asked for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from connectra_common.db import audit, locks
from connectra_common.db.audit import Event, Origin
from connectra_common.db.database import Connection, rows_of
from connectra_common.records.fields import ENTITIES, Entity

from connectra_write.indexer.repository import PENDING
from connectra_write.marks import Lane, mark_again
from connectra_write.operations import COLUMNS, LAST_CHANGE, Kind, Operation


@dataclass(frozen=True, slots=True)
class Numbers:
    """State of the outbox."""

    pending: int
    oldest_seconds: float
    dead_letters: int
    indexers: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A document that Elasticsearch refused, and what it said."""

    entity: str
    uuid: str
    reason: str


class IndexRepository:
    """Statements on one connection, each a transaction of its own unless said otherwise."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # --- outbox and dead letters

    async def numbers(self) -> Numbers:
        """The outbox now. An indexer is alive as long as its advisory lock is held."""
        [row] = await self._connection.fetch(PENDING)
        alive = await self._connection.fetchval(
            """SELECT count(DISTINCT objid) FROM pg_locks
               WHERE locktype = 'advisory' AND classid = $1 AND objsubid = 2 AND granted
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
            locks.LIVING_INDEXER,
        )
        return Numbers(row[0], row[1], row[2], alive)

    async def dead_letters(self, after: tuple[str, str], limit: int) -> list[DeadLetter]:
        """The next ones after (entity, uuid)."""
        rows = await self._connection.fetch(
            """SELECT entity, uuid, reason FROM dead_letters WHERE (entity, uuid) > ($1, $2)
               ORDER BY entity, uuid LIMIT $3""",
            *(*after, limit),
        )
        return [DeadLetter(*row) for row in rows]

    async def replay(self, uuids: Sequence[str]) -> int:
        """Marks dead letters again, all of them when none are named; the indexer removes those that the index now takes."""
        status = await self._connection.execute(
            f"""INSERT INTO outbox (entity, uuid, lane)
                SELECT entity, uuid, {Lane.REPAIR.value} FROM dead_letters WHERE cardinality($1::text[]) = 0 OR uuid = ANY ($1)
                ORDER BY entity, uuid {mark_again()}""",
            uuids,
        )
        return rows_of(status)

    # --- operations

    async def lock(self, entity: Entity) -> None:
        """Nobody else asks for an operation on this index until the caller's transaction ends."""
        number = list(ENTITIES).index(entity.name)
        await self._connection.execute("SELECT pg_advisory_xact_lock($1, $2)", locks.INDEX_WORK, number)

    async def under_way(self, entity: Entity, kinds: Collection[Kind]) -> Operation | None:
        """The operation of one of these kinds that has not ended."""
        row = await self._connection.fetchrow(
            f"SELECT {COLUMNS} FROM index_operations WHERE entity = $1 AND kind = ANY ($2) AND ended_at IS NULL",
            *(entity.name, list(kinds)),
        )
        return Operation.of(row) if row else None

    async def add(self, entity: Entity, kind: Kind, asked: Mapping[str, Any], origin: Origin) -> Operation:
        """A new operation, and its entry in the audit trail, in the caller's transaction."""
        row = await self._connection.fetchrow(
            f"""INSERT INTO index_operations (entity, kind, asked, actor, request_id) VALUES ($1, $2, $3, $4, $5)
                RETURNING {COLUMNS}""",
            *(entity.name, kind.value, orjson.dumps(asked).decode(), origin.actor, origin.request_id),
        )
        assert row
        operation = Operation.of(row)
        if operation.is_recorded:
            told = {**asked, "outcome": audit.BEGUN}
            await audit.record(self._connection, Event("index", entity.name, operation.operated, told))
        return operation

    async def resume(self, number: int, asked: Mapping[str, Any]) -> None:
        """Has a held operation go on, with what is asked for now."""
        await self._connection.execute(
            "UPDATE index_operations SET held = false, reason = '', asked = $2 WHERE id = $1 AND held",
            *(number, orjson.dumps(asked).decode()),
        )

    async def abort(self, number: int) -> None:
        """Has an operation end."""
        await self._connection.execute("UPDATE index_operations SET abort = true WHERE id = $1", number)

    async def operation(self, number: int) -> Operation:
        """An operation as it is now."""
        row = await self._connection.fetchrow(f"SELECT {COLUMNS} FROM index_operations WHERE id = $1", number)
        assert row
        return Operation.of(row)

    async def last_change(self, entity: Entity) -> Operation | None:
        """The last one that was done; it names the index that is kept."""
        row = await self._connection.fetchrow(f"SELECT {COLUMNS} FROM index_operations {LAST_CHANGE}", entity.name)
        return Operation.of(row) if row else None
