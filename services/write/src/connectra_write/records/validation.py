"""The rules for records, the same for JSON, typed messages and batches.

Source: the documented record rules; where the documentation promises more than its earlier implementation checked, the documentation.
A CSV file has rules of its own (`cleaning.py`): it is cleaned rather than refused.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from urllib.parse import urlsplit

from connectra_common.errors import FieldViolation
from connectra_common.records import ids
from connectra_common.records.cleaning import MAX_INT64, Value, clean, lower, parse_phone
from connectra_common.records.fields import COMPANY, CONTACT, Entity, Field, Rule, Type
from connectra_common.records.limits import (
    MAX_EMAIL_CHARS,
    MAX_ITEM_CHARS,
    MAX_LIST_ITEMS,
    MAX_TEXT_CHARS,
    MAX_WARNINGS,
)
from connectra_common.requests import hint, path


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
    """

    values: dict[str, Value]
    violations: tuple[FieldViolation, ...] = ()


def check(entity: Entity, record: object, mode: Mode) -> Checked:
    """Checks and normalises a record; never raises. Leaves out unknown fields and those that only the server sets."""
    if not isinstance(record, Mapping):
        return Checked({}, (FieldViolation("", "a record must be a JSON object"),))
    values: dict[str, Value] = {}
    wrong: dict[str, str] = {}
    rules = _rules(entity)
    for name, given in record.items():
        if rule := rules.get(name):
            try:
                values[name] = rule(given, mode)
            except _Refused as refused:
                wrong[name] = str(refused)
    # An empty uuid counts as absent.
    if "uuid" in values and values["uuid"] is None:
        del values["uuid"]
    _require(entity, mode, values, wrong)
    if not wrong:
        if (
            entity is COMPANY
            and mode is not Mode.UPDATE
            and values.get("website")
            and not values.get("normalized_domain")
        ):
            _derive_domain(values)
        return Checked(values)
    return Checked(values, tuple(FieldViolation(n, wrong[n]) for n in sorted(wrong, key=_ORDER[entity.name].index)))


def derived_uuid(entity: Entity, values: Mapping[str, Value]) -> str:
    """The uuid of a record that has none, made as an import makes it."""
    names = ("name", "linkedin_url") if entity is COMPANY else ("first_name", "last_name", "linkedin_url", "email")
    recipe: Callable[..., str] = ids.company_uuid if entity is COMPANY else ids.contact_uuid
    return recipe(*(values.get(name) for name in names))


def warnings(entity: Entity, record: object, prefix: str = "") -> list[dict[str, str]]:
    """A warning for each unknown field of a record, which is ignored; at most MAX_WARNINGS."""
    if not isinstance(record, Mapping):
        return []
    known = _known(entity)
    unknown = [name for name in record if name not in known][:MAX_WARNINGS]
    return [{"field": path((name,), prefix), "message": _hint(entity.name, name)} for name in unknown]


class _Refused(ValueError):
    pass


_Rule = Callable[[object, Mode], Value]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_URL = re.compile(r"https?://[^\s/$.?#].[^\s]*")
_LINKEDIN = re.compile(r"https?://(www\.)?linkedin\.com/.*")
_EMAIL = re.compile(r"[a-zA-Z0-9._%+\-]+@[a-zA-Z0-9.\-]+\.[a-zA-Z]{2,}")
# Labels of letters (of any script), digits and hyphens inside; the last one is not a number.
_FQDN = re.compile(r"(?=.{4,253}\Z)((?!-)[^\W_](?:[^\W_]|-){0,62}(?<!-)\.)+(?!\d+\Z)[^\W_](?:[^\W_]|-){0,61}[^\W_]")


def _text(field: str) -> _Rule:
    def rule(given: object, mode: Mode) -> str | None:
        return _read_text(field, given)

    return rule


def _read_text(field: str, given: object) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise _Refused(f"{field} must be a text")
    if not given or given.isspace():
        return None
    if len(given) > MAX_TEXT_CHARS:
        raise _Refused(f"{field} has {len(given)} characters; at most {MAX_TEXT_CHARS} are allowed")
    if not given.isprintable() and _CONTROL.search(given):
        raise _Refused(f"{field} contains a control character")
    return given


def _matching(field: str, pattern: re.Pattern[str], message: str, normal: Callable[[str], str] = str) -> _Rule:
    def rule(given: object, mode: Mode) -> str | None:
        text = _read_text(field, given)
        if text is None:
            return None
        value = normal(text)
        if pattern.fullmatch(value) is None:
            raise _Refused(message.format(_shown(text)))
        return value

    return rule


