"""Match keys: what identifies a record besides its uuid, in the form in which two spellings of one thing are equal.

A contact's are its e-mail address and profile URL, a company's its domain and profile URL. Only what a caller gave is a key, not a value
that was computed out of others. A domain that mail providers or platforms share identifies nobody; nor does a page of LinkedIn that many
share, such as a search, nor for a contact that of a company.

The table `match_keys` has a key as a number (`number`), so that an entry has 16 bytes whatever the key's length. Whoever reads the table
compares the records it names by their keys: a number may be shared, once in 10^19 pairs, and an entry may be out of date.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from hashlib import md5
from typing import NamedTuple
from urllib.parse import unquote

import idna

from connectra_common.records.cleaning import Value, lower
from connectra_common.records.fields import COMPANY, CONTACT, Entity
from connectra_common.records.identity import Candidate
from connectra_common.records.providers import is_shared_domain
from connectra_common.records.remembered import remembered

EMAIL, URL, DOMAIN = "email", "url", "domain"


class Key(NamedTuple):
    """A key in compared form; `kind` is EMAIL, URL or DOMAIN."""

    kind: str
    value: str


# By entity, in the order in which they are matched: kind and field.
FIELDS: Mapping[Entity, tuple[tuple[str, str], tuple[str, str]]] = {
    CONTACT: ((EMAIL, "email"), (URL, "linkedin_url")),
    COMPANY: ((DOMAIN, "normalized_domain"), (URL, "linkedin_url")),
}


def of(entity: Entity, candidate: Candidate) -> tuple[Key, ...]:
    """The keys that a caller gave for a record."""
    values, derived, found = candidate.values, candidate.derived, []
    for kind, name in FIELDS[entity]:
        value = values.get(name)
        if value and name not in derived and (key := read(entity, kind, value)):
            found.append(key)
    return tuple(found)


def read(entity: Entity, kind: str, value: Value) -> Key | None:
    """The key of a field's value; None when it identifies nobody."""
    if not isinstance(value, str) or not (form := _FORMS[kind](value)):
        return None
    if kind == URL and _OTHERS[entity].match(form):
        return None
    return Key(kind, form)


def field(entity: Entity, key: Key) -> str:
    """The field that a key is of."""
    return dict(FIELDS[entity])[key.kind]


def number(entity: Entity, key: Key) -> int:
    """The key in the table `match_keys`: 64 bits of a digest, as the database's function match_key makes them."""
    return _number(entity.name, key.kind, key.value)


@remembered(16_384)
def _number(entity: str, kind: str, value: str) -> int:
    digest = md5(f"{entity} {kind} {value}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], signed=True)


def email(address: str) -> str:
    """Compared form of an e-mail address: lower case, its domain in Unicode."""
    if address.isascii() and "xn--" not in (lowered := address.lower()):
        return lowered.strip()
    local, at, domain = _folded(address).rpartition("@")
    return f"{local}{at}{_unicode(domain)}"


def domain(given: str) -> str:
    """Compared form of a domain: lower case, Unicode, without scheme, `www.`, port, path and final dot. "" for one that many share."""
    host = _HOST.split(_SCHEME.sub("", _folded(given)), maxsplit=1)[0]
    host = _unicode(host.rstrip(".").removeprefix("www.").strip())
    return "" if is_shared_domain(host) else host


@remembered(8_192)
def profile_url(given: str) -> str:
    """Compared form of a profile URL: without scheme, `www.` or country host, query, final slash, percent-encoding and case.

    "" for one without a profile's name (https://www.linkedin.com/in/).
    """
    if usual := _USUAL_PROFILE.fullmatch(given):
        return f"linkedin.com/{_folded(usual[1])}"
    return _profile_url(given)


def _profile_url(given: str) -> str:
    address, *_ = _QUERY.split(_SCHEME.sub("", given.strip(), count=1), maxsplit=1)
    host, _, path = address.partition("/")
    host = _folded(host).partition(":")[0].removeprefix("www.")
    path = _folded(unquote(path)).strip("/")
    if host == "linkedin.com" or host.endswith(".linkedin.com"):
        host = "linkedin.com"
        path = _PAGE.sub(r"\1/\2", path)
        if "/" not in path:
            return ""
    return f"{host}/{path}" if path else ""


# What needs no second look: nothing to cut, no percent-encoding.
_USUAL_PROFILE = re.compile(r"https?://(?:[a-z]++\.)?linkedin\.com/([a-z]++/[^\s/?#%]++)")
_SCHEME = re.compile(r"^(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_HOST = re.compile(r"[:/?#]")
_QUERY = re.compile(r"[?#]")
# A page of a person or a company, also as phones and LinkedIn's e-mails have it, with what is below it: `m/in/jane`, `company/acme/about`.
_PAGE = re.compile(r"^(?:(?:m|mwlite|comm)/+)?(in|company|school|showcase)/+([^/]+)(?:/.*)?$", re.DOTALL)
# Pages of LinkedIn that many records may name.
_OF_NOBODY = (
    "authwall|checkpoint|events?|feed|groups?|jobs?|learning|login|messaging|mynetwork|newsletters?|posts?|profile|pulse|redir"
    "|(?:sales/)?search|edu/school"
    # Where LinkedIn leads from a page that is gone, and what programs write that have none.
    "|(?:in|company|school)/(?:unavailable|undefined|null|nan|none|n-a)"
)
_OF_COMPANIES = "company(?:-beta)?|edu|organization|school|showcase|sales/(?:accounts?|company)"
_OTHERS = {
    CONTACT: re.compile(rf"linkedin\.com/(?:{_OF_NOBODY}|{_OF_COMPANIES})(?:/|$)"),
    COMPANY: re.compile(rf"linkedin\.com/(?:{_OF_NOBODY})(?:/|$)"),
}
_FORMS: dict[str, Callable[[str], str]] = {EMAIL: email, DOMAIN: domain, URL: profile_url}


def _folded(text: str) -> str:
    text = text.strip()
    return lower(text if text.isascii() else unicodedata.normalize("NFC", text))


def _unicode(host: str) -> str:
    return host if "xn--" not in host else ".".join(_labels(host))


def _labels(host: str) -> Iterator[str]:
    for label in host.split("."):
        try:
            yield idna.decode(label) if label.startswith("xn--") else label
        except idna.IDNAError:
            yield label
