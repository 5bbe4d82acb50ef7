"""Values of stored filters that records have, as rows of filters_data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectra_common.records.cleaning import Value
from connectra_common.records.fields import COMPANY, Entity
from connectra_common.records.ids import filter_value_uuid
from connectra_common.records.limits import MAX_FILTER_VALUE_CHARS

# (service, filter key, value)
Wanted = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class FilterValue:
    """A row of filters_data. `may_change`: the stored display value can be another one."""

    uuid: str
    filter_key: str
    service: str
    value: str
    display_value: str
    may_change: bool = False


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
