"""`connectra-query`: the query service."""

import asyncio

from connectra.query.v1.query_rest_pb2_grpc import add_QueryRestServiceServicer_to_server
from connectra.query.v1.query_service_pb2_grpc import add_QueryServiceServicer_to_server
from connectra_common.db.database import Database
from connectra_common.search.client import create_client
from connectra_common.server.process import Process, begin, run
from connectra_common.settings import load
from connectra_common.storage import health

from connectra_query.limits import Limits
from connectra_query.rest import QueryRestServicer
from connectra_query.search.engine import Search
from connectra_query.service import QueryService
from connectra_query.servicer import QueryServicer
from connectra_query.settings import Settings


async def serve(settings: Settings) -> None:
    """Runs until told to stop."""
    async with (
        Database.open(settings.postgres, "query") as database,
        create_client(settings.elasticsearch) as elastic,
    ):
        search = Search(elastic, settings.elasticsearch.timeout_seconds)
        service = QueryService(database, search, lambda: health.ping(settings.s3), Limits())
        await run(
            Process(
                services=[
                    (QueryServicer(service), add_QueryServiceServicer_to_server, "connectra.query.v1.QueryService"),
                    (
                        QueryRestServicer(service),
                        add_QueryRestServiceServicer_to_server,
                        "connectra.query.v1.QueryRestService",
                    ),
                ],
                checks={"postgres": database.ping, "elasticsearch": search.ping},
            ),
            settings.app,
            settings.server,
        )


def main() -> None:
    """Entry point."""
    settings = load(Settings)
    begin(settings.app, settings.tracing, "query")
    asyncio.run(serve(settings))
