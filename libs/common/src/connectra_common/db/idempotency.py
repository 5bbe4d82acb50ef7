"""Idempotency keys: the answer to a request with a key is kept for 24 h, and returned again instead of repeating the work.

The table is shared by all services, so a client's key names one request whatever it was sent to. Its partitions are dropped by the write
service when all their answers have expired. One answer may stand in another partition than the next, so no index can make keys unique:
who looks one up has locked it before, until his transaction ends.
"""

import json
from datetime import timedelta
from hashlib import sha256

from connectra_common.call import IdempotencyKey
from connectra_common.db.database import Connection, rows_of
from connectra_common.refusals import IdempotencyKeyReused

TABLE = "kept_answers"
KEPT = timedelta(hours=24)


def request_hash(*request: object) -> str:
    """A hash that distinguishes requests; any JSON values."""
    # Not orjson: it rejects numbers beyond 64 bits, which ignored members may contain.
    return sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


# A statement of its own: the next one sees what the transaction did that had the lock.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1 || chr(10) || $2, 1))"

# What the previous release answered is in a table of its own; to be dropped once no running release writes it.
_FIND = """
    SELECT request_hash, response FROM kept_answers WHERE client = $1 AND key = $2 AND created_at > now() - $3::interval
    UNION ALL
    SELECT request_hash, response #>> '{}' FROM idempotency_keys
    WHERE client = $1 AND key = $2 AND created_at > now() - $3::interval LIMIT 1"""

_KEEP = "INSERT INTO kept_answers (client, key, request_hash, response) VALUES ($1, $2, $3, $4)"

_EXPIRE_OLD = """
    DELETE FROM idempotency_keys WHERE (client, key) IN (
        SELECT client, key FROM idempotency_keys WHERE created_at < now() - $1::interval LIMIT $2 FOR UPDATE SKIP LOCKED)"""


async def reserve(connection: Connection, key: IdempotencyKey, request: str) -> str | None:
    """Reserves a key in the caller's transaction. Gives the answer that was kept, or None: the work is to be done, then `keep`.

    Of two transactions with one key the second waits here for the first.

    Args:
        request: hash of the request.

    Raises:
        IdempotencyKeyReused: the key was used for a different request.
    """
    await connection.execute(_LOCK, key.client, key.key)
    earlier = await connection.fetchrow(_FIND, key.client, key.key, KEPT)
    if earlier is None:
        return None
    if earlier[0] != request:
        raise IdempotencyKeyReused
    return str(earlier[1])


async def keep(connection: Connection, key: IdempotencyKey, request: str, response: str) -> None:
    """Keeps the answer to the request that reserved a key; it becomes visible with the work itself."""
    await connection.execute(_KEEP, key.client, key.key, request, response)


async def expire_old(connection: Connection, limit: int) -> int:
    """Removes expired answers of the previous release, at most `limit`; returns how many."""
    return rows_of(await connection.execute(_EXPIRE_OLD, KEPT, limit))
