"""Notes when what imports stored can be found. An import ends when it is stored, and occupies no worker until then."""

import asyncio

import structlog
from connectra.query.v1 import query_service_pb2 as pb
from connectra_common.call import CONSISTENCY_TOKEN
from connectra_common.consistency import Kind, Token
from connectra_common.errors import from_exception
from connectra_common.server.background import first_of

from connectra_jobs.repository import JobRepository, NotSearchable
from connectra_jobs.worker.deps import Deps

log = structlog.get_logger()

# Imports of a process that is gone are followed by another one, which looks this often.
LOOK_SECONDS = 15.0
PAUSE_SECONDS = 0.5
CALL_TIMEOUT_SECONDS = 20
# Imports followed at once; the others have their turn after them.
AT_ONCE = 10


class Follower:
    """Follows the imports of all processes in turn; several may do so at once. While it waits it holds no connection."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._ended = asyncio.Event()
        self._after = 0

    def wake(self) -> None:
        """To be called when an import has ended."""
        self._ended.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Follows until told to stop."""
        while not stopping.is_set():
            self._ended.clear()
            try:
                more = await self._follow()
            except Exception as error:  # noqa: BLE001 - the database is away, however long
                log.debug("imports are not followed", reason=from_exception(error).reason)
                more = True
            if more:
                await first_of(stopping, seconds=PAUSE_SECONDS)
            else:
                await first_of(self._ended, stopping, seconds=LOOK_SECONDS)

    async def _follow(self) -> bool:
        """Waits for some imports, as long as a query waits; False when there is none."""
        async with self._deps.database.connection() as connection:
            found = await JobRepository(connection).not_searchable(self._after, AT_ONCE)
        begun, self._after = self._after, found[-1].id if len(found) == AT_ONCE else 0
        await asyncio.gather(*map(self._wait, found))
        return bool(found or begun)

    async def _wait(self, job: NotSearchable) -> None:
        # Each call waits for the index of its entity, and refreshes it.
        metadata, query = ((CONSISTENCY_TOKEN, str(Token(job.mark, Kind.JOB, job.uuid))),), self._deps.query
        try:
            await asyncio.gather(
                query.CountCompanies(pb.CountCompaniesRequest(), metadata=metadata, timeout=CALL_TIMEOUT_SECONDS),
                query.CountContacts(pb.CountContactsRequest(), metadata=metadata, timeout=CALL_TIMEOUT_SECONDS),
            )
        except Exception as error:  # noqa: BLE001 - the index is behind or away, however long
            log.debug("not searchable yet", job=job.uuid, reason=from_exception(error).reason)
            return
        async with self._deps.database.transaction() as connection:
            await JobRepository(connection).set_searchable(job)
