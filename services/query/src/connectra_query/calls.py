"""What a call brings besides its request."""

import time
from dataclasses import dataclass
from math import inf

from connectra_common.errors import DeadlineExceeded
from connectra_common.server import metadata
from connectra_common.server.metadata import Context


@dataclass(frozen=True, slots=True)
class Call:
    """`token`: the consistency token of a write it must see. `ends`: when its caller stops waiting, on the monotonic clock."""

    token: str | None = None
    ends: float = inf

    @classmethod
    def of(cls, context: Context) -> "Call":
        """The call that is being served."""
        remaining = context.time_remaining()
        ends = inf if remaining is None else time.monotonic() + remaining
        return cls(metadata.get(context, metadata.CONSISTENCY_TOKEN), ends)

    def seconds(self, at_most: float) -> float:
        """What is left, for an engine to be told.

        Raises:
            DeadlineExceeded: nothing.
        """
        left = self.ends - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("the request took too long")
        return min(left, at_most)
