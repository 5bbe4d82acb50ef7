"""One rule a field, for every door: what a value from JSON, a typed call or a cell of a file is stored as.

A reader takes a text and returns the value, or None for an empty one. What it returns, it reads as itself: a record that is sent back
as it was read does not change.
"""

from collections.abc import Callable
from functools import lru_cache

from connectra_common.records.fields import Rule
from connectra_common.records.values.emails import read_email
from connectra_common.records.values.lists import read_list
from connectra_common.records.values.numbers import read_integer
from connectra_common.records.values.phones import read_phone
from connectra_common.records.values.refused import Malformed, Refused
from connectra_common.records.values.text import lower, read_lower, read_text, tidy
from connectra_common.records.values.urls import read_domain, read_linkedin, read_linkedin_lower, read_url

__all__ = ["READERS", "Malformed", "Refused", "Value", "lower", "tidy"]

Value = str | int | list[str] | None
Reader = Callable[[str], Value]
# A longer cell is hardly ever repeated, and would fill the memory of a cache.
_REMEMBERED_CHARS = 200


def remembered(read: Reader, size: int = 8_192) -> Reader:
    """A reader that remembers what it has read: a file repeats the same companies, places and titles. Nobody changes the values in place.

    It raises Refused for a NUL, which no field can store.
    """

    def checked(text: str) -> Value:
        if "\x00" in text:
            raise Refused("contains a NUL character, which cannot be stored")
        return read(text)

    short = lru_cache(maxsize=size)(checked)
    return lambda text: short(text) if len(text) <= _REMEMBERED_CHARS else checked(text)


# Cells of lists are read by `read_list`; phones may also be given the record's country.
READERS: dict[Rule, Reader] = {
    Rule.TEXT: remembered(read_text),
    Rule.LOWER: remembered(read_lower),
    Rule.INTEGER: remembered(read_integer),
    Rule.LIST: remembered(read_list),
    Rule.PHONE: remembered(read_phone),
    Rule.EMAIL: remembered(read_email),
    Rule.DOMAIN: remembered(read_domain),
    Rule.URL: remembered(read_url),
    Rule.LINKEDIN: remembered(read_linkedin),
    Rule.LINKEDIN_LOWER: remembered(read_linkedin_lower),
}
