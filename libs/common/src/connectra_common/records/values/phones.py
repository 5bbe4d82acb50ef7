"""Phone numbers: E.164 where the number or the record says the country, else digits alone."""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberDesc, PhoneNumberFormat

from connectra_common.records.remembered import remembered
from connectra_common.records.values.countries import region_of
from connectra_common.records.values.refused import Refused, shown
from connectra_common.records.values.text import is_nothing, tidy

# E.164
MAX_DIGITS = 15

_SCIENTIFIC = re.compile(r"\+?\d+(?:[.,]\d+)?\s*e\s*[+-]?\d+", re.IGNORECASE)
# A spreadsheet's number.
_WITH_FRACTION = re.compile(r"(\+?\d{5,})[.,]0+")
_LABEL = re.compile(r"^(?:[^\d+(＋]|\((?=[^\d+]))*")
_PLUSES = re.compile(r"^\+{2,}")
_EXTENSION = re.compile(r"(?:ext|extn|extension|x|durchwahl|poste)[\s.:]*\d{1,6}", re.IGNORECASE)
_VANITY = re.compile(r"\+?[\d\s().-]{1,9}[A-Za-z][A-Za-z-]{2,}")
# Digits and what people put between them. A comma, a semicolon, a bar or a word ends the number: an extension or another one follows.
_NUMBER = re.compile(r"\(?\s*\+?[\d\s().\-‐-―−/*•·_'’]*")
# A slash may also separate the area code.
_SECOND = re.compile(r"\s/|/\s*(?=\+|00|\(|-)|(?<=\d{7})/(?=\s*\d{4})|\s{2,}|:::|\bor\b")
_TRUNK = re.compile(r"\(\s*0\s*\)")
# What needs no second look, unless a trunk prefix stands behind the country code.
_USUAL = re.compile(r"\+[1-9](?=\D*\d\D*\d)(?:[ -]?\(?\d++\)?){1,8}")
_USUAL_NATIONAL = re.compile(r"\(?\d++\)?(?:[ -]\d++){1,4}", re.ASCII)
_SIGNS = str.maketrans("", "", "+ ()-")


def read_phone(text: str, country: str | None = None) -> str | None:
    """`+` and digits of a number that says its country, or is a valid one of the record's country; else its digits; None for an empty one.

    Raises:
        Refused: scientific notation, an extension alone, no digits, more than a phone number has, or a NUL.
    """
    if "(0" not in text and _USUAL.fullmatch(text):
        digits = text.translate(_SIGNS)
        if len(digits) <= MAX_DIGITS and not _has_trunk_prefix(digits):
            return f"+{digits}"
    region = region_of(country) if country and needs_country(text) else None
    if _USUAL_NATIONAL.fullmatch(text):
        digits = text.translate(_SIGNS)
        if 5 <= len(digits) <= MAX_DIGITS and not digits.startswith("00"):
            return (_national(digits, region) if region else None) or digits
    return _read(text, region)


def phone_spellings(text: str) -> list[str]:
    """How a number that is searched for may be stored: with and without a plus, and as it would be stored itself."""
    digits = decimal_digits(text)
    try:
        stored = read_phone(text)
    except Refused:
        stored = None
    return list(dict.fromkeys([digits, f"+{digits}", stored or text]))


def decimal_digits(text: str) -> str:
    """The digits in a text, of any script, as 0 to 9."""
    return "".join([str(unicodedata.decimal(c)) for c in text if c.isdecimal()])


def needs_country(text: str) -> bool:
    """Whether the record's country could tell more about a number; for what is not one, the answer means nothing."""
    return not text.lstrip(" '\u200b\u202a").startswith(("+", "00"))


@remembered(8_192)
def _read(given: str, region: str | None) -> str | None:
    if "\x00" in given:
        raise Refused("contains a NUL character, which cannot be stored")
    text = _plain(_SECOND_LINE.sub(";", given.strip()) if "\n" in given or "\r" in given else given)
    if is_nothing(text):
        return None
    if _SCIENTIFIC.fullmatch(text.lstrip("'")):
        raise Refused(f"{shown(given)} has lost digits to a spreadsheet; format the column as text and export it again")
    if whole := _WITH_FRACTION.fullmatch(text):
        text = whole[1]
    if _VANITY.fullmatch(text):
        text = phonenumbers.convert_alpha_characters_in_number(text)
    if _EXTENSION.fullmatch(text):
        raise Refused(f"{shown(given)} is an extension without its number; write one such as +49 30 5550100")
    number = _first(_PLUSES.sub("+", text[_LABEL.match(text).end() :]))  # type: ignore[union-attr]
    plus = number.lstrip(" (").startswith("+")
    if plus:
        number = _TRUNK.sub("", number)
    digits = "".join([c for c in number if c.isdigit()])
    if not digits:
        raise Refused(f"{shown(given)} has no digits; write a number such as +49 30 5550100")
    abroad = plus
    if not plus and digits.startswith("00") and digits[2:3] not in ("", "0"):
        abroad, digits = True, "".join([c for c in _TRUNK.sub("", number) if c.isdigit()])[2:]
    if len(digits) > MAX_DIGITS:
        raise Refused(f"{shown(given)} has {len(digits)} digits; a phone number has at most {MAX_DIGITS}")
    if abroad:
        return (_valid(f"+{digits}", None) if _has_trunk_prefix(digits) else None) or f"+{digits}"
    return (_national(digits, region) if region else None) or digits


