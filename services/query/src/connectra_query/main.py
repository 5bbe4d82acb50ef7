"""`connectra-query`: the query service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from connectra.query.v1.query_rest_pb2_grpc import add_QueryRestServiceServicer_to_server
from connectra.query.v1.query_service_pb2_grpc import add_QueryServiceServicer_to_server
from connectra_common.db.database import Database
from connectra_common.search.client import create_client
from connectra_common.server.background import every
from connectra_common.server.bulkheads import REFLECTION, by_method
from connectra_common.server.process import CHECK_INTERVAL_SECONDS, Process, begin, run
from connectra_common.settings import load
from connectra_common.storage import health

from connectra_query.bulkheads import Bulkheads, engine_connections
from connectra_query.connections import LEAST, Connections
from connectra_query.limits import Limits
from connectra_query.rest import QueryRestServicer
from connectra_query.search.engine import Search
from connectra_query.service import QueryService
from connectra_query.servicer import QueryServicer
from connectra_query.settings import Settings


@asynccontextmanager
async def process(settings: Settings, shared: Database | None = None) -> AsyncIterator[Process]:
    """What the service consists of; its connections are closed with the block. `shared`: those that it uses instead of its own."""
    async with (
        nullcontext(Connections.of(shared)) if shared else Connections.open(settings.postgres) as connections,
        create_client(
            settings.elasticsearch, settings.elasticsearch.connections(engine_connections(settings.bounds, connections))
        ) as elastic,
    ):
        search = Search(elastic, settings.elasticsearch.timeout_seconds)
        bulkheads = Bulkheads.of(settings.bounds, connections)
        service = QueryService(connections, search, lambda: health.ping(settings.s3), Limits(), bulkheads)
        yield Process(
            services=[
                (QueryServicer(service), add_QueryServiceServicer_to_server, "connectra.query.v1.QueryService"),
                (
                    QueryRestServicer(service),
                    add_QueryRestServiceServicer_to_server,
                    "connectra.query.v1.QueryRestService",
                ),
            ],
            # Not Elasticsearch: without it, records by uuid, most filters and exports without conditions are still answered.
            checks={"postgres": connections.own.ping},
            bulkhead_of=by_method({bulkheads.streams: [REFLECTION]}),
            background=[every(CHECK_INTERVAL_SECONDS, search.look, "elasticsearch")],
        )


async def serve(settings: Settings) -> None:
    """Runs until told to stop."""
    async with process(settings) as made:
        await run(made, settings.app, settings.server)


def main() -> None:
    """Entry point."""
    settings = load(Settings)
    settings.postgres.require(LEAST, "the query service")
    begin(settings.app, settings.tracing, "query", settings.elasticsearch)
    asyncio.run(serve(settings))
