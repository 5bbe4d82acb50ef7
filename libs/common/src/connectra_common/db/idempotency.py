"""Idempotency keys: the answer to a request with a key is kept for 24 h, and returned again instead of repeating the work.

The table is shared by all services, so a client's key names one request whatever it was sent to. Expired answers are removed by the
write service.
"""

import json
from hashlib import sha256

from connectra_common.call import IdempotencyKey
from connectra_common.db.database import Connection, rows_of
from connectra_common.refusals import IdempotencyKeyReused

KEPT_HOURS = 24


def request_hash(*request: object) -> str:
    """A hash that distinguishes requests; any JSON values."""
    # Not orjson: it rejects numbers beyond 64 bits, which ignored members may contain.
    return sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


# Reserves a key until the transaction ends; nothing comes back when it is in use. Of two transactions with one key the
# second waits here for the first.
_RESERVE = """
    INSERT INTO idempotency_keys AS k (client, key, request_hash, response) VALUES ($1, $2, $3, 'null')
    ON CONFLICT (client, key) DO UPDATE SET request_hash = excluded.request_hash, created_at = now()
    WHERE k.created_at < now() - make_interval(hours => $4)
    RETURNING true"""

# The answer stored for a key; as text, so that it is repeated verbatim.
_KEPT = "SELECT request_hash, response #>> '{}' FROM idempotency_keys WHERE client = $1 AND key = $2"

_KEEP = "UPDATE idempotency_keys SET response = to_jsonb($3::text) WHERE client = $1 AND key = $2"

_EXPIRE = """
    DELETE FROM idempotency_keys WHERE (client, key) IN (
        SELECT client, key FROM idempotency_keys WHERE created_at < now() - make_interval(hours => $1)
        LIMIT $2 FOR UPDATE SKIP LOCKED)"""


async def reserve(connection: Connection, key: IdempotencyKey, request: str) -> str | None:
    """Reserves a key in the caller's transaction. Gives the answer that was kept, or None: the work is to be done, then `keep`.

    Args:
        request: hash of the request.

    Raises:
        IdempotencyKeyReused: the key was used for a different request.
    """
    if await connection.fetchval(_RESERVE, key.client, key.key, request, KEPT_HOURS):
        return None
    earlier = await connection.fetchrow(_KEPT, key.client, key.key)
    if earlier is None or earlier[0] != request:
        raise IdempotencyKeyReused
    return str(earlier[1])


async def keep(connection: Connection, key: IdempotencyKey, response: str) -> None:
    """Keeps the answer of a reserved key; it becomes visible with the work itself."""
    await connection.execute(_KEEP, key.client, key.key, response)


async def expire(connection: Connection, limit: int) -> int:
    """Removes answers older than 24 h, at most `limit`; returns how many."""
    return rows_of(await connection.execute(_EXPIRE, KEPT_HOURS, limit))
