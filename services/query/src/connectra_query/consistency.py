"""Consistency tokens: a query with one is answered from an index that has the write that the token names."""

import asyncio
import contextvars
from dataclasses import dataclass

import structlog
from connectra_common.db.database import Database
from connectra_common.errors import DatabaseUnavailable, Unavailable, ValidationFailed, from_exception
from connectra_common.server.background import first_of

from connectra_query.repository import OutboxRepository

log = structlog.get_logger()

# First pause between two looks; each next one is 1.5 times as long, up to the maximum, until somebody new waits.
PAUSE_SECONDS, PAUSE_MOST_SECONDS = 0.02, 0.3
LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Token:
    """What a write answered: the number of a mark; that of the write is not above it."""

    mark: int

    @classmethod
    def parse(cls, text: str) -> "Token":
        """The token of a header.

        Raises:
            ValidationFailed: it is none.
        """
        if not text.isdecimal() or len(text) > 19 or int(text) >= 2**63:
            raise ValidationFailed.at("x-consistency-token", "is not a token of a write")
        return cls(int(text))

    def is_indexed(self, oldest: int | None) -> bool:
        """Whether the index has the write, by the oldest mark that is left; None: none is left."""
        return oldest is None or oldest > self.mark


class Follower:
    """Waits for the index on behalf of all calls of the process: one look at the outbox answers all of them, and they hold nothing.

    Args:
        database: of which it uses one connection, while somebody waits.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[asyncio.Future[None], Token] = {}
        self._came = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def wait(self, token: Token, seconds: float) -> None:
        """Returns once the index has the write of a token.

        Raises:
            Unavailable: it has not within `seconds`.
            DatabaseUnavailable: nobody can tell.
        """
        indexed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[indexed] = token
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
                oldest = await OutboxRepository(connection).oldest()
        except Exception as error:  # noqa: BLE001 - told to all who wait
            log.warning("no look at the outbox", reason=from_exception(error).reason, error=repr(error))
            for indexed in waiting:
                if not indexed.done():
                    indexed.set_exception(DatabaseUnavailable("the database cannot be reached; try again"))
            return
        for indexed, token in waiting.items():
            if token.is_indexed(oldest) and not indexed.done():
                indexed.set_result(None)
