"""Idempotency keys: the answer of a request that carries one is kept for 24 h, and given again instead of doing the work again.

The table is shared by all services, so a client's key names one request whatever it was sent to. Expired answers are removed by the
write service.
"""

import json
import re
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from connectra_common.errors import Conflict, FieldViolation, ValidationFailed
from connectra_common.server import metadata
from connectra_common.server.metadata import Context

HEADER = "idempotency-key"
MAX_KEY_CHARS = 255
KEPT_HOURS = 24

_KEY = re.compile(rf"[ -~]{{1,{MAX_KEY_CHARS}}}")

# Reserves a key until the transaction ends; nothing comes back when it is in use. Of two transactions with one key the
# second waits here for the first.
_BEGIN = text("""
    INSERT INTO idempotency_keys AS k (client, key, request_hash, http_status, response)
    VALUES (:client, :key, :request_hash, 0, 'null')
    ON CONFLICT (client, key) DO UPDATE SET request_hash = excluded.request_hash, created_at = now()
    WHERE k.created_at < now() - make_interval(hours => :hours)
    RETURNING key""")

# The answer of a key in use; as text, so that it is repeated to the letter.
_ANSWER = text("""
    SELECT request_hash, response #>> '{}' AS response FROM idempotency_keys WHERE client = :client AND key = :key""")

_END = text("""
    UPDATE idempotency_keys SET http_status = :http_status, response = :response
    WHERE client = :client AND key = :key""").bindparams(bindparam("response", type_=JSONB()))


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key and whose it is; `client` is empty for calls that did not come through the gateway."""

    client: str
    key: str

    @classmethod
    def read(cls, context: Context) -> "IdempotencyKey | None":
        """The key of a call, if it brings one.

        Raises:
            ValidationFailed: empty, too long, or not printable ASCII.
        """
        key = metadata.get(context, HEADER)
        if key is None:
            return None
        if not _KEY.fullmatch(key):
            message = f"Idempotency-Key must have 1 to {MAX_KEY_CHARS} printable ASCII characters"
            raise ValidationFailed.of([FieldViolation("Idempotency-Key", message)])
        return cls(metadata.get(context, "x-client-id") or "", key)


def request_hash(*request: object) -> str:
    """What tells two requests apart; any JSON values."""
    # Not orjson: it refuses numbers beyond 64 bits, which may stand in members that are ignored.
    return sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


async def begin(connection: AsyncConnection, key: IdempotencyKey, request: str) -> str | None:
    """Reserves a key in the caller's transaction. Gives the answer that was kept, or None: the work is to be done, then `end`.

    Raises:
        Conflict: the key was used with another request (`request` is its hash).
    """
    fence = {"client": key.client, "key": key.key}
    parameters = {**fence, "request_hash": request, "hours": KEPT_HOURS}
    if (await connection.execute(_BEGIN, parameters)).first():
        return None
    earlier = (await connection.execute(_ANSWER, fence)).one()
    if earlier.request_hash != request:
        raise Conflict("this Idempotency-Key was used with another request")
    return str(earlier.response)


async def end(connection: AsyncConnection, key: IdempotencyKey, http_status: int, response: str) -> None:
    """Keeps the answer of a reserved key; it becomes visible with the work itself."""
    parameters = {"client": key.client, "key": key.key, "http_status": http_status, "response": response}
    await connection.execute(_END, parameters)
