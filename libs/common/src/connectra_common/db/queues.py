"""The queues of the outbox: the marks of an entity in a lane, of which there are three, by one index over queue and number.

The outbox is empty one moment and has thousands of rows the next, and the planner's statistics are of some other moment: to it every
index that fits a condition a little is as good. So there is one for each kind of look, by queue, by key or by company, and `first_seq`
beside a key is written `first_seq + 0`, which is in none of them.
"""

from connectra_common.records.fields import COMPANY

# As PostgreSQL computes it; written as in the index.
QUEUE, QUEUES = "(lane * 2 + (entity = 'company')::int)", 6

# The lowest number of a mark, from number $1 on.
OLDEST = f"""
    SELECT min(o.first_seq) FROM generate_series(0, {QUEUES - 1}) AS q (queue), LATERAL (
        SELECT first_seq FROM outbox WHERE {QUEUE} = q.queue AND first_seq >= $1 ORDER BY first_seq LIMIT 1) o"""


def queue(entity: str, lane: int) -> int:
    """The number of a queue."""
    return lane * 2 + (entity == COMPANY.name)
