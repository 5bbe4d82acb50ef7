"""Compares database and index, record by record, in the key order of both: uuids by their bytes.

A difference at first sight may be a change on its way to the index. So the record is read again: from the database, from the index (a
real-time read), and from the database once more; it is drift if the record was the same both times, and nobody knew that the index lacks
it: neither marked nor refused.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from connectra_common.db.database import Database
from connectra_common.records.fields import Entity
from elasticsearch import AsyncElasticsearch

from connectra_write.indexer.bulk import Document
from connectra_write.indexer.operations.repository import OperationRepository

SLICE = 500
# Documents that are read again at once, at most, and about how many characters they may have.
FEW, FEW_CHARS = 50, 1_000_000
# How often a record is read again whose change is on its way to the index, and the time between.
ROUNDS, ROUND_SECONDS = 5, 0.2

MISSING, GHOST, STALE, DIFFERENT = "missing", "ghost", "stale", "different"


@dataclass(frozen=True, slots=True)
class Drift:
    """A record whose indexed document is wrong, and the version of that document."""

    uuid: str
    kind: str
    index_version: int


@dataclass(slots=True)
class Report:
    """Numbers of a walk so far; `found` is what is new since the last report."""

    after_uuid: str
    compared: int = 0
    kinds: dict[str, int] = field(default_factory=lambda: dict.fromkeys((MISSING, GHOST, STALE, DIFFERENT), 0))
    repaired: int = 0
    complete: bool = False
    found: list[Drift] = field(default_factory=list)


async def walk(
    database: Database,
    search: AsyncElasticsearch,
    entity: Entity,
    *,
    after: str = "",
    repair: bool = False,
    records_per_second: int = 0,
    max_seconds: float = 0,
) -> AsyncGenerator[Report]:
    """Walks over all records after a uuid; a report after every slice, the last one with `complete` unless time ran out.

    To repair is to mark in the outbox: the indexer does the rest, with a version above that in the index. Holds no connection between
    slices.
    """
    began = time.monotonic()
    report = Report(after)
    # At a slow pace one a second: searches beside it do not wait for many at once.
    size = min(SLICE, records_per_second or SLICE)
    while not report.complete:
        async with database.connection() as connection:
            repository = OperationRepository(connection)
            documents, whole = await repository.slice(entity, report.after_uuid, size)
            last = None if whole else documents[-1].uuid
            suspects = await _suspects(search, entity, documents, report.after_uuid, last)
            chars = sum(len(document.source or "") for document in documents)
            few = max(1, min(FEW, FEW_CHARS * len(documents) // (chars + 1)))
            report.found = await sample(repository, search, entity, entity.alias, suspects, few, ROUNDS)
            report.compared += len(documents)
            for drift in report.found:
                report.kinds[drift.kind] += 1
            if repair and report.found:
                newest = max(drift.index_version for drift in report.found)
                await repository.repair(entity, [drift.uuid for drift in report.found], newest)
                report.repaired += len(report.found)
        report.complete = last is None
        report.after_uuid = last or report.after_uuid
        yield report
        if max_seconds and time.monotonic() - began > max_seconds:
            return
        if records_per_second:
            ahead = report.compared / records_per_second - (time.monotonic() - began)
            await asyncio.sleep(max(ahead, 0))


async def sample(
    repository: OperationRepository,
    search: AsyncElasticsearch,
    entity: Entity,
    alias: str,
    uuids: Sequence[str],
    few: int = FEW // 5,
    rounds: int = 1,
) -> list[Drift]:
    """Drift among some records, in the index of any name; `few` of them are read at once. What changes in all rounds is none."""
    drift = []
    for start in range(0, len(uuids), few):
        drift += await _drift(repository, search, entity, uuids[start : start + few], alias, rounds)
    return drift


async def _suspects(
    search: AsyncElasticsearch, entity: Entity, documents: Sequence[Document], after: str, last: str | None
) -> list[str]:
    """Uuids in (after, last] whose record and document differ at first sight."""
    unseen = {document.uuid: document.source or "" for document in documents}
    suspects = []
    size = min(len(documents) + FEW, SLICE)
    async for hit in indexed(search, entity.alias, after, last or "", size):
        source = unseen.pop(hit["_id"], None)
        if source is None or orjson.loads(source) != hit["_source"]:
            suspects.append(hit["_id"])
    return [*suspects, *unseen]


async def indexed(
    search: AsyncElasticsearch, index: str, after: str, last: str, size: int, **more: Any
) -> AsyncGenerator[dict[str, Any]]:
    """The documents in (after, last], or all after if `last` is "", in uuid order, as hits of searches.

    Args:
        size: hits of each search.
        more: other parameters of these.
    """
    between = {"gt": after, **({"lte": last} if last else {})}
    search_after: list[Any] | None = None
    while True:
        found = await search.search(
            index=index,
            query={"range": {"uuid": between}},
            sort=[{"uuid": "asc"}],
            size=size,
            search_after=search_after,
            track_total_hits=False,
            **more,
        )
        hits = found["hits"]["hits"]
        for hit in hits:
            yield hit
        if len(hits) < size:
            return
        search_after = hits[-1]["sort"]


async def _drift(
    repository: OperationRepository,
    search: AsyncElasticsearch,
    entity: Entity,
    suspects: Sequence[str],
    alias: str,
    rounds: int,
) -> list[Drift]:
    drift: list[Drift] = []
    for number in range(rounds):
        if not suspects:
            break
        if number:
            await asyncio.sleep(ROUND_SECONDS)
        before = await repository.current(entity, suspects, live=alias == entity.alias)
        answer = await search.mget(index=alias, ids=list(suspects))
        indexed = {item["_id"]: item for item in answer["docs"] if item.get("found")}
        after = await repository.current(entity, suspects, live=alias == entity.alias)
        moving = []
        for uuid in suspects:
            kind = _kind(before[uuid].document, indexed.get(uuid))
            if kind is None:
                continue
            if before[uuid].pending or after[uuid].pending or _moved(before[uuid].document, after[uuid].document):
                moving.append(uuid)
            else:
                drift.append(Drift(uuid, kind, indexed.get(uuid, {}).get("_version", 0)))
        suspects = moving
    return drift


def _moved(before: Document, after: Document) -> bool:
    if before.source is None and after.source is None:
        return False  # a record that is gone has no version of its own, and comes back only with a mark
    return before.version != after.version or before.source != after.source


def _kind(document: Document, indexed: dict[str, Any] | None) -> str | None:
    if document.source is None:
        return None if indexed is None else GHOST
    if indexed is None:
        return MISSING
    if orjson.loads(document.source) == indexed["_source"]:
        return None
    return STALE if indexed["_version"] < document.version else DIFFERENT
