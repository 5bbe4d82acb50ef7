"""Consistency tokens: what a client sends with a query so that it sees its own writes."""

import asyncio

from connectra_common.db.database import Database
from connectra_common.server.together import Together

from connectra_write import marks

READ_SECONDS = 5.0


class ConsistencyTokens:
    """Tokens for writes that are committed.

    Args:
        database: apart from that of the writes, which are stored by then and must not fail for want of a connection.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._newest = Together(self._read)

    async def latest(self) -> int:
        """A number that no mark of transactions that are committed by now is above. One query answers all who ask at once."""
        return await self._newest()

    async def _read(self) -> int:
        # One that is never answered must not keep the next ones waiting.
        async with asyncio.timeout(READ_SECONDS), self._database.connection() as connection:
            return await marks.newest(connection)
