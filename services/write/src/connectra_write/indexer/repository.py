"""All SQL of the indexer except that of the documents: claiming, settling, fan-out.

Transactions are short; no lock is held while Elasticsearch works. Rows that a writer holds are skipped, or waited for so briefly
(`SESSION`) that a deadlock with a writer is never decided against the writer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from connectra_common.db import locks
from connectra_common.db.database import IN_ORDER, Connection
from connectra_common.db.queues import OLDEST, QUEUE, queue
from connectra_common.records.fields import ENTITIES, Entity

from connectra_write.indexer import documents
from connectra_write.indexer.bulk import Document
from connectra_write.indexer.low_water import Look
from connectra_write.marks import Lane, mark_again

# Records that are sent to find out whether an index takes any, and among how many they are looked for.
CANARIES, LOOK_AMONG = 3, 100

# Settings of an indexer's connections. The outbox is empty one moment and has thousands of rows the next, and the planner's statistics are
# of some other moment: left to choose it has joined every row with every claim, for minutes. So one statement, planned when it runs, looks
# rows up by key and locks them, and another changes them by their places (ctid), which cannot move while they are locked.
SESSION = {
    "lock_timeout": "500ms",  # shorter than PostgreSQL's deadlock_timeout of one second
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """An outbox row that this indexer works on until its lease ends, or until the row is marked again."""

    entity: str
    uuid: str
    # Together they identify this state of the row, even after it was removed and inserted again.
    row_id: int
    generation: int
    first_seq: int
    fan_out: bool
    fan_out_after: str
    fan_out_generation: int
    attempts: int
    # Highest number of outbox_seq, and the time, of the claim: marks that it does not cover are younger.
    seen_seq: int
    seen_at: datetime
    marked_at: datetime
    lane: int

    @property
    def key(self) -> tuple[str, str]:
        """Primary key of the outbox."""
        return self.entity, self.uuid


@dataclass(frozen=True, slots=True)
class Queue:
    """The marks of an entity in a lane; `limit`: how many of them to claim at most."""

    entity: str
    lane: int
    limit: int


class OutboxRepository:
    """Statements on one connection, each a transaction of its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def enter(self, host: str) -> int:
        """Shows this session as a live indexer until it ends. Returns its number."""
        async with self._connection.transaction():
            # Locked before others can see it.
            number = await self._connection.fetchval("SELECT nextval(pg_get_serial_sequence('indexers', 'id'))::int")
            await self._connection.execute("SELECT pg_advisory_lock($1, $2)", locks.LIVING_INDEXER, number)
            await self._connection.execute(
                "INSERT INTO indexers (id, host) OVERRIDING SYSTEM VALUE VALUES ($1, $2)", number, host
            )
        return int(number)

    async def leave(self, number: int) -> None:
        """Forgets this indexer, which holds no claims any more."""
        await self._connection.execute("DELETE FROM indexers WHERE id = $1", number)

    async def free_claims_of_the_dead(self, me: int) -> list[int]:
        """Frees the claims of indexers whose session has ended. Returns their numbers."""
        dead = []
        for row in await self._connection.fetch("SELECT id FROM indexers WHERE id <> $1", me):
            if not await self._connection.fetchval(
                "SELECT pg_try_advisory_lock($1, $2)", locks.LIVING_INDEXER, row["id"]
            ):
                continue
            theirs = "SELECT ctid FROM outbox WHERE claimed_by = $1 ORDER BY entity, uuid FOR UPDATE SKIP LOCKED"
            await self._change("UPDATE outbox SET claimed_until = NULL, claimed_by = NULL", theirs, row["id"])
            # Rows that a writer holds just now are freed by a later look.
            gone = "DELETE FROM indexers WHERE id = $1 AND NOT EXISTS (SELECT FROM outbox WHERE claimed_by = $1)"
            await self._connection.execute(gone, row["id"])
            await self._connection.execute("SELECT pg_advisory_unlock($1, $2)", locks.LIVING_INDEXER, row["id"])
            dead.append(row["id"])
        return dead

    async def claim(self, me: int, queues: Sequence[Queue], lease_seconds: float, since: int = 0) -> list[Claim]:
        """The oldest rows, from number `since` on, of the first of these queues that has any which are free now."""
        limits = {queue(q.entity, q.lane): q.limit for q in queues}
        async with self._connection.transaction():
            number = await self._connection.fetchval(_FIRST, list(limits), since)
            if number is None:
                return []
            await self._connection.execute(IN_ORDER)
            places = await self._places(_FREE.format("$1", "$2", "$3"), number, since, limits[number])
            rows = await self._connection.fetch(
                """UPDATE outbox
                   SET claimed_by = $2, claimed_until = now() + make_interval(secs => $3), attempts = attempts + 1
                   WHERE ctid = ANY($1::tid[])
                   RETURNING entity, uuid, row_id, generation, first_seq, fan_out, fan_out_after,
                             fan_out_generation, attempts, (SELECT last_value FROM outbox_seq), now(), marked_at, lane""",
                *(places, me, lease_seconds),
            )
        return [Claim(*row) for row in rows]

    async def look(self, since: int) -> Look:
        """The marks from a number on, and which transactions may still add some."""
        [row] = await self._connection.fetch(
            # A sequence that nothing was drawn from has the first number as its last value.
            f"""SELECT (SELECT last_value - (NOT is_called)::int FROM outbox_seq),
                      ({OLDEST}),
                      pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint
               FROM pg_current_snapshot() s""",
            since,
        )
        return Look(*row)

    async def documents(
        self, entity: Entity, uuids: Sequence[str], chars: int = 2**62
    ) -> tuple[list[Document], int | None]:
        """The records as they are now, and the operation by which another index is to go live, which needs them too (`list_for`).

        Args:
            chars: of documents; once there are as many, the other records are left out.
        """
        async with self._connection.transaction():
            cursor = await self._connection.cursor(documents.by_uuid(entity), uuids)
            rows = [row async for row in documents.read(cursor, chars)]
        read = [documents.document(entity, row) for row in rows]
        return read, rows[0]["building"] if rows else None

    async def list_for(self, operation: int, entity: Entity, uuids: Iterable[str]) -> bool:
        """Lists records for the index that is to go live. False when the operation has ended: the live one may be another than before."""
        async with self._connection.transaction():
            # Shared with others who list, but not with the operation when it switches.
            building = await self._connection.fetchval(
                "SELECT true FROM index_operations WHERE id = $1 AND ended_at IS NULL FOR KEY SHARE", operation
            )
            if building:
                await self._connection.execute(
                    """INSERT INTO index_catch_up (entity, uuid) SELECT $1, uuid FROM unnest($2::text[]) AS u (uuid)
                       ON CONFLICT (entity, uuid) DO UPDATE SET generation = index_catch_up.generation + 1, refused = NULL""",
                    *(entity.name, sorted(uuids)),
                )
        return bool(building)

    async def canaries(self, entity: Entity, besides: Sequence[str]) -> list[Document]:
        """A few records besides these, anywhere in the table, of which nothing is known but that the index has them."""
        for start in (str(uuid4()), ""):
            rows = await self._connection.fetch(
                f"""SELECT uuid FROM (SELECT uuid FROM {entity.table} WHERE uuid > $1 AND deleted_at IS NULL
                                     ORDER BY uuid LIMIT {LOOK_AMONG}) r
                    WHERE uuid <> ALL ($2::text[])
                      AND NOT EXISTS (SELECT FROM outbox o WHERE o.entity = $3 AND o.uuid = r.uuid)
                      AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.entity = $3 AND d.uuid = r.uuid) LIMIT {CANARIES}""",
                *(start, besides, entity.name),
            )
            if rows:
                return (await self.documents(entity, [row["uuid"] for row in rows]))[0]
        return []

    async def done(self, claims: Sequence[Claim]) -> list[Claim]:
        """Removes rows that have not been marked again meanwhile, and their dead letters. Those that have become younger: their earlier
        mark is in the index. Returns claims whose rows a writer holds just now, to be tried again.
        """
        arrays = _arrays(claims)
        async with self._connection.transaction():
            settled = await self._change("DELETE FROM outbox", _mine("FOR UPDATE SKIP LOCKED"), *arrays)
            await self._connection.execute(
                """DELETE FROM dead_letters d USING unnest($1::text[], $2::text[]) AS c (entity, uuid)
                   WHERE d.entity = c.entity AND d.uuid = c.uuid""",
                *arrays[:2],
            )
        if settled == len(claims):
            return []
        seen_seq, seen_at = min(c.seen_seq for c in claims), min(c.seen_at for c in claims)
        await self._change(
            "UPDATE outbox SET first_seq = $2, marked_at = $3",
            """SELECT o.ctid
               FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS c (entity, uuid, row_id, generation),
                    LATERAL (SELECT ctid FROM outbox
                             WHERE entity = c.entity AND uuid = c.uuid AND row_id = c.row_id
                               AND generation > c.generation AND first_seq + 0 < $5
                               -- A mark by fan-out is as old as the company's, however late it is made.
                               AND (entity = 'company' OR fan_out_generation <= c.generation)
                             FOR UPDATE SKIP LOCKED) o""",
            *(*arrays, seen_seq),
            values=(seen_seq, seen_at),
        )
        held = {(row["entity"], row["uuid"]) for row in await self._connection.fetch(_mine("OFFSET 0"), *arrays)}
        return [claim for claim in claims if claim.key in held]

    async def release(self, claims: Sequence[Claim], after_seconds: float) -> None:
        """Gives rows back, to be claimed again after a while. One that has been marked again is free already."""
        await self._change(
            "UPDATE outbox SET claimed_until = now() + make_interval(secs => $2), claimed_by = NULL",
            _mine("FOR UPDATE SKIP LOCKED"),
            *_arrays(claims),
            values=(after_seconds,),
        )

    async def give_back(self, claims: Sequence[Claim]) -> None:
        """Gives rows back whose documents were not sent: this was no attempt."""
        await self._change(
            "UPDATE outbox SET claimed_until = NULL, claimed_by = NULL, attempts = greatest(attempts - 1, 0)",
            _mine("FOR UPDATE SKIP LOCKED"),
            *_arrays(claims),
        )

    async def to_dead_letters(self, claim: Claim, reason: str) -> bool:
        """Moves a row to the dead letters. False when it has been marked again meanwhile: the change may have fixed the document."""
        status = await self._connection.execute(
            """WITH gone AS (
                   DELETE FROM outbox WHERE entity = $1 AND uuid = $2 AND row_id = $3 AND generation = $4
                   RETURNING entity, uuid)
               INSERT INTO dead_letters (entity, uuid, reason) SELECT entity, uuid, $5 FROM gone
               ON CONFLICT (entity, uuid) DO UPDATE SET reason = excluded.reason""",
            *(claim.entity, claim.uuid, claim.row_id, claim.generation, reason),
        )
        return str(status).endswith("1")

    async def raise_version(self, claim: Claim, index_version: int) -> None:
        """Gives a record a version above the one in the index, unless it has been marked again meanwhile.

        A restored backup leaves versions in the index that PostgreSQL never gave.
        """
        await self._connection.execute(RAISE_VERSIONS, index_version >> documents.NEARNESS_BITS)
        await self._connection.execute(
            f"""UPDATE {ENTITIES[claim.entity].table} SET row_version = row_version
                WHERE uuid = $1
                  AND EXISTS (SELECT FROM outbox WHERE entity = $2 AND uuid = $1 AND row_id = $3 AND generation = $4)""",
            *(claim.uuid, claim.entity, claim.row_id, claim.generation),
        )

    async def fan_out_small(self, claims: Sequence[Claim], limit: int) -> list[Claim]:
        """Marks the contacts of companies that exist and have at most `limit` contacts to mark; marks are as old as the company's own.

        Returns the claims of these companies: nothing else is to be done for them.
        """
        rows = await self._connection.fetch(
            f"""WITH few AS MATERIALIZED (
                    SELECT k.uuid AS company, k.first_seq, k.lane, array_agg(s.uuid) FILTER (WHERE s.uuid IS NOT NULL) AS contacts
                    FROM unnest($1::text[], $2::bigint[], $4::smallint[]) AS k (uuid, first_seq, lane)
                    JOIN companies c ON c.uuid = k.uuid
                    LEFT JOIN LATERAL (SELECT t.uuid FROM contacts t
                                       WHERE t.company_id = k.uuid AND {_APART} LIMIT $3 + 1) s ON true
                    GROUP BY k.uuid, k.first_seq, k.lane HAVING count(s.uuid) <= $3
                ), marked AS (
                    INSERT INTO outbox (entity, uuid, first_seq, copies_of, lane)
                    SELECT 'contact', u.uuid, f.first_seq, f.company, f.lane FROM few f, unnest(f.contacts) AS u (uuid) ORDER BY u.uuid
                    {mark_again(fan_out=True)}
                )
                SELECT company FROM few""",
            *([c.uuid for c in claims], [c.first_seq for c in claims], limit, [c.lane for c in claims]),
        )
        small = {row["company"] for row in rows}
        return [claim for claim in claims if claim.uuid in small]

    async def fan_out_slice(self, claim: Claim, limit: int) -> bool:
        """Marks the next contacts of a company; True when there are no more.

        The first slice is as old as the company's mark, so that a consistency token covers it, and in its lane. Later ones are new marks in
        the last lane, where the company goes to the end of the queue between them: one with very many contacts holds up nobody.
        """
        place = (claim.uuid, claim.fan_out_after, limit)
        async with self._connection.transaction():
            await self._connection.execute(IN_ORDER)
            if not await self._connection.fetchval("SELECT EXISTS (SELECT FROM companies WHERE uuid = $1)", claim.uuid):
                # The company's version has gone with it: its contacts need versions of their own above it.
                await self._connection.execute(f"SET LOCAL connectra.lane = '{Lane.REPAIR.value}'")
                await self._connection.execute(
                    """UPDATE contacts SET row_version = row_version
                       WHERE uuid IN (SELECT uuid FROM contacts WHERE company_id = $1 AND uuid > $2
                                      ORDER BY uuid LIMIT $3 FOR UPDATE)""",
                    *place,
                )
            [walked] = await self._connection.fetch(
                f"""WITH s AS MATERIALIZED (
                        SELECT t.uuid, coalesce({_APART}, true) AS apart FROM contacts t LEFT JOIN companies c ON c.uuid = $1
                        WHERE t.company_id = $1 AND t.uuid > $2 ORDER BY t.uuid LIMIT $3
                    ), marked AS (
                        INSERT INTO outbox (entity, uuid, first_seq, fan_out_generation, copies_of, lane)
                        SELECT 'contact', uuid, CASE WHEN $2 = '' THEN $4 ELSE nextval('outbox_seq') END,
                               CASE WHEN $2 = '' THEN 1 ELSE 0 END, $1, CASE WHEN $2 = '' THEN $5::smallint ELSE {Lane.REPAIR.value} END
                        FROM s WHERE apart ORDER BY uuid
                        {mark_again(fan_out=True)}
                    )
                    SELECT count(*), max(uuid) FROM s""",
                *(*place, claim.first_seq, claim.lane),
            )
            if walked[0] < limit:
                return True
            # If the row was marked meanwhile it stays as old as that mark; otherwise it goes to the end.
            await self._connection.execute(
                """UPDATE outbox SET fan_out_after = greatest(fan_out_after, $5), claimed_until = NULL, claimed_by = NULL,
                          attempts = 0, marked_at = now(), lane = CASE WHEN generation = $3 THEN $7 ELSE lane END,
                          first_seq = CASE WHEN generation = $3 THEN nextval('outbox_seq') ELSE greatest(first_seq, $6) END
                   WHERE entity = 'company' AND uuid = $1 AND row_id = $2 AND fan_out_generation = $4""",
                *(claim.uuid, claim.row_id, claim.generation, claim.fan_out_generation),
                *(walked[1], claim.seen_seq, Lane.REPAIR.value),
            )
        return False

    async def fanned_out(self, claims: Sequence[Claim]) -> None:
        """Notes that the contacts of companies are marked, on rows that stay because they were marked again for other reasons."""
        ordered = _ordered(claims)
        await self._change(
            "UPDATE outbox SET fan_out = false",
            """SELECT o.ctid FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS c (uuid, row_id, fan_out_generation),
                    LATERAL (SELECT ctid FROM outbox
                             WHERE entity = 'company' AND uuid = c.uuid
                               AND row_id = c.row_id AND fan_out_generation = c.fan_out_generation
                             FOR UPDATE SKIP LOCKED) o""",
            *([c.uuid for c in ordered], [c.row_id for c in ordered], [c.fan_out_generation for c in ordered]),
        )

    async def pending(self) -> tuple[int, float, int]:
        """Outbox rows, age of the oldest in seconds, dead letters."""
        [row] = await self._connection.fetch(PENDING)
        return row[0], row[1], row[2]

    async def _places(self, select: str, *arguments: object) -> list[object]:
        """The places (ctid) of outbox rows; the statement locks them."""
        return [row[0] for row in await self._connection.fetch(select, *arguments)]

    async def _change(self, change: str, select: str, *arguments: object, values: Sequence[object] = ()) -> int:
        """Locks the outbox rows of `select` and changes them; `values` are the change's parameters from $2 on. Returns how many."""
        async with self._connection.transaction():
            places = await self._places(select, *arguments)
            if places:
                await self._connection.execute(f"{change} WHERE ctid = ANY($1::tid[])", places, *values)
        return len(places)


