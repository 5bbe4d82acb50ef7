"""`connectra-query`: the query service."""

import asyncio

from connectra.query.v1.query_rest_pb2_grpc import add_QueryRestServiceServicer_to_server
from connectra.query.v1.query_service_pb2_grpc import add_QueryServiceServicer_to_server
from connectra_common.db.engine import create_engine, ping
from connectra_common.search.client import create_client
from connectra_common.server.process import Process, begin, run
from connectra_common.settings import load
from connectra_common.storage import s3

from connectra_query.rest import QueryRestServicer
from connectra_query.service import QueryService
from connectra_query.servicer import QueryServicer
from connectra_query.settings import Settings


async def serve(settings: Settings) -> None:
    """Runs until told to stop."""
    engine = create_engine(settings.postgres, "query")
    elastic = create_client(settings.elasticsearch)
    async with s3.client(settings.s3) as storage:
        service = QueryService(engine, elastic, lambda: s3.ping(storage, settings.s3))
        try:
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
                    checks={"postgres": lambda: ping(engine), "elasticsearch": elastic.info},
                ),
                settings.app,
                settings.server,
            )
        finally:
            await elastic.close()
            await engine.dispose()


def main() -> None:
    """Entry point."""
    settings = load(Settings)
    begin(settings.app, settings.tracing, "query")
    asyncio.run(serve(settings))
