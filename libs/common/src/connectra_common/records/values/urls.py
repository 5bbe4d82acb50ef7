"""Addresses of web pages, profiles and domains."""

import re
from unicodedata import is_normalized
from urllib.parse import urlsplit

from connectra_common.records.limits import MAX_TEXT_CHARS
from connectra_common.records.values.hosts import compared_host
from connectra_common.records.values.refused import Malformed, shown
from connectra_common.records.values.text import is_nothing, lower, read_text

# As documented.
_DOCUMENTED = re.compile(r"https?://[^\s/$.?#].[^\s]*")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(?!\d)(//)?", re.IGNORECASE)
# Addresses that need no second look. Of ASCII not < and >, and not what stands between two addresses.
_PATH = r"[!-+\--:=?-{}~]"
_USUAL = re.compile(rf"https?://(?:[a-z0-9]++(?:-++[a-z0-9]++)*+\.)++[a-z]{{2,63}}(?:/{_PATH}*)?")
_LINKEDIN = re.compile(r"(?:[a-z0-9-]+\.)?linkedin\.com", re.IGNORECASE)
# Letters of Latin, Greek and Cyrillic script have no invisible characters among them.
_USUAL_LINKEDIN = re.compile(rf"https?://(?:[a-z0-9-]+\.)?linkedin\.com/(?:{_PATH}|[À-ɏͰ-ԯ])*")
# Where the next of several addresses begins.
_NEXT = re.compile(r"(?:(?<=[;,|\s])|(?<=:::))(?=https?://|www\.)", re.IGNORECASE)


def read_url(text: str) -> str | None:
    """The address of a web page, with https:// where the scheme is missing; the first one of several; None for an empty one.

    Raises:
        Malformed: it is none.
    """
    if _looks(_USUAL, text):
        return text
    tidied = read_text(text)
    if tidied is None or is_nothing(tidied):
        return None
    first, *others = _NEXT.split(tidied.strip("<>"), maxsplit=1)
    url = first.rstrip(";,|: " if others else ";,|")
    url = _with_scheme(url)
    if url is None or _host(url) is None:
        raise Malformed(f"{shown(tidied)} is not the address of a web page; write one such as https://example.com")
    return url


def read_linkedin(text: str) -> str | None:
    """The address of a LinkedIn page, of any of its hosts. Raises as `read_url`."""
    if _looks(_USUAL_LINKEDIN, text) and is_normalized("NFC", text):
        return text
    problem = f"{shown(text)} is not the address of a LinkedIn page; write one such as https://linkedin.com/in/name"
    try:
        url = read_url(text)
    except Malformed:
        raise Malformed(problem) from None
    if url is None:
        return None
    if not _LINKEDIN.fullmatch(_host(url) or "") or "/" not in url.partition("//")[2]:
        raise Malformed(problem)
    return url


def read_linkedin_lower(text: str) -> str | None:
    """As `read_linkedin`, in lower case."""
    return lower(url) if (url := read_linkedin(text)) else None


def read_domain(text: str) -> str | None:
    """A domain in its compared form; None for an empty one.

    Raises:
        Malformed: it is none.
    """
    tidied = read_text(text)
    if tidied is None or is_nothing(tidied):
        return None
    url = _with_scheme(tidied)
    if url is None or (domain := domain_of(url)) is None:
        raise Malformed(f"{shown(tidied)} is not a domain; write one such as example.com")
    return domain


def _looks(usual: re.Pattern[str], text: str) -> bool:
    """Whether a text is one address of the usual kind; http(s):// inside may begin another one."""
    return len(text) <= MAX_TEXT_CHARS and usual.fullmatch(text) is not None and text.find("://", 8) < 0


def domain_of(url: str) -> str | None:
    """The domain of a page, in its compared form; None where the host is an address or has only one label."""
    host = _host(url)
    return compared_host(host) if host else None


def _with_scheme(url: str) -> str | None:
    scheme = _SCHEME.match(url)
    if scheme is None:
        # Without a scheme, only what has a domain; an e-mail address is no page.
        url = "https://" + url.lstrip("/")
        if domain_of(url) is None or "@" in url.partition("//")[2].partition("/")[0]:
            return None
    elif scheme[1].lower() in ("http", "https") and scheme[2]:
        url = scheme[0].lower() + url[scheme.end() :]
    else:
        return None
    return url if _DOCUMENTED.fullmatch(url) else None


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is none
    except ValueError:
        return None
    return parts.hostname
