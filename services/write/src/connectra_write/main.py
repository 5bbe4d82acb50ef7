"""`connectra-write`: the write service."""

import asyncio

from connectra.write.v1.index_service_pb2_grpc import add_IndexServiceServicer_to_server
from connectra.write.v1.write_rest_pb2_grpc import add_WriteRestServiceServicer_to_server
from connectra.write.v1.write_service_pb2_grpc import add_WriteServiceServicer_to_server
from connectra_common.db import database as database_of_process
from connectra_common.db.engine import create_engine, ping
from connectra_common.search.client import create_client
from connectra_common.server.process import Process, begin, run
from connectra_common.settings import load

from connectra_write.housekeeping import audit_sweeper, filter_value_sweeper
from connectra_write.index.service import IndexService
from connectra_write.index.servicer import IndexServicer
from connectra_write.notifier import Notifier
from connectra_write.records.repository import Database
from connectra_write.records.service import WriteService
from connectra_write.rest import WriteRestServicer
from connectra_write.servicer import WriteServicer
from connectra_write.settings import Settings


async def serve(settings: Settings) -> None:
    """Runs until told to stop."""
    engine = create_engine(settings.postgres, "write")
    notifier = Notifier(engine)
    search = create_client(settings.elasticsearch)
    package = "connectra.write.v1"
    try:
        async with (
            Database.open(settings.postgres, settings.audit.enabled) as database,
            database_of_process.Database.open(settings.postgres, "index") as own,
        ):
            service = WriteService(database, notifier)
            index = IndexService(own, search, settings.elasticsearch, notifier)
            await run(
                Process(
                    services=[
                        (WriteServicer(service), add_WriteServiceServicer_to_server, f"{package}.WriteService"),
                        (
                            WriteRestServicer(service),
                            add_WriteRestServiceServicer_to_server,
                            f"{package}.WriteRestService",
                        ),
                        (IndexServicer(index), add_IndexServiceServicer_to_server, f"{package}.IndexService"),
                    ],
                    # Not Elasticsearch: writes go on without it, the outbox keeps what it has to hear.
                    checks={"postgres": lambda: ping(engine)},
                    background=[
                        notifier.run,
                        service.expire_keys,
                        filter_value_sweeper(engine),
                        audit_sweeper(engine, settings.audit.retention_days),
                    ],
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
    begin(settings.app, settings.tracing, "write")
    asyncio.run(serve(settings))
