"""What the write service clears away: expired answers, filter values of no record, old entries of the audit trail, records that were
deleted long ago, batches that the index has.

Any number of processes may do so.
"""

from dataclasses import asdict
from datetime import timedelta

import structlog
from connectra_common.db import idempotency, partitions
from connectra_common.db.database import Database
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_common.server.background import Background, every

from connectra_write import marks
from connectra_write.filter_values.sweep import FilterValueSweep
from connectra_write.records import deleted

log = structlog.get_logger()

INTERVAL_SECONDS = 60.0
# Between two looks at what batches wrote.
BATCHES_SECONDS = 2.0
# Seconds per minute the sweep of filter values may take; the next turn goes on.
BUDGET_SECONDS = 5.0
# Answers of the previous release that one statement removes.
EXPIRY_SLICE = 5_000


def loops(database: Database, audit_days: int, deleted_days: int) -> list[Background]:
    """The background loops.

    Args:
        audit_days: entries of the audit trail older than this are removed; 0 keeps them forever.
        deleted_days: records that were deleted longer ago are removed; 0 keeps them forever.
    """
    sweep = FilterValueSweep(database)

    async def keep_partitions() -> None:
        ages = {"audit": timedelta(audit_days) if audit_days else None, idempotency.TABLE: idempotency.KEPT}
        for table, kept in ages.items():
            async with database.connection() as connection:
                if dropped := await partitions.keep(connection, table, kept):
                    log.info("partitions dropped", partitions=dropped)

    async def expire_answers() -> None:
        async with database.connection() as connection:
            while await idempotency.expire_old(connection, EXPIRY_SLICE) == EXPIRY_SLICE:
                pass

    async def remove_deleted() -> None:
        # Contacts first: a company that goes has those that it leaves behind looked at.
        for entity in (CONTACT, COMPANY):
            removed = deleted.SLICE if deleted_days else 0
            while removed == deleted.SLICE:
                async with database.connection() as connection:
                    removed = await deleted.remove(connection, entity, timedelta(deleted_days))
                if removed:
                    log.info("deleted records removed", entity=entity.name, number=removed)

    async def sweep_filter_values() -> None:
        swept = await sweep.run(BUDGET_SECONDS)
        if any(changes := {name: n for name, n in asdict(swept).items() if name != "filters" and n}):
            log.info("filter values swept", **changes)

    async def sweep_batches() -> None:
        async with database.connection() as connection:
            while await marks.sweep_batches(connection) == marks.SWEEP_SLICE:
                pass

    return [
        every(BATCHES_SECONDS, sweep_batches, "sweep of written batches", at_start=True),
        every(INTERVAL_SECONDS, keep_partitions, "keeping of partitions", at_start=True),
        every(INTERVAL_SECONDS, expire_answers, "expiry of idempotency keys", at_start=True),
        every(INTERVAL_SECONDS, sweep_filter_values, "sweep of filter values"),
        every(INTERVAL_SECONDS, remove_deleted, "removal of deleted records"),
    ]
