"""Names of hosts: their compared form, and what is one."""

import re

import idna

from connectra_common.records.remembered import remembered
from connectra_common.records.values.text import lower

# Labels of letters (of any script, with their marks), digits and hyphens inside; the last one is not a number.
_WORD = r"(?:[^\W_]|[\u0300-\u036f\u0900-\u0dff\u0e31-\u0e4e])"
_LABEL = rf"(?!-){_WORD}(?:{_WORD}|[\u200c\u200d-]){{0,62}}(?<!-)"
_HOST = re.compile(rf"(?=.{{4,253}}\Z)(?:{_LABEL}\.)+(?!\d+\Z)(?=.{{2}}){_LABEL}")
_PORT = re.compile(r":\d*\Z")
_USUAL = re.compile(r"(?=.{4,253}\Z)(?:(?!-)[a-z0-9-]{1,63}(?<!-)\.)+[a-z]{2,63}")


@remembered(8_192)
def compared_host(host: str) -> str | None:
    """A host in its compared form: lower case, in Unicode, without `www.`, port and final dot; None when it is none."""
    name = lower(host.strip()).removesuffix(".")
    name = _PORT.sub("", name).removesuffix(".").removeprefix("www.")
    if not name.isascii() or "xn--" in name:
        name = _in_unicode(name)
    elif _USUAL.fullmatch(name):
        return name
    return name if _HOST.fullmatch(name) else None


def _in_unicode(name: str) -> str:
    try:
        return idna.decode(idna.encode(name, uts46=True))
    except (idna.IDNAError, UnicodeError):
        return name
