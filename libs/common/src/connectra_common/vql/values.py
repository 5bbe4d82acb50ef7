"""Values of conditions as clients write them, normalised once: what later passes compare is what is stored or indexed."""

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from connectra_common.records.fields import Rule
from connectra_common.records.ids import canonical_uuid
from connectra_common.records.values import READERS, Refused, tidy
from connectra_common.records.values.hosts import compared_host
from connectra_common.records.values.phones import phone_spellings
from connectra_common.vql.ast import Scalar

LEAST, MOST = -(2**63), 2**63 - 1
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NUMBER = re.compile(r"[+-]?\d{1,400}(?:\.\d{0,400})?", re.ASCII)
# 2024-01-15, 2024/01/15, 20240115, 15.01.2024, also with a time; weeks and ordinal days are left to nobody's guess.
_DAY = r"(?P<year>\d{4})(?P<dash>[-/]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)|(?P<day_>\d\d)\.(?P<month_>\d\d)\.(?P<year_>\d{4})"
_TIME = r"(?P<time>\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?|\d{6})\s?(?P<zone>Z|[+-]\d\d(?::?\d\d(?::\d\d)?)?)?"
_MOMENT = re.compile(rf"(?:{_DAY})(?:[T\s]\s*{_TIME})?", re.ASCII | re.IGNORECASE)


class Span(NamedTuple):
    """What a value covers of the whole numbers: one; a day its milliseconds; 5.5 none, so that `first` is after `last`."""

    first: int
    last: int


def read_number(value: Scalar | None) -> Span:
    """A number, or a text of decimal digits.

    Raises:
        ValueError: says what is wrong.
    """
    number: int | float | Decimal
    if isinstance(value, str) and _NUMBER.fullmatch(text := value.strip()):
        number = Decimal(text) if "." in text else int(text)
    elif isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf:
        number = value
    else:
        raise ValueError(f"{shown(value)} is not a number")
    if not LEAST <= number <= MOST:
        raise ValueError(f"{shown(value)} is beyond 64 bits")
    return Span(math.ceil(number), math.floor(number))


def read_moment(value: Scalar | None) -> Span:
    """A day, or a moment to the millisecond, in UTC where it has no zone: as milliseconds since 1970.

    Raises:
        ValueError: says what is wrong.
    """
    found = _MOMENT.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        if found is None:
            raise ValueError
        part = found.groupdict()
        year, month, day = (int(part[name] or part[f"{name}_"]) for name in ("year", "month", "day"))
        if part["time"] is None:
            first = milliseconds(datetime(year, month, day, tzinfo=UTC))
            return Span(first, first + DAY // _MILLISECOND - 1)
        text = f"{year:04}-{month:02}-{day:02}T{part['time']}{(part['zone'] or 'Z').upper()}"
        moment = milliseconds(datetime.fromisoformat(text))
    except ValueError:
        problem = "is not a date; write 2024-01-15 or 2024-01-15T08:00:00Z"
        raise ValueError(f"{shown(value)} {problem}") from None
    return Span(moment, moment)


def milliseconds(moment: datetime) -> int:
    """Since 1970, as Elasticsearch keeps a moment: what is finer is cut."""
    return (moment - _EPOCH) // _MILLISECOND


def moment_text(milliseconds: int) -> str:
    """RFC 3339, to the millisecond; a number that is no moment of our calendar as it is."""
    try:
        moment = _EPOCH + milliseconds * _MILLISECOND
    except OverflowError:
        return str(milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_domain(text: str) -> str:
    """The domain in a domain, an address of a page or an e-mail address.

    Raises:
        ValueError: says what is wrong.
    """
    host = re.split(r"[/?#]", re.sub(r"^[a-z][a-z0-9+.-]*:/*", "", tidy(text).lower()), maxsplit=1)[0]
    if domain := compared_host(host.rpartition("@")[2]):
        return domain
    raise ValueError(f"{shown(text)} is not a domain; write one such as example.com")


def spellings(value: Scalar, rule: Rule) -> list[str]:
    """A whole value as it may be stored, without regard to case: as its rule reads it, and as it is given."""
    text = value if isinstance(value, str) else as_text(value)
    if rule is Rule.UUID:
        return [canonical_uuid(text)]
    if rule is Rule.PHONE:
        return list(dict.fromkeys(phone_spellings(text)))
    plain = normal = tidy(text)
    if (read := _READ.get(rule)) and not _USUAL_EMAIL.fullmatch(text):
        with suppress(Refused):
            normal = read(text) or plain
    if normal == plain == text:
        return [text]
    found: dict[str, str] = {}
    for spelling in (normal, plain, text):
        found.setdefault(spelling.lower(), spelling)
    return list(found.values())


def as_text(value: Scalar) -> str:
    """A scalar as texts are compared: `true`, `5` for 5.0."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


_JSON = {None: "null", True: "true", False: "false"}


def shown(value: object) -> str:
    """A value as messages quote it."""
    text = (
        _JSON[value]
        if value is None or isinstance(value, bool)
        else repr(value[:60] if isinstance(value, str) else value)
    )
    return text if len(text) <= 60 else text[:60] + "…"


# Where the rule says more than that a text is tidy.
_READ: Mapping[Rule, Callable[[str], Any]] = {
    rule: READERS[rule] for rule in (Rule.EMAIL, Rule.DOMAIN, Rule.URL, Rule.LINKEDIN, Rule.LINKEDIN_LOWER)
}
_USUAL_EMAIL = re.compile(r"[a-z0-9._%+'-]+@[a-z0-9.-]+[a-z]", re.ASCII | re.IGNORECASE)
