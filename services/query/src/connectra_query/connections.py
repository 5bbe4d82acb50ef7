"""The connections of the query service, apart for each kind of work, so that none can take those of another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from connectra_common.db.database import Database
from connectra_common.settings import PostgresSettings

# Of PG_POOL_SIZE, for streams: while they wait for their callers, they hold none.
STREAM_SHARE = 0.25
LEAST = 4
# Rows are looked up by keys. Left to choose, the planner has a table read as a whole that was empty when it planned, until the statistics
# of a new database are made.
BY_KEY = {"enable_seqscan": "off"}


@dataclass(frozen=True, slots=True)
class Connections:
    """Together PG_POOL_SIZE.

    Args:
        pages: for what is answered at once.
        streams: for the pages of streams and exports.
        marks: one, to look what is not indexed yet.
        own: one, for readiness.
    """

    pages: Database
    streams: Database
    marks: Database
    own: Database

    @classmethod
    def of(cls, shared: Database) -> "Connections":
        """The same for all kinds of work: for a process that answers one call at a time."""
        return cls(shared, shared, shared, shared)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: PostgresSettings) -> AsyncIterator["Connections"]:
        """Of a pool of LEAST or more; closed with the block."""
        streams = max(1, int(settings.pool_size * STREAM_SHARE))
        async with (
            Database.open(
                settings, "query", BY_KEY, work="pages", connections=settings.pool_size - 2 - streams
            ) as of_pages,
            Database.open(settings, "query", work="streams", connections=streams) as of_streams,
            Database.open(settings, "query", work="marks", connections=1) as of_marks,
            Database.own(settings, "query") as own,
        ):
            yield cls(of_pages, of_streams, of_marks, own)
