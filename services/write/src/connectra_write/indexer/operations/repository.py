"""All SQL of operations on an index, as indexers carry them out: claims and progress, what a new index lacks, walks over the records."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import lru_cache

import orjson
from connectra_common.db import audit, locks
from connectra_common.db.audit import Event
from connectra_common.db.database import IN_ORDER, Connection, rows_of
from connectra_common.records.fields import COMPANY, ENTITIES, Entity

from connectra_write.indexer import documents
from connectra_write.indexer.bulk import Document
from connectra_write.indexer.repository import RAISE_VERSIONS
from connectra_write.marks import Lane, mark_again, newest
from connectra_write.operations import COLUMNS, LAST_CHANGE, Kind, Operation, Phase

# About the most characters of documents that are read at once.
PART_CHARS = 6_000_000
# An operation whose indexer has not been heard of for so long goes to another, even if it lives.
LEASE_SECONDS = 150
# Counting tens of millions of records takes a while.
COUNT_SECONDS = 900


class Lost(Exception):
    """The operation is no longer this indexer's, has ended, or is to end."""


@dataclass(frozen=True, slots=True)
class Current:
    """A record now: its document, and whether an index is known not to have it."""

    document: Document
    pending: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A record that a new index does not have as it is now. Of another generation once it is listed again."""

    uuid: str
    generation: int


class OperationRepository:
    """Statements on one connection, each a transaction of its own unless said otherwise.

    Args:
        me: number of this indexer; what it says about operations counts only as long as they are its own.
    """

    def __init__(self, connection: Connection, me: int = 0) -> None:
        self._connection, self._me = connection, me

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """A transaction in which the following statements are one."""
        return self._connection.transaction()

    # --- operations

    async def claim(self, kinds: Collection[Kind], running: Collection[int]) -> list[Operation]:
        """Takes the operations that are nobody's, and those of an indexer that is gone.

        Args:
            running: numbers of those that this indexer is at work on.
        """
        rows = await self._connection.fetch(
            f"""UPDATE index_operations SET claimed_by = $1, updated_at = now() WHERE id IN (
                    SELECT id FROM index_operations o
                    WHERE ended_at IS NULL AND (abort OR NOT held) AND kind = ANY ($2) AND id <> ALL ($3)
                      AND (claimed_by IS NULL OR claimed_by = $1 OR updated_at < now() - make_interval(secs => {LEASE_SECONDS})
                           OR NOT EXISTS (SELECT FROM indexers WHERE id = o.claimed_by))
                    ORDER BY id FOR UPDATE SKIP LOCKED)
                RETURNING {COLUMNS}""",
            *(self._me, list(kinds), list(running)),
        )
        return [Operation.of(row) for row in rows]

    async def to_be_aborted(self) -> set[int]:
        """Numbers of own operations that somebody wants to end."""
        rows = await self._connection.fetch(
            "SELECT id FROM index_operations WHERE ended_at IS NULL AND abort AND claimed_by = $1", self._me
        )
        return {row["id"] for row in rows}

    async def release(self) -> None:
        """Leaves own operations to others."""
        await self._connection.execute(
            "UPDATE index_operations SET claimed_by = NULL WHERE ended_at IS NULL AND claimed_by = $1", self._me
        )

    async def note(self, operation: Operation, **changes: object) -> Operation:
        """Notes how far an operation has come.

        Args:
            changes: new values of its columns, by name.

        Raises:
            Lost: nothing is noted.
        """
        return await self._change(operation, "NOT abort", changes)

    async def lock(self, operation: Operation) -> None:
        """Locks an operation until the caller's transaction ends; no record is listed meanwhile.

        Raises:
            Lost: as above.
        """
        mine = "id = $1 AND claimed_by = $2 AND ended_at IS NULL AND NOT abort"
        if not await self._connection.fetchval(
            f"SELECT true FROM index_operations WHERE {mine} FOR UPDATE", operation.id, self._me
        ):
            raise Lost

    async def go_on(self, operation: Operation) -> Operation:
        """It is too late to abort it."""
        return await self._change(operation, "true", {"abort": False})

    async def end(self, operation: Operation, phase: Phase, reason: str = "") -> None:
        """Ends an operation, and records how.

        Raises:
            Lost: somebody else has it.
        """
        async with self._connection.transaction():
            ended = await self._change(operation, "true", {"phase": phase.value, "reason": reason, "held": False})
            await self._connection.execute(
                "UPDATE index_operations SET ended_at = now(), claimed_by = NULL WHERE id = $1", operation.id
            )
            if operation.is_recorded:
                came: dict[str, object] = {"index_name": ended.index_name} if ended.index_name else {}
                if operation.kind is Kind.VERIFY:
                    came = {"compared": ended.documents_done} | {
                        n: v for n, v in ended.found.items() if n != "examples"
                    }
                told = {**operation.asked, **came, "phase": phase.value, "reason": reason, "outcome": phase.value}
                event = Event("index", operation.entity, operation.operated, told)
                await audit.record(self._connection, event, operation.actor, operation.request_id)

    async def _change(self, operation: Operation, condition: str, changes: dict[str, object]) -> Operation:
        values = [orjson.dumps(v).decode() if isinstance(v, dict) else v for v in changes.values()]
        sets = "".join(f", {name} = ${number}" for number, name in enumerate(changes, 3))
        row = await self._connection.fetchrow(
            f"""UPDATE index_operations SET updated_at = now(){sets}
                WHERE id = $1 AND claimed_by = $2 AND ended_at IS NULL AND {condition} RETURNING {COLUMNS}""",
            *(operation.id, self._me, *values),
        )
        if row is None:
            raise Lost
        return Operation.of(row)

    async def add_checks(self) -> None:
        """Sees that the comparison of each entity that never ends is under way."""
        for number, name in enumerate(ENTITIES):
            async with self._connection.transaction():
                await self._connection.execute("SELECT pg_advisory_xact_lock($1, $2)", locks.INDEX_WORK, number)
                await self._connection.execute(
                    """INSERT INTO index_operations (entity, kind, phase) SELECT $1, 'check', 'walking'
                       WHERE NOT EXISTS (SELECT FROM index_operations WHERE entity = $1 AND kind = 'check' AND ended_at IS NULL)""",
                    name,
                )

    async def checks(self) -> list[Operation]:
        """These comparisons."""
        rows = await self._connection.fetch(
            f"SELECT {COLUMNS} FROM index_operations WHERE kind = 'check' AND ended_at IS NULL"
        )
        return [Operation.of(row) for row in rows]

    async def last_change(self, entity: Entity) -> Operation | None:
        """The last one that was done; it names the index that is kept."""
        row = await self._connection.fetchrow(f"SELECT {COLUMNS} FROM index_operations {LAST_CHANGE}", entity.name)
        return Operation.of(row) if row else None

    async def former_indices(self, entity: Entity) -> set[str]:
        """Names of the indices of the last operations, which may still be there."""
        rows = await self._connection.fetch(
            """SELECT index_name, previous FROM index_operations
               WHERE entity = $1 AND index_name IS NOT NULL AND ended_at IS NOT NULL ORDER BY id DESC LIMIT 20""",
            entity.name,
        )
        return {name for row in rows for name in row if name}

    # --- what a new index lacks

    async def listed(self, entity: Entity, after: str, limit: int) -> list[Listed]:
        """The next records that it does not have as they are now."""
        async with self._connection.transaction():
            await self._connection.execute(IN_ORDER)
            rows = await self._connection.fetch(
                "SELECT uuid, generation FROM index_catch_up WHERE entity = $1 AND uuid > $2 ORDER BY uuid LIMIT $3",
                *(entity.name, after, limit),
            )
        return [Listed(*row) for row in rows]

    async def list_refused(self, entity: Entity, refused: dict[str, str]) -> None:
        """Lists records that a new index refuses, by uuid with its reason."""
        if not refused:
            return
        ordered = sorted(refused)
        await self._connection.execute(
            """INSERT INTO index_catch_up (entity, uuid, refused) SELECT $1, * FROM unnest($2::text[], $3::text[])
               ON CONFLICT (entity, uuid) DO UPDATE SET refused = excluded.refused""",
            *(entity.name, ordered, [refused[uuid] for uuid in ordered]),
        )

    async def unlist(self, entity: Entity, caught_up: Sequence[Listed]) -> None:
        """The new index has these, unless they have been listed again."""
        await self._connection.execute(
            """DELETE FROM index_catch_up WHERE entity = $1 AND uuid IN (
                   SELECT l.uuid
                   FROM index_catch_up l JOIN unnest($2::text[], $3::bigint[]) AS c (uuid, generation) USING (uuid, generation)
                   WHERE l.entity = $1 FOR UPDATE OF l SKIP LOCKED)""",
            *(entity.name, [one.uuid for one in caught_up], [one.generation for one in caught_up]),
        )

    async def mark_listed(self, entity: Entity) -> None:
        """Marks all of them for the indexers."""
        await self._connection.execute(
            f"""INSERT INTO outbox (entity, uuid, lane) SELECT entity, uuid, {Lane.REPAIR.value} FROM index_catch_up
                WHERE entity = $1 ORDER BY uuid {mark_again()}""",
            entity.name,
        )

    async def lacking(self, entity: Entity) -> tuple[int, str]:
        """How many records are listed, but for those that the live index refuses too; and why one of them is refused, or ""."""
        row = await self._connection.fetchrow(
            """SELECT count(*), coalesce(min(l.uuid || ': ' || l.refused), '') FROM index_catch_up l
               WHERE l.entity = $1 AND NOT (l.refused IS NOT NULL AND EXISTS (
                   SELECT FROM dead_letters d WHERE d.entity = l.entity AND d.uuid = l.uuid))""",
            entity.name,
        )
        assert row
        return row[0], row[1]

    async def forget_listed(self, entity: Entity, limit: int) -> int:
        """Empties the list when no index is being built. Returns how many it has removed."""
        status = await self._connection.execute(
            """DELETE FROM index_catch_up WHERE entity = $1 AND uuid IN (
                   SELECT uuid FROM index_catch_up WHERE entity = $1 LIMIT $2) AND NOT EXISTS (
                   SELECT FROM index_operations WHERE entity = $1 AND ended_at IS NULL AND index_name IS NOT NULL)""",
            *(entity.name, limit),
        )
        return rows_of(status)

    # --- records

    async def slice(self, entity: Entity, after: str, limit: int) -> tuple[list[Document], bool]:
        """The next records that are not deleted, in uuid order, as many as fit; and whether there are no more."""
        async with self._connection.transaction():
            await self._connection.execute(IN_ORDER)
            cursor = await self._connection.cursor(documents.slice_of(entity), after, limit)
            rows = [row async for row in documents.read(cursor, PART_CHARS)]
            whole = not await cursor.fetch(1)
        return [documents.document(entity, row) for row in rows], whole and len(rows) < limit

    async def documents(self, entity: Entity, uuids: Sequence[str]) -> tuple[list[Document], list[str]]:
        """Records as they are now, as many as fit, and the uuids that are left; a deleted one is a document to be deleted."""
        async with self._connection.transaction():
            cursor = await self._connection.cursor(documents.by_uuid(entity), uuids)
            rows = [row async for row in documents.read(cursor, PART_CHARS)]
        found = [documents.document(entity, row) for row in rows]
        done = {document.uuid for document in found}
        return found, [uuid for uuid in uuids if uuid not in done]

    async def versions(self, entity: Entity, after: str, limit: int) -> list[tuple[str, int]]:
        """The next records that are not deleted, in uuid order: uuid and version of the document."""
        async with self._connection.transaction():
            await self._connection.execute(IN_ORDER)
            rows = await self._connection.fetch(documents.versions_of(entity), after, limit)
        return [(row["uuid"], row["version"]) for row in rows]

    async def current(self, entity: Entity, uuids: Sequence[str], *, live: bool) -> dict[str, Current]:
        """Records as they are now, by uuid; every uuid has an entry, also where the record is deleted or does not exist.

        Args:
            live: the index in question is the live one, which lacks what is marked, or refused for good; another lacks what is listed too.
        """
        rows = await self._connection.fetch(_current(entity, live), uuids)
        return {row["uuid"]: Current(documents.document(entity, row), row["pending"]) for row in rows}

    async def count(self, entity: Entity) -> int:
        """Records that are not deleted."""
        async with self._connection.transaction():
            await self._connection.execute("SET LOCAL enable_seqscan = on")
            number = await self._connection.fetchval(
                f"SELECT count(*) FROM {entity.table} WHERE deleted_at IS NULL", timeout=COUNT_SECONDS
            )
        return int(number)

    async def dead(self, entity: Entity) -> set[str]:
        """Uuids of an entity's dead letters."""
        rows = await self._connection.fetch("SELECT uuid FROM dead_letters WHERE entity = $1", entity.name)
        return {row["uuid"] for row in rows}

    async def newest_mark(self) -> int:
        """See `marks.newest`."""
        return await newest(self._connection)

    async def behind(self, entity: Entity) -> int:
        """How many records the live or the new index may not have as they are; a company may stand for its contacts too."""
        return int(
            await self._connection.fetchval(
                """SELECT (SELECT count(*) FROM outbox WHERE entity = $1 OR fan_out)
                        + (SELECT count(*) FROM index_catch_up WHERE entity = $1)""",
                entity.name,
            )
        )

    async def are_many(self, bound: int) -> bool:
        """Whether more than so many marks wait to be indexed."""
        found = "SELECT count(*) > $1 FROM (SELECT FROM outbox LIMIT $1 + 1) AS marks"
        return bool(await self._connection.fetchval(found, bound))

    async def repair(self, entity: Entity, uuids: Sequence[str], index_version: int) -> None:
        """Marks records for indexing, with versions above that of a document in the index."""
        await self._connection.execute(RAISE_VERSIONS, index_version >> documents.NEARNESS_BITS)
        await self._connection.execute(
            f"""INSERT INTO outbox (entity, uuid, lane) SELECT $1, u.uuid, {Lane.REPAIR.value} FROM unnest($2::text[]) AS u (uuid)
                ORDER BY u.uuid COLLATE "C" {mark_again()}""",
            *(entity.name, uuids),
        )


@lru_cache(maxsize=2 * len(ENTITIES))
def _current(entity: Entity, live: bool) -> str:
    known = " OR ".join(
        f"EXISTS (SELECT FROM {table} WHERE entity = '{entity.name}' AND uuid = d.uuid)"
        for table in ("outbox", "dead_letters", *(() if live else ("index_catch_up",)))
    )
    # Contacts of a company whose contacts are still to be marked count as marked.
    company = f"""EXISTS (SELECT FROM {entity.table} t JOIN outbox o ON o.entity = 'company' AND o.uuid = t.company_id AND o.fan_out
                          WHERE t.uuid = d.uuid)"""
    pending = known if entity is COMPANY else f"{known} OR {company}"
    return f"SELECT d.uuid, d.version, d.document, d.names, ({pending}) AS pending FROM ({documents.by_uuid(entity)}) d"
