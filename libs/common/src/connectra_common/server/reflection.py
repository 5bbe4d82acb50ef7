"""Reflection (grpc.reflection.v1alpha): inside, a server shows what it serves; to a client of the gateway any of them shows what the client
may call, since the gateway can ask only one.
"""

from collections.abc import AsyncIterator, Sequence
from functools import cache
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from connectra_common import contracts
from connectra_common.call import current
from connectra_common.rights import OPEN, Right
from connectra_common.server import Context
from connectra_common.server.comments import commented

Pool = Any  # a DescriptorPool, whose stub lacks what is used of it


class ReflectionServicer(reflection_pb2_grpc.ServerReflectionServicer):
    """Shows each caller the services that are for it."""

    def __init__(self, served: Sequence[str]) -> None:
        shown = [name for name in served if not contracts.is_rest(name)]
        names = [*shown, health.SERVICE_NAME, reflection.SERVICE_NAME]
        self._inside: Any = reflection.aio.ReflectionServicer(names, _WithMethods(descriptor_pool.Default()))

    async def ServerReflectionInfo(self, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        call = current()
        shown = _for_client(call.rights) if call.client else self._inside
        async for reply in shown.ServerReflectionInfo(requests, context):
            # protobuf's descriptors have no comments.
            if reply.HasField("file_descriptor_response"):
                serialized = reply.file_descriptor_response.file_descriptor_proto
                serialized[:] = map(_with_comments, serialized)
            yield reply


def enable(server: grpc.aio.Server, served: Sequence[str]) -> None:
    """Adds reflection to a server.

    Args:
        served: full names of its services; those of the REST API are not shown.
    """
    add: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
    add(ReflectionServicer(served), server)


def _with_comments(serialized: bytes) -> bytes:
    file = FileDescriptorProto.FromString(serialized)
    return file.SerializeToString() if commented(file) else serialized


@cache
def _for_client(rights: frozenset[Right]) -> Any:
    names, pool = visible(rights)
    return reflection.aio.ReflectionServicer([*names, reflection.SERVICE_NAME], _WithMethods(pool))


class _WithMethods:
    """A pool that also finds the file of a method, which protobuf's own does not."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, name: str) -> FileDescriptor:
        """Raises:
        KeyError: nothing has this full name.
        """
        try:
            found: FileDescriptor = self._pool.FindFileContainingSymbol(name)
        except KeyError:
            service, _, method = name.rpartition(".")
            if method not in self._pool.FindServiceByName(service).methods_by_name:
                raise
            found = self._pool.FindFileContainingSymbol(service)
        return found


def visible(rights: frozenset[Right]) -> tuple[list[str], Pool]:
    """Names of the typed services of which these rights open a method, and their contracts without the other methods."""
    pool: Pool = DescriptorPool()
    names: list[str] = []
    added: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name in added:
            return
        added.add(file.name)
        for dependency in file.dependencies:
            add(dependency)
        pool.Add(_opened(file, rights))

    for file in contracts.files():
        opened = [f"{file.package}.{service.name}" for service in _opened(file, rights).service]
        if opened:
            names += opened
            add(file)
    return sorted(names), pool


def _opened(file: FileDescriptor, rights: frozenset[Right]) -> FileDescriptorProto:
    """A file of the contracts without the methods that the rights do not open, and without services that have no others."""
    shown = FileDescriptorProto()
    file.CopyToProto(shown)
    services = list(shown.service)
    del shown.service[:]
    for service in services:
        methods = file.services_by_name[service.name].methods_by_name
        opened = [method for method in service.method if contracts.openers(methods[method.name]) & {*rights, OPEN}]
        if opened and not contracts.is_rest(service.name):
            del service.method[:]
            service.method.extend(opened)
            shown.service.append(service)
    return shown
