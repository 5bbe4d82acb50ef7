"""All contracts, discovered in the generated package `connectra`, so that additions need no change here."""

import importlib
import pkgutil
from collections.abc import Iterator

import connectra
from google.protobuf.descriptor import FileDescriptor


def files() -> Iterator[FileDescriptor]:
    """The files that declare services; imports them, so that the default descriptor pool has them."""
    for module in pkgutil.walk_packages(connectra.__path__, "connectra."):
        if module.name.endswith("_pb2"):
            file: FileDescriptor = importlib.import_module(module.name).DESCRIPTOR
            if file.services_by_name:
                yield file


def typed_services() -> list[str]:
    """Full names of the typed services; only Envoy uses the REST services."""
    names = [service.full_name for file in files() for service in file.services_by_name.values()]
    return sorted(name for name in names if not name.endswith("RestService"))
