"""All SQL of the index service: the state of the outbox, dead letters, rebuilds, and walks over the records."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import lru_cache

from connectra_common.db import locks
from connectra_common.db.database import Connection, rows_of
from connectra_common.records.fields import COMPANY, ENTITIES, Entity

from connectra_write import marks
from connectra_write.indexer import documents
from connectra_write.indexer.bulk import Document
from connectra_write.indexer.repository import PENDING, RAISE_VERSIONS
from connectra_write.marks import Lane, mark_again


@dataclass(frozen=True, slots=True)
class Build:
    """A rebuild under way (`building`, `comparing`), or the last one (`done`)."""

    entity: str
    phase: str
    index_name: str
    previous: str | None
    after_uuid: str
    documents_done: int
    documents_total: int
    first_version: int


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


@dataclass(frozen=True, slots=True)
class Current:
    """A record now: its document, and whether the outbox names it or is about to."""

    document: Document
    pending: bool


class IndexRepository:
    """Statements on one connection, each a transaction of its own unless said otherwise."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """A transaction in which the following statements are one."""
        return self._connection.transaction()

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

    async def mark(self, entity: Entity, uuids: Sequence[str]) -> None:
        """Marks records for indexing."""
        await self._connection.execute(
            f"""INSERT INTO outbox (entity, uuid, lane) SELECT $1, u.uuid, {Lane.REPAIR.value} FROM unnest($2::text[]) AS u (uuid)
                ORDER BY u.uuid COLLATE "C" {mark_again()}""",
            *(entity.name, uuids),
        )

    async def mark_changed_since(self, entity: Entity, version: int, after: str, window: int) -> tuple[int, str | None]:
        """Marks those of the next `window` records that have changed since a version. Returns how many, and the last uuid of the window."""
        other = (
            ""
            if entity is COMPANY
            else "OR EXISTS (SELECT FROM companies WHERE uuid = s.company_id AND row_version > $3)"
        )
        column = "" if entity is COMPANY else ", company_id"
        [row] = await self._connection.fetch(
            f"""WITH s AS MATERIALIZED (
                    SELECT uuid, row_version {column} FROM {entity.table} WHERE uuid > $1 ORDER BY uuid LIMIT $2
                ), marked AS (
                    INSERT INTO outbox (entity, uuid, lane)
                    SELECT '{entity.name}', uuid, {Lane.REPAIR.value} FROM s WHERE row_version > $3 {other} ORDER BY uuid {mark_again()}
                    RETURNING 1
                )
                SELECT (SELECT count(*) FROM marked), (SELECT max(uuid) FROM s)""",
            *(after, window, version),
        )
        return row[0], row[1]

    async def sequence(self) -> int:
        """See `marks.newest`."""
        return await marks.newest(self._connection)

    async def pending(self, entity: Entity, up_to: int | None = None) -> int:
        """Outbox rows of an entity, and of companies whose contacts are still to be marked; up to a number of the outbox."""
        return int(
            await self._connection.fetchval(
                """SELECT count(*) FROM outbox WHERE (entity = $1 OR fan_out) AND first_seq <= coalesce($2, first_seq)""",
                *(entity.name, up_to),
            )
        )

    # --- rebuilds

    async def lock(self, entity: Entity) -> bool:
        """Whether this session may work on an entity's index; if so no other may until it ends."""
        number = list(ENTITIES).index(entity.name)
        return bool(await self._connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", locks.INDEX_WORK, number))

    async def build(self, entity: Entity, for_update: bool = False) -> Build | None:
        """The rebuild of an entity."""
        row = await self._connection.fetchrow(
            f"""SELECT entity, phase, index_name, previous, after_uuid, documents_done, documents_total, first_version
                FROM index_builds WHERE entity = $1 {"FOR UPDATE" if for_update else ""}""",
            entity.name,
        )
        return Build(*row) if row else None

    async def begin(self, entity: Entity, index_name: str) -> None:
        """Notes a new rebuild; once this is committed, indexers write to the new index as well."""
        await self._connection.execute(
            f"""INSERT INTO index_builds (entity, phase, index_name, documents_total, first_version)
                SELECT $1, 'building', $2, (SELECT count(*) FROM {entity.table} WHERE deleted_at IS NULL), last_value
                FROM row_version_seq
                ON CONFLICT (entity) DO UPDATE
                    SET phase = 'building', index_name = $2, after_uuid = '', documents_done = 0,
                        documents_total = excluded.documents_total, first_version = excluded.first_version,
                        started_at = now(), updated_at = now()""",
            *(entity.name, index_name),
        )

    async def advance(self, build: Build, phase: str, after_uuid: str, done: int) -> bool:
        """Notes how far a rebuild has come. False when it was aborted."""
        status = await self._connection.execute(
            """UPDATE index_builds SET phase = $3, after_uuid = $4, documents_done = $5, updated_at = now()
               WHERE entity = $1 AND index_name = $2 AND phase <> 'done'""",
            *(build.entity, build.index_name, phase, after_uuid, done),
        )
        return rows_of(status) == 1

    async def settle(self, entity: Entity, index_name: str, previous: str | None, first_version: int) -> None:
        """Notes the index behind the alias, and the previous one, which a rollback would restore."""
        await self._connection.execute(
            """UPDATE index_builds
               SET phase = 'done', index_name = $2, previous = $3, first_version = $4, updated_at = now()
               WHERE entity = $1""",
            *(entity.name, index_name, previous, first_version),
        )

    async def forget(self, entity: Entity) -> None:
        """As if there had been no rebuild."""
        await self._connection.execute("DELETE FROM index_builds WHERE entity = $1", entity.name)

    # --- records

    async def slice(self, entity: Entity, after: str, limit: int) -> list[Document]:
        """The next records that are not deleted, in uuid order."""
        rows = await self._connection.fetch(documents.slice_of(entity), after, limit)
        return [Document(*row) for row in rows]

    async def current(self, entity: Entity, uuids: Sequence[str]) -> dict[str, Current]:
        """Records as they are now, by uuid; every uuid has an entry, also where the record is deleted or does not exist."""
        rows = await self._connection.fetch(_current(entity), uuids)
        return {r["uuid"]: Current(Document(r["uuid"], r["version"], r["document"]), r["pending"]) for r in rows}

    async def count(self, entity: Entity) -> int:
        """Records that are not deleted."""
        return int(await self._connection.fetchval(f"SELECT count(*) FROM {entity.table} WHERE deleted_at IS NULL"))

    async def dead(self, entity: Entity) -> set[str]:
        """Uuids of an entity's dead letters."""
        rows = await self._connection.fetch("SELECT uuid FROM dead_letters WHERE entity = $1", entity.name)
        return {row["uuid"] for row in rows}

    async def raise_versions(self, index_version: int) -> None:
        """Versions given out from now on are above that of a document in the index."""
        await self._connection.execute(RAISE_VERSIONS, index_version >> documents.NEARNESS_BITS)


@lru_cache(maxsize=len(ENTITIES))
def _current(entity: Entity) -> str:
    own = f"EXISTS (SELECT FROM outbox WHERE entity = '{entity.name}' AND uuid = d.uuid)"
    # Contacts of a company whose contacts are still to be marked count as marked.
    company = f"""EXISTS (SELECT FROM {entity.table} t JOIN outbox o ON o.entity = 'company' AND o.uuid = t.company_id AND o.fan_out
                          WHERE t.uuid = d.uuid)"""
    pending = own if entity is COMPANY else f"{own} OR {company}"
    return f"SELECT d.uuid, d.version, d.document, ({pending}) AS pending FROM ({documents.by_uuid(entity)}) d"
