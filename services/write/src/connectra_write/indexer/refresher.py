"""Makes indexed documents searchable: soon when there are few, seldom when there are many.

A refresh writes a segment with dictionaries of every field, which costs much the same for ten documents as for a thousand, and all of them
are merged later. So while batches queue up, the index refreshes at its own interval (`mappings.REFRESH_INTERVAL`); once none is left, an
indexer asks for a refresh.
"""

import asyncio

import structlog
from connectra_common.errors import from_exception
from connectra_common.server.background import first_of
from elasticsearch import AsyncElasticsearch

log = structlog.get_logger()

# The least time between two refreshes; it is never less than the last one took.
PAUSE_SECONDS = 0.4


class Refresher:
    """Refreshes for the loops of an indexer."""

    def __init__(self, search: AsyncElasticsearch) -> None:
        self._search = search
        self._indexed: set[str] = set()
        self._caught_up = asyncio.Event()

    def indexed(self, alias: str) -> None:
        """Notes that the index has documents that are not searchable yet."""
        self._indexed.add(alias)

    def caught_up(self) -> None:
        """Notes that nothing waits to be indexed for now."""
        if self._indexed:
            self._caught_up.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Refreshes whenever the loops have caught up, and once more when told to stop."""
        while not stopping.is_set():
            await first_of(self._caught_up, stopping)
            took = await self._refresh()
            await first_of(stopping, seconds=max(PAUSE_SECONDS, took))

    async def _refresh(self) -> float:
        aliases, self._indexed = sorted(self._indexed), set()
        self._caught_up.clear()
        if not aliases:
            return 0
        began = asyncio.get_running_loop().time()
        try:
            await self._search.indices.refresh(index=aliases)
        except Exception as error:  # noqa: BLE001 - the index refreshes by itself before long
            log.info("no refresh", reason=from_exception(error).reason)
        return asyncio.get_running_loop().time() - began
