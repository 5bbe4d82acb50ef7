"""Where the words of a free text are looked for."""

from collections.abc import Mapping

from connectra_common.records.fields import COMPANY, CONTACT, Entity, Index, Rule
from connectra_common.search.mappings import indexed_fields

# Fields and how much a word in them counts.
_FIELDS: Mapping[Entity, Mapping[str, float]] = {
    COMPANY: {"name": 3, "normalized_domain": 2, "city": 1},
    CONTACT: {
        "last_name": 3,
        "first_name": 2,
        "title": 2,
        "company_name": 2,
        "email": 1,
        "company_normalized_domain": 1,
        "city": 1,
        "company_city": 1,
    },
}


def searched_fields(entity: Entity) -> Mapping[str, float]:
    """Names of fields, and how much a word in them counts."""
    return _FIELDS[entity]


def phrase_fields(entity: Entity) -> Mapping[str, float]:
    """Those whose words have places in the index."""
    return {name: weight for name, weight in _FIELDS[entity].items() if name != "email"}


def words_field(entity: Entity, name: str) -> str:
    """The Elasticsearch field that has the words of a field."""
    return name if indexed_fields(entity)[name].index is Index.TEXT else f"{name}.text"


def phone_fields(entity: Entity) -> list[str]:
    """The phones of a record."""
    return [name for name, field in indexed_fields(entity).items() if field.rule is Rule.PHONE]


def uuid_fields(entity: Entity) -> list[str]:
    """The record's uuid, and that of its company."""
    return ["uuid"] if entity is COMPANY else ["uuid", "company_id"]
