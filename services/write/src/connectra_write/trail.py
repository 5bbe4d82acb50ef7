"""Removes old entries of the audit trail."""

from connectra_common.db.database import Connection, rows_of

SWEEP_SLICE = 5_000

# Oldest first: ids are in order of time, except for overlapping transactions.
_SWEEP = """
    DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT $2) AND at < now() - make_interval(days => $1)"""


async def sweep(connection: Connection, days: int) -> int:
    """Removes up to SWEEP_SLICE entries older than `days`; returns how many. SWEEP_SLICE means that there may be more."""
    status = await connection.execute(_SWEEP, days, SWEEP_SLICE)
    return rows_of(status)
