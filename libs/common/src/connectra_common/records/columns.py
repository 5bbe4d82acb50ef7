"""Which column of a file fills which field: by the documented names, by those that people's tools use, and by what the caller says."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cache, lru_cache

from connectra_common.errors import listed
from connectra_common.records import column_names as names
from connectra_common.records.fields import csv_columns
from connectra_common.requests import MAX_NAME_CHARS

# Ranks of candidates for one target, the lowest wins; a known name has its place in its list.
_GIVEN, _EXACT, _BARE, _NUMBERED, _PREFIXED = -2, -1, 5_000, 10_000, 20_000


class NoKnownColumn(ValueError):
    """A header without any known column."""


class DuplicateColumn(ValueError):
    """A header with a known column twice; `known`: how many of its columns are understood."""

    def __init__(self, text: str, known: int) -> None:
        super().__init__(text)
        self.known = known


class UnknownHeader(ValueError):
    """A mapping names a column that the file does not have."""


class Confidence(StrEnum):
    """How sure it is what a column means."""

    GIVEN = "given"  # the caller said it
    EXACT = "exact"  # the documented name
    KNOWN = "known"  # a name that a tool or a language has for it
    GUESSED = "guessed"  # by the other columns, or by a part of the name


@dataclass(frozen=True)
class Columns:
    """The columns of a file and what they mean.

    Args:
        headers: the cells of the header line, as they are in the file.
        targets: for each, the column of the catalogue that it fills; None: none.
        confidence: for each, how sure that is; None without a target.
        unknown: headers that nobody understood; columns without a name are not among them.
        unused: headers whose target another column fills better, with that column's header.
    """

    headers: tuple[str, ...]
    targets: tuple[str | None, ...]
    confidence: tuple[Confidence | None, ...] = ()
    unknown: tuple[str, ...] = ()
    unused: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, headers: Sequence[str], given: Mapping[str, str | None] | None = None) -> "Columns":
        """Finds out what the columns mean.

        Args:
            given: what the caller says, by header (whatever its case, blanks and accents): a target, or None to leave the column out.

        Raises:
            NoKnownColumn: nothing of the header is known.
            DuplicateColumn: a column stands in the header twice.
            UnknownHeader: a header that shall fill a field is not there.
        """
        reading = _Reading(headers)
        reading.give(given or {})
        reading.resolve()
        columns = reading.compete()
        if not any(columns.targets):
            raise NoKnownColumn(f"no known column in the header; known are {listed(sorted(csv_columns()))}")
        return columns

    @property
    def positions(self) -> dict[str, int]:
        """Where each target stands."""
        return {target: position for position, target in enumerate(self.targets) if target}


@lru_cache(maxsize=64)
def unknown_headers(headers: tuple[str, ...]) -> tuple[str, ...]:
    """Headers that nobody understands, whatever else is wrong with them all."""
    try:
        return Columns.read(headers).unknown
    except NoKnownColumn:
        return headers
    except DuplicateColumn:
        return ()


@cache
def targets() -> frozenset[str]:
    """What a column may be said to fill."""
    phones = {f"phone_{number}{end}" for number in names.LABELLED_PHONES for end in ("", "_label")}
    return csv_columns().union(names.NAMES, names.SPREAD, phones)


def hint(target: str) -> str:
    """What is wrong with a target that does not exist."""
    close = get_close_matches(target, targets(), 1) if len(target) <= MAX_NAME_CHARS else []
    return f"unknown target {target[:MAX_NAME_CHARS]!r}" + (f"; did you mean {close[0]!r}?" if close else "")


def normal(cell: str) -> str:
    """A header cell as it is compared: letters and digits, whatever their case, accents and Unicode form; of signs alone they stay, and of
    what is too long for a name all.
    """
    if len(cell) > MAX_HEADER_CHARS:
        return " ".join(cell.split())
    text = unicodedata.normalize("NFKD", cell.translate(_UNACCENTED)).casefold()
    return "".join(char for char in text if char.isalnum()) or " ".join(cell.split())


@dataclass(frozen=True, slots=True)
class _Candidate:
    target: str
    rank: float
    confidence: Confidence


class _Reading:
    """A header on its way from names to meanings; each step leaves alone what an earlier one settled."""

    def __init__(self, headers: Sequence[str]) -> None:
        self._headers = tuple(headers)
        self._names = tuple(map(normal, headers))
        self._found: dict[int, _Candidate] = {}
        # Left out because the caller says so, or because nothing is lost.
        self._settled: set[int] = set()

    def give(self, given: Mapping[str, str | None]) -> None:
        """Takes what the caller says."""
        for header, target in given.items():
            positions = [at for at, name in enumerate(self._names) if name == normal(header)]
            if not positions and target is not None:
                close = get_close_matches(header, [h for h in self._headers if len(h) <= MAX_HEADER_CHARS], 1)
                raise UnknownHeader(
                    f"the file has no column {header!r}, which columns maps to {target!r}; "
                    + (
                        f"did you mean {close[0]!r}?"
                        if close
                        else f"it has {listed(h[:MAX_NAME_CHARS] for h in self._headers if h)}"
                    )
                )
            self._settled.update(positions)
            if target is not None:
                self._found |= {at: _Candidate(target, _GIVEN, Confidence.GIVEN) for at in positions}

    def resolve(self) -> None:
        """Gives each column its meaning, as far as it has one."""
        self._ignore()
        for at in self._names_open():
            if found := _known(self._headers[at]):
                self._found[at] = found
        own = "uuid" in self._names or any(header.startswith("company.") for header in self._headers)
        companies = self._is_of_companies()
        for at in self._names_open():
            header = self._headers[at]
            if found := _phone(self._names[at]) or _bare(header, companies) or _prefixed(header) or _either(header):
                self._found[at] = found
        if companies:
            self._make_companies()
        self._resolve_name(companies)
        self._resolve_phones()
        self._resolve_urls()
        if own:
            self._resolve_own(companies)
        self._drop_salutations()

    def compete(self) -> Columns:
        """Lets the best candidate of each target have it.

        Raises:
            DuplicateColumn: the best stands in the header twice.
        """
        best: dict[str, int] = {}
        for at, found in sorted(self._found.items(), key=lambda item: (item[1].rank, item[0])):
            first = best.setdefault(found.target, at)
            if first != at and found.rank == self._found[first].rank:
                what = repr(self._headers[first])
                other = "" if self._headers[at] == self._headers[first] else f" ({self._headers[at]!r})"
                raise DuplicateColumn(
                    f"the header has the column {what} twice, as columns {first + 1} and {at + 1}{other}; "
                    "rename one, or say with columns what each means",
                    known=len(self._found),
                )
        winners = {at: self._found[at] for at in best.values()}
        unused = tuple(
            (self._headers[at], self._headers[best[found.target]])
            for at, found in self._found.items()
            if at not in winners
        )
        count = range(len(self._headers))
        return Columns(
            self._headers,
            tuple(winners[at].target if at in winners else None for at in count),
            tuple(winners[at].confidence if at in winners else None for at in count),
            tuple(self._headers[at] for at in self._open() if self._names[at]),
            unused,
        )

    def _open(self) -> Iterator[int]:
        return (at for at in range(len(self._headers)) if at not in self._found and at not in self._settled)

    def _names_open(self) -> Iterator[int]:
        """Those of them that may be the name of something."""
        return (at for at in self._open() if len(self._headers[at]) <= MAX_HEADER_CHARS)

    def _has(self, *wanted: str) -> bool:
        return any(found.target in wanted for found in self._found.values())

    def _ignore(self) -> None:
        """Leaves out what our own files have and no import wants, and what only describes another column."""
        if self._names[:2] == names.REJECTED:
            self._settled.update((0, 1))
        for at in list(self._open()):
            own = self._names[at] in names.OWN and "uuid" in self._names
            if own or (_LABEL.search(self._names[at]) and not _phone(self._names[at])):
                self._settled.add(at)

    def _is_of_companies(self) -> bool:
        """Whether the file is a list of companies; else it is one of people, with or without their companies."""
        found = {candidate.target for candidate in self._found.values()}
        named = any(name in _NAME for name in self._names)
        if found & names.PERSONAL or any(header.startswith("company.") for header in self._headers):
            return False
        if "company" in found:
            return not (named or "email" in found)
        own = "uuid" in self._names and "email" not in found
        return (own and named) or (bool(found & names.FIRMLIKE) and (own or named))

    def _make_companies(self) -> None:
        """In a list of companies addresses and phones are theirs, whatever they are called."""
        for at, found in self._found.items():
            if found.target in _OF_NOBODY and found.confidence is not Confidence.GIVEN:
                self._found[at] = _Candidate(_OF_NOBODY[found.target], _PREFIXED + found.rank, Confidence.GUESSED)

    def _resolve_name(self, companies: bool) -> None:
        """A bare "Name" is what the rest of the header lacks: the company, the other half of a name, or the whole."""
        first, last = self._has("first_name"), self._has("last_name")
        whole = "company" if companies else "full_name"
        target = whole if companies or first == last else "last_name" if first else "first_name"
        for at in list(self._open()):
            if self._names[at] in _NAME:
                self._found[at] = _Candidate(target, _BARE + 1, Confidence.GUESSED)
        if first and last:  # a whole name adds nothing then
            for target in ("full_name", "last_first_name"):
                self._beat(target, "first_name")

    def _resolve_phones(self) -> None:
        """A phone of which nothing is said is the one at work, or another one where that has a column of its own."""
        phones = sorted((found.rank, at) for at, found in self._found.items() if found.target == "phone")
        for target in ("work_direct_phone", "other_phone"):
            if phones and not self._has(target):
                rank, at = phones.pop(0)
                self._found[at] = _Candidate(target, rank, Confidence.GUESSED)
        for rank, at in phones:
            self._found[at] = _Candidate("other_phone", rank + 1, Confidence.GUESSED)

    def _resolve_urls(self) -> None:
        """The URL of LinkedIn's export of connections is a profile, that of another file what each row says."""
        if "connectedon" not in self._names:
            return
        for at, found in self._found.items():
            if found.target == "person_url":
                self._found[at] = _Candidate("person_linkedin_url", found.rank, Confidence.KNOWN)

    def _resolve_own(self, companies: bool) -> None:
        """In our own exports a field of both is that of the record, and the company's begins with `company.`."""
        for at in list(self._open()):
            if self._names[at] == "companyid":  # other tools have ids of their own in it
                self._found[at] = _Candidate("company_uuid", _BARE, Confidence.KNOWN)
        for at, found in self._found.items():
            if found.confidence is not Confidence.GIVEN:
                whose = _OWN_COMPANY if companies or self._headers[at].startswith("company.") else _OWN_PERSON
                self._found[at] = _Candidate(whose.get(found.target, found.target), found.rank, found.confidence)

    def _drop_salutations(self) -> None:
        """Of two titles of one name the earlier one is a salutation."""
        titles = [
            at for at, found in self._found.items() if found.target == "title" and self._names[at] in _SALUTATIONS
        ]
        for at in sorted(titles)[:-1]:
            if at not in self._settled:
                del self._found[at]
                self._settled.add(at)

    def _beat(self, target: str, by: str) -> None:
        """Makes the candidates for a target those of another one that has a better."""
        for at, found in self._found.items():
            if found.target == target and found.confidence is not Confidence.GIVEN:
                self._found[at] = _Candidate(by, _PREFIXED * 2 + at, found.confidence)


