"""The indexer copies every record named in the outbox to Elasticsearch; it runs until stopped.

Several loops, and several processes, work side by side; while one waits for Elasticsearch, another lets PostgreSQL build documents.

    claim ─▶ documents as they are now ─▶ _bulk ─▶ every item looked at ─▶ done       removed, unless marked again
                                                                       ├▶ again      given back, to be tried again after a while
                                                                       ├▶ conflict   given back; with a new version if it repeats
                                                                       └▶ refused    again; to the dead letters if it repeats

A batch is of one entity and one lane of the outbox: interactive before bulk before fan-out and repairs. One loop takes interactive marks
only, so that they never wait behind a bulk. Rows that are given back have a time before which they are not claimed again, and an index
that takes no documents is left alone for a while (`breaker`), so that neither stands in the way of others.

The claims of a killed process are freed by any other within a second (`indexers`); the lease is for one that hangs.
"""

import asyncio
import math
import socket
import time
from collections import Counter as Count
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import asyncpg
import structlog
from connectra_common import telemetry
from connectra_common.db.database import Database
from connectra_common.errors import from_exception
from connectra_common.records.fields import ENTITIES, Entity
from connectra_common.search import indices
from connectra_common.server.background import first_of
from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch
from prometheus_client import Counter, Gauge, Histogram

from connectra_write.indexer import bulk
from connectra_write.indexer.breaker import Breaker
from connectra_write.indexer.bulk import Document, Result
from connectra_write.indexer.low_water import LowWater
from connectra_write.indexer.refresher import Refresher
from connectra_write.indexer.repository import Claim, OutboxRepository, Queue
from connectra_write.marks import Lane
from connectra_write.notifier import CHANNEL

log = structlog.get_logger()

INDEXED = Counter("connectra_indexer_documents_total", "Documents settled, by outcome.", ["entity", "outcome"])
LAG = Histogram(
    "connectra_index_lag_seconds",
    "Time from a change to its being in the index; of each batch, the longest.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 1800, 7200),
)
PENDING = Gauge("connectra_outbox_pending", "Outbox rows not yet in the index.")
OLDEST = Gauge("connectra_outbox_oldest_seconds", "Age of the oldest of them.")
DEAD = Gauge("connectra_dead_letters", "Documents that Elasticsearch refuses for good.")


@dataclass(frozen=True, slots=True)
class Tuning:
    """Sizes and times of an indexer."""

    # The first of them takes interactive marks only; while such marks come, all but the second do: Elasticsearch is slow to index and
    # refresh what somebody waits for while every core of it works on bulks.
    loops: int = 3
    interactive_seconds: float = 2
    batch: int = 2_000
    # About the most characters of documents that a loop holds at once; a batch with more is read and sent in parts.
    part_chars: int = 6_000_000
    # After which the parts of a batch that are left are given back.
    batch_seconds: float = 8
    # Longer than any bulk request may take: an expired lease means that the indexer hangs.
    lease_seconds: float = 30
    bulk_timeout_seconds: float = 20
    poll_seconds: float = 0.3
    # Between two looks for other indexers that have died.
    look_around_seconds: float = 1
    small_fan_out: int = 20
    # A consistency token covers this many copies of a company's fields; the others follow in slices.
    fan_out_first: int = 500
    fan_out_slice: int = 5_000
    fan_out_seconds: float = 1
    retry_first_seconds: float = 0.1
    retry_last_seconds: float = 2
    # Between two looks of a loop that has caught up: many small batches cost more than one, here and in both stores.
    pause_seconds: float = 0.1
    # A row that was not taken waits twice as long each time.
    again_first_seconds: float = 0.25
    again_last_seconds: float = 30
    # How long a batch waits for an index that is to go live, and how long that is left alone after it took nothing.
    building_seconds: float = 2
    building_pause_seconds: float = 10
    # Refusals of a document, while the index takes others.
    refusals: int = 3
    # After this many version conflicts the index has a version that PostgreSQL never gave: the record gets a newer one.
    conflicts_before_touch: int = 3
    statistics_seconds: float = 5

    @property
    def connections(self) -> int:
        """What an indexer holds at the same time: one a loop, one that shows that it lives, one to measure."""
        return self.loops + 2


