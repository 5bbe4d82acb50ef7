"""Results of functions of texts that are remembered, in bounded memory: files repeat the same places, sites and numbers."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

# A longer text is hardly ever repeated.
MOST_CHARS = 256

P = ParamSpec("P")
T = TypeVar("T")


def remembered(entries: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """As `lru_cache`, for functions of texts, any of which may be None. A call with a long one is not remembered, so all of it takes at
    most about 1 KB an entry, and not what clients like to send.
    """

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        cached = lru_cache(maxsize=entries)(function)

        @wraps(function)
        def call(*texts: P.args, **named: P.kwargs) -> T:
            for text in texts:
                if text is not None and len(text) > MOST_CHARS:  # type: ignore[arg-type]
                    return function(*texts, **named)
            return cached(*texts, **named)  # type: ignore[arg-type]

        return call

    return decorated
