"""The stream of an export: header, then pages, the next ones made while one is taken."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext

from connectra_common.call import Call
from connectra_common.db.database import Database
from connectra_common.export import ExportFormat
from connectra_common.server.streams import ahead
from connectra_common.vql.ast import Query

from connectra_query.export.repository import Chunk, ExportRepository, Layout
from connectra_query.search.compile import Json, slice_body
from connectra_query.search.engine import Search

# The most that Elasticsearch returns at once.
PAGE_ROWS = 10_000
# Target page size: with long records a page has fewer rows. It travels in messages of at most MESSAGE_BYTES.
PAGE_BYTES = 4 * 1024 * 1024
MESSAGE_BYTES = 1024 * 1024
FIRST_ROWS, FEWEST_ROWS = 1_000, 20
# Parts of the matches that are walked at the same time.
SLICES = 2
# Pages that are made before they are taken.
PAGES_AHEAD = 2


async def export(database: Database, search: Search, query: Query, layout: Layout, call: Call) -> AsyncGenerator[Chunk]:
    """The file in pieces, header first. The next pages are made while one is taken.

    The set of records is that of the moment of the call, in the index or, without conditions, in the database; each record is as it is
    when its page is read. Between two pages nothing is held in the database, however long the caller takes.

    Raises:
        Unavailable: an engine is away, or lost the view that the export walks through; it can be asked for again from its beginning.
        DeadlineExceeded: not within the call's time.
    """
    if layout.format is ExportFormat.CSV:
        yield Chunk(",".join(query.columns).encode() + b"\n", 0)
    everything = nullcontext([_everything(database, query, layout)])
    walks = _walks(database, search, query, layout, call) if query.root.nodes else everything
    async with walks as pages, aclosing(_merged(pages)) as chunks:
        async for chunk in chunks:
            for start in range(0, len(chunk.data), MESSAGE_BYTES):
                end = start + MESSAGE_BYTES
                # With the first piece: whoever stops taking them has got no more rows than were counted.
                yield Chunk(chunk.data[start:end], 0 if start else chunk.rows)


class _Pace:
    """How many rows the next page gets, by the size of the last one's."""

    def __init__(self) -> None:
        self.rows = FIRST_ROWS

    def after(self, chunk: Chunk) -> None:
        if chunk.rows:
            fitting = PAGE_BYTES * chunk.rows // len(chunk.data)
            self.rows = max(FEWEST_ROWS, min(fitting, PAGE_ROWS))


async def _everything(database: Database, query: Query, layout: Layout) -> AsyncGenerator[Chunk]:
    async with database.connection() as connection:
        last = await ExportRepository(connection, query, layout).last()
    after, pace = 0, _Pace()
    while True:
        async with database.connection() as connection:
            repository = ExportRepository(connection, query, layout)
            if (until := await repository.page_end(after, last, pace.rows)) is None:
                return
            chunk = await repository.page(after, until)
        pace.after(chunk)
        yield chunk
        after = until


@asynccontextmanager
async def _walks(
    database: Database, search: Search, query: Query, layout: Layout, call: Call
) -> AsyncIterator[list[AsyncGenerator[Chunk]]]:
    """Walks that together go through all matches as of one moment."""
    async with search.snapshot(query.entity.alias) as view:
        bodies = [slice_body(query, PAGE_ROWS, number, SLICES) for number in range(SLICES)]
        yield [_matching(database, query, layout, view.pages(body, call)) for body in bodies]


async def _matching(
    database: Database, query: Query, layout: Layout, found: AsyncGenerator[list[Json]]
) -> AsyncGenerator[Chunk]:
    pace = _Pace()
    # The index is asked for the next page while the database writes this one.
    async with aclosing(ahead(found)) as pages:
        async for hits in pages:
            ids = [hit["sort"][1] for hit in hits]
            while ids:
                async with database.connection() as connection:
                    chunk = await ExportRepository(connection, query, layout).some(ids[: pace.rows])
                ids = ids[pace.rows :]
                pace.after(chunk)
                yield chunk


async def _merged(walks: Sequence[AsyncGenerator[Chunk]]) -> AsyncGenerator[Chunk]:
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
