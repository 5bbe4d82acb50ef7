"""Calls that are repeated while what they need is away."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from connectra_client.errors import ClientError

T = TypeVar("T")

# Seconds for which a call is repeated that must not be lost.
PATIENCE_SECONDS = 120.0
_FIRST_SECONDS, _LONGEST_SECONDS, _GROWTH = 0.5, 15.0, 2.0


def in_turn(call: Callable[[], T], pause: Callable[[float], object] = time.sleep) -> T:
    """The result of a call, repeated only while the server says when to come back, as it does while the rate limit is used up.

    Somebody who waits at a terminal is told at once that nobody answers. Raises as the call.
    """
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call()
        except ClientError as error:
            seconds = error.retry_after
            if not (error.transient and seconds) or time.monotonic() + seconds > ends:
                raise
        pause(seconds)


def waits(first: float, longest: float, growth: float) -> Iterator[float]:
    """Seconds to wait, each time `growth` times as long, up to `longest`."""
    wait = first
    while True:
        yield wait
        wait = min(wait * growth, longest)


class Patience:
    """How long to go on, and how long to wait in between: later and later, and not before the server wants it (Retry-After).

    Args:
        seconds: for which what fails is tried again.
    """

    def __init__(self, seconds: float = PATIENCE_SECONDS) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """Start over, after a success: the next failure has the whole time again."""
        self._ends = time.monotonic() + self._seconds
        self._waits = waits(_FIRST_SECONDS, _LONGEST_SECONDS, _GROWTH)

    def pause(self, error: ClientError) -> float:
        """Seconds to wait before the next try.

        Raises:
            ClientError: `error`, if it will not pass, or has been going on for too long.
        """
        seconds = max(next(self._waits), error.retry_after)
        if not error.transient or time.monotonic() + seconds > self._ends:
            raise error
        return seconds


def persist(
    call: Callable[[], T], patience: float = PATIENCE_SECONDS, pause: Callable[[float], object] = time.sleep
) -> T:
    """The result of a call, which must be safe to repeat.

    It is repeated while it fails for a reason that may pass, see `Patience`.

    Args:
        call: what to do.
        patience: seconds after which the error is raised all the same.
        pause: waits that many seconds.

    Raises:
        ClientError: as the call.
    """
    left = Patience(patience)
    while True:
        try:
            return call()
        except ClientError as error:
            seconds = left.pause(error)
        pause(seconds)
