"""Consistency tokens: a query with one is answered from an index that has the write that the token names."""

import asyncio
import contextvars

import structlog
from connectra_common.consistency import Token
from connectra_common.db import written
from connectra_common.db.database import Database
from connectra_common.errors import DatabaseUnavailable, Unavailable, from_exception
from connectra_common.server.background import first_of

log = structlog.get_logger()

# First pause between two looks; each next one is 1.5 times as long, up to the maximum, until somebody new waits.
PAUSE_SECONDS, PAUSE_MOST_SECONDS = 0.02, 0.3
LOOK_SECONDS = 2.0


class Follower:
    """Waits for the index on behalf of all calls of the process: one look at the outbox answers all of them, and they hold nothing.

    Args:
        database: of which it uses one connection, while somebody waits.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[asyncio.Future[None], frozenset[Token]] = {}
        self._came = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def wait(self, tokens: frozenset[Token], seconds: float) -> None:
        """Returns once the index has the writes of all tokens.

        Raises:
            Unavailable: it has not within `seconds`.
            DatabaseUnavailable: nobody can tell.
        """
        indexed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[indexed] = tokens
        self._came.set()
        if self._following is None or self._following.done():
            # Not a part of this call, which may end before it.
            self._following = asyncio.create_task(self._follow(), context=contextvars.Context())
        try:
            async with asyncio.timeout(seconds):
                await indexed
        except TimeoutError:
            raise Unavailable("the write of this consistency token is not searchable yet; try again") from None
        finally:
            del self._waiting[indexed]

    async def _follow(self) -> None:
        pause = PAUSE_SECONDS
        while self._waiting:
            self._came.clear()
            await self._look()
            await asyncio.sleep(PAUSE_SECONDS)
            came = await first_of(self._came, seconds=pause - PAUSE_SECONDS)
            pause = PAUSE_SECONDS if came else min(pause * 1.5, PAUSE_MOST_SECONDS)

    async def _look(self) -> None:
        # A write whose token comes later may be marked later than what is seen now.
        waiting = dict(self._waiting)
        try:
            async with asyncio.timeout(LOOK_SECONDS), self._database.connection() as connection:
                pending = await written.pending(connection, frozenset[Token]().union(*waiting.values()))
        except Exception as error:  # noqa: BLE001 - told to all who wait
            log.warning("no look at the outbox", reason=from_exception(error).reason, error=repr(error))
            for indexed in waiting:
                if not indexed.done():
                    indexed.set_exception(DatabaseUnavailable("the database cannot be reached; try again"))
            return
        for indexed, tokens in waiting.items():
            if not tokens & pending and not indexed.done():
                indexed.set_result(None)
