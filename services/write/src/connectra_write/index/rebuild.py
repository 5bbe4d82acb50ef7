"""Rebuilds an entity's index beside the live one while writes go on.

    building ─▶ comparing ─▶ done        the alias names the new index, the old one is kept
        └──────────┴───────▶ aborted     the new index is removed

Once `building` is committed, indexers write every change to both indices, and the copy walks the records in uuid order. Both carry
versions, so it does not matter which of the two comes first. Each slice notes how far the copy has come; the next call goes on from there.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import orjson
import structlog
from connectra_common.db.database import Database
from connectra_common.errors import Unavailable, VersionConflict, WrongState, from_exception
from connectra_common.records.fields import Entity, Index
from connectra_common.search import indices
from connectra_common.search.mappings import REFRESH_INTERVAL, indexed_fields
from connectra_common.settings import ElasticsearchSettings
from elasticsearch import AsyncElasticsearch

from connectra_write.index import verify
from connectra_write.index.repository import Build, IndexRepository
from connectra_write.indexer import bulk
from connectra_write.indexer.bulk import Document
from connectra_write.indexer.documents import BUILDING_SUFFIX

log = structlog.get_logger()

SLICE = 2_000
# Records whose documents are compared with the new index, and a few whose values are searched for in both indices.
SAMPLES, GOLDEN_SAMPLES = 500, 4
ATTEMPTS = 3
# How long Elasticsearch may be away, and how long the outbox may take to drain, before a call gives up. The next one goes on.
PATIENCE_SECONDS = 60.0
DRAIN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild has come."""

    phase: str
    done: int
    total: int
    index_name: str

    @classmethod
    def of(cls, build: Build) -> "Progress":
        """Of its state in the database."""
        return cls(build.phase, build.documents_done, build.documents_total, build.index_name)


