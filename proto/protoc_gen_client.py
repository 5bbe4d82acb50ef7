"""buf plugin: connectra-client's stubs, `aio.py` and `sync.py`: a class a typed service, a method an RPC.

betterproto2 makes the messages. Its own stubs are for grpclib, or take neither deadline nor metadata.
"""

import re
import sys
from collections.abc import Iterator

from google.protobuf.compiler import plugin_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodDescriptorProto

_SERVICE = 6  # field numbers of descriptor.proto, by which comments are found
_METHOD = 2
# What WriteService and JobsService say about the metadata `idempotency-key`.
_IDEMPOTENT = re.compile(r"(Create|Upsert|BatchUpsert)(Company|Companies|Contact|Contacts|Rows|Job)")
_HEADER = '''"""Stubs of the services. Generated from the contracts: DO NOT EDIT."""

from collections.abc import {iterator}

from connectra_client.{kind}.calls import Stub
from connectra_client.channel import DEFAULT, Metadata, Timeout
'''


def main() -> None:
    request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = plugin_pb2.CodeGeneratorResponse(
        supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    files = [file for file in request.proto_file if file.service and _is_for_clients(file)]
    response.file.add(name="aio.py", content=_module(files, "aio", "AsyncIterator"))
    response.file.add(name="sync.py", content=_module(files, "sync", "Iterator"))
    sys.stdout.buffer.write(response.SerializeToString())


def _is_for_clients(file: FileDescriptorProto) -> bool:
    rest = file.name.endswith("_rest.proto")
    return file.package.startswith("connectra.") and ".internal." not in file.package and not rest


def _module(files: list[FileDescriptorProto], kind: str, iterator: str) -> str:
    lines = [_HEADER.format(kind=kind, iterator=iterator)]
    for file in files:
        names = sorted(
            {_type(name) for one in file.service for m in one.method for name in (m.input_type, m.output_type)}
        )
        lines.append(f"from connectra_client.proto.{file.package} import {', '.join(names)}")
    for file in files:
        comments = {tuple(one.path): one.leading_comments for one in file.source_code_info.location}
        for number, service in enumerate(file.service):
            lines += ["", "", f"class {service.name}Stub(Stub):"]
            lines += _docstring(comments[_SERVICE, number], "    ")
            for position, method in enumerate(service.method):
                path = f"/{file.package}.{service.name}/{method.name}"
                comment = _docstring(comments[_SERVICE, number, _METHOD, position], "        ")
                lines += ["", *_method(method, path, comment, kind, iterator)]
    return "\n".join(lines) + "\n"


def _method(method: MethodDescriptorProto, path: str, comment: list[str], kind: str, iterator: str) -> Iterator[str]:
    awaits = kind == "aio" and not method.server_streaming
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", method.name).lower()
    asked, answer = _type(method.input_type), _type(method.output_type)
    options = "timeout: Timeout = DEFAULT, metadata: Metadata | None = None"
    passed = "timeout, metadata"
    if _IDEMPOTENT.fullmatch(method.name):
        options += ", idempotency_key: str | None = None"
        passed += ", idempotency_key"
    returned = f"{iterator}[{answer}]" if method.server_streaming else answer
    call = "_stream" if method.server_streaming else "_unary"
    yield f"    {'async ' if awaits else ''}def {name}(self, message: {asked}, *, {options}) -> {returned}:"
    yield from comment
    yield f'        return {"await " if awaits else ""}self.{call}("{path}", message, {answer}, {passed})'


def _docstring(comment: str, indent: str) -> list[str]:
    lines = [line.strip() for line in comment.strip().splitlines()]
    return [f'{indent}"""{lines[0]}', *(f"{indent}{line}".rstrip() for line in lines[1:]), f'{indent}"""']


def _type(name: str) -> str:
    return name.rpartition(".")[2]


if __name__ == "__main__":
    main()
