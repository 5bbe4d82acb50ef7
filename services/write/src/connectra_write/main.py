"""`connectra-write`: the write service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from connectra.write.internal.v1.import_service_pb2_grpc import add_ImportServiceServicer_to_server
from connectra.write.v1.index_service_pb2_grpc import add_IndexServiceServicer_to_server
from connectra.write.v1.write_rest_pb2_grpc import add_WriteRestServiceServicer_to_server
from connectra.write.v1.write_service_pb2_grpc import add_WriteServiceServicer_to_server
from connectra_common.db.database import Database
from connectra_common.search.client import create_client
from connectra_common.server.process import Process, begin, run
from connectra_common.settings import load

from connectra_write import housekeeping
from connectra_write.bulkheads import bulkheads
from connectra_write.connections import LEAST, Connections
from connectra_write.consistency import ConsistencyTokens
from connectra_write.imports.service import ImportService
from connectra_write.imports.servicer import ImportServicer
from connectra_write.index.service import IndexService
from connectra_write.index.servicer import IndexServicer
from connectra_write.notifier import Notifier
from connectra_write.records.service import RecordService
from connectra_write.rest import WriteRestServicer
from connectra_write.servicer import WriteServicer
from connectra_write.settings import AuditSettings, Settings

# A setting of a session whose changes leave no entry in the audit trail.
AUDIT_OFF = {"connectra.audit": "off"}


def session_of(audit: AuditSettings) -> dict[str, str]:
    """Settings of the sessions that write, in addition to those by which they look rows up."""
    return {} if audit.enabled else AUDIT_OFF


@asynccontextmanager
async def process(settings: Settings, shared: Database | None = None) -> AsyncIterator[Process]:
    """What the service consists of; its connections are closed with the block. `shared`: those that it uses instead of its own."""
    session = session_of(settings.audit)
    async with (
        create_client(settings.elasticsearch, settings.elasticsearch.connections()) as search,
        nullcontext(Connections.of(shared)) if shared else Connections.open(settings.postgres, session) as connections,
    ):
        notifier = Notifier(connections.own)
        tokens = ConsistencyTokens(connections.own)
        records = RecordService(connections.singles, connections.bulks, tokens, notifier)
        imports = ImportService(connections.imports, notifier)
        index = IndexService(connections.singles, search, notifier)
        package = "connectra.write.v1"
        yield Process(
            services=[
                (WriteServicer(records), add_WriteServiceServicer_to_server, f"{package}.WriteService"),
                (
                    WriteRestServicer(records, index),
                    add_WriteRestServiceServicer_to_server,
                    f"{package}.WriteRestService",
                ),
                (IndexServicer(index), add_IndexServiceServicer_to_server, f"{package}.IndexService"),
            ],
            internal=[
                (
                    ImportServicer(imports),
                    add_ImportServiceServicer_to_server,
                    "connectra.write.internal.v1.ImportService",
                )
            ],
            # Not Elasticsearch: writes go on without it, and the outbox keeps what is to be indexed.
            checks={"postgres": connections.own.ping},
            bulkhead_of=bulkheads(connections),
            background=[notifier.run],
            housekeeping=housekeeping.loops(
                connections.singles, settings.audit.retention_days, settings.records.deleted_days
            ),
        )


async def serve(settings: Settings) -> None:
    """Runs until told to stop."""
    async with process(settings) as made:
        await run(made, settings.app, settings.server, settings.internal)


def main() -> None:
    """Entry point."""
    settings = load(Settings)
    settings.postgres.require(LEAST, "the write service")
    begin(settings.app, settings.tracing, "write", settings.elasticsearch)
    asyncio.run(serve(settings))
