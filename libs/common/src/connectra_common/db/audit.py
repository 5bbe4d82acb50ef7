"""The audit trail: on whose behalf a transaction changes records, and what was changed by whom (docs/adr/0006)."""

from dataclasses import dataclass

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


# From the oldest on: ids are given in the order of time but for transactions that overlap.
_SWEEP = """
    DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT $2) AND at < now() - make_interval(days => $1)"""


async def sweep(connection: Connection, days: int) -> int:
    """Removes up to SWEEP_SLICE entries older than `days`; returns how many. SWEEP_SLICE means that there may be more."""
    status = await connection.execute(_SWEEP, days, SWEEP_SLICE)
    return rows_of(status)
