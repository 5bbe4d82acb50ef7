"""Values of filters that a record brings along, and a memory of those that are certainly stored."""

import time
from collections.abc import Callable, Iterable, Mapping

from cachetools import TTLCache
from connectra_common.records.cleaning import Value
from connectra_common.records.fields import COMPANY, Entity
from connectra_common.records.ids import filter_value_uuid
from connectra_common.records.limits import MAX_FILTER_VALUE_CHARS

from connectra_write.records.repository import FilterValue

# (service, filter key, value)
Wanted = tuple[str, str, str]

KEPT_SECONDS = 600.0
# Each takes about 250 bytes besides its text.
_KEPT_VALUES = 100_000


def wanted(entity: Entity, records: Iterable[Mapping[str, Value]]) -> set[Wanted]:
    """The values that records have of stored filters; lists item by item. The names of companies are not among them: see `name_value`."""
    found: set[Wanted] = set()
    service = entity.name
    names = [field.name for field in entity.stored_filters if field.name != "uuid"]
    for record in records:
        for name in names:
            value = record.get(name)
            if isinstance(value, str):
                found.add((service, name, value))
            elif isinstance(value, list):
                found.update((service, name, item) for item in value)
    return {value for value in found if len(value[2]) <= MAX_FILTER_VALUE_CHARS and not value[2].isspace() and value[2]}


def name_value(uuid: str, name: object) -> FilterValue:
    """The value of the companies' filter `uuid`: it shows the name, and follows it."""
    shown = str(name)[:MAX_FILTER_VALUE_CHARS]
    return FilterValue(
        filter_value_uuid("uuid", COMPANY.name, uuid), "uuid", COMPANY.name, uuid, shown, may_change=True
    )


class KnownValues:
    """Values that this process has seen committed within the last ten minutes: they need no look at the database.

    The sweep (connectra_write.filter_values.sweep) hides a value that no record has any more, and removes it only after more than
    KEPT_SECONDS, if still no record has it: by then every process has asked the database about it again.
    """

    def __init__(
        self,
        kept_seconds: float = KEPT_SECONDS,
        kept_values: int = _KEPT_VALUES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._known: TTLCache[Wanted, None] = TTLCache(kept_values, kept_seconds, timer=clock)

    def missing(self, values: Iterable[Wanted]) -> list[FilterValue]:
        """Rows for those that are not known."""
        return [
            FilterValue(filter_value_uuid(key, service, value), key, service, value, value)
            for service, key, value in values
            if (service, key, value) not in self._known
        ]

    def add(self, values: Iterable[FilterValue]) -> None:
        """To be called once they are committed."""
        for value in values:
            if not value.may_change:
                self._known[value.service, value.filter_key, value.value] = None
