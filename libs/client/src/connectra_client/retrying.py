"""Calls that are repeated while what they need is away."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from connectra_client.errors import ClientError

T = TypeVar("T")

# Seconds for which a call is repeated that must not be lost.
PATIENCE_SECONDS = 120.0
_FIRST_SECONDS, _LONGEST_SECONDS, _GROWTH = 0.5, 15.0, 2.0


def waits(first: float, longest: float, growth: float) -> Iterator[float]:
    """Seconds to wait, each time `growth` times as long, up to `longest`."""
    wait = first
    while True:
        yield wait
        wait = min(wait * growth, longest)


def persist(
    call: Callable[[], T], patience: float = PATIENCE_SECONDS, pause: Callable[[float], object] = time.sleep
) -> T:
    """The result of a call, which must be safe to repeat.

    It is repeated, later and later, while it fails for a reason that may pass; not before the server wants it (Retry-After).

    Args:
        call: what to do.
        patience: seconds after which the error is raised all the same.
        pause: waits that many seconds.

    Raises:
        ClientError: as the call.
    """
    ends = time.monotonic() + patience
    for wait in waits(_FIRST_SECONDS, _LONGEST_SECONDS, _GROWTH):
        try:
            return call()
        except ClientError as error:
            seconds = max(wait, error.retry_after)
            if not error.transient or time.monotonic() + seconds > ends:
                raise
        pause(seconds)
    raise AssertionError
