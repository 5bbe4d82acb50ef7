"""Removes records for good that were deleted long ago."""

from datetime import timedelta

from connectra_common.db.database import Connection
from connectra_common.records.fields import Entity

# Records of one call.
SLICE = 1_000


async def remove(connection: Connection, entity: Entity, kept: timedelta) -> int:
    """Removes up to SLICE records that were deleted so long ago; returns how many. The indexer is told, and the trail gets entries
    without values.

    Args:
        connection: of a role that may execute `remove_deleted`, but need not be allowed to delete records.
        kept: a day at least.
    """
    removed: int = await connection.fetchval("SELECT remove_deleted($1, $2, $3)", entity.table, kept, SLICE)
    return removed
