"""Work of which one run answers many callers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """Calls some work, one run at a time. A run answers all who ask before it begins; who asks later waits for the next one."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The result of a run that begins after this call. Raises as the work."""
        if self._next is None:
            self._next = asyncio.create_task(self._run(self._running))
        # Others may wait for it as well.
        return await asyncio.shield(self._next)

    async def _run(self, before: "asyncio.Task[T] | None") -> T:
        if before is not None:
            await asyncio.wait([before])
        # Whoever asks from now on may ask for what is not there yet.
        self._running, self._next = self._next, None
        return await self._work()
