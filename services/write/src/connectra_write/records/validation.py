"""Records from JSON and typed messages: what they must have, and the documented texts for what is wrong with them.

What a value may be and how it is stored is the same for every door: `connectra_common/records/values`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from connectra_common.errors import FieldViolation
from connectra_common.records import ids
from connectra_common.records.cleaning import clean
from connectra_common.records.fields import COMPANY, CONTACT, Entity, Field, Rule, Type
from connectra_common.records.identity import Candidate
from connectra_common.records.limits import MAX_GIVEN_CHARS, MAX_LIST_ITEMS, MAX_TEXT_CHARS
from connectra_common.records.providers import is_shared_domain
from connectra_common.records.values import READERS, Malformed, Refused, Value
from connectra_common.records.values.emails import read_address
from connectra_common.records.values.lists import read_items
from connectra_common.records.values.numbers import MAX_INT64
from connectra_common.records.values.phones import read_phone
from connectra_common.records.values.urls import domain_of
from connectra_common.requests import path, unknown_keys


class Mode(StrEnum):
    """What is to be done with a record; decides which fields are required."""

    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"
    # One of a batch: like an upsert, but a company that is identified by its uuid needs no name unless it turns out to be new.
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Checked:
    """A record as it is to be stored.

    Args:
        values: the fields that were given, normalised; None where one was given empty (null, "", [] or nothing but blanks).
        violations: everything that is wrong, in the documented order; `values` is not to be used then.
        derived: names of values that were computed out of others.
    """

    values: dict[str, Value]
    violations: tuple[FieldViolation, ...] = ()
    derived: frozenset[str] = frozenset()


def check(entity: Entity, record: object, mode: Mode) -> Checked:
    """Checks and normalises a record; never raises. Leaves out unknown fields and those that only the server sets."""
    if not isinstance(record, Mapping):
        return Checked({}, (FieldViolation("", "a record must be a JSON object"),))
    values: dict[str, Value] = {}
    wrong: dict[str, str] = {}
    rules = _rules(entity)
    phones: list[str] = []
    for name, given in record.items():
        if rule := rules.get(name):
            if entity.by_name[name].rule is Rule.PHONE:
                phones.append(name)
                continue
            try:
                values[name] = rule(given, mode)
            except _Wrong as error:
                wrong[name] = str(error)
    for name in phones:
        # A national number may need the record's country.
        try:
            values[name] = _phone(name, record[name], values.get("country"))
        except _Wrong as error:
            wrong[name] = str(error)
    # An empty uuid counts as absent.
    if "uuid" in values and values["uuid"] is None:
        del values["uuid"]
    _require(entity, mode, values, wrong)
    if wrong:
        violations = (FieldViolation(n, wrong[n]) for n in sorted(wrong, key=_ORDER[entity.name].index))
        return Checked(values, tuple(violations))
    # Who clears the domain of a stored company does not want another one.
    wanted = not values.get("normalized_domain") if mode is Mode.CREATE else "normalized_domain" not in values
    derives = entity is COMPANY and mode is not Mode.UPDATE and wanted
    if derives and values.get("website") and _derive_domain(values):
        return Checked(values, derived=frozenset({"normalized_domain"}))
    return Checked(values)


def candidate(entity: Entity, checked: Checked, uuid: str | None = None) -> Candidate:
    """A record whose violations are none; takes `uuid` out of the values. Without one it has the recipe that an import makes of its fields.

    Args:
        uuid: that of a record which does not name it itself.
    """
    values = checked.values
    given = values.pop("uuid", None)
    if isinstance(given, str) or uuid:
        return Candidate(values, given if isinstance(given, str) else uuid, derived=checked.derived)
    names = ("name", "linkedin_url") if entity is COMPANY else ("first_name", "last_name", "linkedin_url", "email")
    make: Callable[..., str] = ids.company_recipe if entity is COMPANY else ids.contact_recipe
    text = make(*(values.get(name) for name in names))
    return Candidate(values, None, ids.uuid5(text), text, checked.derived)


def warnings(entity: Entity, record: object, prefix: str = "") -> list[dict[str, str]]:
    """Warnings of the unknown fields of a record, which are ignored, and of an address that is one of several."""
    if not isinstance(record, Mapping):
        return []
    known = _known(entity)
    unknown = {name: None for name in record if name not in known}
    found = unknown_keys(unknown, [field.name for field in entity.writable], prefix) if unknown else []
    if note := _note(entity, record):
        found.append({"field": path(("email",), prefix), "message": f"email {note}"})
    return found


def number_of_warnings(entity: Entity, record: object) -> int:
    """How many a record has, at a fraction of their cost: one for each unknown field, and that of the address."""
    if not isinstance(record, Mapping):
        return 0
    known = _known(entity)
    return sum(name not in known for name in record) + (_note(entity, record) is not None)


def _note(entity: Entity, record: Mapping[str, object]) -> str | None:
    email = record.get("email") if entity is CONTACT else None
    return _several(email) if isinstance(email, str) and len(email) <= MAX_GIVEN_CHARS else None


def _several(email: str) -> str | None:
    try:
        return read_address(email).note
    except Refused:
        return None


class _Wrong(ValueError):
    pass


_Rule = Callable[[object, Mode], Value]

# How the documented texts name the site of a URL.
_SITES = {"website": "website", "facebook_url": "Facebook", "twitter_url": "Twitter"}


@lru_cache(maxsize=2)
def _rules(entity: Entity) -> dict[str, _Rule]:
    return {field.name: _rule(field) for field in entity.writable}


def _rule(field: Field) -> _Rule:
    if field.type is Type.INTEGER:
        return _integer(field.name)
    if field.type is Type.LIST:
        return _list(field.name)
    return _uuid(field.name) if field.rule is Rule.UUID else _text(field)


def _text(field: Field) -> _Rule:
    read, malformed = READERS[field.rule], _malformed(field)

    def rule(given: object, mode: Mode) -> Value:
        if (text := _given_text(field.name, given)) is None:
            return None
        try:
            return read(text)
        except Malformed:
            raise _Wrong(malformed.format(_shown(text))) from None
        except Refused as error:
            raise _Wrong(f"{field.name} {error}") from None

    return rule


def _given_text(name: str, given: object) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise _Wrong(f"{name} must be a text")
    if len(given) > MAX_GIVEN_CHARS:
        raise _Wrong(f"{name} has {len(given)} characters; at most {MAX_TEXT_CHARS} are allowed")
    return given


def _malformed(field: Field) -> str:
    """The documented text for a value that has not the form of its field."""
    match field.rule:
        case Rule.EMAIL:
            return "invalid email format: {}"
        case Rule.DOMAIN:
            return f"invalid {field.name} format: {{}} (must be a domain such as example.com)"
        case Rule.LINKEDIN | Rule.LINKEDIN_LOWER:
            return "invalid LinkedIn URL format: {} (must start with https://linkedin.com/)"
    return f"invalid {_SITES.get(field.name, field.name)} URL format: {{}}"


def _phone(name: str, given: object, country: Value) -> str | None:
    if (text := _given_text(name, given)) is None:
        return None
    try:
        return read_phone(text, country if isinstance(country, str) else None)
    except Refused as error:
        raise _Wrong(f"{name} {error}") from None


def _integer(field: str) -> _Rule:
    def rule(given: object, mode: Mode) -> int | None:
        if given is None or given == "":
            return None
        if isinstance(given, float) and given.is_integer():
            given = int(given)
        if not isinstance(given, int) or isinstance(given, bool):
            raise _Wrong(f"{field} must be a whole number")
        if given < 0:
            raise _Wrong(f"{field} must be non-negative" + (f", got: {given}" if mode is Mode.CREATE else ""))
        if given > MAX_INT64:
            raise _Wrong(f"{field} must be at most {MAX_INT64}")
        return given

    return rule


def _list(field: str) -> _Rule:
    def rule(given: object, mode: Mode) -> list[str] | None:
        if given is None or given == "":
            return None
        if not isinstance(given, list):
            raise _Wrong(f"{field} must be a list of texts")
        if len(given) > MAX_LIST_ITEMS:
            raise _Wrong(f"{field} has {len(given)} items; at most {MAX_LIST_ITEMS} are allowed")
        if not all(isinstance(item, str) for item in given):
            raise _Wrong(f"{field} must be a list of texts")
        try:
            return read_items(given)
        except Refused as error:
            raise _Wrong(f"{field} {error}") from None

    return rule


def _uuid(field: str) -> _Rule:
    def rule(given: object, mode: Mode) -> str | None:
        text = (_given_text(field, given) or "").strip()
        if not text:
            return None
        uuid = ids.canonical_uuid(text)
        if not ids.is_uuid(uuid):
            problem = f"invalid UUID format: {_shown(text)}"
            raise _Wrong(problem if field == "uuid" else f"invalid {field}: {problem}")
        return uuid

    return rule


def _require(entity: Entity, mode: Mode, values: Mapping[str, Value], wrong: dict[str, str]) -> None:
    def missing(name: str) -> bool:
        return values.get(name) is None and name not in wrong

    if entity is COMPANY:
        # An update, and a record of a batch that has its company's uuid, may leave the name as it is, but not clear it.
        keeps = mode is Mode.UPDATE or (mode is Mode.BULK and not missing("uuid"))
        if missing("name") and ("name" in values or not keeps):
            wrong["name"] = "name is required"
        # The uuid is made from it.
        elif "uuid" not in values and "name" in values and not clean(str(values["name"])) and mode is not Mode.UPDATE:
            wrong["name"] = "name must have a letter or a digit"
    elif mode is Mode.CREATE:
        required = ("first_name", "last_name", "email")
        wrong.update((name, f"{name} is required") for name in required if missing(name))
    elif mode is not Mode.UPDATE and missing("email") and missing("uuid"):
        wrong["email"] = "either email or UUID is required for upsert"


# The order in which violations are reported.
_FIRST = ("name", "website", "linkedin_url", "facebook_url", "twitter_url")
_ORDER: dict[str, Sequence[str]] = {
    entity.name: [
        *(name for name in _FIRST if name in entity.by_name and entity is COMPANY),
        *(f.name for f in entity.data_fields if f.type is Type.INTEGER),
        *(
            f.name
            for f in entity.data_fields
            if f.type is not Type.INTEGER and (entity is CONTACT or f.name not in _FIRST)
        ),
        "uuid",
    ]
    for entity in (COMPANY, CONTACT)
}


def _derive_domain(values: dict[str, Value]) -> bool:
    domain = domain_of(str(values["website"]))
    if domain is None or is_shared_domain(domain):
        return False
    values["normalized_domain"] = domain
    return True


def _shown(text: str) -> str:
    return text if len(text) <= 100 else text[:100] + "…"


@lru_cache(maxsize=2)
def _known(entity: Entity) -> frozenset[str]:
    # Members that a record has when it is read, and may still have when it is sent back.
    return frozenset((*entity.columns, "row_version", "cursor", "company"))
