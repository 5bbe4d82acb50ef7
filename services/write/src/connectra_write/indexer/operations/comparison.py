"""Whether an index that is to go live is like the database, and answers like the live one: counts, some records, some queries."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import orjson
from connectra_common.records.fields import Entity, Index
from connectra_common.search import indices
from connectra_common.search.mappings import indexed_fields, version_of
from elasticsearch import AsyncElasticsearch

from connectra_write.indexer.operations import verify
from connectra_write.indexer.operations.repository import OperationRepository

# Records whose documents are compared with the new index, and a few whose values are searched for in both indices.
SAMPLES, GOLDEN_SAMPLES = 500, 4


async def problems(
    repository: OperationRepository, search: AsyncElasticsearch, entity: Entity, new: str, *, ask: bool
) -> list[str]:
    """What is wrong with the index of this name, in words.

    Args:
        ask: whether queries must find the same as in the live index, if that is of the same version.
    """
    live = await indices.current(search, entity) if ask else None  # which may be out of order
    if live and version_of(live) != version_of(new):
        live = None  # another analysis is meant to find something else
    before, behind = await repository.newest_mark(), await repository.behind(entity)
    records = await repository.count(entity)
    await search.indices.refresh(index=[new, live] if live else [new])
    documents = int((await search.count(index=new))["count"])
    picked, sources = await _pick(repository, entity, SAMPLES)
    answers = []
    if live:
        queries = _golden(entity, sources)
        answers = [queries, await _ask(search, new, queries), await _ask(search, live, queries)]
    dead = await repository.dead(entity)
    # Either index may already show a change that the other does not; every change draws a number.
    churn = await repository.newest_mark() - before + behind
    found = []
    if abs(records - documents) > churn + len(dead):
        found.append(f"{records} records, {documents} documents")
    for drift in await verify.sample(repository, search, entity, new, picked):
        found.append(f"{drift.uuid} is {drift.kind}")
    for query, one, other in zip(*answers, strict=True) if answers else ():
        if one is None or other is None:
            found.append(f"{orjson.dumps(query).decode()} fails")
        elif abs(one[0] - other[0]) > churn or len(one[1] ^ other[1]) > 2 * churn:
            found.append(f"{orjson.dumps(query).decode()} finds {one[0]} instead of {other[0]}")
    return found


async def _pick(repository: OperationRepository, entity: Entity, number: int) -> tuple[list[str], list[str]]:
    """Uuids of some records from all over the table, and a few of their documents."""
    uuids: set[str] = set()
    sources: list[str] = []
    # uuids are spread evenly, whatever made them.
    for after in (*(str(uuid4()) for _ in range(20)), ""):
        documents, _ = await repository.slice(entity, after, number // 20)
        uuids |= {document.uuid for document in documents}
        sources = sources or [document.source or "{}" for document in documents[:GOLDEN_SAMPLES]]
    return sorted(uuids), sources


async def _ask(
    search: AsyncElasticsearch, index: str, queries: Sequence[dict[str, Any]]
) -> list[tuple[int, set[str]] | None]:
    """Total and first ids of each query; None where it fails."""
    searches: list[dict[str, Any]] = []
    for query in queries:
        body = {"query": query, "size": 20, "sort": [{"uuid": "asc"}], "_source": False, "track_total_hits": True}
        searches += [{}, body]
    found = await search.msearch(index=index, searches=searches)
    return [
        (answer["hits"]["total"]["value"], {hit["_id"] for hit in answer["hits"]["hits"]}) if "hits" in answer else None
        for answer in found["responses"]
    ]


def _golden(entity: Entity, sources: Sequence[str]) -> list[dict[str, Any]]:
    """Queries that must find the same in both indices: one for each field, and for values of some records."""
    fields = indexed_fields(entity)
    queries: list[dict[str, Any]] = [{"match_all": {}}, *({"exists": {"field": name}} for name in fields)]
    for source in sources:
        for name, value in orjson.loads(source).items():
            first = value[0] if isinstance(value, list) else value
            index = (
                fields[name].index if name in fields else Index.KEYWORD
            )  # what is not in the catalogue is keys of sounds
            if index in (Index.LONG, Index.DATE):
                queries.append({"range": {name: {"gte": first}}})
            elif index is Index.TEXT:
                queries.append({"match_phrase": {name: first[:100]}})
                if len(first) >= 3:
                    queries.append({"match_phrase": {f"{name}.ngram": first[:8]}})
            else:
                queries.append({"term": {name: first}})
    return queries
