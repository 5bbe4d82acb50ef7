"""Marks: rows of the outbox, each of which names a record that the index may not have as it is now.

Triggers mark whatever changes, in the transaction that changes it; the service itself marks contacts for the sake of their company
(fan-out), and records that operators have it look at.
"""

from connectra_common.db.database import Connection


async def newest(connection: Connection) -> int:
    """The highest number of a mark so far: every mark draws one or more from this sequence. Consistency tokens are such numbers."""
    return int(await connection.fetchval("SELECT last_value FROM outbox_seq"))


def mark_again(*, fan_out: bool = False) -> str:
    """The end of an INSERT into the outbox: what becomes of a record that is marked already. Claims of it are void.

    Args:
        fan_out: the mark is that of a contact, on behalf of its company. It is as old as the company's mark, so a younger mark becomes as
            old; and one that nobody has claimed yet is left alone, because it will be read later than this and sees the company. Other
            marks have no such age, and count even then: dead letters are replayed, and drift repaired, with every counter at its start.
    """
    if not fan_out:
        return _AGAIN
    return f"""{_AGAIN},
            first_seq = least(outbox.first_seq, excluded.first_seq),
            fan_out_generation = CASE WHEN excluded.fan_out_generation = 0 THEN outbox.fan_out_generation
                                      ELSE outbox.generation + 1 END
        WHERE outbox.claimed_until IS NOT NULL OR outbox.first_seq > excluded.first_seq"""


_AGAIN = """
    ON CONFLICT (entity, uuid) DO UPDATE
        SET generation = outbox.generation + 1, attempts = 0, claimed_until = NULL, claimed_by = NULL"""
