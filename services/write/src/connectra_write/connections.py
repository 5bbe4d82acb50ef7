"""The connections of the write service, apart for each kind of work, so that none can take those of another."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from connectra_common.db.database import Database
from connectra_common.settings import PostgresSettings

# Of PG_POOL_SIZE, for bulks and for imports each.
SHARE = 0.2
# One each, and another for the rebuild of an index, which holds one for as long as it takes.
LEAST = 5
# Of the sessions that write, whose statements look rows up by keys. Left to choose, the planner has tables read as a whole that were empty
# when it planned: until the statistics of a new database are made, each write reads all that is stored.
BY_KEY = {"enable_seqscan": "off"}
# Of those for single records, whose plans are the same whatever the values: an upsert would plan as long as it runs.
PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan"}


@dataclass(frozen=True, slots=True)
class Connections:
    """Together PG_POOL_SIZE.

    Args:
        singles: for writes of one record, and what else the service does.
        bulks: for writes of many.
        imports: for batches of imports.
        own: one, for readiness, and for what follows a write that is stored already: its token, and waking the indexers.
    """

    singles: Database
    bulks: Database
    imports: Database
    own: Database

    @classmethod
    def of(cls, shared: Database) -> "Connections":
        """The same for all kinds of work: for a process that answers one call at a time."""
        return cls(shared, shared, shared, shared)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: PostgresSettings, session: Mapping[str, str]) -> AsyncIterator["Connections"]:
        """Of a pool of LEAST or more; closed with the block. `session`: more PostgreSQL settings of those that write."""
        session = {**BY_KEY, **session}
        part = max(1, int(settings.pool_size * SHARE))
        rest = settings.pool_size - 1 - 2 * part
        async with (
            Database.open(
                settings, "write", {**session, **PLANNED_ONCE}, work="singles", connections=rest, limited=True
            ) as singles,
            Database.open(settings, "write", session, work="bulks", connections=part, limited=True) as bulks,
            Database.open(settings, "write", session, work="imports", connections=part, limited=True) as imports,
            Database.own(settings, "write") as own,
        ):
            yield cls(singles, bulks, imports, own)
