"""Typed clients and command line of Connectra.

    async with Connectra() as connectra:
        contact = await connectra.get_contact(uuid)

    with SyncConnectra() as connectra:
        contact = connectra.get_contact(uuid)

Other messages are in `connectra_client.proto.connectra.{common,gateway,query,write,jobs}.v1`; `vql` makes a query out of JSON. These and
the names below are the public interface. The other modules serve the command line and the packages that add commands to it; in every
module a leading underscore marks what only that module uses.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from connectra_client.errors import ApiError, ClientError, FieldViolation, Unreachable

if TYPE_CHECKING:
    from connectra_client.aio.client import Connectra
    from connectra_client.proto.connectra.common.v1 import Company, Contact
    from connectra_client.proto.connectra.jobs.v1 import ExportQuery, ImportFile, Job
    from connectra_client.sync.client import SyncConnectra
    from connectra_client.vql_json import vql

__all__ = [
    "ApiError",
    "ClientError",
    "Company",
    "Connectra",
    "Contact",
    "ExportQuery",
    "FieldViolation",
    "ImportFile",
    "Job",
    "SyncConnectra",
    "Unreachable",
    "vql",
]

# The messages take half a second to load, which the command line need not wait for.
_LATER = {
    "Company": "proto.connectra.common.v1",
    "Connectra": "aio.client",
    "Contact": "proto.connectra.common.v1",
    "ExportQuery": "proto.connectra.jobs.v1",
    "ImportFile": "proto.connectra.jobs.v1",
    "Job": "proto.connectra.jobs.v1",
    "SyncConnectra": "sync.client",
    "vql": "vql_json",
}


def __getattr__(name: str) -> Any:
    if module := _LATER.get(name):
        return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
