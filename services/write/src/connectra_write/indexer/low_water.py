"""Where claims begin to look.

A mark that was removed stays in the indexes of the outbox until no snapshot can see it: for an hour, if an export or a psql takes one.
Claims take the oldest marks first, and would walk over all of these every time. So they begin at a number below which no mark is left, and
none can come: what the transactions that draw numbers leave behind is visible once all are over that ran when the numbers were drawn.
"""

from dataclasses import dataclass

# Looks between two that begin at the beginning, for what no rule foresees: a number that was set by hand, an indexer that hung.
WHOLE_EVERY = 60


@dataclass(frozen=True, slots=True)
class Look:
    """The outbox in one snapshot.

    Args:
        newest: number of the newest mark.
        oldest: lowest number of a mark, of those that were looked at.
        running, coming: the oldest transaction that runs, and the next one to begin.
    """

    newest: int
    oldest: int | None
    running: int
    coming: int


class LowWater:
    """The number to begin at; 0 until it is known."""

    def __init__(self) -> None:
        self.number = 0
        self._looks = 0
        self._before: Look | None = None
        # Numbers up to the first were drawn by transactions before the second.
        self._drawn: tuple[int, int] | None = None
        self._settled = 0

    @property
    def begin(self) -> int:
        """From which number on the next look is to be."""
        return self.number if self._looks % WHOLE_EVERY else 0

    def learn(self, look: Look) -> None:
        """Takes the result of a look, about a second after the one before."""
        if self._drawn and look.running >= self._drawn[1]:
            self._settled, self._drawn = self._drawn[0], None
        if self._drawn is None and self._before:
            # A number is drawn a moment before its transaction begins to show: never a second.
            self._drawn = (self._before.newest, look.coming)
        self._before = look
        self._looks += 1
        self.number = min(self._settled + 1, look.oldest or self._settled + 1)
