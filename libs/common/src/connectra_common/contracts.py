"""All contracts, discovered in the generated package `connectra`, so that additions need no change here."""

import importlib
import pkgutil
from collections.abc import Iterator

import connectra
from connectra.common.v1 import rights_pb2
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor

from connectra_common.rights import OPEN, Right


def files() -> Iterator[FileDescriptor]:
    """The files that declare services for clients; imports all, so that the default descriptor pool has them.

    Those of packages named `internal` are for other processes of the suite, and not among them.
    """
    for module in pkgutil.walk_packages(connectra.__path__, "connectra."):
        if module.name.endswith("_pb2"):
            file: FileDescriptor = importlib.import_module(module.name).DESCRIPTOR
            if file.services_by_name and "internal" not in file.package.split("."):
                yield file


def is_rest(service: str) -> bool:
    """Whether a service is one that only Envoy calls, after transcoding; by its name, full or not."""
    return service.endswith("RestService")


def openers(method: MethodDescriptor) -> frozenset[str]:
    """The rights of which a client needs one to call a method; `OPEN` among them means that it needs none.

    Empty: no client may call it.
    """
    declared = method.GetOptions().Extensions[rights_pb2.right]
    return frozenset(_RIGHTS[number] for number in declared)


_RIGHTS = {
    number: OPEN if name == "RIGHT_OPEN" else Right(name.removeprefix("RIGHT_").lower())
    for name, number in rights_pb2.Right.items()
    if number
}
