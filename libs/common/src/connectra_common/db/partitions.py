"""Tables in partitions of time, made ahead and dropped as a whole (docs/adr/0033). Which they are, the table `partitioned` says."""

from datetime import timedelta

from connectra_common.db.database import Connection


async def keep(connection: Connection, table: str, kept: timedelta | None) -> list[str]:
    """Makes the partitions that are needed soon, and drops old ones. Returns the names of those; any number of processes may call it.

    Args:
        connection: of a role that may execute `keep_partitions`.
        kept: the age from which rows are not needed, a day at least; None keeps them forever.
    """
    dropped: list[str] = await connection.fetchval("SELECT keep_partitions($1, $2)", table, kept)
    return dropped