def _email(field: str) -> _Rule:
    form = _matching(field, _EMAIL, "invalid email format: {}", _lowered)

    def rule(given: object, mode: Mode) -> Value:
        if isinstance(given, str) and len(given.strip()) > MAX_EMAIL_CHARS:
            raise _Refused(f"{field} has {len(given.strip())} characters; at most {MAX_EMAIL_CHARS} are allowed")
        return form(given, mode)

    return rule


def _lower(field: str) -> _Rule:
    def rule(given: object, mode: Mode) -> str | None:
        text = _read_text(field, given)
        return None if text is None else _lowered(text)

    return rule


def _phone(field: str) -> _Rule:
    def rule(given: object, mode: Mode) -> str | None:
        text = _read_text(field, given)
        return None if text is None else parse_phone(clean(text))

    return rule


def _integer(field: str) -> _Rule:
    def rule(given: object, mode: Mode) -> int | None:
        if given is None or given == "":
            return None
        if isinstance(given, float) and given.is_integer():
            given = int(given)
        if not isinstance(given, int) or isinstance(given, bool):
            raise _Refused(f"{field} must be a whole number")
        if given < 0:
            raise _Refused(f"{field} must be non-negative" + (f", got: {given}" if mode is Mode.CREATE else ""))
        if given > MAX_INT64:
            raise _Refused(f"{field} must be at most {MAX_INT64}")
        return given

    return rule


def _list(field: str) -> _Rule:
    def rule(given: object, mode: Mode) -> list[str] | None:
        if given is None or given == "":
            return None
        if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
            raise _Refused(f"{field} must be a list of texts")
        if len(given) > MAX_LIST_ITEMS:
            raise _Refused(f"{field} has {len(given)} items; at most {MAX_LIST_ITEMS} are allowed")
        if any(len(item) > MAX_ITEM_CHARS for item in given):
            raise _Refused(f"{field} has an item of more than {MAX_ITEM_CHARS} characters")
        if any(not item.isprintable() and _CONTROL.search(item) for item in given):
            raise _Refused(f"{field} contains a control character")
        return given or None

    return rule


_UUID = "invalid UUID format: {}"


@lru_cache(maxsize=2)
def _rules(entity: Entity) -> dict[str, _Rule]:
    return {field.name: _rule(field) for field in entity.writable}


def _rule(field: Field) -> _Rule:
    name = field.name
    match field.rule:
        case Rule.TEXT:
            return _text(name)
        case Rule.LOWER:
            return _lower(name)
        case Rule.INTEGER:
            return _integer(name)
        case Rule.LIST:
            return _list(name)
        case Rule.PHONE:
            return _phone(name)
        case Rule.EMAIL:
            return _email(name)
        case Rule.UUID:
            return _matching(
                name, ids.UUID, _UUID if name == "uuid" else f"invalid {name}: {_UUID}", ids.canonical_uuid
            )
        case Rule.URL:
            return _matching(name, _URL, f"invalid {_SITES[name]} URL format: {{}}")
        case Rule.DOMAIN:
            return _matching(
                name, _FQDN, f"invalid {name} format: {{}} (must be a domain such as example.com)", _lowered
            )
        case Rule.LINKEDIN | Rule.LINKEDIN_LOWER:
            message = "invalid LinkedIn URL format: {} (must start with https://linkedin.com/)"
            return _matching(name, _LINKEDIN, message, _lowered if field.rule is Rule.LINKEDIN_LOWER else str)


# How the documented texts name the site of a URL.
_SITES = {"website": "website", "facebook_url": "Facebook", "twitter_url": "Twitter"}


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


def _derive_domain(values: dict[str, Value]) -> None:
    try:
        host = urlsplit(lower(str(values["website"]))).hostname or ""
    except ValueError:  # it looks like a URL, but not to the library
        return
    host = host.removeprefix("www.")
    if _FQDN.fullmatch(host):
        values["normalized_domain"] = host


def _lowered(text: str) -> str:
    return lower(text.strip())


def _shown(text: str) -> str:
    return text if len(text) <= 100 else text[:100] + "…"


@lru_cache(maxsize=2)
def _known(entity: Entity) -> frozenset[str]:
    # Members that a record has when it is read, and may still have when it is sent back.
    return frozenset((*entity.columns, "row_version", "cursor", "company"))


@lru_cache(maxsize=1_024)
def _hint(entity: str, name: str) -> str:
    fields = COMPANY.writable if entity == COMPANY.name else CONTACT.writable
    return hint(name, [field.name for field in fields])
