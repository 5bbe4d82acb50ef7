"""Streams whose next piece is made while one is used."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def ahead(pieces: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """The same pieces, the next one being made while one is used. Closes `pieces` when it ends, however it ends."""
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
    """No piece can be one of these."""


_END = _End()