def _listed(text: str) -> list[str]:
    return [name for line in text.strip().splitlines() for item in line.split("|") if (name := normal(item))]


@cache
def _names() -> dict[str, _Candidate]:
    """Candidates by name, for every file."""
    found: dict[str, _Candidate] = {}
    for target, text in names.NAMES.items():
        for rank, name in enumerate(_listed(text)):
            found.setdefault(name, _Candidate(target, rank, Confidence.KNOWN))
    bare = {name for _, text in names.BARE.items() for name in _listed(text)}
    for column in csv_columns():
        name = normal(column)
        if name not in bare:
            known = found.get(name)
            found[name] = _Candidate(column, known.rank if known else _EXACT, Confidence.EXACT)
    return found


@cache
def _bare_names(companies: bool) -> dict[str, _Candidate]:
    """Candidates by name, for files of companies or of people."""
    found: dict[str, _Candidate] = {}
    for pair, text in names.BARE.items():
        if target := pair[companies]:
            for rank, name in enumerate(_listed(text)):
                exact = name == normal(target)
                confidence = Confidence.EXACT if exact else Confidence.GUESSED
                found.setdefault(name, _Candidate(target, _EXACT if exact else _BARE + rank, confidence))
    return found


def _look_up(header: str, table: Mapping[str, _Candidate]) -> _Candidate | None:
    """The candidate of a name: whole, without a note in parentheses, without a number."""
    for cell in (header, _NOTE.sub("", header)):
        name = normal(cell)
        if found := table.get(name):
            return found
        number = _NUMBER.search(name)
        if number and (found := table.get(_NUMBER.sub("", name))):
            return _Candidate(found.target, found.rank + _behind(int(number[0])), Confidence.KNOWN)
    return None


