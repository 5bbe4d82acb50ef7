"""The typed spelling of an aggregation and of its answer."""

from collections.abc import Mapping
from typing import Any

from connectra.query.v1 import query_service_pb2 as pb
from connectra_common.errors import ValidationFailed
from connectra_common.records.fields import COMPANY, Entity
from connectra_common.records.messages import to_message
from connectra_common.vql import proto as vql

from connectra_query.aggregate.compile import Group
from connectra_query.aggregate.models import CONDITIONS, LIMITS
from connectra_query.search.compile import Json


def to_json(request: pb.AggregateCompaniesRequest | pb.AggregateContactsRequest) -> Json:
    """The equivalent JSON document; zero and empty stand for absent.

    Raises:
        ValidationFailed: it has more of something than an aggregation may have.
    """
    asked, hits = request.aggregation, request.aggregation.top_hits
    for name, most in _MOST.items():
        _at_most(getattr(asked, name), most, name)
    for i, one in enumerate(asked.percentiles):
        _at_most(one.percents, LIMITS.percents, f"percentiles[{i}].percents")
    _at_most(hits.order_by, LIMITS.hit_order, "top_hits.order_by")
    query = vql.to_json(request.query)
    top_hits = {
        "size": hits.size,
        "order_by": [{"order_by": o.order_by, "order_direction": o.order_direction} for o in hits.order_by],
        "select_columns": list(hits.select_columns),
    }
    return {
        **{name: query[name] for name in CONDITIONS if name in query},
        "group_by": [_given({name: getattr(one, name) for name in _GROUP_BY}) for one in asked.group_by],
        "cardinality": list(asked.cardinality),
        "percentiles": [_given({"field": one.field, "percents": list(one.percents)}) for one in asked.percentiles],
        "top_hits": _given(top_hits) if asked.HasField("top_hits") else None,
    }


_MOST = {"group_by": LIMITS.group_by, "cardinality": LIMITS.cardinality, "percentiles": LIMITS.percentiles}
_GROUP_BY = ("field", "size", "interval", "calendar_interval", "time_zone")


def _at_most(members: Any, most: int, path: str) -> None:
    if len(members) > most:
        raise ValidationFailed.at(path, f"{len(members)} members; at most {most} are allowed")


def _given(members: Json) -> Json:
    return {name: value for name, value in members.items() if value}


def to_group(entity: Entity, group: Group, records: Mapping[str, Json]) -> pb.Group:
    """The message of a group and of all groups in it."""
    message = pb.Group(
        count=group.count,
        count_error=group.count_error,
        groups=[to_group(entity, inner, records) for inner in group.groups or ()],
        exact=group.exact,
        other=group.other,
        missing=group.missing,
        cardinality=[pb.Cardinality(**found) for found in group.cardinality],
        percentiles=[_percentiles(found) for found in group.percentiles],
    )
    if isinstance(group.value, int):
        message.number = group.value
    elif group.value is not None:
        message.text = group.value
    shown = message.companies if entity is COMPANY else message.contacts
    shown.extend(to_message(entity, records[uuid]) for uuid in group.hits or () if uuid in records)
    return message


def _percentiles(found: Json) -> pb.PercentilesResult:
    values = [pb.Percentile(percent=v["percent"], value=v["value"]) for v in found["values"]]
    return pb.PercentilesResult(field=found["field"], values=values, exact=found["exact"])
