"""Aggregation → Elasticsearch request, and what its answer says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from connectra_common.records.fields import Entity, Field, Index
from connectra_common.search.mappings import indexed_fields, shown_field, sort_field
from connectra_common.vql.paging import DIRECTIONS

from connectra_query.aggregate.models import Aggregate, GroupBy, TopHits
from connectra_query.search.compile import Json

# Distinct values are counted by HyperLogLog++ with 2^18 registers, in groups with 2^14; its standard error is 1.04 / sqrt(registers).
# https://research.google.com/pubs/archive/40671.pdf, and CardinalityAggregator of Elasticsearch for the registers of a threshold.
_THRESHOLD, _ERROR = 40_000, 0.0021
_THRESHOLD_OF_GROUPS, _ERROR_OF_GROUPS = 3_000, 0.0082
# Percentiles come from all values where these are so few, else from a t-digest. (HybridDigest of Elasticsearch: 20 x compression.)
COMPRESSION, ALL_VALUES = 1_000, 20_000
_DAYS = {"day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365}
_DAY_MILLIS = 86_400_000


@dataclass(slots=True)
class Group:
    """Records that have something in common: of the outermost group, that they match.

    Args:
        value: what they have in common: a text, a number, the beginning of a range, or the first day of a period as text.
        count: how many they are.
        count_error: by how much the count may be too small, at most.
        groups: of the next level, None at the innermost.
        exact: whether the counts of these groups are exact, and they are the largest.
        other: records in groups that are not shown.
        missing: records without a value.
        cardinality: `{"field", "value", "relative_error"}`: about two thirds of all counts are off by no more than that.
        percentiles: `{"field", "values": [{"percent", "value"}], "exact"}`.
        hits: uuids of its first records.
    """

    value: str | int | None
    count: int
    count_error: int = 0
    groups: "list[Group] | None" = None
    exact: bool = True
    other: int = 0
    missing: int = 0
    cardinality: list[Json] = field(default_factory=list)
    percentiles: list[Json] = field(default_factory=list)
    hits: list[str] | None = None

    def innermost(self) -> Iterator["Group"]:
        """The groups of the last level."""
        if self.groups is None:
            yield self
        for group in self.groups or ():
            yield from group.innermost()


def edges_body(entity: Entity, asked: Aggregate, query: Json) -> Json | None:
    """The least and the greatest value of each field that is grouped by ranges; None if none is."""
    fields = indexed_fields(entity)
    found: Json = {}
    for i, grouping in enumerate(asked.groupings):
        if not grouping.by_value:
            name = sort_field(grouping.field, fields[grouping.field])
            found |= {f"least{i}": {"min": {"field": name}}, f"greatest{i}": {"max": {"field": name}}}
    return {"query": query, "size": 0, "track_total_hits": False, "aggs": found} if found else None


def sizes(asked: Aggregate, edges: Json) -> list[int]:
    """How many groups each level has at most, by the answer to `edges_body`."""
    return [g.most_values if g.by_value else _ranges(g, edges, i) for i, g in enumerate(asked.groupings)]


def _ranges(grouping: GroupBy, edges: Json, i: int) -> int:
    least, greatest = (edges["aggregations"][f"{end}{i}"].get("value") for end in ("least", "greatest"))
    if least is None:
        return 1
    width = grouping.interval or _DAYS[grouping.calendar_interval or "day"] * _DAY_MILLIS
    return int((greatest - least) // width) + 2


def aggregate_body(entity: Entity, asked: Aggregate, query: Json, version: int) -> Json:
    """The whole aggregation, on an index of this version."""
    fields = indexed_fields(entity)
    inner = _measures(asked, fields)
    for i, grouping in reversed(list(enumerate(asked.groupings))):
        name = shown_field(grouping.field, fields[grouping.field], version)
        groups = _groups(grouping, name, last=i == len(asked.groupings) - 1)
        inner = {
            "groups": {**groups, **({"aggs": inner} if inner else {})},
            "missing": {"missing": {"field": name}},
        }
    body: Json = {"query": query, "size": 0, "track_total_hits": True}
    return {**body, "aggs": inner} if inner else body


def _groups(grouping: GroupBy, name: str, *, last: bool) -> Json:
    if grouping.interval is not None:
        return {"histogram": {"field": name, "interval": grouping.interval, "min_doc_count": 1}}
    if grouping.calendar_interval is not None:
        zone = {"time_zone": grouping.time_zone} if grouping.time_zone else {}
        unit = {"calendar_interval": grouping.calendar_interval, "format": "yyyy-MM-dd", "min_doc_count": 1}
        return {"date_histogram": {"field": name, **unit, **zone}}
    size = grouping.most_values
    # Each shard returns more than is shown, so that the counts are exact more often.
    terms: Json = {"field": name, "size": size, "shard_size": size * 3 + 50, "show_term_doc_count_error": True}
    # The inner groups only of those outer ones that are shown.
    return {"terms": terms if last else {**terms, "collect_mode": "breadth_first"}}


def _measures(asked: Aggregate, fields: Mapping[str, Field]) -> Json:
    threshold = _THRESHOLD_OF_GROUPS if asked.groupings else _THRESHOLD
    found: Json = {}
    for i, name in enumerate(asked.cardinality or ()):
        found[f"cardinality{i}"] = {
            "cardinality": {"field": sort_field(name, fields[name]), "precision_threshold": threshold}
        }
    for i, percentiles in enumerate(asked.percentiles or ()):
        digest = {"compression": COMPRESSION}
        found[f"percentiles{i}"] = {
            "percentiles": {
                "field": percentiles.field,
                # Elasticsearch refuses one that is given twice.
                "percents": list(dict.fromkeys(percentiles.percents)),
                "keyed": False,
                "tdigest": digest,
            }
        }
        found[f"values{i}"] = {"value_count": {"field": percentiles.field}}
    if asked.top_hits:
        found["hits"] = {"top_hits": _top_hits(asked.top_hits, fields)}
    return found


def _top_hits(hits: TopHits, fields: Mapping[str, Field]) -> Json:
    order = [(key.order_by, DIRECTIONS[key.order_direction]) for key in hits.order_by or ()] or [("created_at", True)]
    # The uuid is the last sort value: keys after it have no effect.
    order.append(("uuid", False))
    order = order[: [n for n, _ in order].index("uuid") + 1]
    return {
        "size": hits.size,
        "sort": [{sort_field(n, fields[n]): {"order": "desc" if down else "asc"}} for n, down in order],
        "_source": False,
        "stored_fields": "_none_",
        "track_scores": False,
    }


def result(entity: Entity, asked: Aggregate, answer: Json) -> Group:
    """All matches as one group, with the groups in it."""
    whole = {**answer.get("aggregations", {}), "doc_count": answer["hits"]["total"]["value"]}
    return _group(asked, indexed_fields(entity), whole, None, 0)


def _group(asked: Aggregate, fields: Mapping[str, Field], found: Json, value: str | int | None, level: int) -> Group:
    group = Group(value, found["doc_count"], found.get("doc_count_error_upper_bound", 0))
    if level < len(asked.groupings):
        grouping, inner = asked.groupings[level], found["groups"]
        group.exact = not inner.get("doc_count_error_upper_bound")
        group.other, group.missing = inner.get("sum_other_doc_count", 0), found["missing"]["doc_count"]
        group.groups = [
            _group(asked, fields, bucket, _value(grouping, fields[grouping.field], bucket), level + 1)
            for bucket in inner["buckets"]
        ]
        return group
    error = _ERROR_OF_GROUPS if asked.groupings else _ERROR
    for i, name in enumerate(asked.cardinality or ()):
        group.cardinality.append({"field": name, "value": found[f"cardinality{i}"]["value"], "relative_error": error})
    for i, percentiles in enumerate(asked.percentiles or ()):
        values = [{"percent": v["key"], "value": v["value"]} for v in found[f"percentiles{i}"]["values"]]
        exact = found[f"values{i}"]["value"] <= ALL_VALUES
        group.percentiles.append({"field": percentiles.field, "values": values, "exact": exact})
    if asked.top_hits:
        group.hits = [hit["sort"][-1] for hit in found["hits"]["hits"]["hits"]]
    return group


def _value(grouping: GroupBy, field: Field, bucket: Json) -> str | int:
    if grouping.calendar_interval is not None:
        return str(bucket["key_as_string"])
    # The ranges of a histogram are doubles.
    return int(bucket["key"]) if field.index is Index.LONG else str(bucket["key"])
