"""`connectra-write-indexer`: copies changed records to Elasticsearch."""

import asyncio

from connectra_common.db.database import Database
from connectra_common.search.client import create_client
from connectra_common.server.process import Process, begin, run
from connectra_common.settings import load

from connectra_write.indexer.indexer import Indexer, Tuning
from connectra_write.indexer.repository import SESSION
from connectra_write.settings import IndexerSettings


async def serve(settings: IndexerSettings) -> None:
    """Runs until told to stop."""
    async with (
        create_client(settings.elasticsearch) as search,
        Database.open(
            settings.postgres,
            "indexer",
            session=SESSION,
            connections=settings.postgres.pool_size - 1,
            command_timeout=60,
        ) as database,
        Database.own(settings.postgres, "indexer") as own,
    ):
        await run(
            Process(
                checks={"postgres": own.ping, "elasticsearch": search.info},
                background=[Indexer(database, search).run],
            ),
            settings.app,
            settings.server,
        )


def main() -> None:
    """Entry point."""
    settings = load(IndexerSettings)
    settings.postgres.require(Tuning().connections, "an indexer")
    begin(settings.app, settings.tracing, "indexer")
    asyncio.run(serve(settings))
