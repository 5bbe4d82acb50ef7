"""Consistency tokens: what a client sends with a query so that it sees its own writes."""

import asyncio

from connectra_common.db.database import Database

from connectra_write import marks


class ConsistencyTokens:
    """Tokens for writes that are committed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reading: asyncio.Task[int] | None = None
        self._next: asyncio.Task[int] | None = None

    async def latest(self) -> int:
        """A number that no mark of transactions that are committed by now is above.

        One query answers all who ask while the one before is under way.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._read(self._reading))
        return await asyncio.shield(self._next)

    async def _read(self, before: "asyncio.Task[int] | None") -> int:
        if before is not None:
            await asyncio.wait([before])
        # Whoever asks from now on may have committed after this look.
        self._reading, self._next = self._next, None
        async with self._database.connection() as connection:
            return await marks.newest(connection)
