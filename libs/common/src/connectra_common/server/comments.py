"""The comments of the contracts, for reflection: the generated code has none, so they are kept beside it (`contracts.binpb`)."""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, SourceCodeInfo

Path = tuple[int, ...]


def commented(file: FileDescriptorProto) -> bool:
    """Adds to a file where what it declares stands in its source, and with what comments. What was left out of the file does not matter.

    Returns:
        Whether it is one of the contracts.
    """
    if not (known := _locations().get(file.name)):
        return False
    del file.source_code_info.location[:]
    for name, path in _declared(file):
        if location := known.get(name):
            file.source_code_info.location.add(path=path).MergeFrom(location)
    return True


@cache
def _locations() -> dict[str, dict[str, SourceCodeInfo.Location]]:
    """Of each file of the contracts the location of everything declared in it, by full name, without its path."""
    found: dict[str, dict[str, SourceCodeInfo.Location]] = {}
    for file in FileDescriptorSet.FromString(files("connectra").joinpath("contracts.binpb").read_bytes()).file:
        by_path = {tuple(location.path): location for location in file.source_code_info.location}
        of_file = found[file.name] = {}
        for name, path in _declared(file):
            if location := by_path.get(path):  # what the compiler adds stands nowhere
                location.ClearField("path")
                of_file[name] = location
    return found


def _declared(parent: Any, name: str = "", path: Path = ()) -> Iterator[tuple[str, Path]]:
    """The name of everything that is declared in a part of a file, and its path as SourceCodeInfo has it: those of the fields that lead
    there and, as they are lists, which of their members.
    """
    for field, members in parent.ListFields():
        if field.is_repeated and field.message_type and "name" in field.message_type.fields_by_name:
            for i, member in enumerate(members):
                found = f"{name}.{member.name}", (*path, field.number, i)
                yield found
                yield from _declared(member, *found)
