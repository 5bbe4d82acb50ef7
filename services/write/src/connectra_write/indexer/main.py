"""`connectra-write-indexer`: copies changed records to Elasticsearch, and carries out operations on its indices."""

import asyncio
from functools import partial

from connectra_common.db.database import Database
from connectra_common.search.client import create_client
from connectra_common.server.process import Process, begin, run
from connectra_common.settings import load

from connectra_write.indexer.indexer import Indexer, Tuning
from connectra_write.indexer.operations.worker import Worker
from connectra_write.indexer.repository import SESSION
from connectra_write.settings import IndexerSettings

# For operations on indices, which take one for a statement or a slice; and for readiness.
OPERATIONS, OWN = 2, 1


async def serve(settings: IndexerSettings) -> None:
    """Runs until told to stop."""
    postgres, loops = settings.postgres, settings.postgres.pool_size - OPERATIONS - OWN
    opened = partial(Database.open, postgres, "indexer", SESSION, command_timeout=60)
    async with (
        create_client(settings.elasticsearch, settings.elasticsearch.connections()) as search,
        opened(work="loops", connections=loops) as database,
        opened(work="operations", connections=OPERATIONS) as operations,
        Database.own(postgres, "indexer") as own,
    ):
        indexer = Indexer(database, search)
        worker = Worker(
            operations, search, settings.elasticsearch, settings.check.records_per_second, lambda: indexer.number
        )
        await run(
            Process(
                checks={"postgres": own.ping, "elasticsearch": search.info},
                background=[indexer.run, worker.run],
            ),
            settings.app,
            settings.server,
        )


def main() -> None:
    """Entry point."""
    settings = load(IndexerSettings)
    settings.postgres.require(Tuning().connections + OPERATIONS + OWN, "an indexer")
    begin(settings.app, settings.tracing, "indexer", settings.elasticsearch)
    asyncio.run(serve(settings))
