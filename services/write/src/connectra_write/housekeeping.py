"""What the write service clears away: expired answers, filter values of no record, old entries of the audit trail, batches that the index
has.

Any number of processes may do so.
"""

from dataclasses import asdict

import structlog
from connectra_common.db import idempotency
from connectra_common.db.database import Database
from connectra_common.server.background import Background, every

from connectra_write import marks, trail
from connectra_write.filter_values.sweep import FilterValueSweep

log = structlog.get_logger()

INTERVAL_SECONDS = 60.0
# Between two looks at what batches wrote.
BATCHES_SECONDS = 2.0
# Seconds per minute the sweep of filter values may take; the next turn goes on.
BUDGET_SECONDS = 5.0
# Answers of idempotency keys that one statement removes.
EXPIRY_SLICE = 5_000


def loops(database: Database, audit_days: int) -> list[Background]:
    """The background loops.

    Args:
        audit_days: entries of the audit trail older than this are removed; 0 keeps them forever.
    """
    sweep = FilterValueSweep(database)

    async def expire_answers() -> None:
        async with database.connection() as connection:
            while await idempotency.expire(connection, EXPIRY_SLICE) == EXPIRY_SLICE:
                pass

    async def sweep_filter_values() -> None:
        swept = await sweep.run(BUDGET_SECONDS)
        if any(changes := {name: n for name, n in asdict(swept).items() if name != "filters" and n}):
            log.info("filter values swept", **changes)

    async def sweep_audit_trail() -> None:
        swept = trail.SWEEP_SLICE if audit_days else 0
        while swept == trail.SWEEP_SLICE:
            async with database.connection() as connection:
                swept = await trail.sweep(connection, audit_days)

    async def sweep_batches() -> None:
        async with database.connection() as connection:
            while await marks.sweep_batches(connection) == marks.SWEEP_SLICE:
                pass

    return [
        every(BATCHES_SECONDS, sweep_batches, "sweep of written batches", at_start=True),
        every(INTERVAL_SECONDS, expire_answers, "expiry of idempotency keys", at_start=True),
        every(INTERVAL_SECONDS, sweep_filter_values, "sweep of filter values"),
        every(INTERVAL_SECONDS, sweep_audit_trail, "sweep of the audit trail"),
    ]
