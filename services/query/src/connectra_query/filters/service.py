"""Filters and their values, shared by the typed and the REST API."""

import asyncio
import time
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cachetools import TTLCache
from connectra_common.db.database import Database
from connectra_common.errors import NotFound, ValidationFailed
from connectra_common.records.fields import SERVICES, Entity, Field
from connectra_common.refusals import PageSizeExceeded, UnsupportedService
from connectra_common.requests import Request, hint
from connectra_common.vql.limits import LIMITS, Limits

from connectra_query.filters.repository import LANDMARK_EVERY, Column, Filter, FilterRepository, Value

# From this offset on, all values are walked once and landmarks are kept for later jumps.
DEEP_ROWS = 5_000
# Answers slower than this are cached briefly, the landmarks of a walk a little longer. Calls with a consistency token bypass both.
SLOW_SECONDS = 0.05
ANSWER_SECONDS = 15.0
LANDMARK_SECONDS = 60.0
# How a column is best read changes with its statistics.
COLUMN_SECONDS = 60.0
CACHE_ENTRIES = 256


class FilterValuesRequest(Request):
    """Which values of which filter."""

    filter_key: str
    search_text: str | None = None
    page: int | None = None
    limit: int | None = None


@dataclass(slots=True)
class _Landmarks:
    """Every 1,000th value of a walk; None until the call that holds the lock has walked."""

    values: list[str | int] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class FilterService:
    """Reads from PostgreSQL alone."""

    def __init__(self, database: Database, limits: Limits = LIMITS) -> None:
        self._database = database
        self._limits = limits
        self._columns: TTLCache[tuple[str, str], Column] = TTLCache(CACHE_ENTRIES, COLUMN_SECONDS)
        self._landmarks: TTLCache[tuple[str, str, str], _Landmarks] = TTLCache(CACHE_ENTRIES, LANDMARK_SECONDS)
        self._answers: TTLCache[tuple[object, ...], list[Value]] = TTLCache(CACHE_ENTRIES, ANSWER_SECONDS)

    async def filters(self, service: str, seconds: float = 30.0) -> list[Filter]:
        """The active filters, by id.

        Raises:
            ValidationFailed: neither companies nor contacts.
        """
        entity = _entity(service)
        async with self._reads(seconds) as repository:
            return await repository.filters(entity.name)

    async def values(
        self, service: str, request: FilterValuesRequest, *, seconds: float = 30.0, fresh: bool = False
    ) -> list[Value]:
        """One page of (value, display_value), ordered, each value once; `fresh` bypasses the caches.

        Raises:
            ValidationFailed: the service, the limit or the text is not allowed.
            NotFound: no such filter.
            DeadlineExceeded: not within `seconds`.
        """
        entity = _entity(service)
        limit, skip, search = _checked(request, self._limits)
        async with self._reads(seconds) as repository:
            known = {f.key: f for f in await repository.filters(entity.name)}
        chosen = known.get(request.filter_key)
        if chosen is None:
            raise NotFound(
                f"{entity.name} has no filter {request.filter_key[:100]!r}; {hint(request.filter_key, sorted(known))}",
                details={"filter_key": request.filter_key[:100]},
            )
        key = (entity.name, chosen.key, search, skip, limit)
        if not fresh and (answer := self._answers.get(key)) is not None:
            return answer
        began = time.monotonic()
        found = await self._find(entity, chosen, search, skip, limit, seconds, fresh)
        if time.monotonic() - began > SLOW_SECONDS:
            self._answers[key] = found
        return found

    async def _find(
        self, entity: Entity, chosen: Filter, search: str, skip: int, limit: int, seconds: float, fresh: bool
    ) -> list[Value]:
        if not chosen.direct_derived:
            async with self._reads(seconds) as repository:
                return await repository.stored(entity.name, chosen.key, search, skip, limit)
        column = await self._column(entity, entity.by_name[chosen.key], seconds)
        after, passed = (None, 0) if fresh or skip <= DEEP_ROWS else await self._near(column, search, skip, seconds)
        async with self._reads(seconds) as repository:
            values = await repository.direct(column, search, after, skip - passed, limit)
        return [(str(v), str(v)) for v in values]

    async def _column(self, entity: Entity, field: Field, seconds: float) -> Column:
        column = self._columns.get((entity.name, field.name))
        if column is None:
            async with self._reads(seconds) as repository:
                column = await repository.column(entity, field)
            self._columns[entity.name, field.name] = column
        return column

    async def _near(self, column: Column, search: str, skip: int, seconds: float) -> tuple[str | int | None, int]:
        """The nearest landmark before an offset, and its own offset; (None, 0) when there is none."""
        marks = self._landmarks.setdefault((column.entity.name, column.field.name, search), _Landmarks())
        async with marks.lock:  # calls that wait for the walk hold no connection
            if marks.values is None:
                async with self._reads(seconds) as repository:
                    marks.values = await repository.landmarks(column, search)
        at = bisect_right(range(LANDMARK_EVERY, LANDMARK_EVERY * len(marks.values) + 1, LANDMARK_EVERY), skip)
        return (marks.values[at - 1], at * LANDMARK_EVERY) if at else (None, 0)

    @asynccontextmanager
    async def _reads(self, seconds: float) -> AsyncIterator[FilterRepository]:
        async with self._database.transaction() as connection:
            yield await FilterRepository.limited(connection, seconds)


def _entity(service: str) -> Entity:
    entity = SERVICES.get(service)
    if entity is None:
        raise UnsupportedService(service, [*SERVICES])
    return entity


def _checked(request: FilterValuesRequest, limits: Limits) -> tuple[int, int, str]:
    limit, page, search = request.limit or 0, request.page or 0, (request.search_text or "").strip()
    if limit > limits.page_size:
        raise PageSizeExceeded(limit, limits.page_size)
    if len(search) > limits.text_chars:
        raise ValidationFailed.at(
            "search_text", f"has {len(search)} characters; at most {limits.text_chars} are allowed"
        )
    # Zero and negative values always meant the default.
    limit = limit if limit > 0 else limits.default_page_size
    return limit, (min(page, 2**31) - 1) * limit if page > 0 else 0, search