_SECOND_LINE = re.compile(r"[\r\n]+")


def _plain(text: str) -> str:
    text = tidy(text)
    if text.isascii():
        return text
    # Full-width and other digits, signs and letters.
    text = unicodedata.normalize("NFKC", text)
    return "".join([str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text])


def _first(text: str) -> str:
    number = _NUMBER.match(text)[0]  # type: ignore[index]
    head, plus, tail = number.lstrip(" (").partition("+")
    if head:  # a second number follows its plus
        number = head
    elif plus:
        number = f"+{tail.partition('+')[0]}"
    first = _SECOND.split(number, maxsplit=1)[0]
    if _digits(number) > MAX_DIGITS and _digits(word := number.split()[0]) >= 7:
        first = word
    return first if _is_whole(first) else number


def _is_whole(number: str) -> bool:
    """Whether it is more than the codes of a country and an area, as before the slash in `+49 (0)2151 / 123456`."""
    digits = "".join([c for c in _TRUNK.sub("", number) if c.isdigit()])
    return len(digits.removeprefix("00")) >= (8 if digits.startswith("0") or "+" in number else 5)


def _digits(text: str) -> int:
    return sum([c.isdigit() for c in text])


def _has_trunk_prefix(digits: str) -> bool:
    """Whether digits of a number with its country code may also have the prefix for calls within the country, as many write it."""
    for size in (1, 2, 3):
        if (prefix := _trunk_prefix(digits[:size])) is not None:
            return prefix.match(digits, size) is not None
    return False


@lru_cache(maxsize=1_200)
def _trunk_prefix(code: str) -> re.Pattern[str] | None:
    """The prefixes of a country code; None for what is none."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code))
    if regions is None:
        return None
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(int(code), regions[0])
    return re.compile((metadata and metadata.national_prefix_for_parsing) or r"(?!)", re.ASCII)


def _national(digits: str, region: str) -> str | None:
    """E.164 of a number of this country; None when it is not valid there.

    What `phonenumbers.parse` and `is_valid_number_for_region` find, at a tenth of their cost, where digits can only be a number of the
    country; they are asked about the others.
    """
    plan = _numbering(region)
    if plan is None or plan.asks(digits):
        return _valid(digits, region)
    if match := plan.prefix.match(digits):
        stripped = digits[match.end() :]
        if plan.general.fits(stripped):
            digits = stripped
    if plan.general.fits(digits) and any(kind.fits(digits) for kind in plan.kinds):
        return f"+{plan.code}{digits}"
    return None


class _Numbers(NamedTuple):
    """Numbers of a kind."""

    lengths: tuple[int, ...]
    pattern: re.Pattern[str]

    def fits(self, digits: str) -> bool:
        return len(digits) in self.lengths and self.pattern.fullmatch(digits) is not None


class _Numbering(NamedTuple):
    """The numbering plan of a country."""

    code: str
    prefix: re.Pattern[str]
    abroad: re.Pattern[str]
    general: _Numbers
    kinds: tuple[_Numbers, ...]

    def asks(self, digits: str) -> bool:
        """Whether digits may also be those of a call abroad, or begin with the code of the country."""
        return digits.startswith(self.code) or self.abroad.match(digits) is not None


_KINDS = [
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
]


@lru_cache(maxsize=300)
def _numbering(region: str) -> _Numbering | None:
    """None where digits are also replaced by others."""
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None or metadata.national_prefix_transform_rule:
        return None
    general = _numbers(metadata.general_desc, ())
    prefix = re.compile(metadata.national_prefix_for_parsing or "(?!)")
    if general is None or prefix.groups:
        return None
    kinds = (_numbers(getattr(metadata, name), general.lengths) for name in _KINDS)
    abroad = re.compile(metadata.international_prefix or "(?!)")
    return _Numbering(str(metadata.country_code), prefix, abroad, general, tuple(filter(None, kinds)))


def _numbers(kind: PhoneNumberDesc | None, lengths: tuple[int, ...]) -> _Numbers | None:
    if kind is None or not kind.national_number_pattern:
        return None
    return _Numbers(tuple(kind.possible_length) or lengths, re.compile(kind.national_number_pattern))


def _valid(text: str, region: str | None) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    if region and number.country_code == phonenumbers.country_code_for_region(region):
        # The question about all countries of a code costs three times as much.
        valid = phonenumbers.is_valid_number_for_region(number, region)
    else:
        valid = phonenumbers.is_valid_number(number)
    if not valid:
        return None
    number.extension = None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
