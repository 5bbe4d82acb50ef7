"""What the query service does, shared by the typed and the REST API."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

import orjson
from connectra_common.call import Call
from connectra_common.consistency import parse_tokens
from connectra_common.db import audit
from connectra_common.db.audit import Event
from connectra_common.db.database import Database
from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records import ids
from connectra_common.records.fields import ENTITIES, Entity
from connectra_common.refusals import RecordNotFound
from connectra_common.server.process import passes
from connectra_common.server.together import Together
from connectra_common.vql.ast import Query
from connectra_common.vql.model import Vql
from connectra_common.vql.order import cursor_values
from connectra_common.vql.render import render_node
from connectra_common.vql.validate import checked, checked_export, unselectable

from connectra_query.aggregate.models import Aggregate
from connectra_query.aggregate.service import Aggregated, AggregateService
from connectra_query.bulkheads import Bulkheads
from connectra_query.connections import Connections
from connectra_query.consistency import Follower
from connectra_query.explain.service import Explained, ExplainService
from connectra_query.export.repository import Chunk, Layout
from connectra_query.export.stream import export
from connectra_query.filters.repository import Filter, Value
from connectra_query.filters.service import FilterService, FilterValuesRequest, lists_from_index
from connectra_query.history.service import History, HistoryRequest, HistoryService
from connectra_query.limits import Limits
from connectra_query.repository import RecordRepository
from connectra_query.search import extras
from connectra_query.search.compile import Json, count_body, refill_body, search_body, walk_body
from connectra_query.search.engine import Search
from connectra_query.search.forgiving import did_you_mean, forgiving
from connectra_query.suggest.service import Suggestions, SuggestRequest, SuggestService

# Rows in one message of a stream.
WALK_PAGE_ROWS = 500
# Hits that are looked through at once for rows in place of vanished ones.
REFILL_HITS = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    """`rows` is a JSON array; `next_cursor` is there while there are more; the others when they were asked for."""

    rows: bytes
    next_cursor: list[str | None] | None = None
    total: Json | None = None
    facets: list[Json] | None = None
    explanation: Json | None = None
    did_you_mean: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """One dependency."""

    name: str
    ok: bool
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Count:
    """How many match; `did_you_mean`: with these words as well."""

    value: int
    did_you_mean: str | None = None


class QueryService:
    """Reads over PostgreSQL and Elasticsearch."""

    def __init__(
        self,
        connections: Connections,
        search: Search,
        storage_check: Callable[[], Awaitable[object]],
        limits: Limits,
        bulkheads: Bulkheads,
    ) -> None:
        self._pages, self._streams = connections.pages, connections.streams
        self._limits, self._bulkheads = limits, bulkheads
        self._search = search
        self._follower = Follower(connections.marks)
        self._filters = FilterService(connections.pages, search, limits.vql, limits.read_seconds)
        self._history = HistoryService(connections.pages, limits.vql)
        self._explain = ExplainService(connections.pages)
        self._suggest = SuggestService(search)
        self._aggregate = AggregateService(connections.pages, search, limits.vql)
        self._refresh = {e: Together(partial(search.refresh, e.alias)) for e in ENTITIES.values()}
        checks = {"postgres": connections.own.ping, "elasticsearch": search.ping, "s3": storage_check}
        self._checks = [Together(partial(_checked_health, name, check)) for name, check in checks.items()]

    async def page(self, entity: Entity, request: Vql, call: Call) -> Page:
        """One page of records, with the total, facets and explanation that the request asks for.

        Raises:
            ValidationFailed: with every violation.
            Unavailable: an engine is away, or the write of the token is not searchable in time.
            DeadlineExceeded: not within the call's time.
        """
        query = checked(entity, request, self._limits.vql)
        await self._wait_for(entity, call)
        async with self._bulkheads.searches.entered():
            query = await forgiving(query, self._search, call)

            def body(version: int) -> Json:
                return search_body(query, extras.facet_requests(query, version), extras.highlight_request(query))

            answer = await self._search.run_on_version(entity, body, call)
            explanation = None
            if query.explain:
                counted = await self._search.run(entity.alias, extras.clause_request(query), call)
                explanation = extras.explanation(query, body(self._search.version(entity)), counted)
            rows, next_cursor = await self._filled(query, answer.get("hits", {}).get("hits", []), call)
        return Page(
            rows=rows,
            next_cursor=next_cursor,
            total=answer["hits"]["total"] if query.track_total else None,
            facets=extras.facet_results(query, answer) if query.facets else None,
            explanation=explanation,
            did_you_mean=did_you_mean(query),
        )

    async def count(self, entity: Entity, request: Vql, call: Call) -> Count:
        """Number of records that match. Raises as `page`."""
        query = checked(entity, request, self._limits.vql)
        await self._wait_for(entity, call)
        async with self._bulkheads.searches.entered():
            query = await forgiving(query, self._search, call)
            answer = await self._search.run(entity.alias, count_body(query), call)
        return Count(int(answer["hits"]["total"]["value"]), did_you_mean(query))

    async def aggregate(self, entity: Entity, asked: Aggregate, call: Call) -> Aggregated:
        """Numbers about all that matches; see `AggregateService.run`. Raises as `page`."""
        asked = asked.named(entity)
        query = self._aggregate.check(entity, asked)
        await self._wait_for(entity, call)
        async with self._bulkheads.searches.entered():
            return await self._aggregate.run(asked, query, call)

    async def suggest(self, entity: Entity, asked: SuggestRequest, call: Call) -> Suggestions:
        """Values for what was typed so far; see `SuggestService.suggest`."""
        await self._wait_for(entity, call)
        async with self._bulkheads.searches.entered():
            return await self._suggest.suggest(entity, asked, call)

    async def explain(self, entity: Entity, uuid: str, request: Vql, call: Call) -> Explained:
        """Which conditions a record meets and which not; see `ExplainService.explain`. Raises as `page`."""
        query = checked(entity, request, self._limits.vql)
        await self._wait_for(entity, call)
        async with self._bulkheads.searches.entered():
            return await self._explain.explain(await forgiving(query, self._search, call), uuid)

    async def walk(self, entity: Entity, request: Vql, call: Call) -> AsyncGenerator[bytes]:
        """Every record that matches, as of one moment, in the asked order: JSON arrays of rows. Raises as `page`."""
        ignored = ("limit", "page", "offset", "cursor", "facets")
        no_extras = dict.fromkeys(("explain", "highlight", "track_total"), False)
        request = request.model_copy(update={**dict.fromkeys(ignored), **no_extras})
        query = checked(entity, request, self._limits.vql)
        await self._wait_for(entity, call)
        body, rows = walk_body(query, WALK_PAGE_ROWS), 0
        async with (
            self._bulkheads.streams.entered(),
            audit.recorded(self._streams, _taken("search", query)) as came,
            self._search.snapshot(entity.alias) as view,
            aclosing(view.pages(body, call)) as pages,
        ):
            async for hits in pages:
                came["rows"] = rows = rows + len(hits)
                yield (await self._rows(self._streams, query, hits))[0]

    async def _filled(self, query: Query, hits: Sequence[Json], call: Call) -> tuple[bytes, list[str | None] | None]:
        """The rows of a page, and the cursor behind the last one while there are more.

        Records that the index still has and the database has not any more are replaced by those that follow, so that a short page is
        the last one.
        """
        shown, is_more = hits[: query.size], len(hits) > query.size
        rows, number = await self._rows(self._pages, query, shown)
        parts = [rows]
        while (missing := query.size - number) > 0 and is_more:
            body = refill_body(query, shown[-1]["sort"], REFILL_HITS, extras.highlight_request(query))
            hits = (await self._search.run(query.entity.alias, body, call)).get("hits", {}).get("hits", [])
            async with self._pages.connection() as connection:
                living = await RecordRepository(connection).living(query.entity, [_uuid(query, hit) for hit in hits])
            there = [hit for hit in hits if _uuid(query, hit) in living]
            is_more = len(hits) == REFILL_HITS or len(there) > missing
            shown = there[:missing] if len(there) >= missing else hits
            rows, found = await self._rows(self._pages, query, shown)
            parts.append(rows)
            number += found
        joined = b",".join([part.strip()[1:-1] for part in parts if part != b"[]"])
        return b"[%b]" % joined, _cursor(query, shown[-1]) if is_more else None

    async def _rows(self, database: Database, query: Query, hits: Sequence[Json]) -> tuple[bytes, int]:
        if not hits:
            return b"[]", 0
        uuids = [_uuid(query, hit) for hit in hits]
        cursors = [orjson.dumps(_cursor(query, hit)).decode() for hit in hits]
        highlights = None
        if query.highlight:
            highlights = [orjson.dumps(extras.highlight_result(hit)).decode() for hit in hits]
        async with database.connection() as connection:
            return await RecordRepository(connection).page(
                query.entity, uuids, cursors, query.columns, query.company_columns, highlights
            )

    async def get(self, entity: Entity, uuid: str, columns: Sequence[str]) -> tuple[bytes, int]:
        """JSON of one record and its row_version, always fresh.

        Raises:
            ValidationFailed: not a uuid, or unknown columns.
            NotFound: none, or deleted.
        """
        uuid = ids.checked_uuid(uuid)
        if wrong := unselectable(entity, columns):
            raise ValidationFailed.of(wrong)
        async with self._bulkheads.reads.entered(), self._pages.connection() as connection:
            row = await RecordRepository(connection).get(entity, uuid, tuple(dict.fromkeys(columns)))
        if row is None:
            raise RecordNotFound(entity.title, uuid)
        return row

    async def batch_get(self, entity: Entity, uuids: Sequence[str], columns: Sequence[str]) -> tuple[bytes, list[str]]:
        """JSON array of the records with these uuids, in their order, always fresh; and the uuids that have none.

        Raises:
            ValidationFailed: too many, not uuids, or unknown columns.
        """
        if len(uuids) > (most := self._limits.batch_uuids):
            raise ValidationFailed.at("uuids", f"{len(uuids)} uuids; at most {most} are allowed")
        uuids = [ids.canonical_uuid(uuid) for uuid in uuids]
        wrong = [
            FieldViolation(f"uuids[{i}]", f"uuids[{i}]: invalid UUID format: {uuid[:100]}")
            for i, uuid in enumerate(uuids)
            if not ids.is_uuid(uuid)
        ]
        if wrong := wrong + unselectable(entity, columns):
            raise ValidationFailed.of(wrong)
        async with self._bulkheads.reads.entered(), self._pages.connection() as connection:
            rows, found = await RecordRepository(connection).many(entity, uuids, tuple(dict.fromkeys(columns)))
        return rows, [uuid for uuid in uuids if uuid not in found]

    async def history(self, entity: Entity, uuid: str, request: HistoryRequest, call: Call) -> History:
        """One page of what happened to a record; see `HistoryService.page`."""
        async with self._bulkheads.reads.entered():
            return await self._history.page(entity, uuid, request, call)

    async def filters(self, service: str, call: Call) -> list[Filter]:
        """The filters of a service; see `FilterService.filters`."""
        async with self._bulkheads.reads.entered():
            return await self._filters.filters(service, call)

    async def filter_values(self, service: str, request: FilterValuesRequest, call: Call) -> list[Value]:
        """One page of a filter's values; see `FilterService.values`."""
        if entity := lists_from_index(service, request.filter_key):
            await self._wait_for(entity, call)
        async with self._bulkheads.values.entered():
            return await self._filters.values(service, request, call)

    async def export(self, entity: Entity, request: Vql, layout: Layout, call: Call) -> AsyncGenerator[Chunk]:
        """Every match as a file in pieces; see `export.stream`.

        Raises:
            ValidationFailed: with every violation, also when no column is selected.
        """
        query, rows = checked_export(entity, request, self._limits.vql), 0
        await self._wait_for(entity, call)
        made = export(self._streams, self._search, query, layout, call)
        async with (
            self._bulkheads.exports.entered(),
            audit.recorded(self._streams, _taken("export", query)) as came,
            aclosing(made) as chunks,
        ):
            async for chunk in chunks:
                came["rows"] = rows = rows + chunk.rows
                yield chunk

    async def health(self) -> list[Health]:
        """The state of each dependency, checked after this was asked."""
        return list(await asyncio.gather(*(check() for check in self._checks)))

    async def _wait_for(self, entity: Entity, call: Call) -> None:
        if call.token is None:
            return
        tokens = parse_tokens(call.token)
        async with self._bulkheads.waiters.entered():
            await self._follower.wait(tokens, call.seconds(self._limits.consistency_seconds))
            await self._refresh[entity]()


def _uuid(query: Query, hit: Json) -> str:
    # The last key of the order; a walk has one more sort value, Elasticsearch's own.
    uuid: str = hit["sort"][len(query.sort) - 1]
    return uuid


def _cursor(query: Query, hit: Json) -> list[str | None]:
    """Clients hold cursors as text."""
    return [None if value is None else str(value) for value in hit["sort"][: cursor_values(query)]]


async def _checked_health(name: str, check: Callable[[], Awaitable[object]]) -> Health:
    began = time.perf_counter()
    ok = await passes(check)
    return Health(name, ok, round((time.perf_counter() - began) * 1000, 1))


def _taken(operation: str, query: Query) -> Event:
    """What the audit trail says of a stream; `rows` of its last entry counts those of a page that was begun."""
    asked = {"where": render_node(query.root), "columns": list(query.columns or query.entity.columns)}
    return Event("stream", query.entity.name, operation, asked)
