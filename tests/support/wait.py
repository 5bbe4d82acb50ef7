"""Waiting for a condition with a deadline: nothing sleeps in a test."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(
    ask: Callable[[], Awaitable[T | None]],
    good: Callable[[T], object] = bool,
    *,
    seconds: float = 60,
    pause: float = 0.05,
    away: tuple[type[Exception], ...] = (),
) -> T:
    """The first answer of `ask` that is `good`; by default, that is true.

    Args:
        ask: asks once; None is no answer.
        good: whether this is the answer that was waited for.
        seconds: how long to wait at most, an `ask` that hangs included.
        pause: seconds between two attempts.
        away: what `ask` may raise while what it asks is not there.

    Raises:
        TimeoutError: with the last answer or error.
    """
    last: object = "no answer"
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    answer = await ask()
                except away as error:
                    last = error
                else:
                    if answer is not None and good(answer):
                        return answer
                    last = answer
                await asyncio.sleep(pause)
    except TimeoutError as late:
        raise TimeoutError(f"not so within {seconds} s: {ask}; last: {last!r}") from late


def until_now(
    ask: Callable[[], T | None], *, seconds: float = 30, pause: float = 0.1, away: tuple[type[Exception], ...] = ()
) -> T:
    """As `until`, in a test without an event loop: the first true answer."""
    deadline, last = time.monotonic() + seconds, "no answer"
    while True:
        try:
            if answer := ask():
                return answer
            last = repr(answer)
        except away as error:
            last = repr(error)
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so within {seconds} s: {ask}; last: {last}")
        time.sleep(pause)
