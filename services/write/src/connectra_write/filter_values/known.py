"""A memory of filter values that are certainly stored."""

import sys
import time
from collections.abc import Callable, Iterable

from cachetools import TTLCache
from connectra_common.records.ids import filter_value_uuid

from connectra_write.filter_values.repository import FilterValueRepository
from connectra_write.filter_values.rows import FilterValue, Wanted

KEPT_SECONDS = 600.0
KEPT_BYTES = 32 * 2**20
# What each takes besides its text.
_BYTES_EACH = 250


class KnownValues:
    """Values that this process has seen committed within the last ten minutes: the database need not be asked about them.

    The sweep (connectra_write.filter_values.sweep) hides a value that no record has any more, and removes it only after more than
    KEPT_SECONDS, if still no record has it: by then every process has asked the database about it again.
    """

    def __init__(
        self,
        kept_seconds: float = KEPT_SECONDS,
        kept_bytes: int = KEPT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Each with its size.
        self._known: TTLCache[Wanted, int] = TTLCache(kept_bytes, kept_seconds, timer=clock, getsizeof=int)

    def missing(self, values: Iterable[Wanted]) -> list[FilterValue]:
        """Rows for those that are not known."""
        return [
            FilterValue(filter_value_uuid(key, service, value), key, service, value, value)
            for service, key, value in values
            if (service, key, value) not in self._known
        ]

    async def store(
        self, repository: FilterValueRepository, values: Iterable[Wanted], names: Iterable[FilterValue]
    ) -> list[FilterValue]:
        """Stores values unless they are known to be, and names of companies. Returns the new values, to be added once they are committed.

        Last in a transaction, see `FilterValueRepository.add`.
        """
        new = self.missing(values)
        await repository.add([*new, *names])
        return new

    def add(self, values: Iterable[FilterValue]) -> None:
        """Remembers values; to be called once they are committed."""
        for value in values:
            if not value.may_change:
                size = _BYTES_EACH + sys.getsizeof(value.value)
                self._known[value.service, value.filter_key, value.value] = size