@dataclass(slots=True)
class _Outcome:
    done: list[Claim] = field(default_factory=list)
    again: list[Claim] = field(default_factory=list)
    conflicts: list[Claim] = field(default_factory=list)
    refused: list[tuple[Claim, str]] = field(default_factory=list)
    reason: str = ""


class Indexer:
    """Loops over one outbox.

    Args:
        database: of at least `tuning.connections` connections, each with the settings of `repository.SESSION`.
    """

    def __init__(self, database: Database, search: AsyncElasticsearch, tuning: Tuning = Tuning()) -> None:
        self._database = database
        self._search = search.options(request_timeout=tuning.bulk_timeout_seconds)
        self._tuning = tuning
        self._refresher = Refresher(self._search)
        self._wake = asyncio.Event()
        self._entered = asyncio.Event()
        self._me = 0
        self._low_water = LowWater()
        self._breakers = {entity: Breaker(entity) for entity in ENTITIES}
        # Claims to give back when there is a connection again, and claims that are done except for a row that a writer held.
        self._unsettled: list[Claim] = []
        # When an index that is to go live is tried again, by entity.
        self._building_from: dict[str, float] = {}
        self._held: list[Claim] = []
        # When an interactive mark was last claimed.
        self._interactive_at = -math.inf

    @property
    def number(self) -> int:
        """By which other indexers know that this one lives; 0 while they do not."""
        return self._me if self._entered.is_set() else 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until told to stop; what is claimed then is finished or given back."""
        numbers = range(self._tuning.loops)
        loops = [self._guarded(partial(self._loop, number), stopping) for number in numbers]
        others = [self._guarded(work, stopping) for work in (self._live, self._measure)]
        try:
            await asyncio.gather(*loops, *others, self._refresher.run(stopping))
        finally:
            # Stopped in the middle of a bulk request: another indexer may go on at once.
            async with self._database.connection() as connection:
                outbox = OutboxRepository(connection)
                await outbox.give_back([*self._unsettled, *self._held])
                await outbox.leave(self._me)

    async def _guarded(self, work: Callable[[asyncio.Event], Awaitable[None]], stopping: asyncio.Event) -> None:
        """Runs `work`, and runs it again when something fails, waiting longer each time."""
        delay = self._tuning.retry_first_seconds
        while not stopping.is_set():
            began = time.monotonic()
            try:
                await work(stopping)
            except Exception as error:  # noqa: BLE001 - whatever it is, the outbox keeps the work
                if time.monotonic() - began > self._tuning.retry_last_seconds:
                    delay = self._tuning.retry_first_seconds
                log.warning("indexer waits", reason=from_exception(error).reason, error=repr(error), seconds=delay)
                await first_of(stopping, seconds=delay)
                delay = min(delay * 2, self._tuning.retry_last_seconds)

    async def _live(self, stopping: asyncio.Event) -> None:
        """Hears of new marks; shows other indexers that this one lives, as long as its session does; frees the claims of dead ones."""
        async with self._database.listener(CHANNEL, self._wake.set) as connection:
            outbox = OutboxRepository(connection)
            self._me = await outbox.enter(socket.gethostname())
            self._entered.set()
            try:
                while not stopping.is_set():
                    if dead := await outbox.free_claims_of_the_dead(self._me):
                        log.info("claims of dead indexers are free again", indexers=dead)
                        self._wake.set()
                    self._low_water.learn(await outbox.look(self._low_water.begin))
                    await first_of(stopping, seconds=self._tuning.look_around_seconds)
            finally:
                self._entered.clear()

    async def _loop(self, number: int, stopping: asyncio.Event) -> None:
        async with self._database.session() as connection:
            await self._work(OutboxRepository(connection), number, stopping)

    def _lanes(self, number: int) -> list[Lane]:
        """What a loop may claim now."""
        is_interactive = time.monotonic() - self._interactive_at < self._tuning.interactive_seconds
        steady = min(1, self._tuning.loops - 1)
        all_lanes = number == steady or (number > steady and not is_interactive)
        return list(Lane) if all_lanes else [Lane.INTERACTIVE]

    def _queues(self, lanes: Sequence[Lane], turn: int) -> list[Queue]:
        """What may be claimed now, the most urgent first; entities have the first place in turn."""
        names = [*ENTITIES][turn % len(ENTITIES) :] + [*ENTITIES][: turn % len(ENTITIES)]
        limits = {name: self._breakers[name].limit(self._tuning.batch) for name in names}
        return [Queue(name, lane.value, limits[name]) for lane in lanes for name in names if limits[name]]

    async def _work(self, outbox: OutboxRepository, number: int, stopping: asyncio.Event) -> None:
        """Claims rows and settles them, batch after batch."""
        if self._unsettled:
            claims, self._unsettled = self._unsettled, []
            await outbox.give_back(claims)
        turn, worked = 0, False
        while not stopping.is_set():
            self._wake.clear()
            if self._held:
                held, self._held = self._held, []
                still = await outbox.done(held)
                self._held += still
            if not self._entered.is_set():
                await first_of(self._wake, stopping, seconds=0.02)
                continue
            looked = time.monotonic()
            turn += 1
            lanes = self._lanes(number)
            queues = self._queues(lanes, turn)
            claims = (
                await outbox.claim(self._me, queues, self._tuning.lease_seconds, self._low_water.number)
                if queues
                else []
            )
            if not claims:
                if worked or len(lanes) > 1:  # all of them: a loop for interactive marks knows nothing of the others
                    self._refresher.caught_up()
                worked = False
                await first_of(self._wake, stopping, seconds=0.05 if self._held else self._tuning.poll_seconds)
                # However many processes write and tell.
                rest = looked + self._tuning.pause_seconds - time.monotonic()
                if rest > 0 and not self._held:
                    await first_of(stopping, seconds=rest)
                continue
            if claims[0].lane == Lane.INTERACTIVE:
                self._interactive_at = looked
            try:
                with telemetry.trace("index batch", documents=len(claims)):
                    await self._index(outbox, claims)
            except BaseException:
                self._unsettled += claims  # given back by the next loop that has a connection
                raise
            worked = True
            if len(claims) < self._tuning.batch:
                # Of one queue: there may be more in others, whose documents are not waited for.
                if claims[0].lane == Lane.INTERACTIVE:
                    self._refresher.caught_up()
                await first_of(stopping, seconds=self._tuning.pause_seconds)

    async def _index(self, outbox: OutboxRepository, claims: Sequence[Claim]) -> None:
        """Copies claimed records, of one entity, to the index and settles their rows, in parts."""
        began = time.monotonic()
        while claims:
            outcome, claims = await self._send(outbox, claims)
            await self._settle(outbox, outcome, began)
            late = time.monotonic() - began > self._tuning.batch_seconds
            if claims and (late or not self._breakers[claims[0].entity].limit(1)):
                await outbox.give_back(claims)
                return

    async def _settle(self, outbox: OutboxRepository, outcome: _Outcome, began: float) -> None:
        finished, busy = await self._fan_out(outbox, outcome.done)
        if finished:
            held = await outbox.done(finished)
            self._held += held
        if busy:
            await outbox.release(busy, 0.1)
        if outcome.again:
            log.warning("documents not taken for now", number=len(outcome.again), reason=outcome.reason)
            for attempts in {claim.attempts for claim in outcome.again}:
                alike = [claim for claim in outcome.again if claim.attempts == attempts]
                delay = self._tuning.again_first_seconds * 2 ** min(attempts - 1, 10)
                await outbox.release(alike, min(delay, self._tuning.again_last_seconds))
        await self._settle_conflicts(outbox, outcome.conflicts)
        dead = []
        for claim, reason in outcome.refused:
            if await outbox.to_dead_letters(claim, reason):
                log.error("document refused", entity=claim.entity, uuid=claim.uuid, reason=reason)
                dead.append(claim)
        _count("indexed", outcome.done)
        if outcome.done:
            oldest = max((claim.seen_at - claim.marked_at).total_seconds() for claim in outcome.done)
            LAG.observe(oldest + time.monotonic() - began)
        _count("retried", [*outcome.again, *outcome.conflicts])
        _count("dead", dead)

    async def _send(self, outbox: OutboxRepository, claims: Sequence[Claim]) -> tuple[_Outcome, list[Claim]]:
        """Sends as many of the claimed records, as they are now, as a loop may hold. Returns the claims that are left too."""
        outcome, entity, began = _Outcome(), ENTITIES[claims[0].entity], time.monotonic()
        breaker = self._breakers[entity.name]
        read, operation = await outbox.documents(entity, [claim.uuid for claim in claims], self._tuning.part_chars)
        documents = {document.uuid: document for document in read}
        sent = [claim for claim in claims if claim.uuid in documents]
        left = [claim for claim in claims if claim.uuid not in documents]
        ordered = [documents[claim.uuid] for claim in sent]
        results, lacking = await asyncio.gather(
            self._bulk(ordered, entity.alias, began),
            self._lacking(entity, ordered, began) if operation else _nothing(),
        )
        self._refresher.indexed(entity.alias)
        if operation and not await outbox.list_for(operation, entity, lacking):
            # The alias may have moved before this was sent, or after.
            outcome.again, outcome.reason = sent, "the live index may be another than before"
            return outcome, left
        others = [] if any(result.taken for result in results) else await self._canaries(outbox, entity, sent, began)
        is_index = breaker.judge([*results, *others])
        for claim, document, result in zip(sent, ordered, results, strict=True):
            if result.refused and not is_index and document.source is None:
                outcome.done.append(claim)  # it can never have been in the index
            elif result.refused and (is_index or claim.attempts < self._tuning.refusals):
                outcome.again.append(claim)
                outcome.reason = f"{result.status} {result.type} {result.reason}"[:300]
            else:
                _sort(outcome, claim, result)
        return outcome, left

    async def _lacking(self, entity: Entity, documents: Sequence[Document], began: float) -> list[str]:
        """Sends documents to the index that is to go live, if it answers soon. Returns the uuids of those that it did not take."""
        results: list[Result] = []
        if time.monotonic() > self._building_from.get(entity.name, 0):
            with suppress(ApiError, TransportError, TimeoutError):
                async with asyncio.timeout(self._tuning.building_seconds):
                    results = await self._bulk(documents, entity.alias + indices.BUILDING_SUFFIX, began)
            if not any(result.taken for result in results):
                self._building_from[entity.name] = time.monotonic() + self._tuning.building_pause_seconds
        taken = {document.uuid for document, result in zip(documents, results, strict=False) if result.taken}
        return [document.uuid for document in documents if document.uuid not in taken]

    async def _canaries(
        self, outbox: OutboxRepository, entity: Entity, besides: Sequence[Claim], began: float
    ) -> list[Result]:
        """Sends a few other records, which the index has: what becomes of them tells whose fault it is that it took none."""
        documents = await outbox.canaries(entity, [claim.uuid for claim in besides])
        return await self._bulk(documents, entity.alias, began)

    async def _bulk(self, documents: Sequence[Document], alias: str, began: float) -> list[Result]:
        actions = [document.action(alias) for document in documents]
        # Elasticsearch remembers deletions only for a while (`indices.GC_DELETES`): a process that was stopped between reading and sending
        # must not restore what was deleted meanwhile.
        if time.monotonic() - began > self._tuning.lease_seconds:
            return [Result(503, "stale", "read too long ago")] * len(actions)
        return await bulk.send(self._search, actions)

    async def _fan_out(self, outbox: OutboxRepository, claims: Sequence[Claim]) -> tuple[list[Claim], list[Claim]]:
        """Marks the contacts of the companies whose claims ask for it.

        Returns the finished claims, and those that must wait for a writer or for their turn.
        """
        companies = [claim for claim in claims if claim.fan_out]
        if not companies:
            return list(claims), []
        small: list[Claim] = []
        try:
            for start in range(0, len(companies), 500):
                few = companies[start : start + 500]
                small += await outbox.fan_out_small(few, self._tuning.small_fan_out)
        except asyncpg.LockNotAvailableError:
            log.info("fan-out waits for a writer")
        done = {claim.key for claim in small}
        waiting: list[Claim] = []
        walking: set[tuple[str, str]] = set()
        until = time.monotonic() + self._tuning.fan_out_seconds
        for claim in companies:
            if claim.key in done:
                continue
            try:
                if time.monotonic() > until:
                    waiting.append(claim)
                elif await outbox.fan_out_slice(
                    claim, self._tuning.fan_out_slice if claim.fan_out_after else self._tuning.fan_out_first
                ):
                    done.add(claim.key)
                else:
                    walking.add(claim.key)
            except asyncpg.LockNotAvailableError:
                waiting.append(claim)
        self._wake.set()
        await outbox.fanned_out([claim for claim in companies if claim.key in done])
        left = walking | {claim.key for claim in waiting}
        return [claim for claim in claims if claim.key not in left], waiting

    async def _settle_conflicts(self, outbox: OutboxRepository, claims: Sequence[Claim]) -> None:
        """Gives rows with version conflicts back; records whose conflict repeats get a newer version first."""
        for entity in ENTITIES.values():
            repeated = [
                claim
                for claim in claims
                if claim.entity == entity.name and claim.attempts >= self._tuning.conflicts_before_touch
            ]
            if not repeated:
                continue
            found = await self._search.mget(index=entity.alias, ids=[c.uuid for c in repeated], source=False)
            versions = {d["_id"]: d["_version"] for d in found["docs"] if d.get("found")}
            for claim in repeated:
                try:
                    await outbox.raise_version(claim, versions.get(claim.uuid, 0))
                except asyncpg.LockNotAvailableError:
                    log.info("a new version waits for a writer", entity=claim.entity, uuid=claim.uuid)
        for attempts in {claim.attempts for claim in claims}:
            alike = [claim for claim in claims if claim.attempts == attempts]
            await outbox.release(alike, min(0.05 * 2**attempts, 10))

    async def _measure(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            began = time.monotonic()
            async with self._database.connection() as connection:
                pending, oldest, dead = await OutboxRepository(connection).pending()
            PENDING.set(pending)
            OLDEST.set(oldest)
            DEAD.set(dead)
            # Counting millions takes a while: this loop counts for a twentieth of the time at most.
            await first_of(stopping, seconds=max(self._tuning.statistics_seconds, 20 * (time.monotonic() - began)))


async def _nothing() -> list[str]:
    return []


def _sort(outcome: _Outcome, claim: Claim, result: Result) -> None:
    """Adds a claim to an outcome, by the result of its document."""
    if result.refused:
        outcome.refused.append((claim, result.reason or f"status {result.status}"))
    elif result.conflict:
        outcome.conflicts.append(claim)
    elif result.done:
        outcome.done.append(claim)
    else:
        outcome.again.append(claim)
        outcome.reason = f"{result.status} {result.type} {result.reason}"[:300]


def _count(outcome: str, claims: Iterable[Claim]) -> None:
    for entity, number in Count(claim.entity for claim in claims).items():
        INDEXED.labels(entity, outcome).inc(number)
