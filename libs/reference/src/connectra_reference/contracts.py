"""The REST methods of the contracts, with the comments that stand there."""

import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from connectra_common.errors import ConnectraError
from connectra_common.rights import Right
from connectra_gateway import descriptors
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[4]


@dataclass
class Method:
    """A REST method of the contracts.

    Args:
        name: of the RPC.
        service: that serves it: query, write or jobs.
        words: its comment.
        rights: of which a client needs one; none if it needs none.
        bindings: verb and path template of each documented way to call it, without the /v1 twins.
    """

    name: str
    service: str
    words: str
    rights: tuple[Right, ...]
    bindings: list[tuple[str, str]] = field(default_factory=list)


def methods() -> Iterator[Method]:
    """All of them, in the order of the contracts."""
    words = _comments()
    for service in descriptors.services():
        package = service.name.rpartition(".")[0]
        openers = {method.name: method.openers for method in service.methods}
        found: dict[str, Method] = {}
        for binding in service.bindings:
            name = binding.method.rpartition(".")[2]
            said = _spelled_out(words, package, words[binding.method])
            rights = tuple(right for right in Right if right in openers[binding.method])
            method = found.setdefault(name, Method(name, service.cluster, said, rights))
            if not binding.template.startswith("/v1/"):
                method.bindings.append((binding.verb, binding.template))
        yield from found.values()


def needed(method: Method) -> str:
    """The rights of which a client needs one, as a sentence behind others; nothing if it needs none."""
    return f" Needs the right {' or '.join(f'`{right}`' for right in method.rights)}." if method.rights else ""


@cache
def _comments() -> dict[str, str]:
    """The comment of each RPC by its full name, on one line. They stand in the sources alone: the generated code has none."""
    sources = [str(path) for path in sorted((ROOT / "proto").rglob("*.proto"))]
    imported = (Path(annotations_pb2.__file__).parents[2], Path(protoc.__file__).parent / "_proto")
    folders = [f"-I{folder}" for folder in (ROOT / "proto", *imported)]
    with tempfile.NamedTemporaryFile() as built:
        options = [*folders, "--include_source_info", f"-o{built.name}"]
        if protoc.main(["protoc", *options, *sources]) != 0:
            sys.exit("protoc could not read the contracts; its reason stands above")
        parsed = FileDescriptorSet.FromString(Path(built.name).read_bytes())
    words = {}
    for file in parsed.file:
        comments = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}
        for s, service in enumerate(file.service):
            for m, rpc in enumerate(service.method):
                text = " ".join(comments.get((6, s, 2, m), "").split())
                words[f"{file.package}.{service.name}.{rpc.name}"] = text
    return words


def _spelled_out(words: dict[str, str], package: str, text: str) -> str:
    """Words of a REST method: where it says "As QueryService.ListContacts.", those of the typed door, and then its own."""
    if typed := re.search(r"As (\w+Service\.\w+)\.", text):
        text = f"{words[f'{package}.{typed[1]}']} {text.replace(typed[0], '')}".strip()
    for typed_words, rest_words in _TRANSLATED.items():
        text = re.sub(rf"\b{typed_words}\b", rest_words, text)
    return text


# The typed door's words, and what they are at this one.
_TRANSLATED = {
    **{error.grpc_code.name: str(error.http_status) for error in ConnectraError.__subclasses__()},
    "in the metadata": "in the details",
    "the metadata": "the header",
    "as List(Companies|Contacts)": "as for the list",
}
