"""The indexer against a raw bulk of the same documents: prepared beforehand, sent by as many senders to an index that has them already."""

import asyncio
import statistics
import time
from typing import Any

import asyncpg
from connectra_common.records.fields import CONTACT
from connectra_common.search import indices
from connectra_common.search.client import create_client
from connectra_common.settings import ElasticsearchSettings
from connectra_write.indexer import bulk, documents
from connectra_write.indexer.indexer import Tuning
from elasticsearch import AsyncElasticsearch

from tests.bench.options import Options, load
from tests.support.postgres import drained
from tests.support.stack import Stack

ROUNDS = 3
GOAL = 0.70
ALIAS = "bench_index"


async def run(target: Stack, options: Options) -> list[dict[str, Any]]:
    """One line each: documents per second, and the share of the raw bulk."""
    connection = await asyncpg.connect(target.postgres)
    settings = ElasticsearchSettings(connection=target.elasticsearch)
    search = create_client(settings).options(request_timeout=60)
    name = await indices.create(search, settings, CONTACT)
    await search.indices.put_alias(index=name, name=ALIAS)
    try:
        await load(target, options.rows)
        rows = await connection.fetch(documents.slice_of(CONTACT), "", 10_000_000)
        actions = [documents.document(CONTACT, row).action(ALIAS) for row in rows]
        await _send(search, actions)
        raw, indexed = [], []
        for _ in range(ROUNDS):
            raw.append(len(actions) / await _send(search, actions))
            indexed.append(len(actions) / await _index(connection))
    finally:
        await search.indices.delete(index=name)
        await search.close()
        await connection.close()
    floor, ours = statistics.median(raw), statistics.median(indexed)
    return [
        {"what": "raw bulk", "documents/s": round(floor), "share": "", "goal": ""},
        {"what": "indexer", "documents/s": round(ours), "share": f"{ours / floor:.0%}", "goal": f"{GOAL:.0%}"},
    ]


async def _send(search: AsyncElasticsearch, actions: list[str]) -> float:
    """Seconds taken by as many senders as an indexer has loops."""
    size = Tuning().batch
    parts = iter([actions[start : start + size] for start in range(0, len(actions), size)])

    async def sender() -> None:
        for part in parts:
            results = await bulk.send(search, part)
            assert all(result.done for result in results)

    began = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(Tuning().loops)))
    return time.perf_counter() - began


async def _index(connection: asyncpg.Connection) -> float:
    """Seconds from the marks of all contacts until the indexer of the stack has settled them."""
    await connection.execute(
        "INSERT INTO outbox (entity, uuid) SELECT 'contact', uuid FROM contacts WHERE deleted_at IS NULL ORDER BY uuid"
    )
    await connection.execute("NOTIFY outbox")
    began = time.perf_counter()
    await drained(connection, seconds=3_600, pause=0.02)
    return time.perf_counter() - began
