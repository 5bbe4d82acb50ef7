"""How many calls of a kind run at once, in a process and of one client: what one kind or one client holds, the others do not lack."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from connectra_common.call import current
from connectra_common.errors import ConnectraError
from connectra_common.refusals import Busy, TooManyAtOnce

RUNNING = Gauge("connectra_calls_running", "Calls that have a place in their bulkhead.", ["kind"])
REFUSED = Counter(
    "connectra_calls_refused_total", "Calls that got no place: too many of a client, or in all.", ["kind", "whose"]
)

PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Bound:
    """How many calls of a kind run at once.

    Args:
        process: in the process.
        client: of one client; fewer than `process`, so that none can take all places. Calls of the suite's own processes, which name no
            client, are bounded by `process` alone.
        waiting: further calls of one client that wait for a place; beyond them it is refused at once. 0: no call waits.
        patience_seconds: how long they wait for one.
    """

    process: int
    client: int
    waiting: int = 0
    patience_seconds: float = PATIENCE_SECONDS

    @classmethod
    def shared(
        cls, process: int, client: float, waiting: int = 0, patience_seconds: float = PATIENCE_SECONDS
    ) -> "Bound":
        """One of which a client has a share, such as 0.5, and at least one place."""
        return cls(process, max(1, int(process * client)), waiting, patience_seconds)


class Bulkhead:
    """The places for calls of one kind.

    Args:
        kind: what these calls are, in the plural; stands in refusals and metrics.
    """

    def __init__(self, kind: str, bound: Bound) -> None:
        self.kind, self.bound = kind, bound
        self._places = asyncio.Semaphore(bound.process)
        self._clients: dict[str, _Client] = {}
        # Counted together with those of the same kind: services that share a process may have one each.
        self._running = RUNNING.labels(kind)

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """A place for the current call, until the block ends.

        Raises:
            TooManyAtOnce: the client has as many calls as it may have.
            Busy: the process has.
        """
        client = current().client
        at_once = self.bound.client if client else self.bound.process
        own = self._clients.get(client) or self._clients.setdefault(client, _Client(asyncio.Semaphore(at_once)))
        if own.calls >= at_once + self.bound.waiting:
            raise self._refusal(client)
        own.calls += 1
        try:
            await self._take(own.places, client)
            try:
                await self._take(self._places, "")
                self._running.inc()
                try:
                    yield
                finally:
                    self._running.dec()
                    self._places.release()
            finally:
                own.places.release()
        finally:
            own.calls -= 1
            if not own.calls:
                del self._clients[client]

    async def _take(self, places: asyncio.Semaphore, client: str) -> None:
        if not places.locked():
            await places.acquire()
            return
        if not self.bound.waiting:
            raise self._refusal(client)
        try:
            async with asyncio.timeout(self.bound.patience_seconds):
                await places.acquire()
        except TimeoutError:
            raise self._refusal(client) from None

    def _refusal(self, client: str) -> ConnectraError:
        REFUSED.labels(self.kind, "client" if client else "process").inc()
        return TooManyAtOnce(self.kind, self.bound.client) if client else Busy(self.kind)


@dataclass(slots=True)
class _Client:
    """The calls of one client: those that wait for a place too."""

    places: asyncio.Semaphore
    calls: int = 0


BulkheadOf = Callable[[str], Bulkhead | None]
"""The bulkhead of a method, by its name without the service; None: it has none."""

REFLECTION = "ServerReflectionInfo"


def by_method(methods: Mapping[Bulkhead, Iterable[str]]) -> BulkheadOf:
    """The bulkheads of a process, from the names of the methods of each."""
    return {name: bulkhead for bulkhead, names in methods.items() for name in names}.get
