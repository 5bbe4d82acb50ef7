"""The columns of records and what may be done with them, shared by the typed and the REST API."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from connectra_common.records.fields import COMPANY, CONTACT, SERVICES, Entity, Field
from connectra_common.refusals import UnsupportedService
from connectra_common.search.mappings import indexed_fields
from connectra_common.vql.reading import COMPANY_PREFIX
from connectra_common.vql.takes import operators, takes

from connectra_query.aggregate.models import Aggregate, GroupBy, violations


@dataclass(frozen=True, slots=True)
class Column:
    """See `Column` in query_service.proto."""

    name: str
    type: str
    display_name: str
    read_only: bool
    operators: list[str]
    order_by: bool
    group_by: bool
    csv_columns: list[str]


def columns(service: str) -> list[Column]:
    """In table order, for contacts followed by those of their company.

    Raises:
        ValidationFailed: neither companies nor contacts.
    """
    if service not in SERVICES:
        raise UnsupportedService(service, [*SERVICES])
    return _columns(SERVICES[service])


@cache
def _columns(entity: Entity) -> list[Column]:
    return [_column(entity, name, field, read_only) for name, field, read_only in _named(entity)]


def _named(entity: Entity) -> Iterator[tuple[str, Field, bool]]:
    for field in entity.fields:
        # A record keeps its uuid.
        yield field.name, field, field.read_only or field.name == "uuid"
    if entity is CONTACT:
        for field in COMPANY.fields:
            yield f"{COMPANY_PREFIX}{field.name}", field, True


def _column(entity: Entity, name: str, field: Field, read_only: bool) -> Column:
    # What is grouped by is named as in the index, where a company's id is none of the contact's fields: `company_id` is the uuid.
    indexed = name.replace(".", "_")
    found = indexed_fields(entity).get(indexed) is field
    return Column(
        name=name,
        type=field.type.value,
        display_name=_display_name(name, field),
        read_only=read_only,
        operators=operators(entity, name, field) if found else [],
        order_by=found and takes(entity, order_by=[{"order_by": name}]),
        group_by=found and not violations(entity, Aggregate(group_by=[GroupBy(field=indexed)])),
        csv_columns=[column for column in (field.csv_column, field.own_column) if column],
    )


def _display_name(name: str, field: Field) -> str:
    # The values of the companies' filter `uuid` are displayed as names, so it is called Name.
    if field.filter and field.name != "uuid":
        label = field.filter.label
    else:
        words = field.name.split("_")
        label = " ".join(_AS_WRITTEN.get(word, word.capitalize()) for word in words)
    return f"Company {label}" if name.startswith(COMPANY_PREFIX) and not label.startswith("Company") else label


_AS_WRITTEN = {"id": "ID", "uuid": "UUID", "url": "URL", "at": "at", "for": "for", "linkedin": "LinkedIn"}
