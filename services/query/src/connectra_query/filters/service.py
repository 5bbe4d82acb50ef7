"""Filters and their values, shared by the typed and the REST API."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cachetools import TTLCache
from connectra_common.call import Call
from connectra_common.db.database import Database
from connectra_common.errors import NotFound, ValidationFailed
from connectra_common.records.fields import COMPANY, CONTACT, SERVICES, Entity, Field
from connectra_common.records.values import tidy
from connectra_common.refusals import PageSizeExceeded, UnsupportedService
from connectra_common.requests import Request, between, hint
from connectra_common.vql.limits import LIMITS, Limits
from pydantic import Field as Member

from connectra_query.filters.index import IndexedValues
from connectra_query.filters.repository import (
    Column,
    CompanyNames,
    Filter,
    FilterRepository,
    Listed,
    OfColumn,
    Stored,
    Value,
)
from connectra_query.search.engine import Search

# The values before a page are walked over once, and every 250th is kept for later jumps: so many of these at a time of PostgreSQL, which
# answers no others, and of the index, which answers all.
LANDMARK_EVERY = 250
WALK_LANDMARKS = 400
INDEX_WALK_LANDMARKS = 20
# Answers slower than this are cached briefly, the landmarks of a walk a little longer. Calls with a consistency token bypass both.
SLOW_SECONDS = 0.05
ANSWER_SECONDS = 15.0
LANDMARK_SECONDS = 60.0
# How a column is best read changes with its statistics.
COLUMN_SECONDS = 60.0
CACHE_ENTRIES = 256


# Names of filters that clients use besides those listed. Of companies: the filter `uuid`, whose values are displayed as names.
COMPANIES_BY_NAME = (COMPANY, "name")
# Of contacts: the names of companies.
COMPANIES_OF_CONTACTS = (CONTACT, "company")


class FilterValuesRequest(Request):
    """Which values of which filter."""

    filter_key: str = Member(description="`key` of the filter.")
    search_text: str | None = Member(None, description="Only values with this text.")
    page: int | None = Member(None, description="From 1.", json_schema_extra={"minimum": 0})
    limit: int | None = Member(
        None,
        description=f"Values of a page; absent or 0: {LIMITS.default_page_size}.",
        json_schema_extra=between(0, LIMITS.page_size),
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """The values of a filter, in order.

    Args:
        page: some of them: (after which, how many to skip, at most).
        landmarks: each 250th of them: (after which, at most); `at_once`: how many are found by one request.
    """

    page: Callable[[Any, int, int], Awaitable[Sequence[Any]]]
    landmarks: Callable[[Any, int], Awaitable[Sequence[Any]]]
    at_once: int


@dataclass(slots=True)
class _Landmarks:
    """Every 250th value, as far as a call that held the lock has walked; `complete`: to the end."""

    values: list[Any] = field(default_factory=list)
    complete: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class FilterService:
    """Reads the values of keywords of the records from the index, and all others from PostgreSQL.

    Args:
        read_seconds: how long PostgreSQL may take for one call.
    """

    def __init__(self, database: Database, search: Search, limits: Limits = LIMITS, read_seconds: float = 30.0) -> None:
        self._database, self._indexed = database, IndexedValues(search)
        self._limits, self._read_seconds = limits, read_seconds
        self._columns: TTLCache[tuple[str, str], Column] = TTLCache(CACHE_ENTRIES, COLUMN_SECONDS)
        self._landmarks: TTLCache[tuple[str, str, str], _Landmarks] = TTLCache(CACHE_ENTRIES, LANDMARK_SECONDS)
        self._answers: TTLCache[tuple[object, ...], list[Value]] = TTLCache(CACHE_ENTRIES, ANSWER_SECONDS)

    async def filters(self, service: str, call: Call) -> list[Filter]:
        """The active filters, by id.

        Raises:
            ValidationFailed: neither companies nor contacts.
        """
        entity = _entity(service)
        async with self._reads(call) as repository:
            return await repository.filters(entity.name)

    async def values(self, service: str, request: FilterValuesRequest, call: Call) -> list[Value]:
        """One page of (value, display_value), ordered, each value once; a call with a consistency token bypasses the caches.

        Raises:
            ValidationFailed: the service, the limit or the text is not allowed.
            NotFound: no such filter.
            DeadlineExceeded: not within the call's time.
            SearchUnavailable: the values are in the index, which does not answer.
        """
        entity = _entity(service)
        limit, skip, search = _checked(service, request, self._limits)
        fresh = call.token is not None
        async with self._reads(call) as repository:
            known = {f.key: f for f in await repository.filters(entity.name)}
        asked = "uuid" if (entity, request.filter_key) == COMPANIES_BY_NAME else request.filter_key
        chosen = known.get(asked)
        if chosen is None and (entity, asked) != COMPANIES_OF_CONTACTS:
            aliases = [name for of, name in (COMPANIES_BY_NAME, COMPANIES_OF_CONTACTS) if of is entity]
            raise NotFound(
                f"{entity.name} has no filter {asked[:100]!r}; {hint(asked, sorted([*known, *aliases]))}",
                details={"filter_key": asked[:100]},
            )
        key = (entity.name, asked, search, skip, limit)
        if not fresh and (answer := self._answers.get(key)) is not None:
            return answer
        began = time.monotonic()
        found = await self._find(entity, chosen, search, skip, limit, call)
        if time.monotonic() - began > SLOW_SECONDS:
            self._answers[key] = found
        return found

    async def _find(
        self, entity: Entity, chosen: Filter | None, search: str, skip: int, limit: int, call: Call
    ) -> list[Value]:
        source = self._source(entity, chosen, search, call)
        after = None
        if skip > LANDMARK_EVERY:
            of = (entity.name, chosen.key if chosen else "", search)
            marks = self._landmarks.setdefault(of, _Landmarks()) if call.token is None else _Landmarks()
            after, skip = await _near(marks, source, skip)
            if skip > LANDMARK_EVERY:  # there are not so many
                return []
        found = await source.page(after, skip, limit)
        return [value if isinstance(value, tuple) else (str(value), str(value)) for value in found]

    def _source(self, entity: Entity, chosen: Filter | None, search: str, call: Call) -> _Source:
        field = entity.by_name[chosen.key] if chosen and chosen.direct_derived else None
        if field and field.lists_from_index:

            async def indexed(after: Any, skip: int, limit: int) -> Sequence[str]:
                return await self._indexed.page(entity, field, search, after, skip, limit, call)

            async def passed(after: Any, count: int) -> Sequence[str]:
                return (await indexed(after, 0, count * LANDMARK_EVERY))[LANDMARK_EVERY - 1 :: LANDMARK_EVERY]

            return _Source(indexed, passed, INDEX_WALK_LANDMARKS)

        async def listed() -> Listed:
            if field:
                return OfColumn(await self._column(entity, field, call), search)
            return Stored(entity, chosen.key, search) if chosen else CompanyNames(search)

        async def page(after: Any, skip: int, limit: int) -> Sequence[Any]:
            values = await listed()
            async with self._reads(call) as repository:
                return await repository.page(values, after, skip, limit)

        async def landmarks(after: Any, count: int) -> Sequence[Any]:
            values = await listed()
            async with self._reads(call) as repository:
                return await repository.landmarks(values, after, LANDMARK_EVERY, count)

        return _Source(page, landmarks, WALK_LANDMARKS)

    async def _column(self, entity: Entity, field: Field, call: Call) -> Column:
        column = self._columns.get((entity.name, field.name))
        if column is None:
            async with self._reads(call) as repository:
                column = await repository.column(entity, field)
            self._columns[entity.name, field.name] = column
        return column

    @asynccontextmanager
    async def _reads(self, call: Call) -> AsyncIterator[FilterRepository]:
        async with self._database.transaction() as connection:
            yield await FilterRepository.limited(connection, call.seconds(self._read_seconds))


async def _near(marks: _Landmarks, source: _Source, skip: int) -> tuple[Any, int]:
    """The last landmark before an offset, walking there if nobody has, and the offset from there."""
    wanted = skip // LANDMARK_EVERY
    async with marks.lock:  # calls that wait for the walk hold no connection
        while not marks.complete and len(marks.values) < wanted:
            count = min(wanted - len(marks.values), source.at_once)
            found = await source.landmarks(marks.values[-1] if marks.values else None, count)
            marks.values += found
            marks.complete = len(found) < count
    passed = min(wanted, len(marks.values))
    return (marks.values[passed - 1] if passed else None), skip - passed * LANDMARK_EVERY


def lists_from_index(service: str, key: str) -> Entity | None:
    """The entity whose index has the values of a filter, if it does."""
    entity = SERVICES.get(service)
    field = entity.by_name.get(key) if entity else None
    return entity if field and field.lists_from_index else None


def _entity(service: str) -> Entity:
    entity = SERVICES.get(service)
    if entity is None:
        raise UnsupportedService(service, [*SERVICES])
    return entity


def _checked(service: str, request: FilterValuesRequest, limits: Limits) -> tuple[int, int, str]:
    limit, page, search = request.limit or 0, request.page or 0, tidy(request.search_text or "")
    if limit > limits.page_size:
        raise PageSizeExceeded(limit, limits.page_size)
    if len(search) > limits.text_chars:
        raise ValidationFailed.at(
            "search_text", f"has {len(search)} characters; at most {limits.text_chars} are allowed"
        )
    if lists_from_index(service, request.filter_key) and (size := len(search.encode())) > limits.part_bytes:
        raise ValidationFailed.at("search_text", f"has {size} bytes; at most {limits.part_bytes} are allowed")
    # Zero and negative values always meant the default.
    limit = limit if limit > 0 else limits.default_page_size
    return limit, (min(page, 2**31) - 1) * limit if page > 0 else 0, search
