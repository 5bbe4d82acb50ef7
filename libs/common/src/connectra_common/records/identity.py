"""A record before it is known which stored record it means."""

from dataclasses import dataclass, field

from connectra_common.records.cleaning import Value

Record = dict[str, Value]


@dataclass(slots=True)
class Candidate:
    """What a caller says of a company or a contact.

    Args:
        values: fields by name as they are to be stored, without `uuid`; those that were not given are absent.
        uuid: given by the caller.
        recipe: the uuid by the documented recipe (`ids.py`), which a new record gets; None when nothing identifies it, or `uuid` does.
        recipe_text: the text that `recipe` is made of.
        derived: names of values that were computed out of others and not given, which therefore identify nothing.
    """

    values: Record = field(default_factory=dict)
    uuid: str | None = None
    recipe: str | None = None
    recipe_text: str | None = None
    derived: frozenset[str] = frozenset()
