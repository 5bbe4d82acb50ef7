"""Makes searchable what was indexed: soon when it is little, seldom when it is much.

A refresh writes a segment with dictionaries of every field, which costs much the same for ten documents as for a thousand, and all of them
are merged later. So while batches queue up, the index refreshes by its own interval (`mappings.REFRESH_INTERVAL`), and when no more wait
an indexer asks for it.
"""

import asyncio

import structlog
from connectra_common.errors import from_exception
from elasticsearch import AsyncElasticsearch

from connectra_write.indexer.waits import first_of

log = structlog.get_logger()

# Between two refreshes there is at least this time, and no less than the last one took.
PAUSE_SECONDS = 0.4


class Refresher:
    """Refreshes for the lanes of an indexer."""

    def __init__(self, search: AsyncElasticsearch) -> None:
        self._search = search
        self._indexed: set[str] = set()
        self._caught_up = asyncio.Event()

    def indexed(self, alias: str) -> None:
        """Something was, and is not searchable yet."""
        self._indexed.add(alias)

    def caught_up(self) -> None:
        """No more waits for now."""
        if self._indexed:
            self._caught_up.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Refreshes whenever the lanes have caught up, and once more when told to stop."""
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
        except Exception as error:  # noqa: BLE001 - the index does so by itself before long
            log.info("no refresh", reason=from_exception(error).reason)
        return asyncio.get_running_loop().time() - began
