"""Background loops of a process."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from connectra_common.errors import from_exception

log = structlog.get_logger()

# Runs until the event is set.
Background = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def every(seconds: float, work: Callable[[], Awaitable[object]], name: str, *, at_start: bool = False) -> Background:
    """A loop that works, then pauses; a failed iteration is logged, and the next one tries again.

    Args:
        seconds: the pause after each iteration.
        name: of the loop, in log lines.
        at_start: work at once; otherwise the first iteration comes after a pause.
    """

    async def run(stopping: asyncio.Event) -> None:
        if not at_start:
            await first_of(stopping, seconds=seconds)
        while not stopping.is_set():
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - the next turn tries again
                log.warning("background work failed", work=name, reason=from_exception(error).reason, error=repr(error))
            await first_of(stopping, seconds=seconds)

    return run


async def first_of(*events: asyncio.Event, seconds: float | None = None) -> bool:
    """Waits until one of the events is set, for at most `seconds`; returns whether one is."""
    if any(event.is_set() for event in events):
        return True
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return bool(done)
