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
        recipe: the uuid by the documented recipe (`ids.py`), which a new record gets; None when nothing identifies it.
        derived: names of values that were computed out of others and not given, which therefore identify nothing.
    """

    values: Record = field(default_factory=dict)
    uuid: str | None = None
    recipe: str | None = None
    derived: frozenset[str] = frozenset()


def lay(
    company: Candidate | None,
    contact: Candidate | None,
    companies: dict[str, Record],
    contacts: dict[str, Record],
) -> None:
    """Lays what a row says over the records of the rows before it."""
    company_id = company.recipe if company else None
    if company and company_id:
        companies.setdefault(company_id, {"uuid": company_id}).update(company.values)
    if contact and contact.recipe:
        values = {**contact.values, "company_id": company_id} if company_id else contact.values
        contacts.setdefault(contact.recipe, {"uuid": contact.recipe}).update(values)