class Rebuild:
    """Rebuilding, aborting, going back. Each holds its entity's lock for as long as its session lasts, and with it one connection."""

    def __init__(self, database: Database, search: AsyncElasticsearch, settings: ElasticsearchSettings) -> None:
        self._database, self._settings = database, settings
        self._search = search.options(request_timeout=60)

    async def run(
        self, entity: Entity, shards: int = 0, accept_other_answers: bool = False
    ) -> AsyncGenerator[Progress]:
        """Begins a rebuild or goes on with it.

        Raises:
            WrongState: another call works on this index, or the comparison failed.
            VersionConflict: aborted meanwhile.
            Unavailable: Elasticsearch has been away for a minute.
        """
        async with self._database.session() as connection:
            repository = IndexRepository(connection)
            await self._lock(repository, entity)
            build = await self._begin(repository, entity, shards)
            if build.phase == "building":
                async with aclosing(self._copy(repository, entity, build)) as steps:
                    async for step in steps:
                        build = step
                        yield Progress.of(build)
            if build.phase == "comparing":
                yield Progress.of(build)
                await self._compare(repository, entity, accept_other_answers)
                await self._swap(repository, entity, build)
            yield replace(Progress.of(build), phase="done")

    async def abort(self, entity: Entity) -> Progress:
        """Gives up a rebuild, also one that another call runs.

        Raises:
            WrongState: there is none.
        """
        async with self._database.transaction() as connection:
            repository = IndexRepository(connection)
            build = await repository.build(entity, for_update=True)
            live = await indices.current(self._search, entity)
            if build is None or build.phase == "done" or build.index_name == live:
                raise WrongState(f"no rebuild of the {entity.name} index is under way")
            if build.previous and live:
                await repository.settle(entity, live, build.previous, 0)
            else:
                await repository.forget(entity)
        await self._delete(build.index_name)
        return replace(Progress.of(build), phase="aborted")

    async def rollback(self, entity: Entity) -> tuple[str, int]:
        """Moves the alias to the previous index and marks what has changed since. Returns that index and the number of marked records.

        Raises:
            WrongState: there is no previous index, or a rebuild is under way.
        """
        async with self._database.session() as connection:
            repository = IndexRepository(connection)
            build = await self._finished(repository, entity)
            assert build.previous is not None
            live = await indices.current(self._search, entity)
            await self._move_alias(entity, build.previous, live)
            await repository.settle(entity, build.previous, live, build.first_version)
            marked, after = 0, ""
            while True:
                more, last = await repository.mark_changed_since(entity, build.first_version, after, SLICE * 5)
                marked += more
                if last is None:
                    return build.previous, marked
                after = last

    async def drop_previous(self, entity: Entity) -> str:
        """Removes the previous index. Returns its name.

        Raises:
            WrongState: there is none, or a rebuild is under way.
        """
        async with self._database.session() as connection:
            repository = IndexRepository(connection)
            build = await self._finished(repository, entity)
            assert build.previous is not None
            await self._delete(build.previous)
            await repository.settle(entity, build.index_name, None, build.first_version)
            return build.previous

    async def _lock(self, repository: IndexRepository, entity: Entity) -> None:
        if not await repository.lock(entity):
            raise WrongState(f"another call is at work on the {entity.name} index")

    async def _finished(self, repository: IndexRepository, entity: Entity) -> Build:
        await self._lock(repository, entity)
        build = await repository.build(entity)
        if build is not None and build.phase != "done":
            raise WrongState(f"a rebuild of the {entity.name} index is under way; finish or abort it first")
        if build is None or build.previous is None or not await self._search.indices.exists(index=build.previous):
            raise WrongState(f"there is no previous {entity.name} index")
        return build

    async def _begin(self, repository: IndexRepository, entity: Entity, shards: int) -> Build:
        build = await repository.build(entity)
        if build is not None and build.phase != "done":
            live = await indices.current(self._search, entity)
            if live == build.index_name:  # it was interrupted between moving the alias and noting so
                await repository.settle(entity, build.index_name, build.previous, build.first_version)
                return replace(build, phase="done")
            if await self._search.indices.exists(index=build.index_name):
                return build
            log.warning("the index that was being built has gone; building another", index=build.index_name)
        if orphan := await indices.behind(self._search, entity.alias + BUILDING_SUFFIX):
            await self._delete(orphan)
        name = await indices.create(self._search, self._settings, entity, shards)
        # Nobody searches it yet.
        await self._search.indices.put_settings(
            index=name, settings={"index": {"refresh_interval": "-1", "number_of_replicas": 0}}
        )
        await self._search.indices.put_alias(index=name, name=entity.alias + BUILDING_SUFFIX)
        await repository.begin(entity, name)
        begun = await repository.build(entity)
        assert begun is not None
        log.info("rebuild begun", index=name, documents=begun.documents_total)
        return begun

    async def _copy(self, repository: IndexRepository, entity: Entity, build: Build) -> AsyncGenerator[Build]:
        """Copies all records to the new index; reads the next slice while Elasticsearch works on one."""
        after = build.after_uuid
        sending: asyncio.Task[bool] | None = None
        slice_: list[Document] = []
        failing_since: float | None = None
        try:
            while True:
                following = await repository.slice(entity, after, SLICE)
                if sending is not None:
                    if await sending:
                        failing_since = None
                        done = build.documents_done + len(slice_)
                        build = replace(build, after_uuid=slice_[-1].uuid, documents_done=done)
                        await self._note(repository, build)
                        yield build
                    else:
                        failing_since = failing_since or time.monotonic()
                        if time.monotonic() - failing_since > PATIENCE_SECONDS:
                            raise Unavailable("Elasticsearch does not take documents; call again to go on")
                        await asyncio.sleep(1)
                        after, sending = build.after_uuid, None  # the slices that were read may be out of date
                        continue
                if not following:
                    break
                slice_, after = following, following[-1].uuid
                sending = asyncio.create_task(self._send(entity, slice_))
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        build = replace(build, phase="comparing")
        await self._note(repository, build)
        yield build

    async def _note(self, repository: IndexRepository, build: Build) -> None:
        if not await repository.advance(build, build.phase, build.after_uuid, build.documents_done):
            raise VersionConflict("the rebuild was aborted")

    async def _send(self, entity: Entity, documents: Sequence[Document]) -> bool:
        """Whether the new index has these records now, or newer ones. The comparison will report documents that it refuses for good."""
        alias = entity.alias + BUILDING_SUFFIX
        try:
            results = await bulk.send(self._search, [document.action(alias) for document in documents])
        except Exception as error:  # noqa: BLE001 - the caller tries again, for a while
            log.warning("copying waits", reason=from_exception(error).reason, error=repr(error))
            return False
        for document, result in zip(documents, results, strict=True):
            if result.refused:
                log.error("the new index refuses a document", uuid=document.uuid, reason=result.reason)
        return all(result.done or result.conflict or result.refused for result in results)

    async def _compare(self, repository: IndexRepository, entity: Entity, accept_other_answers: bool) -> None:
        await self._drain(repository, entity)
        problems: list[str] = []
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(1)
            problems = await self._problems(repository, entity, accept_other_answers)
            if not problems:
                return
        raise WrongState(
            f"the new {entity.name} index is not like the database or the live index: {'; '.join(problems[:5])}",
            details={"problems": len(problems)},
        )

    async def _drain(self, repository: IndexRepository, entity: Entity) -> None:
        """Waits until all changes up to now are in both indices; without a live index there is nothing to wait for."""
        if not await indices.current(self._search, entity):
            return
        until, sequence = time.monotonic() + DRAIN_SECONDS, await repository.sequence()
        while await repository.pending(entity, sequence):
            if time.monotonic() > until:
                raise WrongState("the outbox does not drain; is an indexer running? Call again to go on")
            await asyncio.sleep(0.1)

    async def _problems(self, repository: IndexRepository, entity: Entity, accept_other_answers: bool) -> list[str]:
        new, live = entity.alias + BUILDING_SUFFIX, await indices.current(self._search, entity)
        before, pending = await repository.sequence(), await repository.pending(entity)
        records = await repository.count(entity)
        await self._search.indices.refresh(index=[new, live] if live else [new])
        documents = int((await self._search.count(index=new))["count"])
        picked = await self._pick(repository, entity, SAMPLES)
        answers = []
        if live and not accept_other_answers:
            queries = _golden(entity, [document.source or "{}" for document in picked[:GOLDEN_SAMPLES]])
            answers = [queries, await self._ask(new, queries), await self._ask(live, queries)]
        dead = await repository.dead(entity)
        # Either index may already show a change that the other does not; every change draws a number.
        churn = await repository.sequence() - before + pending
        problems = []
        if abs(records - documents) > churn + len(dead):
            problems.append(f"{records} records, {documents} documents")
        checked = [document.uuid for document in picked if document.uuid not in dead]
        for drift in await verify.sample(repository, self._search, entity, new, checked):
            problems.append(f"{drift.uuid} is {drift.kind}")
        for query, one, other in zip(*answers, strict=True) if answers else ():
            if abs(one[0] - other[0]) > churn or len(one[1] ^ other[1]) > 2 * churn:
                problems.append(f"{orjson.dumps(query).decode()} finds {one[0]} instead of {other[0]}")
        return problems

    async def _pick(self, repository: IndexRepository, entity: Entity, number: int) -> list[Document]:
        """Some records from all over the table."""
        picked: dict[str, Document] = {}
        for _ in range(20):
            # uuids are spread evenly, whatever made them.
            for document in await repository.slice(entity, str(uuid4()), number // 20):
                picked[document.uuid] = document
        for document in await repository.slice(entity, "", number // 20):
            picked[document.uuid] = document
        return list(picked.values())

    async def _ask(self, index: str, queries: Sequence[dict[str, Any]]) -> list[tuple[int, set[str]]]:
        """Total and first ids of each query."""
        searches: list[dict[str, Any]] = []
        for query in queries:
            body = {"query": query, "size": 20, "sort": [{"uuid": "asc"}], "_source": False, "track_total_hits": True}
            searches += [{}, body]
        found = await self._search.msearch(index=index, searches=searches)
        answers = []
        for query, answer in zip(queries, found["responses"], strict=True):
            if "hits" not in answer:
                raise WrongState(f"the query {orjson.dumps(query).decode()} fails on {index}")
            answers.append((answer["hits"]["total"]["value"], {hit["_id"] for hit in answer["hits"]["hits"]}))
        return answers

    async def _swap(self, repository: IndexRepository, entity: Entity, build: Build) -> None:
        settings = {"index": {"refresh_interval": REFRESH_INTERVAL, "number_of_replicas": self._settings.replicas}}
        await self._search.indices.put_settings(index=build.index_name, settings=settings)
        async with repository.transaction():
            # Locked against an abort at the same moment.
            if await repository.build(entity, for_update=True) is None:
                raise VersionConflict("the rebuild was aborted")
            live = await indices.current(self._search, entity)
            await self._move_alias(entity, build.index_name, live)
            # If the live index was lost, a rollback can still go to the one before it.
            await repository.settle(entity, build.index_name, live or build.previous, build.first_version)
        log.info("rebuild done", index=build.index_name, previous=live)
        if live and build.previous and build.previous != live:
            await self._delete(build.previous)

    async def _move_alias(self, entity: Entity, to: str, live: str | None) -> None:
        actions: list[dict[str, Any]] = [{"add": {"index": to, "alias": entity.alias}}]
        if live and live != to:
            actions.append({"remove": {"index": live, "alias": entity.alias}})
        if await indices.behind(self._search, entity.alias + BUILDING_SUFFIX) == to:
            actions.append({"remove": {"index": to, "alias": entity.alias + BUILDING_SUFFIX}})
        await self._search.indices.update_aliases(actions=actions)

    async def _delete(self, name: str) -> None:
        await self._search.options(ignore_status=404).indices.delete(index=name)


def _golden(entity: Entity, sources: Sequence[str]) -> list[dict[str, Any]]:
    """Queries that must find the same in both indices: one for each field, and for values of some records."""
    fields = indexed_fields(entity)
    queries: list[dict[str, Any]] = [{"match_all": {}}, *({"exists": {"field": name}} for name in fields)]
    for source in sources:
        for name, value in orjson.loads(source).items():
            first = value[0] if isinstance(value, list) else value
            if fields[name].index in (Index.LONG, Index.DATE):
                queries.append({"range": {name: {"gte": first}}})
            elif fields[name].index is Index.TEXT:
                queries.append({"match_phrase": {name: first[:100]}})
                if len(first) >= 3:
                    queries.append({"match_phrase": {f"{name}.ngram": first[:8]}})
            else:
                queries.append({"term": {name: first}})
    return queries
