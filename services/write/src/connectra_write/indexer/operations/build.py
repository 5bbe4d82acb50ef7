"""Brings another index to life beside the live one while writes go on: a new one (rebuild), or the one from before (rollback).

    building     a rebuild copies all records in uuid order, a rollback those whose documents have another version or are missing
    comparing    it catches up with the list, its copies are allocated, it is compared
    switching    nobody can add to the list, the rest of it is sent, the alias moves

From the moment the operation names its index, indexers send every record to both, and list (`index_catch_up`) what the new index does not
take at once. So it lacks nothing but what is in the list, and what is in the outbox, which the indexers will send to whichever index is
live by then. It may be slow, blocked or gone: nobody waits for it for long, and only the live index decides what becomes of a mark.

Each step can be cut off at any point and done again. Documents carry versions, so it does not matter in which order they come.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from typing import Any, TypeVar

import structlog
from connectra_common.db.database import Database
from connectra_common.errors import Unavailable, WrongState
from connectra_common.records.fields import ENTITIES, Entity
from connectra_common.search import indices
from connectra_common.search.mappings import REFRESH_INTERVAL
from connectra_common.settings import ElasticsearchSettings
from elasticsearch import AsyncElasticsearch

from connectra_write.indexer import bulk
from connectra_write.indexer.breaker import of_index
from connectra_write.indexer.bulk import Document
from connectra_write.indexer.operations.comparison import problems
from connectra_write.indexer.operations.repository import OperationRepository
from connectra_write.indexer.operations.verify import indexed
from connectra_write.operations import Kind, Operation, Phase

log = structlog.get_logger()

_T = TypeVar("_T")
_Repositories = Callable[[], AbstractAsyncContextManager[OperationRepository]]

# Records of a slice, which may be read in several parts; of a rollback, whose slices have only versions.
SLICE, VERSIONS = 2_000, 5_000
# A list that takes no longer is sent while nobody can add to it.
CATCH_UP_SECONDS = 8.0
ATTEMPTS = 3
COPIES_SECONDS = 5
# All of a switch, within which PostgreSQL would end a transaction in which nothing happens.
SWITCH_SECONDS = 25


class Held(Exception):
    """The operation cannot go on by itself; says why."""


class Impossible(Exception):
    """The operation can never be carried out; says why."""


class Build:
    """Carries out one rebuild or rollback, from wherever it has come to."""

    def __init__(
        self,
        database: Database,
        search: AsyncElasticsearch,
        settings: ElasticsearchSettings,
        me: int,
        operation: Operation,
    ) -> None:
        self._database, self._settings, self._me = database, settings, me
        self._search = search.options(request_timeout=60)
        self._operation = operation
        self._entity: Entity = ENTITIES[operation.entity]
        self._alias = self._entity.alias + indices.BUILDING_SUFFIX

    @property
    def index_name(self) -> str:
        """The index that is to go live; "" before it is known."""
        return self._operation.index_name

    async def run(self) -> None:
        """To its end.

        Raises:
            Held, Impossible, Lost: it stops here.
            Exception: it can be tried again after a while.
        """
        if self._operation.phase is Phase.WAITING:
            await self._begin()
        if await self.is_live():
            await self._switch()
            return
        await self._prepare()
        if self._operation.phase is Phase.BUILDING:
            await self._build()
        while True:
            await self._catch_up()
            await self._allocate()
            await self._compare()
            if await self._switch():
                return

    async def is_gone(self) -> bool:
        """Whether somebody has removed the index that is to go live."""
        operation = self._operation
        if operation.phase is Phase.WAITING or not operation.index_name:
            return False
        return not await self._search.indices.exists(index=operation.index_name)

    async def is_live(self) -> bool:
        """Whether the alias has moved."""
        return bool(self.index_name) and await indices.current(self._search, self._entity) == self.index_name

    async def undo(self) -> None:
        """Leaves nothing behind of an operation that is aborted."""
        search = self._search.options(ignore_status=404)
        if self.index_name and self._operation.kind is Kind.REBUILD:
            await search.indices.delete(index=self.index_name)
        elif self.index_name:
            await search.indices.delete_alias(index=self.index_name, name=self._alias)

    @asynccontextmanager
    async def _repository(self) -> AsyncIterator[OperationRepository]:
        async with self._database.connection() as connection:
            yield OperationRepository(connection, self._me)

    async def _note(self, **changes: object) -> None:
        async with self._repository() as repository:
            self._operation = await repository.note(self._operation, **changes)

    async def _begin(self) -> None:
        async with self._repository() as repository:
            total = await repository.count(self._entity)
            last = await repository.last_change(self._entity)
        if orphan := await indices.behind(self._search, self._alias):
            await self._search.indices.delete_alias(index=orphan, name=self._alias)
        if self._operation.kind is Kind.ROLLBACK:
            name = self.index_name or (last.previous if last else "")
            if not name or not await self._search.indices.exists(index=name):
                raise Impossible(f"there is no previous {self._entity.name} index")
            await self._note(index_name=name, documents_total=total)
        else:
            # Named first, so that whoever goes on with it knows what was begun.
            name = self.index_name or indices.new_name(self._entity)
            await self._note(index_name=name, documents_total=total)
            await self._search.options(ignore_status=404).indices.delete(index=name)
            shards = int(self._operation.asked.get("shards", 0))
            await indices.create(self._search, self._settings, self._entity, shards, name)
            # Nobody searches it yet.
            settings = {"index": {"refresh_interval": "-1", "number_of_replicas": 0}}
            await self._search.indices.put_settings(index=name, settings=settings)
        await self._note(phase=Phase.BUILDING.value)
        log.info("index operation begun", kind=self._operation.kind.value, index=name, documents=total)

    async def _prepare(self) -> None:
        """Fields of this release, and the alias: what is sent to a name would create an index where there is none."""
        await self._search.indices.put_alias(index=self.index_name, name=self._alias)
        try:
            await indices.add_fields(self._search, self._settings, self._entity, self.index_name)
        except WrongState as error:
            # An index from before may well be another than that of this release.
            if self._operation.kind is Kind.REBUILD:
                raise Held(error.message) from error
            log.warning("the index from before lacks fields", index=self.index_name, reason=error.message)

    # --- building

    async def _build(self) -> None:
        rebuilds = self._operation.kind is Kind.REBUILD
        if not rebuilds:
            await self._search.indices.refresh(index=self.index_name)
        parts = self._records() if rebuilds else self._outdated()
        async with aclosing(_ahead(parts)) as read:
            async for documents, walked, after in read:
                refused = await self._send(documents)
                if refused:
                    async with self._repository() as repository:
                        await repository.list_refused(self._entity, refused)
                done, found = self._operation.documents_done + walked, dict(self._operation.found)
                if not rebuilds:
                    found["outdated"] = found.get("outdated", 0) + len(documents)
                await self._note(after_uuid=after, documents_done=done, found=found, reason="")
        await self._note(phase=Phase.COMPARING.value)

    async def _records(self) -> AsyncGenerator[tuple[list[Document], int, str]]:
        """All of them: documents, how many records that is, the last uuid."""
        after, whole = self._operation.after_uuid, False
        while not whole:
            async with self._repository() as repository:
                documents, whole = await repository.slice(self._entity, after, SLICE)
            if documents:
                after = documents[-1].uuid
                yield documents, len(documents), after

    async def _outdated(self) -> AsyncGenerator[tuple[list[Document], int, str]]:
        """Those that the index has in another version, or does not have, or should not: as above."""
        after, whole = self._operation.after_uuid, False
        while not whole:
            async with self._repository() as repository:
                current = dict(await repository.versions(self._entity, after, VERSIONS))
            whole = len(current) < VERSIONS
            last = "" if whole else max(current)
            indexed = await self._versions(after, last)
            left = sorted(u for u in current.keys() | indexed.keys() if current.get(u) != indexed.get(u))
            while left:
                async with self._repository() as repository:
                    documents, left = await repository.documents(self._entity, left)
                yield documents, 0, after
            after = last or after
            yield [], len(current), after

    async def _versions(self, after: str, last: str) -> dict[str, int]:
        """Versions of the documents in (after, last], or of all after."""
        hits = indexed(self._search, self.index_name, after, last, VERSIONS, version=True, source=False)
        return {hit["_id"]: hit["_version"] async for hit in hits}

    async def _send(self, documents: Sequence[Document]) -> dict[str, str]:
        """Sends documents to the new index; returns the uuids of those that it refuses, with its reasons.

        Raises:
            Unavailable: it takes none for now.
        """
        results = await bulk.send(self._search, [document.action(self._alias) for document in documents])
        failed = {d.uuid: r for d, r in zip(documents, results, strict=True) if not (r.done or r.conflict)}
        for result in failed.values():
            if not result.refused or of_index([result]):
                raise Unavailable(f"{result.status} {result.type} {result.reason}")
        return {uuid: result.reason or f"status {result.status}" for uuid, result in failed.items()}

    # --- comparing

    async def _catch_up(self) -> None:
        """Sends what is listed, until that takes little time."""
        replicas = {"number_of_replicas": self._settings.replicas, "refresh_interval": REFRESH_INTERVAL}
        await self._search.indices.put_settings(index=self.index_name, settings={"index": replicas})
        took = CATCH_UP_SECONDS
        while took >= CATCH_UP_SECONDS:
            began = time.monotonic()
            await self._send_listed(self._repository)
            took = time.monotonic() - began

    async def _send_listed(self, open_: _Repositories) -> None:
        """Sends all that is listed, once."""
        after, taken = "", 0
        while True:
            async with open_() as repository:
                listed = {one.uuid: one for one in await repository.listed(self._entity, after, SLICE)}
            if not listed:
                return
            after, left = max(listed), list(listed)
            while left:
                async with open_() as repository:
                    documents, left = await repository.documents(self._entity, left)
                refused = await self._send(documents)
                done = [listed[document.uuid] for document in documents if document.uuid not in refused]
                taken += len(done)
                reason = f"catching up with what has changed meanwhile: {taken:,} sent" if taken >= SLICE else ""
                async with open_() as repository:
                    await repository.list_refused(self._entity, refused)
                    await repository.unlist(self._entity, done)
                    self._operation = await repository.note(self._operation, reason=reason)

    async def _allocate(self) -> None:
        """Waits a little for the copies of all shards.

        Raises:
            Unavailable: they are not there yet.
        """
        health = await self._search.options(ignore_status=408).cluster.health(
            index=self.index_name, wait_for_status="green", timeout=f"{COPIES_SECONDS}s"
        )
        if health["status"] != "green":
            missing = health["unassigned_shards"] + health["initializing_shards"]
            raise Unavailable(
                f"{missing} shards of {self.index_name} are not allocated; `GET _cluster/allocation/explain` says why"
            )

    async def _compare(self) -> None:
        name, entity = self.index_name, self._entity
        # Queries may well find something else in an index from before.
        ask = self._operation.kind is Kind.REBUILD and not self._operation.asked.get("accept_other_answers")
        found: list[str] = []
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(1)
            async with self._repository() as repository:
                lacking, refused = await repository.lacking(entity)
                if refused:
                    raise Held(
                        f"the new {entity.name} index refuses documents, such as {refused} ({lacking:,} are listed)"
                    )
                found = await problems(repository, self._search, entity, name, ask=ask)
                await repository.note(self._operation)
            if not found:
                return
        raise Held(
            f"the new {entity.name} index is not like the database or the live index: {'; '.join(found[:5])}"
            + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        )

    # --- switching

    async def _switch(self) -> bool:
        """Moves the alias, unless there is still something that the new index does not have. Returns whether it has."""
        entity, name = self._entity, self.index_name
        live = await indices.current(self._search, entity)
        if live != name:
            # What was live is known before anything moves. If it was lost, a rollback can still go to the one before it.
            async with self._repository() as repository:
                last = await repository.last_change(entity)
            previous = live or (last.previous if last and last.previous != name else None)
            await self._note(phase=Phase.SWITCHING.value, previous=previous, reason="")
        async with asyncio.timeout(SWITCH_SECONDS), self._database.transaction() as connection:
            repository = OperationRepository(connection, self._me)
            await repository.lock(self._operation)
            # Nobody lists anything now.
            if live == name:
                # It was cut off after the alias had moved: the indexers send the rest.
                await repository.mark_listed(entity)
            else:
                await self._send_listed(lambda: nullcontext(repository))
                if (await repository.lacking(entity))[0]:
                    return False
                await self._move_alias(live)
            await repository.end(self._operation, Phase.DONE)
        log.info("index operation done", kind=self._operation.kind.value, index=name, previous=self._operation.previous)
        return True

    async def _move_alias(self, live: str | None) -> None:
        name, alias = self.index_name, self._entity.alias
        actions: list[dict[str, Any]] = [
            {"add": {"index": name, "alias": alias}},
            {"remove": {"index": name, "alias": self._alias, "must_exist": False}},
        ]
        if live:
            actions.append({"remove": {"index": live, "alias": alias}})
        await self._search.indices.update_aliases(actions=actions)


async def _ahead(items: AsyncGenerator[_T]) -> AsyncGenerator[_T]:
    """The same, of which the next one is got while one is worked on."""
    following = asyncio.ensure_future(anext(items, None))
    try:
        while (item := await following) is not None:
            following = asyncio.ensure_future(anext(items, None))
            yield item
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await items.aclose()
