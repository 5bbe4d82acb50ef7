"""The tree of a query, which every later pass reads. Frozen, and independent of request and engine."""

from dataclasses import dataclass
from typing import Literal

from connectra_common.records.fields import Entity

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition on one field; `path` is its place in the request, for messages."""

    path: str
    field: str


@dataclass(frozen=True, slots=True)
class Text(Leaf):
    """Full text."""

    value: str
    search_type: Literal["exact", "shuffle", "substring"]
    slop: int = 0
    operator: Literal["and", "or"] = "and"
    fuzzy: bool = False


@dataclass(frozen=True, slots=True)
class Terms(Leaf):
    """The whole value is one of these."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Bounds(Leaf):
    """Number or date within bounds."""

    gte: Scalar | None = None
    gt: Scalar | None = None
    lte: Scalar | None = None
    lt: Scalar | None = None


@dataclass(frozen=True, slots=True)
class Exists(Leaf):
    """The field has a value."""


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


Condition = Text | Terms | Bounds | Exists
Node = Condition | And | Or | Not


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of the order."""

    field: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """Counts by value, or by range where there are ranges."""

    field: str
    size: int
    ranges: tuple[Bounds, ...] = ()


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
    facets: tuple[Facet, ...] = ()
    explain: bool = False
    highlight: bool = False
    track_total: bool = False
