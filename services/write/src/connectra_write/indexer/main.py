"""`connectra-write-indexer`: brings changed records to Elasticsearch."""

import asyncio

from connectra_common.db.engine import create_engine, ping
from connectra_common.search.client import create_client
from connectra_common.server.process import Process, begin, run
from connectra_common.settings import load

from connectra_write.indexer.indexer import Indexer
from connectra_write.settings import IndexerSettings


async def serve(settings: IndexerSettings) -> None:
    """Runs until told to stop."""
    engine = create_engine(settings.postgres, "indexer-health")
    search = create_client(settings.elasticsearch)
    try:
        await run(
            Process(
                checks={"postgres": lambda: ping(engine), "elasticsearch": search.info},
                background=[Indexer(settings.postgres, search).run],
            ),
            settings.app,
            settings.server,
        )
    finally:
        await search.close()
        await engine.dispose()


def main() -> None:
    """Entry point."""
    settings = load(IndexerSettings)
    begin(settings.app, settings.tracing, "indexer")
    asyncio.run(serve(settings))
