"""Waiting that ends early."""

import asyncio


async def first_of(*events: asyncio.Event, seconds: float | None = None) -> None:
    """Returns when one of the events is set, or after so many seconds."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
