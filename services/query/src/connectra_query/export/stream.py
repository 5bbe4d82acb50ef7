"""Exports: every record a query finds, once, as a file in pieces."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext

from connectra_common.db.database import Database
from connectra_common.errors import Unavailable
from connectra_common.export import ExportFormat
from connectra_common.vql.ast import Query
from elasticsearch import ApiError, AsyncElasticsearch, NotFoundError, TransportError

from connectra_query.export.repository import Chunk, ExportRepository, Layout, snapshot
from connectra_query.search.compile import compile_query

# The most that Elasticsearch gives at once.
PAGE_ROWS = 10_000
# So large a page is aimed at: with long records it has fewer rows. It travels in messages of at most MESSAGE_BYTES.
PAGE_BYTES = 4 * 1024 * 1024
MESSAGE_BYTES = 1024 * 1024
FIRST_ROWS, FEWEST_ROWS = 1_000, 20
PIT_KEEP_ALIVE = "5m"
# Parts of the matches that are walked through at the same time.
SLICES = 2
# Pages that are made before anybody takes them.
PAGES_AHEAD = 2


async def export(database: Database, search: AsyncElasticsearch, query: Query, layout: Layout) -> AsyncGenerator[Chunk]:
    """The file in pieces, header first. The next pages are made while one is taken.

    Without conditions the database alone is asked, in one snapshot. Else the set of records is that of the index at the moment of
    the call, each as it stands when its page is read.

    Raises:
        Unavailable: an engine is away, or lost the view that the export walks through; it can be asked for again from its beginning.
    """
    if layout.format is ExportFormat.CSV:
        yield Chunk(",".join(query.columns).encode() + b"\n", 0)
    everything = nullcontext([_everything(database, query, layout)])
    walks = _walks(database, search, query, layout) if query.root.nodes else everything
    async with walks as pages, aclosing(_ahead(pages)) as chunks:
        async for chunk in chunks:
            for start in range(0, len(chunk.data), MESSAGE_BYTES):
                end = start + MESSAGE_BYTES
                yield Chunk(chunk.data[start:end], chunk.rows if end >= len(chunk.data) else 0)


class _Pace:
    """How many rows the next page has, by the size of those of the last one."""

    def __init__(self) -> None:
        self.rows = FIRST_ROWS

    def after(self, chunk: Chunk) -> None:
        if chunk.rows:
            fitting = PAGE_BYTES * chunk.rows // len(chunk.data)
            self.rows = max(FEWEST_ROWS, min(fitting, PAGE_ROWS))


async def _everything(database: Database, query: Query, layout: Layout) -> AsyncGenerator[Chunk]:
    async with snapshot(database) as connection:
        repository = ExportRepository(connection, query, layout)
        after, pace = 0, _Pace()
        while (until := await repository.page_end(after, pace.rows)) is not None:
            chunk = await repository.page(after, until)
            pace.after(chunk)
            yield chunk
            after = until


@asynccontextmanager
async def _walks(
    database: Database, search: AsyncElasticsearch, query: Query, layout: Layout
) -> AsyncIterator[list[AsyncGenerator[Chunk]]]:
    """Walks that together go through all matches as of one moment."""
    pit = (await search.open_point_in_time(index=query.entity.alias, keep_alive=PIT_KEEP_ALIVE))["id"]
    try:
        yield [_matching(database, query, layout, _ids(search, query, pit, number)) for number in range(SLICES)]
    finally:
        with contextlib.suppress(ApiError, TransportError):  # it ends by itself
            await search.options(ignore_status=404).close_point_in_time(id=pit)


async def _matching(
    database: Database, query: Query, layout: Layout, found: AsyncGenerator[list[int]]
) -> AsyncGenerator[Chunk]:
    pace = _Pace()
    async with aclosing(found) as pages:
        following = asyncio.ensure_future(anext(pages, None))
        try:
            while ids := await following:
                # The index is asked for the next page while the database writes this one.
                following = asyncio.ensure_future(anext(pages, None))
                while ids:
                    async with database.connection() as connection:
                        chunk = await ExportRepository(connection, query, layout).some(ids[: pace.rows])
                    ids = ids[pace.rows :]
                    pace.after(chunk)
                    yield chunk
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _ids(search: AsyncElasticsearch, query: Query, pit: str, number: int) -> AsyncGenerator[list[int]]:
    """ids of a slice of the matches, a page at a time, in the order of the index: nothing has to be sorted for it."""
    conditions, after = compile_query(query), None
    while True:
        try:
            answer = await search.search(
                query=conditions,
                pit={"id": pit, "keep_alive": PIT_KEEP_ALIVE},
                slice={"id": number, "max": SLICES},
                size=PAGE_ROWS,
                # The id changes no order: among the sort values it costs less than as a field of the hit.
                sort=[{"_shard_doc": "asc"}, {"id": "asc"}],
                search_after=after,
                source=False,
                stored_fields="_none_",
                track_total_hits=False,
                # A shard that is away must not make the file shorter.
                allow_partial_search_results=False,
                filter_path="pit_id,hits.hits.sort",
            )
        except NotFoundError:
            # It was restarted, and its points in time are gone.
            message = "the search engine lost the view of the export; ask for it again"
            raise Unavailable(message, reason="ELASTICSEARCH_ERROR") from None
        pit, hits = answer["pit_id"], answer.get("hits", {}).get("hits", [])
        if hits:
            after = hits[-1]["sort"]
            yield [hit["sort"][1] for hit in hits]
        if len(hits) < PAGE_ROWS:
            return


async def _ahead(walks: Sequence[AsyncGenerator[Chunk]]) -> AsyncGenerator[Chunk]:
    """The pages of all walks, the next of each being made while one is taken."""
    queue: asyncio.Queue[Chunk | Exception | None] = asyncio.Queue(PAGES_AHEAD)

    async def make(pages: AsyncGenerator[Chunk]) -> None:
        try:
            async with aclosing(pages):
                async for page in pages:
                    await queue.put(page)
            await queue.put(None)
        except Exception as error:  # noqa: BLE001 - raised where the pages are taken
            await queue.put(error)

    tasks = [asyncio.create_task(make(pages)) for pages in walks]
    try:
        ended = 0
        while ended < len(tasks):
            match await queue.get():
                case None:
                    ended += 1
                case Exception() as error:
                    raise error
                case page:
                    yield page
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
