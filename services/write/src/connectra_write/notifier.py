"""Tells the indexers that there is work.

From the writing process, not from a trigger: NOTIFY inside a transaction takes a lock over all commits of the database.
"""

import asyncio

import structlog
from connectra_common.errors import from_exception
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

log = structlog.get_logger()

CHANNEL = "outbox"
# The first write of a while is told at once; those that follow, together.
DEBOUNCE_SECONDS = 0.05


class Notifier:
    """Sends at most twenty NOTIFY a second. A lost one does no harm: indexers also look by themselves."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._pending = asyncio.Event()

    def wake(self) -> None:
        """To be called after a commit."""
        self._pending.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Sends until told to stop."""
        while not stopping.is_set():
            try:
                async with asyncio.timeout(1):
                    await self._pending.wait()
            except TimeoutError:
                continue
            self._pending.clear()
            try:
                async with self._engine.connect() as connection:
                    await connection.execute(text(f"NOTIFY {CHANNEL}"))
            except Exception as error:  # noqa: BLE001 - indexers poll as well
                log.warning("notify failed", reason=from_exception(error).reason)
            await asyncio.sleep(DEBOUNCE_SECONDS)
