"""The JSON document of a query. Field names and values are checked later, by the pass `validate`."""

from typing import Annotated, Any, Literal, Optional, get_args

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from connectra_common.requests import Part, Request, at_most
from connectra_common.search.alike import Alike
from connectra_common.vql.limits import LIMITS
from connectra_common.vql.tree import check_tree

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
Bound = StrictInt | StrictFloat | StrictStr | None
Values = Annotated[Scalar | Annotated[list[Scalar], Field(fail_fast=True)], at_most(LIMITS.terms, "values")]
Columns = Annotated[list[str], at_most(LIMITS.columns, "columns")]
Kinds = Annotated[list[Alike] | None, at_most(len(get_args(Alike)), "kinds")]
# Conditions of one kind; those of all kinds together are counted when they are known.
_CONDITIONS = at_most(LIMITS.clauses, "conditions")


class TextMatch(Part):
    """One full-text condition."""

    text_value: str
    filter_key: str
    search_type: Literal["exact", "shuffle", "substring"]
    slop: Annotated[int, Field(ge=0, le=100)] = 0
    operator: Literal["and", "or"] = "and"
    fuzzy: bool = False
    alike: Kinds = Field(None, description="Names of people: their nicknames, and names that sound the same.")


class TextMatches(Part):
    """In `must`, conditions on one field are joined by OR, fields by AND; in `must_not` each stands alone."""

    must: Annotated[list[TextMatch] | None, _CONDITIONS] = None
    must_not: Annotated[list[TextMatch] | None, _CONDITIONS] = None


class KeywordMatch(Part):
    """Whole values: a scalar, or a list of alternatives."""

    must: Annotated[dict[str, Values] | None, _CONDITIONS] = None
    must_not: Annotated[dict[str, Values] | None, _CONDITIONS] = None


class Range(Part):
    """Bounds of a number or date."""

    gte: Bound = None
    gt: Bound = None
    lte: Bound = None
    lt: Bound = None


class RangeQuery(Part):
    """Field to bounds."""

    must: Annotated[dict[str, Range] | None, _CONDITIONS] = None
    must_not: Annotated[dict[str, Range] | None, _CONDITIONS] = None


class Where(Part):
    """Conditions of the three kinds, joined by AND."""

    text_matches: TextMatches | None = None
    keyword_match: KeywordMatch | None = None
    range_query: RangeQuery | None = None


class OrderBy(Part):
    """A field and its direction, `asc` or `desc`."""

    order_by: str
    order_direction: str = "asc"


class CompanyConfig(Part):
    """Whether and how a contact's company is shown."""

    populate: bool = False
    select_columns: Columns | None = None


class FilterNode(Part):
    """A node of the boolean tree: {"and": […]}, {"or": […]}, {"not": {…}} or a leaf {"field", "operator", "value"}."""

    all: list["FilterNode"] | None = Field(None, validation_alias="and")
    any: list["FilterNode"] | None = Field(None, validation_alias="or")
    negate: Optional["FilterNode"] = Field(None, validation_alias="not")
    field: str | None = None
    operator: (
        Literal[
            "eq",
            "ne",
            "gt",
            "gte",
            "lt",
            "lte",
            "in",
            "nin",
            "contains",
            "ncontains",
            "prefix",
            "domain",
            "exists",
            "nexists",
        ]
        | None
    ) = None
    value: Values | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "FilterNode":
        kinds = [self.all is not None, self.any is not None, self.negate is not None, self.field is not None]
        if sum(kinds) != 1:
            raise ValueError("must have exactly one of `and`, `or`, `not`, or a leaf's `field`")
        if self.field is not None and self.operator is None:
            raise ValueError("`operator` is missing beside `field`")
        return self


def _small_tree(tree: Any) -> Any:
    check_tree(tree, _children)
    return tree


def _children(node: Any) -> list[Any]:
    if not isinstance(node, dict):
        return []
    # One that has more than one kind is refused later, but read before.
    found = [node["not"]] if "not" in node else []
    for name in ("and", "or"):
        if isinstance(nodes := node.get(name), list):
            found += nodes
    return found


Tree = Annotated[FilterNode | None, BeforeValidator(_small_tree)]


class FacetRange(Part):
    """From `gte` (included) to `lt` (excluded); one may be absent."""

    gte: Bound = None
    lt: Bound = None


class Facet(Part):
    """How often a field's values occur among the matching records: the most frequent values or, with `ranges`, the number in each range."""

    field: str
    size: int | None = None
    ranges: Annotated[list[FacetRange] | None, at_most(LIMITS.facet_ranges, "ranges")] = None


class Vql(Request):
    """A query. Without `where` and `filters` it matches everything.

    The last four members apply only to lists: they add to the answer and do not change the rows.
    """

    q: str | None = Field(
        None,
        description="Words of names, title, company, domain, e-mail address, phone or city; the best matches first.",
    )
    alike: Kinds = Field(
        None, description="With `q`: nicknames of the names in it, and names that sound the same, are found as well."
    )
    where: Where | None = None
    filters: Tree = None
    order_by: Annotated[list[OrderBy] | None, at_most(LIMITS.sort_keys, "keys")] = None
    # An order of one key, in the spelling of other clients.
    sort_by: str | None = None
    sort_direction: str | None = None
    page: int | None = None
    limit: int | None = None
    offset: int | None = None
    cursor: Annotated[list[Scalar | None] | None, at_most(LIMITS.sort_keys + 1, "values")] = Field(
        None, validation_alias=AliasChoices("cursor", "search_after")
    )
    select_columns: Columns | None = None
    company_config: CompanyConfig | None = None
    explain: bool = False
    facets: Annotated[list[Facet] | None, at_most(LIMITS.facets, "facets")] = None
    highlight: bool = False
    track_total: bool = False
