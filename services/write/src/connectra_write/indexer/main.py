"""`connectra-write-indexer`: brings changed records to Elasticsearch."""

import asyncio
from dataclasses import dataclass

from connectra_common.db.engine import create_engine, ping
from connectra_common.search.client import create_client
from connectra_common.server.process import Process, begin, run
from connectra_common.settings import (
    AppSettings,
    ElasticsearchSettings,
    PostgresSettings,
    ServerSettings,
    TracingSettings,
    load,
)

from connectra_write.indexer.indexer import Indexer


@dataclass(frozen=True)
class Settings:
    """All that the process reads."""

    app: AppSettings
    tracing: TracingSettings
    server: ServerSettings
    postgres: PostgresSettings
    elasticsearch: ElasticsearchSettings


async def serve(settings: Settings) -> None:
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
    settings = load(Settings)
    begin(settings.app, settings.tracing, "indexer")
    asyncio.run(serve(settings))