def _behind(number: int) -> float:
    """How far a name with a number stands behind the same without one: the first of several next to it, of years the last before others."""
    if number < 2:
        return (number + 1) / 4
    return _NUMBERED * number if number <= 1000 else _NUMBERED * 1000 + max(10_000 - number, 0)


def _known(header: str) -> _Candidate | None:
    return _look_up(header, _names())


def _bare(header: str, companies: bool) -> _Candidate | None:
    return _look_up(header, _bare_names(companies))


def _prefixed(header: str) -> _Candidate | None:
    """The candidate of a name after a word that says whose it is: `Account Phone`, `Contact City`."""
    name = normal(header)
    for owners, companies in ((names.OF_A_COMPANY, True), (names.OF_A_PERSON, False)):
        for owner in owners:
            rest = name.removeprefix(owner)
            if not rest or rest == name:
                continue
            found = _bare(rest, companies) or _known(rest)
            if found and (found.target in _OF_COMPANIES or not companies):
                return _Candidate(found.target, _PREFIXED + abs(found.rank), Confidence.GUESSED)
    return None


def _either(header: str) -> _Candidate | None:
    """The candidate of two names for one thing: `Company/Organization`."""
    parts = header.split("/")
    found = [candidate for part in parts if (candidate := _known(part))]
    if 1 < len(parts) == len(found) and len({candidate.target for candidate in found}) == 1:
        return _Candidate(found[0].target, _PREFIXED + abs(found[0].rank), Confidence.GUESSED)
    return None


