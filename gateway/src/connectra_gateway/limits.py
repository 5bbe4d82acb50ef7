"""Requests per minute as Envoy token buckets."""

from dataclasses import dataclass
from math import ceil
from typing import Any

# Envoy rejects shorter intervals.
_MIN_FILL_SECONDS = 0.05


@dataclass(frozen=True)
class Bucket:
    """A token bucket that starts full and is refilled in steps as small and frequent as Envoy allows."""

    max_tokens: int
    tokens_per_fill: int
    fill_nanoseconds: int

    @property
    def config(self) -> dict[str, Any]:
        """The envoy.type.v3.TokenBucket."""
        seconds, nanoseconds = divmod(self.fill_nanoseconds, 10**9)
        return {
            "max_tokens": self.max_tokens,
            "tokens_per_fill": self.tokens_per_fill,
            "fill_interval": f"{seconds}.{nanoseconds:09d}s",
        }

    def times(self, factor: int) -> "Bucket":
        """The same interval with more tokens: Envoy requires the intervals of one filter to be multiples of each other."""
        return Bucket(self.max_tokens * factor, self.tokens_per_fill * factor, self.fill_nanoseconds)


def per_minute(requests: int) -> Bucket:
    """A bucket for this many requests per minute: 30 is one token every 2 s, 6,000 is five every 50 ms."""
    tokens = ceil(_MIN_FILL_SECONDS * requests / 60)
    return Bucket(requests, tokens, tokens * 60 * 10**9 // requests)
