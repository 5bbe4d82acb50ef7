"""The tree of a query, which every later pass reads. Frozen, and independent of request and engine.

Values are normalised when the tree is made: texts in NFC and without what nobody sees, uuids, phones, addresses and domains as they are
stored, numbers and moments as whole numbers. Each kind of condition has one meaning; no pass has to look at the field to know it.
"""

from dataclasses import dataclass
from typing import Literal

from connectra_common.records.fields import Entity
from connectra_common.search.alike import Alike

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition on one field, named as in the index; `path` is its place in the request, for messages."""

    path: str
    field: str


@dataclass(frozen=True, slots=True)
class Equals(Leaf):
    """The whole value is this one; of a list: one of its values."""

    value: str | int


@dataclass(frozen=True, slots=True)
class Member(Leaf):
    """The whole value is one of these, two or more."""

    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Phrase(Leaf):
    """The words of a text one after the other, moved by `slop` positions at most."""

    text: str
    slop: int = 0


@dataclass(frozen=True, slots=True)
class Word(Leaf):
    """Words of a text in any order: all of them or, with `or`, any; `fuzzy` forgives typing errors, `alike` takes like names as well."""

    text: str
    operator: Literal["and", "or"] = "and"
    fuzzy: bool = False
    alike: tuple[Alike, ...] = ()


@dataclass(frozen=True, slots=True)
class Substring(Leaf):
    """Part of the value, three characters or more in a text. `whole`: of a field that is indexed as a whole value, not as a text."""

    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Prefix(Leaf):
    """The words of a text, the last one of which may go on; with `whole`, the value begins with it."""

    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Domain(Leaf):
    """The domain of an e-mail address, or a domain, is this one or below it."""

    text: str


@dataclass(frozen=True, slots=True)
class Range(Leaf):
    """A whole number, or with `of_time` the milliseconds of a moment since 1970, from `lower` to `upper`, both included.

    None: without that bound. Bounds may be beyond 64 bits by one, and may exclude everything.
    """

    lower: int | None = None
    upper: int | None = None
    of_time: bool = False


@dataclass(frozen=True, slots=True)
class Exists(Leaf):
    """The field has a value."""


@dataclass(frozen=True, slots=True)
class FreeText(Leaf):
    """What people type into one box: each of its words is in one of the fields of `search/free_text`, whichever that is.

    Args:
        entity: whose fields.
        words: as asked, with blanks between them; each of scripts without blanks is a phrase.
        uuid: of a record or its company, if that is what was typed.
        phones: spellings of the number that was typed, if it may be one.
        instead: other words that match as well, behind these: without the typing errors.
        alike: which names match as well that are like those in the words.
    """

    entity: Entity
    words: str
    uuid: str | None = None
    phones: tuple[str, ...] = ()
    instead: str | None = None
    alike: tuple[Alike, ...] = ()


@dataclass(frozen=True, slots=True)
class And:
    """All of them; with none: matches everything."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of them; with none: matches nothing."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not this one."""

    node: "Node"


Condition = Equals | Member | Phrase | Word | Substring | Prefix | Domain | Range | Exists | FreeText
Node = Condition | And | Or | Not


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of the order."""

    field: str
    descending: bool


@dataclass(frozen=True, slots=True)
class FacetRange:
    """A range of a facet, and its bounds as the request has them."""

    within: Range
    gte: Scalar | None
    lt: Scalar | None


@dataclass(frozen=True, slots=True)
class Facet:
    """Counts by value, or by range where there are ranges."""

    field: str
    size: int
    ranges: tuple[FacetRange, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query over one entity."""

    entity: Entity
    root: And
    # As requested; after the pass `order` it is never empty and ends with the uuid.
    sort: tuple[Sort, ...]
    size: int
    skip: int
    cursor: tuple[Scalar | None, ...] | None
    # Empty: all columns.
    columns: tuple[str, ...]
    # None: companies are not shown; empty: with all columns.
    company_columns: tuple[str, ...] | None
    # How many of the sort keys a client counts, a tie-breaker may follow them; 0 before the pass `order`.
    keys: int = 0
    facets: tuple[Facet, ...] = ()
    explain: bool = False
    highlight: bool = False
    track_total: bool = False
