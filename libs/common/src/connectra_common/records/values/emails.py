"""E-mail addresses: the syntax of RFC 5321 and 6531. Whether anybody reads them is not asked."""

import re
from typing import NamedTuple

import email_validator

from connectra_common.records.limits import MAX_EMAIL_CHARS
from connectra_common.records.remembered import remembered
from connectra_common.records.values.hosts import compared_host
from connectra_common.records.values.refused import Malformed, Refused, shown
from connectra_common.records.values.text import is_nothing, lower, tidy

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = rf"{_ATOM}+(?:\.{_ATOM}+)*+"
_LABEL = r"(?!xn--|..--)[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*+"
# What most addresses look like, none of whose parts can be too long; the library, which takes a quarter of a millisecond, is asked about
# the others.
_USUAL_CHARS = 64
_USUAL = re.compile(rf"{_LOCAL}@(?:{_LABEL}\.)++[A-Za-z]{{2,}}")
_USUAL_LOCAL = re.compile(_LOCAL)
_SEPARATOR = re.compile(r"[\s;,|]+|:::")
# Jane Doe <jane@acme.com>
_ANGLED = re.compile(r"<\s*([^<>\s]+@[^<>\s]+)\s*>")
_LABEL_BEFORE = re.compile(r"^(?:e-?mail|mailto|mail|smtp)\s*:\s*", re.IGNORECASE)
_AROUND = "<>()[]\"'`´‘’“”«»:."


class Address(NamedTuple):
    """The address of a text, and what else was in it."""

    value: str | None
    note: str | None = None


def read_email(text: str) -> str | None:
    """The first address of a text in lower case; None for an empty one.

    Raises:
        Malformed: it is none.
        Refused: it is too long.
    """
    if len(text) <= _USUAL_CHARS and _USUAL.fullmatch(text):
        return text.lower()
    return read_address(text).value


def read_address(text: str) -> Address:
    """As `read_email`, with a note when there was more than one address."""
    text = _LABEL_BEFORE.sub("", tidy(text))
    if is_nothing(text):
        return Address(None)
    if (whole := _valid(text)) is not None:
        return Address(whole)
    pieces = [piece for piece in _ANGLED.findall(text) or _SEPARATOR.split(text) if not is_nothing(piece)]
    if not pieces:
        return Address(None)
    first = _valid(_stripped(pieces[0]))
    if first is None:
        if len(pieces[0]) > MAX_EMAIL_CHARS:
            raise Refused(f"has {len(pieces[0])} characters; at most {MAX_EMAIL_CHARS} are allowed")
        raise Malformed(f"{shown(text)} is not an e-mail address; write one such as name@example.com")
    others = sum(_valid(_stripped(piece)) is not None for piece in pieces[1:])
    return Address(first, f"has {others + 1} addresses; the first one, {first}, is stored" if others else None)


def _stripped(piece: str) -> str:
    return _LABEL_BEFORE.sub("", piece.strip(_AROUND))


def _valid(address: str) -> str | None:
    if "?" in address and re.search(r"\?(?:subject|cc|bcc|body)=", address, re.IGNORECASE):  # of a mailto: link
        address = address.partition("?")[0]
    address = address.removesuffix(".")
    if len(address) <= _USUAL_CHARS:
        if _USUAL.fullmatch(address):
            return address.lower()
        local, _, domain = address.rpartition("@")
        if _USUAL_LOCAL.fullmatch(local):
            # The domain is all there is to ask about, and colleagues share it.
            length = _ascii_length(domain)
            return lower(tidy(address)) if length and len(local) + 1 + length <= MAX_EMAIL_CHARS else None
    return lower(tidy(address)) if _ask(address) else None


@remembered(8_192)
def _ascii_length(domain: str) -> int | None:
    """Characters of a domain as mail servers write it; None when there can be no such domain."""
    parsed = _ask(f"a@{domain}")
    return len(parsed.ascii_domain) if parsed else None


def _ask(address: str) -> email_validator.ValidatedEmail | None:
    """What the library says of an address that is one, and has a domain that we could compare."""
    if "\ufffd" in address:  # which stands for what a program could not read
        return None
    try:
        # Reserved domains such as .test and .local are taken for what the sender says they are.
        parsed = email_validator.validate_email(
            address, check_deliverability=False, globally_deliverable=False, allow_quoted_local=True, strict=True
        )
    except (email_validator.EmailNotValidError, ValueError):
        return None
    return parsed if compared_host(parsed.domain) else None


def domain_of(address: str) -> str:
    """The part behind the last @."""
    return address.rpartition("@")[2]
