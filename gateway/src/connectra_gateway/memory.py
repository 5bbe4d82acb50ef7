"""How much memory Envoy may use."""

from pathlib import Path

_DEFAULT_MIB = 1024
# Of the container's limit, which also holds this process, Envoy's code and what its allocator keeps back.
_SHARE = 0.75
# The limit as version 2 and version 1 of control groups show it; without one the former says "max", the latter has a huge number.
_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
_NO_LIMIT = 2**60


def max_heap_bytes(configured_mib: int | None, groups: Path = Path("/sys/fs/cgroup")) -> int:
    """The heap at which Envoy refuses requests: as configured, else three quarters of the container's memory limit, else 1 GiB."""
    if configured_mib is None and (limit := _limit(groups)):
        return int(limit * _SHARE)
    return (configured_mib or _DEFAULT_MIB) * 2**20


def _limit(groups: Path) -> int | None:
    for name in _LIMITS:
        try:
            text = (groups / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < _NO_LIMIT:
            return int(text)
    return None
