"""The JSON document of an aggregation, and what is wrong with one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from math import prod
from typing import Annotated, Any, Literal, get_args
from zoneinfo import available_timezones

from connectra_common.errors import FieldViolation
from connectra_common.records.fields import Entity, Field, Index, Rule
from connectra_common.requests import Part, Request, at_most, between, hint
from connectra_common.search.mappings import indexed_fields
from connectra_common.vql.model import Columns, Kinds, OrderBy, Tree, Where
from connectra_common.vql.paging import DIRECTIONS
from connectra_common.vql.reading import indexed_name
from connectra_common.vql.validate import unselectable
from pydantic import BeforeValidator
from pydantic import Field as Member

from connectra_query.limits import AggregateLimits

LIMITS = AggregateLimits()
Period = Literal["day", "week", "month", "quarter", "year"]
PERIODS: tuple[str, ...] = get_args(Period)


# Members that it has in common with a query.
CONDITIONS = ("q", "alike", "where", "filters")
# Widths of ranges are doubles for the engine.
MOST_INTERVAL = 2**53 - 1


class GroupBy(Part):
    """Groups by value: the `size` most frequent ones. With `interval`, of numbers: ranges of that width, which begin at its multiples.
    With `calendar_interval`, of dates: periods in a time zone, by default UTC.
    """

    field: str = Member(description="By whose values records are grouped.")
    size: int | None = Member(
        None,
        description=f"How many values are shown; absent: {LIMITS.default_group_size}.",
        json_schema_extra=between(1, LIMITS.group_size),
    )
    interval: int | None = Member(
        None, description="Of a number: the width of ranges.", json_schema_extra=between(1, MOST_INTERVAL)
    )
    calendar_interval: Period | None = Member(None, description="Of a date: the length of periods.")
    time_zone: str | None = Member(None, description="In which periods begin, such as `Europe/Berlin`; absent: UTC.")

    @property
    def by_value(self) -> bool:
        """Whether each value is a group."""
        return self.interval is None and self.calendar_interval is None

    @property
    def most_values(self) -> int:
        """How many groups there are at most, if each value is one."""
        return self.size or LIMITS.default_group_size


def _named(value: Any) -> Any:
    return {"field": value} if isinstance(value, str) else value


class Percentiles(Part):
    """Of a number: the values below which so many percent of the records are."""

    field: str = Member(description="A number.")
    percents: Annotated[list[float], at_most(LIMITS.percents, "percents")] = Member(
        [25.0, 50.0, 75.0, 95.0], description="From 0 to 100."
    )


class TopHits(Part):
    """The first records of a group, by default the newest."""

    size: int = Member(3, description="Records of a group.", json_schema_extra=between(1, LIMITS.hits))
    order_by: Annotated[list[OrderBy] | None, at_most(LIMITS.hit_order, "keys")] = Member(
        None, description="Absent: the newest first."
    )
    select_columns: Columns | None = Member(None, description="Columns of the records; absent: all.")


class Aggregate(Request):
    """What is counted, and how. `cardinality`, `percentiles` and `top_hits` are of each group of the last `group_by`, or of all matches."""

    q: str | None = Member(None, description="Words, as in a query.")
    alike: Kinds = Member(None, description="With `q`, as in a query.")
    where: Where | None = Member(None, description="Conditions, as in a query.")
    filters: Tree = Member(None, description="A tree of conditions, as in a query.")
    group_by: Annotated[
        list[Annotated[GroupBy, BeforeValidator(_named, json_schema_input_type=GroupBy | str)]] | None,
        at_most(LIMITS.group_by, "fields to group by"),
    ] = Member(None, description="Up to two; a name alone stands for `field`.")
    cardinality: Annotated[list[str] | None, at_most(LIMITS.cardinality, "fields")] = Member(
        None, description="Fields whose distinct values are counted."
    )
    percentiles: Annotated[list[Percentiles] | None, at_most(LIMITS.percentiles, "fields")] = Member(
        None, description="Numbers of which percentiles are wanted."
    )
    top_hits: TopHits | None = Member(None, description="Shows the first records of each group.")

    def named(self, entity: Entity) -> "Aggregate":
        """The same with the names of the index: of contacts, `company.name` is `company_name`."""

        def renamed(parts: Iterable[GroupBy | Percentiles]) -> list[GroupBy | Percentiles]:
            return [one.model_copy(update={"field": indexed_name(entity, one.field)}) for one in parts]

        def in_order(hits: TopHits) -> TopHits:
            keys = [
                OrderBy(order_by=indexed_name(entity, key.order_by), order_direction=key.order_direction.lower())
                for key in hits.order_by or ()
            ]
            return hits.model_copy(update={"order_by": keys})

        return self.model_copy(
            update={
                "group_by": renamed(self.group_by or ()),
                "percentiles": renamed(self.percentiles or ()),
                "cardinality": [indexed_name(entity, name) for name in self.cardinality or ()],
                "top_hits": in_order(self.top_hits) if self.top_hits else None,
            }
        )

    @property
    def groupings(self) -> Sequence[GroupBy]:
        """The levels of groups, outermost first."""
        return self.group_by or ()


@cache
def time_zones() -> frozenset[str]:
    """Names of time zones that Python and Elasticsearch know: those of the IANA database that are not local or historical aliases."""
    return frozenset(
        {"UTC", *(name for name in available_timezones() if "/" in name and not name.startswith(("posix/", "right/")))}
    )


def violations(entity: Entity, asked: Aggregate) -> list[FieldViolation]:
    """All that is wrong with it beside its conditions."""
    fields = indexed_fields(entity)
    found: list[FieldViolation] = []
    for i, grouping in enumerate(asked.groupings):
        found += _group_by(grouping, fields, f"group_by[{i}]")
    for i, name in enumerate(asked.cardinality or ()):
        if name not in fields:
            found.append(FieldViolation.at(f"cardinality[{i}]", hint(name, sorted(fields))))
    for i, percentiles in enumerate(asked.percentiles or ()):
        found += _percentiles(percentiles, fields, f"percentiles[{i}]")
    if asked.top_hits:
        found += _top_hits(entity, asked.top_hits, fields)
    return found


def _group_by(grouping: GroupBy, fields: Mapping[str, Field], path: str) -> Iterator[FieldViolation]:
    field = fields.get(grouping.field)
    if field is None:
        yield FieldViolation.at(f"{path}.field", hint(grouping.field, sorted(fields)))
        return
    if grouping.size is not None and not 1 <= grouping.size <= LIMITS.group_size:
        yield FieldViolation.at(f"{path}.size", f"{grouping.size}; 1 to {LIMITS.group_size} are allowed")
    if grouping.interval is not None:
        if field.index is not Index.LONG or grouping.field == "id":
            yield FieldViolation.at(f"{path}.interval", f"{grouping.field} is not a number to make ranges of")
        elif not 1 <= grouping.interval <= MOST_INTERVAL:
            yield FieldViolation.at(f"{path}.interval", f"{grouping.interval}; 1 to 2^53 - 1 are allowed")
    if grouping.calendar_interval is not None and field.index is not Index.DATE:
        yield FieldViolation.at(f"{path}.calendar_interval", f"{grouping.field} is not a date")
    if grouping.time_zone is not None and grouping.calendar_interval is None:
        yield FieldViolation.at(f"{path}.time_zone", "is of use only with calendar_interval")
    elif grouping.time_zone is not None and grouping.time_zone not in time_zones():
        name = grouping.time_zone[:60]
        yield FieldViolation.at(f"{path}.time_zone", f"{name!r} is not a time zone such as UTC or Europe/Berlin")
    if grouping.by_value:
        if field.index is Index.DATE:
            yield FieldViolation.at(path, f"{grouping.field} is a date: give calendar_interval, {', '.join(PERIODS)}")
        elif is_one_a_record(grouping.field, field):
            yield FieldViolation.at(
                path, f"nearly every record has its own {grouping.field}; `cardinality` counts the different ones"
            )
    elif grouping.size is not None:
        yield FieldViolation.at(f"{path}.size", "is of use only for groups by value")


def is_one_a_record(name: str, field: Field) -> bool:
    """Whether a field has nearly as many values as there are records; counting them all would cost the engine much memory."""
    return (
        name == "id"
        or field.index is Index.UUID
        or field.rule in (Rule.EMAIL, Rule.PHONE, Rule.LINKEDIN, Rule.LINKEDIN_LOWER)
    )


def _percentiles(percentiles: Percentiles, fields: Mapping[str, Field], path: str) -> Iterator[FieldViolation]:
    field = fields.get(percentiles.field)
    if field is None:
        yield FieldViolation.at(f"{path}.field", hint(percentiles.field, sorted(fields)))
    elif field.index is not Index.LONG or percentiles.field == "id":
        yield FieldViolation.at(f"{path}.field", f"{percentiles.field} is not a number to take percentiles of")
    if not percentiles.percents:
        yield FieldViolation.at(f"{path}.percents", "give at least one")
    for percent in percentiles.percents:
        if not 0 <= percent <= 100:
            yield FieldViolation.at(f"{path}.percents", f"{percent}; 0 to 100 are allowed")


def _top_hits(entity: Entity, hits: TopHits, fields: Mapping[str, Field]) -> Iterator[FieldViolation]:
    if not 1 <= hits.size <= LIMITS.hits:
        yield FieldViolation.at("top_hits.size", f"{hits.size}; 1 to {LIMITS.hits} are allowed")
    for i, key in enumerate(hits.order_by or ()):
        path = f"top_hits.order_by[{i}]"
        if key.order_by not in fields:
            yield FieldViolation.at(f"{path}.order_by", hint(key.order_by, sorted(fields)))
        if key.order_direction not in DIRECTIONS:
            yield FieldViolation.at(
                f"{path}.order_direction", f"{key.order_direction[:60]!r} is neither 'asc' nor 'desc'"
            )
    yield from unselectable(entity, hits.select_columns or (), "top_hits.select_columns", besides=())


def too_much(asked: Aggregate, sizes: Sequence[int]) -> Iterator[FieldViolation]:
    """What is allowed on its own and too much together.

    Args:
        sizes: how many groups each level has at most.
    """
    for i, (grouping, size) in enumerate(zip(asked.groupings, sizes, strict=True)):
        if not grouping.by_value and size > LIMITS.ranges:
            name = "interval" if grouping.interval else "calendar_interval"
            longer = (grouping.interval or 0) * -(-size // LIMITS.ranges)
            way_out = f", for example {longer}" if 0 < longer <= MOST_INTERVAL else ""
            yield FieldViolation.at(
                f"group_by[{i}].{name}",
                f"makes {size:,} groups; at most {LIMITS.ranges:,} are allowed: take a longer one{way_out}, or narrow the query",
            )
            return
    groups, measures = prod(sizes), len(asked.cardinality or ()) + len(asked.percentiles or ())
    if groups > LIMITS.groups:
        yield FieldViolation.at("group_by", f"{groups:,} groups; at most {LIMITS.groups:,} are allowed")
    elif groups * measures > LIMITS.measures:
        yield FieldViolation.at(
            "group_by",
            f"{groups:,} groups with {measures} measures each; at most {LIMITS.measures:,} measures are allowed",
        )
    if asked.top_hits and groups * asked.top_hits.size > LIMITS.rows:
        yield FieldViolation.at(
            "top_hits", f"{asked.top_hits.size} rows in {groups:,} groups; at most {LIMITS.rows:,} rows are allowed"
        )
