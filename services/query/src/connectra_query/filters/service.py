"""Filters and their values, once, for both doors."""

import asyncio
import time
from bisect import bisect_right
from dataclasses import dataclass, field

from cachetools import TTLCache
from connectra_common.errors import FieldViolation, NotFound, ValidationFailed
from connectra_common.records.fields import SERVICES, Entity
from connectra_common.refusals import PageSizeExceeded
from connectra_common.requests import Request, hint
from connectra_common.vql.limits import LIMITS
from sqlalchemy.ext.asyncio import AsyncEngine

from connectra_query.filters.repository import ANCHOR_EVERY, Column, Filter, FilterRepository, Value

UNSUPPORTED_SERVICE = (
    "ERR_UNSUPPORTED_SERVICE: the specified service type is not supported for this operation; "
    "verify the endpoint and try again"
)
# A jump beyond so many values is worth a walk over all of them, which later jumps live on.
DEEP_ROWS = 5_000
# Answers slower than this are cached briefly, the landmarks of a walk a little longer. Calls with a consistency token bypass both.
SLOW_SECONDS = 0.05
ANSWER_SECONDS = 15.0
LANDMARK_SECONDS = 60.0
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

    def __init__(self, engine: AsyncEngine) -> None:
        self._repository = FilterRepository(engine)
        self._landmarks: TTLCache[tuple[str, str, str], _Landmarks] = TTLCache(CACHE_ENTRIES, LANDMARK_SECONDS)
        self._answers: TTLCache[tuple[object, ...], list[Value]] = TTLCache(CACHE_ENTRIES, ANSWER_SECONDS)

    async def filters(self, service: str, seconds: float = 30.0) -> list[Filter]:
        """The active filters, by id.

        Raises:
            ValidationFailed: neither companies nor contacts.
        """
        return await self._repository.filters(_entity(service).name, seconds)

    async def values(
        self, service: str, request: FilterValuesRequest, *, seconds: float = 30.0, fresh: bool = False
    ) -> list[Value]:
        """One page of (value, display_value), ordered, each value once; `fresh` looks past what is remembered.

        Raises:
            ValidationFailed: the service, the limit or the text is not allowed.
            NotFound: no such filter.
            DeadlineExceeded: not within `seconds`.
        """
        entity = _entity(service)
        limit, skip, search = _checked(request)
        known = {f.key: f for f in await self._repository.filters(entity.name, seconds)}
        chosen = known.get(request.filter_key)
        if chosen is None:
            raise NotFound(
                f"{entity.name} has no filter {request.filter_key!r}; {hint(request.filter_key, sorted(known))}",
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
            return await self._repository.stored(entity.name, chosen.key, search, skip, limit, seconds)
        column = await self._repository.column(entity, entity.by_name[chosen.key], seconds)
        after, passed = (None, 0) if fresh or skip <= DEEP_ROWS else await self._near(column, search, skip, seconds)
        values = await self._repository.direct(column, search, after, skip - passed, limit, seconds)
        return [(str(v), str(v)) for v in values]

    async def _near(self, column: Column, search: str, skip: int, seconds: float) -> tuple[str | int | None, int]:
        """A value not far before the wanted place, and how many values lie up to it."""
        marks = self._landmarks.setdefault((column.entity.name, column.field.name, search), _Landmarks())
        async with marks.lock:
            if marks.values is None:
                marks.values = await self._repository.anchors(column, search, seconds)
        at = bisect_right(range(ANCHOR_EVERY, ANCHOR_EVERY * len(marks.values) + 1, ANCHOR_EVERY), skip)
        return (marks.values[at - 1], at * ANCHOR_EVERY) if at else (None, 0)


def _entity(service: str) -> Entity:
    entity = SERVICES.get(service)
    if entity is None:
        raise ValidationFailed(
            UNSUPPORTED_SERVICE,
            reason="UNSUPPORTED_SERVICE",
            details={"service": service[:100], "allowed": [*SERVICES]},
        )
    return entity


def _checked(request: FilterValuesRequest) -> tuple[int, int, str]:
    limit, page, search = request.limit or 0, request.page or 0, (request.search_text or "").strip()
    if limit > LIMITS.page_size:
        raise PageSizeExceeded(limit, LIMITS.page_size)
    if len(search) > LIMITS.text_chars:
        message = f"search_text: has {len(search)} characters; at most {LIMITS.text_chars} are allowed"
        raise ValidationFailed.of([FieldViolation("search_text", message)])
    # Zero and negative values always meant the default.
    limit = limit if limit > 0 else LIMITS.default_page_size
    return limit, (min(page, 2**31) - 1) * limit if page > 0 else 0, search
