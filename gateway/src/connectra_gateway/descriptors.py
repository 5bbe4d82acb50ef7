"""What the contracts define: the services, their methods, rights and REST paths, and the descriptor set for Envoy's transcoder.

A service added to the contracts is found without a change here; internal ones are not for the gateway.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import google.api.annotations_pb2 as annotations_pb2
import google.api.http_pb2 as http_pb2
from connectra_common.contracts import files, openers
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor

_PROTO_PACKAGE = "connectra."
# The stub of google.api calls it a field, which stubs of protobuf do not take for an extension.
_HTTP: Any = annotations_pb2.http


@dataclass(frozen=True)
class Binding:
    """One documented way to call a method: HTTP verb and path template (`/companies/{uuid}`)."""

    verb: str
    template: str
    method: str  # full name


@dataclass(frozen=True)
class Method:
    """One method of a service.

    Args:
        name: full name, `connectra.query.v1.QueryService.GetCompany`.
        openers: the rights of which a client needs one, as in `contracts.openers`.
        streams: whether it streams in either direction.
    """

    name: str
    openers: frozenset[str]
    streams: bool

    @property
    def path(self) -> str:
        """The path of its calls."""
        service, _, name = self.name.rpartition(".")
        return f"/{service}/{name}"


@dataclass(frozen=True)
class Service:
    """One gRPC service for clients.

    Args:
        name: full name, `connectra.query.v1.QueryService`.
        cluster: the upstream that serves it, the name after `connectra.` (`query`, `write`, `jobs`).
        bindings: the REST paths of its methods; a service without any is called by gRPC only.
    """

    name: str
    cluster: str
    bindings: tuple[Binding, ...]
    methods: tuple[Method, ...]

    @property
    def is_rest(self) -> bool:
        """Whether the transcoder serves it."""
        return bool(self.bindings)


def services() -> list[Service]:
    """All services of the contracts, by name."""
    found = [service for file in files() for service in file.services_by_name.values()]
    return sorted((_service(service) for service in found), key=lambda service: service.name)


def descriptor_set() -> bytes:
    """A serialized FileDescriptorSet of all services and everything they import, imports first as Envoy requires."""
    result = descriptor_pb2.FileDescriptorSet()
    seen: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name in seen:
            return
        seen.add(file.name)
        for dependency in file.dependencies:
            add(dependency)
        copy = result.file.add()
        file.CopyToProto(copy)
        _answer_head(copy)

    for file in files():
        add(file)
    return bytes(result.SerializeToString(deterministic=True))


def _answer_head(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Binds HEAD wherever GET is bound: the transcoder knows no HEAD of its own."""
    for options in (method.options for service in file.service for method in service.method):
        if options.HasExtension(_HTTP):
            rule = options.Extensions[_HTTP]
            for path in [one.get for one in (rule, *rule.additional_bindings) if one.get]:
                head = http_pb2.CustomHttpPattern(kind="HEAD", path=path)
                rule.additional_bindings.append(http_pb2.HttpRule(custom=head))


def _service(service: ServiceDescriptor) -> Service:
    return Service(
        name=service.full_name,
        cluster=service.full_name.removeprefix(_PROTO_PACKAGE).split(".")[0],
        bindings=tuple(binding for method in service.methods for binding in _bindings(method)),
        methods=tuple(
            Method(m.full_name, openers(m), bool(m.client_streaming or m.server_streaming)) for m in service.methods
        ),
    )


def _bindings(method: MethodDescriptor) -> Iterator[Binding]:
    options = method.GetOptions()
    if not options.HasExtension(_HTTP):
        return
    rule = options.Extensions[_HTTP]
    for one in (rule, *rule.additional_bindings):
        verb = one.WhichOneof("pattern")
        yield Binding(verb.upper(), getattr(one, verb), method.full_name)