PENDING = """
    SELECT count(*), coalesce(extract(epoch FROM now() - min(marked_at)), 0)::float8, (SELECT count(*) FROM dead_letters)
    FROM outbox"""

# Places of the oldest rows of a queue that are free now: queue, least number, how many.
_FREE = f"""
    SELECT ctid FROM outbox
    WHERE {QUEUE} = {{}} AND first_seq >= {{}} AND (claimed_until IS NULL OR claimed_until < now())
    ORDER BY first_seq LIMIT {{}} FOR UPDATE SKIP LOCKED"""
# The first of the queues $1 that has any.
_FIRST = f"""
    SELECT q.queue FROM unnest($1::int[]) AS q (queue), LATERAL ({_FREE.format("q.queue", "$2", 1)}) o LIMIT 1"""

# Versions given out from now on are above $1, at a distance that others do not reach meanwhile.
RAISE_VERSIONS = """
    SELECT setval('row_version_seq', $1::bigint + 1000000) WHERE $1::bigint >= (SELECT last_value FROM row_version_seq)"""


def _mine(end: str) -> str:
    """Rows that have not changed since they were claimed, each looked up by its key, in the order of the claims."""
    return f"""
        SELECT o.ctid, o.entity, o.uuid
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS c (entity, uuid, row_id, generation),
             LATERAL (SELECT ctid, entity, uuid FROM outbox
                      WHERE entity = c.entity AND uuid = c.uuid AND row_id = c.row_id AND generation = c.generation
                      {end}) o"""


# A contact that the company's own transaction changed is marked already, and nobody sees one change without the other.
_APART = "t.xmin <> c.xmin"


def _ordered(claims: Iterable[Claim]) -> list[Claim]:
    """In the order in which all transactions lock rows."""
    return sorted(claims, key=lambda claim: claim.key)


def _arrays(claims: Iterable[Claim]) -> tuple[list[str], list[str], list[int], list[int]]:
    kept = _ordered(claims)
    return [c.entity for c in kept], [c.uuid for c in kept], [c.row_id for c in kept], [c.generation for c in kept]
