"""Typed async client and command line of Connectra.

    async with Connectra() as connectra:
        answer = await connectra.query.count_contacts(CountContactsRequest())

Messages are in `connectra_client.proto.connectra.{common,query,write,jobs}.v1`; `connectra_client.vql.vql` makes a query out of
JSON. These and the names below are the public interface. The other modules serve the command line and the packages that add
commands to it; in every module a leading underscore marks what only that module uses.
"""

from typing import TYPE_CHECKING, Any

from connectra_client.errors import ApiError, ClientError, FieldViolation, Unreachable

if TYPE_CHECKING:
    from connectra_client.client import Connectra

__all__ = ["ApiError", "ClientError", "Connectra", "FieldViolation", "Unreachable"]


def __getattr__(name: str) -> Any:
    # The stubs take half a second to load, which the command line need not wait for.
    if name == "Connectra":
        from connectra_client.client import Connectra

        return Connectra
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
