"""What is pinned, and what a package needs."""

import re
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = "connectra-"


def blocks(requirements: Path) -> dict[str, str]:
    """The pins of a file by package, each with its hashes."""
    found = re.finditer(r"^(\S+?)==(?:.*\\\n)*.*\n", requirements.read_text(), re.MULTILINE)
    return {canonicalize_name(match[1]): match.group() for match in found}


def closure(name: str) -> set[str]:
    """A distribution with all it needs on this machine, including the extras of our own packages."""
    seen: set[tuple[str, str]] = set()

    def walk(name: str, extras: set[str]) -> None:
        metadata = distribution(name)
        for extra in {"", *extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in metadata.requires or ():
                need = Requirement(text)
                if need.marker is None or need.marker.evaluate({"extra": extra}):
                    walk(canonicalize_name(need.name), need.extras)

    walk(name, set(distribution(name).metadata.get_all("Provides-Extra") or ()))
    return {name for name, _ in seen}
