"""Marks: rows of the outbox, each of which names a record that the index may not have as it is now.

Triggers mark whatever changes, in the transaction that changes it; the service itself marks contacts for the sake of their company
(fan-out), and records that operators have it look at.
"""

from collections.abc import Collection
from enum import IntEnum

from connectra_common.db.database import Connection
from connectra_common.db.queues import QUEUE, queue
from connectra_common.db.written import BATCH_IS_PENDING, by_key
from connectra_common.records.fields import ENTITIES


class Lane(IntEnum):
    """What is indexed before what; in the setting `connectra.lane` of a transaction."""

    INTERACTIVE = 0
    BULK = 1
    REPAIR = 2


# Batches that one sweep looks at.
SWEEP_SLICE = 20


async def newest(connection: Connection) -> int:
    """The highest number of a mark so far: every mark draws one or more from this sequence. Consistency tokens have such numbers."""
    return int(await connection.fetchval("SELECT last_value FROM outbox_seq"))


async def are_many(connection: Connection, lane: Lane, bound: int) -> bool:
    """Whether more than `bound` marks of a lane wait to be indexed."""
    async with connection.transaction():
        await by_key(connection)
        found = await connection.fetchval(
            f"""SELECT sum(n) > $2 FROM unnest($1::int[]) AS q (queue), LATERAL (
                    SELECT count(*) AS n FROM (SELECT FROM outbox WHERE {QUEUE} = q.queue LIMIT $2 + 1) o) c""",
            *([queue(entity, lane) for entity in ENTITIES], bound),
        )
    return bool(found)


async def add_batch(
    connection: Connection, mark: int, companies: Collection[str], contacts: Collection[str], job: str | None = None
) -> int:
    """Notes what a batch writes, in its transaction; returns its number.

    Args:
        mark: its marks are not above it.
        job: uuid of the import that it is a part of.
    """
    number: int = await connection.fetchval(
        "INSERT INTO written_batches (mark, companies, contacts, job_uuid) VALUES ($1, $2, $3, $4) RETURNING id",
        *(mark, list(companies), list(contacts), job),
    )
    return number


async def sweep_batches(connection: Connection) -> int:
    """Forgets those of the oldest batches that are indexed. Returns how many they were."""
    async with connection.transaction():
        await by_key(connection)
        gone = await connection.fetch(
            f"""DELETE FROM written_batches WHERE id IN (
                    SELECT id FROM (SELECT * FROM written_batches ORDER BY id LIMIT {SWEEP_SLICE} FOR UPDATE SKIP LOCKED) b
                    WHERE NOT ({BATCH_IS_PENDING})) RETURNING id"""
        )
    return len(gone)


def mark_again(*, fan_out: bool = False) -> str:
    """The end of an INSERT into the outbox: what becomes of a record that is marked already. Claims of it are void.

    Args:
        fan_out: the mark is that of a contact, on behalf of its company. It is as old as the company's mark, so a younger mark becomes as
            old; and one that is marked for its company already, and that nobody has claimed yet, is left alone: it will be read later than
            this and sees the company. Other marks have no such age, and count even then: dead letters are replayed, and drift repaired,
            with every counter at its start.
    """
    if not fan_out:
        return _AGAIN
    return f"""{_AGAIN},
            copies_of = excluded.copies_of,
            first_seq = least(outbox.first_seq, excluded.first_seq),
            fan_out_generation = CASE WHEN excluded.fan_out_generation = 0 THEN outbox.fan_out_generation
                                      ELSE outbox.generation + 1 END
        WHERE outbox.claimed_until IS NOT NULL OR outbox.first_seq > excluded.first_seq OR outbox.lane > excluded.lane
              OR outbox.copies_of IS DISTINCT FROM excluded.copies_of"""


_AGAIN = """
    ON CONFLICT (entity, uuid) DO UPDATE
        SET generation = outbox.generation + 1, attempts = 0, claimed_until = NULL, claimed_by = NULL,
            lane = least(outbox.lane, excluded.lane)"""
