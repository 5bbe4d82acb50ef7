"""The JSON document of a query. Field names and values are checked later, by the pass `validate`."""

from typing import Annotated, Literal, Optional

from pydantic import AliasChoices, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from connectra_common.requests import Part, Request

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
Bound = StrictInt | StrictFloat | StrictStr | None


class TextMatch(Part):
    """One full-text condition."""

    text_value: str
    filter_key: str
    search_type: Literal["exact", "shuffle", "substring"]
    slop: Annotated[int, Field(ge=0, le=100)] = 0
    operator: Literal["and", "or"] = "and"
    fuzzy: bool = False


class TextMatches(Part):
    """In `must`, conditions on one field are joined by OR, fields by AND; in `must_not` each stands alone."""

    must: list[TextMatch] | None = None
    must_not: list[TextMatch] | None = None


class KeywordMatch(Part):
    """Whole values: a scalar, or a list of alternatives."""

    must: dict[str, Scalar | list[Scalar]] | None = None
    must_not: dict[str, Scalar | list[Scalar]] | None = None


class Range(Part):
    """Bounds of a number or date."""

    gte: Bound = None
    gt: Bound = None
    lte: Bound = None
    lt: Bound = None


class RangeQuery(Part):
    """Field to bounds."""

    must: dict[str, Range] | None = None
    must_not: dict[str, Range] | None = None


class Where(Part):
    """Conditions of the three kinds, joined by AND."""

    text_matches: TextMatches | None = None
    keyword_match: KeywordMatch | None = None
    range_query: RangeQuery | None = None


class OrderBy(Part):
    """A field and its direction: exactly `desc`, else ascending."""

    order_by: str
    order_direction: str = "asc"


class CompanyConfig(Part):
    """Whether and how a contact's company is shown."""

    populate: bool = False
    select_columns: list[str] | None = None


class FilterNode(Part):
    """A node of the boolean tree: {"and": […]}, {"or": […]}, {"not": {…}} or a leaf {"field", "operator", "value"}."""

    all: list["FilterNode"] | None = Field(None, validation_alias="and")
    any: list["FilterNode"] | None = Field(None, validation_alias="or")
    negate: Optional["FilterNode"] = Field(None, validation_alias="not")
    field: str | None = None
    operator: (
        Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "ncontains", "exists", "nexists"] | None
    ) = None
    value: Scalar | list[Scalar] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "FilterNode":
        kinds = [self.all is not None, self.any is not None, self.negate is not None, self.field is not None]
        if sum(kinds) != 1:
            raise ValueError("must have exactly one of `and`, `or`, `not`, or a leaf's `field`")
        if self.field is not None and self.operator is None:
            raise ValueError("`operator` is missing beside `field`")
        return self


class FacetRange(Part):
    """From `gte` (included) to `lt` (excluded); one may be absent."""

    gte: Bound = None
    lt: Bound = None


class Facet(Part):
    """How often a field's values occur among the matching records: the most frequent values or, with `ranges`, the number in each range."""

    field: str
    size: int | None = None
    ranges: list[FacetRange] | None = None


class Vql(Request):
    """A query. Without `where` and `filters` it matches everything.

    The last four members apply only to lists: they add to the answer and do not change the rows.
    """

    where: Where | None = None
    filters: FilterNode | None = None
    order_by: list[OrderBy] | None = None
    page: int | None = None
    limit: int | None = None
    offset: int | None = None
    cursor: list[Scalar | None] | None = Field(None, validation_alias=AliasChoices("cursor", "search_after"))
    select_columns: list[str] | None = None
    company_config: CompanyConfig | None = None
    explain: bool = False
    facets: list[Facet] | None = None
    highlight: bool = False
    track_total: bool = False
