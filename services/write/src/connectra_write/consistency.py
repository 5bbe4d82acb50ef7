"""Consistency tokens: what a client sends with a query so that it sees its own writes."""

import asyncio

import structlog
from connectra_common.call import current
from connectra_common.consistency import NEWEST, Kind, Token, joined
from connectra_common.db.database import Database
from connectra_common.errors import from_exception
from connectra_common.server.together import Together

from connectra_write import marks

log = structlog.get_logger()

READ_SECONDS = 1.0


class ConsistencyTokens:
    """Tokens for writes that are committed.

    Args:
        database: apart from that of the writes, which are stored by then and must not fail for want of a connection.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._newest = Together(self._read)

    async def of(self, kind: Kind, name: str) -> str:
        """The token of the current call's write, which is committed. Never fails: without a mark it covers later changes too."""
        return joined(current().token, Token(await self._newest(), kind, name))

    async def _read(self) -> int:
        # One that is never answered must not keep the next ones waiting.
        try:
            async with asyncio.timeout(READ_SECONDS), self._database.connection() as connection:
                return await marks.newest(connection)
        except Exception as error:  # noqa: BLE001 - what is written is written
            log.warning("no mark for consistency tokens", reason=from_exception(error).reason)
            return NEWEST