def _phone(name: str) -> _Candidate | None:
    """One of Google's numbered phones, or its label."""
    match = _LABELLED_PHONE.fullmatch(name)
    if match is None:
        return None
    return _Candidate(f"phone_{match[1]}" + ("" if match[2] == "value" else "_label"), 0, Confidence.KNOWN)


# A longer cell is no name: a row of data, or of something hostile, whose Unicode form may be 18 times as long.
MAX_HEADER_CHARS = 200
# Letters with a stroke have no decomposition; invisible characters are dropped with the other signs.
_UNACCENTED = str.maketrans("łŁøØđĐıæÆœŒ", "lLoOdDiaAoO")
_NOTE = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_NUMBER = re.compile(r"\d+")
_LABEL = re.compile(r"\d(?:label|type)$")
_LABELLED_PHONE = re.compile(r"phone([1-9])(value|label|type)")
_NAME = frozenset(_listed(names.NAME))
_SALUTATIONS = frozenset(_listed(names.SALUTATIONS))
_OWN_PERSON = {"facebook_url": "person_facebook_url", "twitter_url": "person_twitter_url", "website": "person_website"}
_OWN_COMPANY = {"facebook_url": "company_facebook_url", "twitter_url": "company_twitter_url"}
_OF_NOBODY = {
    "city": "company_city",
    "state": "company_state",
    "country": "company_country",
    "other_phone": "company_phone",
}
# Targets of a company's fields, besides those that begin with company.
_OF_COMPANIES = names.FIRMLIKE | {target for target in names.NAMES if target.startswith("company")}
