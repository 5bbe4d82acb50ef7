"""Streams that prepare the next piece while one is being used."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def ahead(pieces: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """Yields the same pieces, preparing the next one while one is being used. Closes `pieces` when it ends, however it ends."""
    async with aclosing(pieces):
        following = asyncio.ensure_future(anext(pieces, _END))
        try:
            while not isinstance(piece := await following, _End):
                following = asyncio.ensure_future(anext(pieces, _END))
                yield piece
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


class _End:
    """Marks the end; no piece can be an instance of this."""


_END = _End()
