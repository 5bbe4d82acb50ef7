"""Runs an aggregation, and puts its answer into the documented form."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from connectra_common.call import Call
from connectra_common.db.database import Database
from connectra_common.errors import ValidationFailed
from connectra_common.records.fields import Entity
from connectra_common.vql.ast import Query
from connectra_common.vql.limits import Limits as VqlLimits
from connectra_common.vql.model import Vql
from connectra_common.vql.validate import checked

from connectra_query.aggregate.compile import Group, aggregate_body, edges_body, result, sizes
from connectra_query.aggregate.models import CONDITIONS, Aggregate, too_much, violations
from connectra_query.repository import RecordRepository
from connectra_query.search.compile import Json, compile_query
from connectra_query.search.engine import Search
from connectra_query.search.forgiving import did_you_mean, forgiving


@dataclass(frozen=True, slots=True)
class Aggregated:
    """All matches as one group, and the records that its groups show by uuid; `did_you_mean`: what has these words is counted as well."""

    group: Group
    records: Mapping[str, Json]
    did_you_mean: str | None = None


class AggregateService:
    """Counts, measures and samples what matches; without I/O until the request is known to be in order."""

    def __init__(self, database: Database, search: Search, limits: VqlLimits) -> None:
        self._database, self._search, self._limits = database, search, limits

    def check(self, entity: Entity, asked: Aggregate) -> Query:
        """Its conditions.

        Raises:
            ValidationFailed: with every violation.
        """
        problems = []
        try:
            query = checked(
                entity,
                Vql().model_copy(update={name: getattr(asked, name) for name in CONDITIONS}),
                self._limits,
            )
        except ValidationFailed as error:
            problems.append(error)
        if wrong := violations(entity, asked):
            problems.append(ValidationFailed.of(wrong))
        if problems:
            raise ValidationFailed.together(problems)
        return query

    async def run(self, asked: Aggregate, query: Query, call: Call) -> Aggregated:
        """Numbers about the records that a list with these conditions has.

        Raises:
            ValidationFailed: more groups than are allowed.
            Unavailable, DeadlineExceeded: as a search.
        """
        entity, query = query.entity, await forgiving(query, self._search, call)
        conditions = compile_query(query)
        edges = edges_body(entity, asked, conditions)
        found = await self._search.run(entity.alias, edges, call) if edges else {}
        if wrong := list(too_much(asked, sizes(asked, found))):
            raise ValidationFailed.of(wrong)
        answer = await self._search.run_on_version(
            entity, lambda version: aggregate_body(entity, asked, conditions, version), call
        )
        group = result(entity, asked, answer)
        return Aggregated(group, await self._records(entity, asked, group), did_you_mean(query))

    async def _records(self, entity: Entity, asked: Aggregate, group: Group) -> Mapping[str, Json]:
        if not asked.top_hits:
            return {}
        uuids = list(dict.fromkeys(uuid for leaf in group.innermost() for uuid in leaf.hits or ()))
        columns = tuple(dict.fromkeys(asked.top_hits.select_columns or ()))
        async with self._database.connection() as connection:
            rows, there = await RecordRepository(connection).many(entity, uuids, columns)
        # A record that was deleted since it was indexed is left out.
        return dict(zip((uuid for uuid in uuids if uuid in there), orjson.loads(rows), strict=True))


def document(asked: Aggregate, group: Group, records: Mapping[str, Json]) -> Json:
    """The group as JSON, with the members that the request gives it."""
    shown: Json = {"count": group.count}
    if group.value is not None:
        shown = {"value": group.value, **shown, "count_error": group.count_error}
    if group.groups is not None:
        inner = [document(asked, one, records) for one in group.groups]
        return {**shown, "groups": inner, "other": group.other, "missing": group.missing, "exact": group.exact}
    measures: dict[str, Any] = {name: getattr(group, name) for name in ("cardinality", "percentiles")}
    shown |= {name: found for name, found in measures.items() if found}
    if group.hits is not None:
        shown["hits"] = [_plain(records[uuid]) for uuid in group.hits if uuid in records]
    return shown


def _plain(record: Json) -> Json:
    return {name: value for name, value in record.items() if name != "row_version"}
