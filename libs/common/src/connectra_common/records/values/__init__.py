"""One rule a field, for every door: what a value from JSON, a typed call or a cell of a file is stored as.

A reader takes a text and returns the value, or None for an empty one. What it returns, it reads as itself: a record that is sent back
as it was read does not change.
"""

from collections.abc import Callable

from connectra_common.records.fields import Rule
from connectra_common.records.limits import MAX_GIVEN_CHARS, MAX_TEXT_CHARS
from connectra_common.records.values.emails import read_email
from connectra_common.records.values.lists import read_list
from connectra_common.records.values.numbers import read_integer
from connectra_common.records.values.phones import read_phone
from connectra_common.records.values.refused import Malformed, Refused
from connectra_common.records.values.text import lower, read_lower, read_text, tidy
from connectra_common.records.values.urls import read_domain, read_linkedin, read_linkedin_lower, read_url

__all__ = ["READERS", "Malformed", "Reader", "Refused", "Value", "lower", "tidy"]

Value = str | int | list[str] | None
Reader = Callable[[str], Value]


def _whole(read: Reader) -> Reader:
    def checked(text: str) -> Value:
        if len(text) > MAX_GIVEN_CHARS and read is not read_list:
            raise Refused(f"has {len(text)} characters; at most {MAX_TEXT_CHARS} are allowed")
        if "\x00" in text:
            raise Refused("contains a NUL character, which cannot be stored")
        return read(text)

    return checked


# By rule; each raises Refused for a NUL, which no field can store. Phones may also be given the record's country.
READERS: dict[Rule, Reader] = {
    Rule.TEXT: _whole(read_text),
    Rule.LOWER: _whole(read_lower),
    Rule.INTEGER: _whole(read_integer),
    Rule.LIST: _whole(read_list),
    Rule.PHONE: _whole(read_phone),
    Rule.EMAIL: _whole(read_email),
    Rule.DOMAIN: _whole(read_domain),
    Rule.URL: _whole(read_url),
    Rule.LINKEDIN: _whole(read_linkedin),
    Rule.LINKEDIN_LOWER: _whole(read_linkedin_lower),
}
