"""Cleaning of CSV cells: the rules by which an import reads numbers, phones, lists and names.

Source: the documented CSV rules. They decide the identity of records (`records/ids.py`), so they must not drift.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

from connectra_common.records.fields import CsvRule
from connectra_common.records.freemail import FREE_MAIL_DOMAINS
from connectra_common.records.limits import MAX_ITEM_CHARS, MAX_LIST_ITEMS, MAX_TEXT_CHARS

MAX_INT64 = 2**63 - 1

Value = str | int | list[str] | None


class CellRefused(ValueError):
    """A cell that cannot be interpreted; the row is reported instead of stored."""


def clean(text: str) -> str:
    """Strips everything but letters and digits from both ends and folds white space inside to single spaces."""
    start, end = 0, len(text)
    while start < end and not _is_word(text[start]):
        start += 1
    while end > start and not _is_word(text[end - 1]):
        end -= 1
    if end - start != len(text):
        text = text[start:end]
    # Most values are one word, which has nothing to fold.
    return text if text.isalnum() else " ".join(text.split())


def _is_word(char: str) -> bool:
    return char.isalpha() or char.isdecimal()


def lower(text: str) -> str:
    """Lower case, character by character: no rule for a final sigma, no dot split off a Turkish İ."""
    if text.isascii():
        return text.lower()
    return "".join(char.lower()[0] for char in text)


def split_list(text: str) -> list[str]:
    """Items between commas, trimmed and lower-cased, empty ones dropped; order and duplicates kept."""
    return [item for part in lower(text).split(",") if (item := part.strip())]


_AMOUNT = re.compile(r"\D{0,4}(\d[\d, ]*)(\.\d+)?\s*(k|m|b|bn|thousand|million|billion)?", re.IGNORECASE)
_SCALE = {"": 1, "k": 10**3, "t": 10**3, "m": 10**6, "b": 10**9}


def parse_integer(cell: str) -> int | None:
    """Whole number of an amount: `$5,000,000` 5000000, `12000000.00` 12000000, `1.5M` 1500000; None without a digit.

    Anything that does not look like an amount (`11-50`) is read as its digits.

    Raises:
        CellRefused: negative, or beyond 64 bits.
    """
    text = clean(cell)
    if not any(char.isdecimal() for char in text):
        return None
    if re.match(r"\s*[-−]\s*[^\w\s]?\s*\d", cell):
        raise CellRefused(f"{_shown(cell)} is negative; allowed are numbers from 0")
    if match := _AMOUNT.fullmatch(text):
        whole, fraction, scale = match.groups(default="")
        digits = "".join(char for char in whole if char.isdecimal())
        number = int(Decimal(f"{int(digits)}{fraction}") * _SCALE[scale[:1].lower()])
    else:
        number = int("".join(char for char in text if char.isdecimal()))
    if number > MAX_INT64:
        raise CellRefused(f"{_shown(cell)} is too large; the largest number is {MAX_INT64}")
    return number


def parse_phone(text: str) -> str | None:
    """ASCII digits after a `+`; None without a digit."""
    digits = "".join(char for char in text if "0" <= char <= "9")
    return f"+{digits}" if digits else None


def mail_domain(address: str) -> str | None:
    """Part of an e-mail address after the first @, in lower case; None without one, and for public mail providers."""
    domain = lower(address.partition("@")[2])
    return domain if domain and domain not in FREE_MAIL_DOMAINS else None


def _remembered(read: Callable[[str], Value]) -> Callable[[str], Value]:
    # A file repeats the same companies, places and titles. The values are never changed in place.
    @lru_cache(maxsize=8_192)
    def checked(cell: str) -> Value:
        if "\x00" in cell:
            raise CellRefused("contains a NUL character, which cannot be stored")
        value = read(cell)
        if isinstance(value, list):
            if len(value) > MAX_LIST_ITEMS:
                raise CellRefused(f"has {len(value)} items; at most {MAX_LIST_ITEMS} are allowed")
            if any(len(item) > MAX_ITEM_CHARS for item in value):
                raise CellRefused(f"has an item of more than {MAX_ITEM_CHARS} characters")
        elif isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
            raise CellRefused(f"has {len(value)} characters; at most {MAX_TEXT_CHARS} are allowed")
        return value

    return checked


READERS: dict[CsvRule, Callable[[str], Value]] = {
    CsvRule.AS_IS: _remembered(lambda cell: clean(cell) or None),
    CsvRule.LOWER: _remembered(lambda cell: lower(clean(cell)) or None),
    CsvRule.LIST: _remembered(lambda cell: split_list(clean(cell))),
    CsvRule.INTEGER: _remembered(parse_integer),
    CsvRule.PHONE: _remembered(lambda cell: parse_phone(clean(cell))),
    CsvRule.DOMAIN: _remembered(lambda cell: mail_domain(clean(cell))),
}


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:40] + "…")
