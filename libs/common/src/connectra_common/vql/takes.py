"""What a query takes: the validator is asked, so that lists of what is possible never differ from what is refused."""

from typing import Any

from connectra_common.errors import ValidationFailed
from connectra_common.records.fields import Entity, Field, Type
from connectra_common.vql.model import Vql
from connectra_common.vql.validate import checked

# With a value that fits: a text that is also a domain, and for phones has digits.
_PART = "1.example"
_WHOLE, _PARTS = ("eq", "ne", "in", "nin"), ("contains", "ncontains", "prefix", "domain")
_BOUNDS, _EXISTENCE = ("gt", "gte", "lt", "lte"), ("exists", "nexists")


def takes(entity: Entity, **request: Any) -> bool:
    """Whether this is a valid query."""
    try:
        checked(entity, Vql.model_validate(request))
    except ValidationFailed:
        return False
    return True


def operators(entity: Entity, name: str, field: Field) -> list[str]:
    """The operators that a leaf of `filters` may have with this name of a field; none if it cannot be searched."""
    value = example(field)
    given = {
        **dict.fromkeys(_WHOLE, value),
        **dict.fromkeys(_PARTS, _PART),
        **dict.fromkeys(_BOUNDS, value),
        **dict.fromkeys(_EXISTENCE, True),
    }
    return [
        operator
        for operator, what in given.items()
        if takes(entity, filters={"field": name, "operator": operator, "value": what})
    ]


def example(field: Field) -> int | str:
    """A value that a condition on the field takes, if it is not one of a uuid."""
    return 1 if field.type is Type.INTEGER else "2024-01-15" if field.type is Type.TIME else "text"
