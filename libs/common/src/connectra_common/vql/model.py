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

from connectra_common.requests import Part, Request, at_most, between, one_of
from connectra_common.search.alike import Alike
from connectra_common.vql.limits import LIMITS
from connectra_common.vql.tree import check_tree

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
Bound = Annotated[StrictInt | StrictFloat | StrictStr | None, one_of("a number or a text")]
Values = Annotated[
    Scalar | Annotated[list[Scalar], Field(fail_fast=True)],
    one_of("a text, a number, true or false, or a list of these"),
    at_most(LIMITS.terms, "values"),
]
Position = Annotated[Scalar | None, one_of("a text, a number, true, false or null")]
Columns = Annotated[list[str], at_most(LIMITS.columns, "columns")]
Kinds = Annotated[list[Alike] | None, at_most(len(get_args(Alike)), "kinds")]
# Conditions of one kind; those of all kinds together are counted when they are known.
_CONDITIONS = at_most(LIMITS.clauses, "conditions")


class TextMatch(Part):
    """One full-text condition."""

    text_value: str = Field(description="The words to search for.")
    filter_key: str = Field(description="A text field, such as `title`.")
    search_type: Literal["exact", "shuffle", "substring"] = Field(
        description="`exact`: the words in this order; `shuffle`: in any order; `substring`: as a part of a word."
    )
    slop: Annotated[int, Field(ge=0, le=100)] = Field(0, description="With `exact`: how many places words may be off.")
    operator: Literal["and", "or"] = Field("and", description="Whether all words must be there or any of them.")
    fuzzy: bool = Field(False, description="With `shuffle`: typing errors are forgiven.")
    alike: Kinds = Field(None, description="Names of people: their nicknames, and names that sound the same.")


class TextMatches(Part):
    """In `must`, conditions on one field are joined by OR, fields by AND; in `must_not` each stands alone."""

    must: Annotated[list[TextMatch] | None, _CONDITIONS] = Field(None, description="What a record has to match.")
    must_not: Annotated[list[TextMatch] | None, _CONDITIONS] = Field(None, description="What no record may match.")


class KeywordMatch(Part):
    """Whole values: a scalar, or a list of alternatives."""

    must: Annotated[dict[str, Values] | None, _CONDITIONS] = Field(None, description="What a record has to match.")
    must_not: Annotated[dict[str, Values] | None, _CONDITIONS] = Field(None, description="What no record may match.")


class Range(Part):
    """Bounds of a number or date."""

    gte: Bound = Field(None, description="From, included.")
    gt: Bound = Field(None, description="From, excluded.")
    lte: Bound = Field(None, description="To, included.")
    lt: Bound = Field(None, description="To, excluded.")


class RangeQuery(Part):
    """Field to bounds."""

    must: Annotated[dict[str, Range] | None, _CONDITIONS] = Field(None, description="What a record has to match.")
    must_not: Annotated[dict[str, Range] | None, _CONDITIONS] = Field(None, description="What no record may match.")


class Where(Part):
    """Conditions of the three kinds, joined by AND."""

    text_matches: TextMatches | None = Field(None, description="Words in texts.")
    keyword_match: KeywordMatch | None = Field(None, description="Whole values, by field.")
    range_query: RangeQuery | None = Field(None, description="Ranges of numbers and dates, by field.")


class OrderBy(Part):
    """A field and its direction, `asc` or `desc`."""

    order_by: str = Field(description="A field.")
    order_direction: str = Field("asc", description="`asc` or `desc`.")


class CompanyConfig(Part):
    """Whether and how a contact's company is shown."""

    populate: bool = Field(False, description="Show the company of each contact.")
    select_columns: Columns | None = Field(None, description="Columns of the company; absent: all.")


class FilterNode(Part):
    """A node of the boolean tree: {"and": […]}, {"or": […]}, {"not": {…}} or a leaf {"field", "operator", "value"}."""

    all: list["FilterNode"] | None = Field(None, validation_alias="and", description="All of these must match.")
    any: list["FilterNode"] | None = Field(None, validation_alias="or", description="One of these must match.")
    negate: Optional["FilterNode"] = Field(None, validation_alias="not", description="This must not match.")
    field: str | None = Field(None, description="Of a leaf: the field that is looked at.")
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
    ) = Field(None, description="Of a leaf: how the field is compared.")
    value: Values | None = Field(
        None, description="Of a leaf: what with; a list for `in` and `nin`, nothing for `exists` and `nexists`."
    )

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

    gte: Bound = Field(None, description="From, included.")
    lt: Bound = Field(None, description="To, excluded.")


class Facet(Part):
    """How often a field's values occur among the matching records: the most frequent values or, with `ranges`, the number in each range."""

    field: str = Field(description="Whose values are counted.")
    size: int | None = Field(
        None,
        description=f"How many values are shown; absent: {LIMITS.default_facet_size}.",
        json_schema_extra=between(1, LIMITS.facet_size),
    )
    ranges: Annotated[list[FacetRange] | None, at_most(LIMITS.facet_ranges, "ranges")] = Field(
        None, description="Of a number or date: the ranges that are counted instead of values."
    )


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
    where: Where | None = Field(None, description="Conditions by kind, all of which must match.")
    filters: Tree = Field(None, description="A tree of conditions; may stand beside `where`, and both must match.")
    order_by: Annotated[list[OrderBy] | None, at_most(LIMITS.sort_keys, "keys")] = Field(
        None, description="Absent: the best matches of the words asked for first; without words, the newest records."
    )
    # An order of one key, in the spelling of other clients.
    sort_by: str | None = Field(None, description="A field to sort by: `order_by` with one key.")
    sort_direction: str | None = Field(None, description="`asc` or `desc`, of `sort_by`.")
    page: int | None = Field(
        None,
        description="From 1. Further than the last page leads `cursor`.",
        json_schema_extra=between(0, LIMITS.pages),
    )
    limit: int | None = Field(
        None,
        description=f"Rows of a page; absent or 0: {LIMITS.default_page_size}.",
        json_schema_extra=between(0, LIMITS.page_size),
    )
    offset: int | None = Field(
        None, description="Rows to skip, instead of `page`.", json_schema_extra=between(0, LIMITS.window)
    )
    cursor: Annotated[list[Position] | None, at_most(LIMITS.sort_keys + 1, "values")] = Field(
        None,
        validation_alias=AliasChoices("cursor", "search_after"),
        description="`next_cursor` of the previous page, with the same query and order; instead of `page` and `offset`.",
    )
    select_columns: Columns | None = Field(None, description="Columns of the rows; absent: all.")
    company_config: CompanyConfig | None = Field(
        None, description="Of contacts: whether and how their company is shown."
    )
    explain: bool = Field(
        False, description="Adds how the query was understood, and how many records each condition matches."
    )
    facets: Annotated[list[Facet] | None, at_most(LIMITS.facets, "facets")] = Field(
        None, description="Adds how often values occur among all matches."
    )
    highlight: bool = Field(False, description="Adds to each row the texts that matched, as HTML.")
    track_total: bool = Field(False, description="Adds `total`, the number of matches.")
