"""What the write service does beside its calls: it counts filter values, and clears away expired answers, old entries of the audit trail,
records that were deleted long ago, and batches that the index has.

Any number of processes may do so.
"""

from datetime import timedelta

import structlog
from connectra_common.db import idempotency, partitions
from connectra_common.db.database import Database
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_common.server.background import Background, every

from connectra_write import marks
from connectra_write.filter_values import counts
from connectra_write.records import deleted

log = structlog.get_logger()

INTERVAL_SECONDS = 60.0
# Between two looks at what batches wrote.
BATCHES_SECONDS = 2.0
# Between two looks at what statements have noted of filter values.
COUNTS_SECONDS = 1.0
# Answers of the previous release that one statement removes.
EXPIRY_SLICE = 5_000


def loops(database: Database, audit_days: int, deleted_days: int) -> list[Background]:
    """The background loops.

    Args:
        audit_days: entries of the audit trail older than this are removed; 0 keeps them forever.
        deleted_days: records that were deleted longer ago are removed; 0 keeps them forever.
    """

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

    async def count_filter_values() -> None:
        await counts.add_up(database)

    async def sweep_batches() -> None:
        async with database.connection() as connection:
            while await marks.sweep_batches(connection) == marks.SWEEP_SLICE:
                pass

    return [
        every(BATCHES_SECONDS, sweep_batches, "sweep of written batches", at_start=True),
        every(INTERVAL_SECONDS, keep_partitions, "keeping of partitions", at_start=True),
        every(INTERVAL_SECONDS, expire_answers, "expiry of idempotency keys", at_start=True),
        every(COUNTS_SECONDS, count_filter_values, "counts of filter values", at_start=True),
        every(INTERVAL_SECONDS, remove_deleted, "removal of deleted records"),
    ]
