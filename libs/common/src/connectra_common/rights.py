"""What a client may do. Each method of the contracts declares what opens it; the gateway tells the services what the caller has."""

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache


class Right(StrEnum):
    """One right; proto/connectra/common/v1/rights.proto says what each is for."""

    READ = "read"
    EXPORT = "export"
    WRITE = "write"
    IMPORT = "import"
    ADMIN = "admin"


ALL = frozenset(Right)
# In the place of a right: a method that needs none.
OPEN = "open"
# Older names of rights, in files of clients and in tokens, and what they mean.
ALIASES = {"jobs": frozenset({Right.IMPORT, Right.EXPORT})}


@lru_cache(maxsize=256)
def parsed(header: str) -> frozenset[Right]:
    """The rights of a comma-separated list. Names that this release does not know give nothing: a newer gateway may send them."""
    return frozenset(Right(name) for name in header.split(",") if name in _NAMES)


def header(rights: Iterable[Right]) -> str:
    """Rights as a comma-separated list."""
    return ",".join(sorted(rights))


_NAMES = {right.value for right in Right}
