"""Exports that are given up."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from connectra_query.export.repository import Chunk
from connectra_query.export.stream import _merged


async def test_a_walk_whose_cancellation_is_lost_ends_all_the_same() -> None:
    closed = False

    async def pages() -> AsyncGenerator[Chunk]:
        nonlocal closed
        yield Chunk(b"first", 1)
        # As `asyncio.wait_for` of Python 3.11 when its wait ends at that moment.
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        try:
            while True:
                yield Chunk(b"more", 1)
        finally:
            closed = True

    async with asyncio.timeout(10):
        async with aclosing(_merged([pages()])) as chunks:
            await anext(chunks)
            await asyncio.sleep(0.01)
    assert closed
