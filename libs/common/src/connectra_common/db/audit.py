"""The audit trail: on whose behalf a transaction changes records, and who changed what (docs/adr/0006)."""

from dataclasses import dataclass

from connectra_common.call import Call
from connectra_common.db.database import Connection, rows_of

SWEEP_SLICE = 5_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Who changes records; if empty, the database records its own user.

    Args:
        actor: `client:NAME`, `job:UUID`, or `direct` for a caller that did not come through the gateway.
        request_id: of the call, as logs have it.
    """

    actor: str
    request_id: str

    @classmethod
    def of_call(cls, call: Call) -> "Origin":
        """The origin of a call; empty outside of any call."""
        if not call.request_id:
            return UNKNOWN
        return cls(f"client:{call.client}" if call.client else "direct", call.request_id)

    @classmethod
    def of_job(cls, uuid: str, call: Call) -> "Origin":
        """The origin of a job, whichever call does its work."""
        return cls(f"job:{uuid}", call.request_id)


UNKNOWN = Origin("", "")


# Oldest first: ids are in order of time, except for overlapping transactions.
_SWEEP = """
    DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT $2) AND at < now() - make_interval(days => $1)"""


async def sweep(connection: Connection, days: int) -> int:
    """Removes up to SWEEP_SLICE entries older than `days`; returns how many. SWEEP_SLICE means that there may be more."""
    status = await connection.execute(_SWEEP, days, SWEEP_SLICE)
    return rows_of(status)
