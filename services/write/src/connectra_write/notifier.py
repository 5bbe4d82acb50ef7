"""Tells the indexers that there is work.

The writing process does, not a trigger: NOTIFY inside a transaction takes a lock over all commits of the database.
"""

import asyncio

import structlog
from connectra_common.db.database import Database
from connectra_common.errors import from_exception
from connectra_common.server.background import first_of

log = structlog.get_logger()

CHANNEL = "outbox"
# The first write of a while is told at once; those that follow, together. A loop of an indexer looks no more often either.
DEBOUNCE_SECONDS = 0.1


class Notifier:
    """Sends at most ten NOTIFY a second. A lost one does no harm: indexers also poll."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending = asyncio.Event()

    def wake(self) -> None:
        """To be called after a commit."""
        self._pending.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Sends until told to stop."""
        while not stopping.is_set():
            await first_of(self._pending, stopping)
            self._pending.clear()
            try:
                async with self._database.connection() as connection:
                    await connection.execute(f"NOTIFY {CHANNEL}")
            except Exception as error:  # noqa: BLE001 - indexers poll as well
                log.warning("notify failed", reason=from_exception(error).reason)
            await first_of(stopping, seconds=DEBOUNCE_SECONDS)
