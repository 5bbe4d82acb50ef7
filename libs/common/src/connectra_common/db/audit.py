"""The audit trail: on whose behalf a transaction changes records, and what was changed by whom (docs/adr/0006)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from connectra_common.call import Call
from connectra_common.db.database import Connection, rows_of

SWEEP_SLICE = 5_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Who changes records; empty texts leave it to the database, which then names its user.

    Args:
        actor: `client:NAME`, `job:UUID`, or `direct` for a caller that did not come through the gateway.
        request_id: of the call, as logs have it.
    """

    actor: str
    request_id: str

    @classmethod
    def of_call(cls, call: Call) -> "Origin":
        """Of a call; unknown outside of any."""
        if not call.request_id:
            return UNKNOWN
        return cls(f"client:{call.client}" if call.client else "direct", call.request_id)

    @classmethod
    def of_job(cls, uuid: str, call: Call) -> "Origin":
        """Of a job, whatever call carries its work."""
        return cls(f"job:{uuid}", call.request_id)


UNKNOWN = Origin("", "")


@dataclass(frozen=True, slots=True)
class Question:
    """Which entries are wanted; None for any."""

    uuid: str | None = None
    actor: str | None = None
    request_id: str | None = None
    operation: str | None = None
    since: datetime | None = None
    until: datetime | None = None


_FIND = """
    SELECT id, at, actor, request_id, entity, uuid, operation, row_version, changes::text AS changes FROM audit
    WHERE ($1::text IS NULL OR uuid = $1) AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR request_id = $3)
      AND ($4::text IS NULL OR operation = $4) AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6)
    ORDER BY id DESC LIMIT $7"""

# From the oldest on: ids are given in the order of time but for transactions that overlap.
_SWEEP = """
    DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT $2) AND at < now() - make_interval(days => $1)"""


async def find(connection: Connection, question: Question, limit: int) -> AsyncIterator[Mapping[str, Any]]:
    """Entries, the newest first."""
    async with connection.transaction(readonly=True):
        # Somebody may be reading them page by page.
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        async for row in connection.cursor(_FIND, *astuple(question), limit):
            yield row


async def sweep(connection: Connection, days: int) -> int:
    """Removes entries older than so many days, a slice of them; returns how many, SWEEP_SLICE when there may be more."""
    status = await connection.execute(_SWEEP, days, SWEEP_SLICE)
    return rows_of(status)
