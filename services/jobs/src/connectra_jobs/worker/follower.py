"""Notes when what imports stored can be found. An import ends when it is stored, and occupies no worker until then."""

import asyncio

import structlog
from connectra.query.v1 import query_service_pb2 as pb
from connectra_common.call import CONSISTENCY_TOKEN
from connectra_common.errors import from_exception
from connectra_common.server.background import first_of

from connectra_jobs.repository import JobRepository
from connectra_jobs.worker.deps import Deps

log = structlog.get_logger()

# Imports of a process that is gone are followed by another one, which looks this often.
LOOK_SECONDS = 15.0
PAUSE_SECONDS = 0.5
CALL_TIMEOUT_SECONDS = 20


class Follower:
    """Follows the imports of all processes, the oldest first; several may do so at once. While it waits it holds no connection."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._ended = asyncio.Event()

    def wake(self) -> None:
        """To be called when an import has ended."""
        self._ended.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Follows until told to stop."""
        while not stopping.is_set():
            self._ended.clear()
            try:
                more = await self._follow()
            except Exception as error:  # noqa: BLE001 - the index is behind or away, however long
                log.debug("not searchable yet", reason=from_exception(error).reason)
                more = True
            if more:
                await first_of(stopping, seconds=PAUSE_SECONDS)
            else:
                await first_of(self._ended, stopping, seconds=LOOK_SECONDS)

    async def _follow(self) -> bool:
        """Waits for the oldest token for as long as a query waits; False when there is none."""
        async with self._deps.database.connection() as connection:
            token = await JobRepository(connection).next_searchable()
        if token is None:
            return False
        # Each call waits for the index of its entity, and refreshes it.
        metadata, query = ((CONSISTENCY_TOKEN, str(token)),), self._deps.query
        await asyncio.gather(
            query.CountCompanies(pb.CountCompaniesRequest(), metadata=metadata, timeout=CALL_TIMEOUT_SECONDS),
            query.CountContacts(pb.CountContactsRequest(), metadata=metadata, timeout=CALL_TIMEOUT_SECONDS),
        )
        async with self._deps.database.transaction() as connection:
            await JobRepository(connection).set_searchable(token)
        return True
