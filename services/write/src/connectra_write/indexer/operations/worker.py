"""Carries out operations on indices, beside the loops of an indexer and apart from them.

An indexer claims what is nobody's. While it lives the operation is its own; when it has stopped or died, another goes on where it was.
What fails is tried again, with the reason in the operation, until it works or somebody aborts it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf

import structlog
from connectra_common.db.database import Database
from connectra_common.errors import from_exception
from connectra_common.records.fields import ENTITIES, Entity
from connectra_common.search import indices
from connectra_common.server.background import first_of
from connectra_common.settings import ElasticsearchSettings
from elasticsearch import AsyncElasticsearch
from prometheus_client import Gauge

from connectra_write.indexer.operations import verify
from connectra_write.indexer.operations.build import Build, Held, Impossible
from connectra_write.indexer.operations.repository import Lost, OperationRepository
from connectra_write.operations import CHANGES, Check, Kind, Operation, Phase

log = structlog.get_logger()

COMPARED = Gauge(
    "connectra_index_compared", "Records in the last complete round of the comparison that never ends.", ["entity"]
)
DIFFERING = Gauge(
    "connectra_index_differing", "Of them, or in the present round, those with a wrong document.", ["entity"]
)
OLDEST = Gauge(
    "connectra_index_compared_oldest_seconds", "Every record has been compared within this time.", ["entity"]
)

POLL_SECONDS = 0.3
FIRST_SECONDS, LAST_SECONDS = 0.5, 10.0
MEASURE_SECONDS = 5.0
# Between two rounds of the comparison that never ends.
ROUND_PAUSE_SECONDS = 2.0
# While more marks than this wait, the comparison rests between two slices: it would take from the indexers what they need to catch up, and
# most of what it reads would be on its way. For so long at most, since marks may wait for days.
REST_MARKS, REST_SECONDS = 1_000, 60.0
# Drift that an operation names.
EXAMPLES = 100
FORGET_SLICE = 10_000


class Worker:
    """Of one indexer.

    Args:
        checked_per_second: records that are compared with the index all the time; 0: none.
        me: the indexer's number while others know that it lives, otherwise 0.
    """

    def __init__(
        self,
        database: Database,
        search: AsyncElasticsearch,
        settings: ElasticsearchSettings,
        checked_per_second: int,
        me: Callable[[], int],
    ) -> None:
        self._database, self._search, self._settings, self._me = database, search, settings, me
        self._checked_per_second = checked_per_second
        self._kinds = [*CHANGES, Kind.VERIFY, *([Kind.CHECK] if checked_per_second else [])]
        self._running: dict[int, asyncio.Task[None]] = {}
        self._measured = -inf

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until told to stop; what it is at work on then is left to others."""
        while not stopping.is_set():
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - the operations are still there
                log.warning("no look for index operations", reason=from_exception(error).reason, error=repr(error))
            await first_of(stopping, seconds=POLL_SECONDS)
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        if me := self._me():
            async with self._database.connection() as connection:
                await OperationRepository(connection, me).release()

    async def _look(self) -> None:
        self._running = {number: task for number, task in self._running.items() if not task.done()}
        if not (me := self._me()):
            return
        async with self._database.connection() as connection:
            repository = OperationRepository(connection, me)
            for number in await repository.to_be_aborted() & self._running.keys():
                self._running[number].cancel()  # and claimed again, to be undone
            if self._checked_per_second and time.monotonic() - self._measured > MEASURE_SECONDS:
                await repository.add_checks()
                _measure(await repository.checks())
                self._measured = time.monotonic()
            claimed = await repository.claim(self._kinds, self._running)
        for operation in claimed:
            self._running[operation.id] = asyncio.create_task(self._carry_out(operation, me))

    async def _carry_out(self, operation: Operation, me: int) -> None:
        """To its end, or until it is held or lost."""
        delay = FIRST_SECONDS
        while True:
            began = time.monotonic()
            try:
                with suppress(Lost):
                    await self._try(operation, me)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the operation goes on
                reason = from_exception(error).message
                log.warning("index operation waits", kind=operation.kind.value, reason=reason, error=repr(error))
            if time.monotonic() - began > LAST_SECONDS:
                delay = FIRST_SECONDS
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_SECONDS)
            try:
                async with self._database.connection() as connection:
                    operation = await OperationRepository(connection, me).note(operation, reason=f"waits: {reason}")
            except Lost:
                return
            except Exception as error:  # noqa: BLE001 - as above
                log.warning("index operation waits", kind=operation.kind.value, error=repr(error))

    async def _try(self, operation: Operation, me: int) -> None:
        build = Build(self._database, self._search, self._settings, me, operation)
        try:
            if operation.abort and not await build.is_live():
                await build.undo()
                await self._end(operation, me, Phase.ABORTED, "aborted on request")
            else:
                await self._go_on(operation, build, me)
        except Held as error:
            log.error("index operation held", kind=operation.kind.value, entity=operation.entity, reason=str(error))
            async with self._database.connection() as connection:
                await OperationRepository(connection, me).note(operation, held=True, reason=str(error))
            return
        except Impossible as error:
            await self._end(operation, me, Phase.ABORTED, str(error))
        except Lost:
            raise
        except Exception:
            if not await build.is_gone():
                raise
            await self._end(operation, me, Phase.ABORTED, f"the index {build.index_name} is gone")
        await self._tidy(ENTITIES[operation.entity])

    async def _go_on(self, operation: Operation, build: Build, me: int) -> None:
        if operation.abort:  # too late
            async with self._database.connection() as connection:
                await OperationRepository(connection, me).go_on(operation)
        if operation.kind is Kind.CHECK:
            while True:
                operation = await self._check(operation, ENTITIES[operation.entity], me)
        elif operation.kind is Kind.VERIFY:
            await self._verify(operation, ENTITIES[operation.entity], me)
        elif operation.kind is Kind.DROP_PREVIOUS:
            await self._search.options(ignore_status=404).indices.delete(index=operation.asked["index_name"])
            await self._end(operation, me, Phase.DONE)
        else:
            await build.run()

    async def _end(self, operation: Operation, me: int, phase: Phase, reason: str = "") -> None:
        async with self._database.connection() as connection:
            await OperationRepository(connection, me).end(operation, phase, reason)
        log.info("index operation ended", kind=operation.kind.value, phase=phase.value, reason=reason)

    async def _tidy(self, entity: Entity) -> None:
        """Removes indices that nobody needs any more, and what is still listed."""
        async with self._database.connection() as connection:
            repository = OperationRepository(connection)
            last, former = await repository.last_change(entity), await repository.former_indices(entity)
            while await repository.forget_listed(entity, FORGET_SLICE) == FORGET_SLICE:
                pass
        live = await indices.current(self._search, entity)
        needless = sorted(former - {live, last.previous if last else None})
        if live and needless:
            await self._search.options(ignore_status=404).indices.delete(index=needless, ignore_unavailable=True)

    async def _check(self, operation: Operation, entity: Entity, me: int) -> Operation:
        """One round of the comparison that never ends, or the rest of it."""
        began = {"began": time.time(), "differing": 0, **operation.found.get("round", {})}
        done, differing = operation.documents_done, began["differing"]
        walk = verify.walk(
            self._database,
            self._search,
            entity,
            after=operation.after_uuid,
            repair=True,
            records_per_second=self._checked_per_second,
        )
        async for report in walk:
            current = {**began, "differing": differing + sum(report.kinds.values())}
            compared, after, found = done + report.compared, report.after_uuid, {**operation.found, "round": current}
            for drift in report.found:
                log.error("drift", entity=entity.name, uuid=drift.uuid, kind=drift.kind)
            if report.complete:
                found, compared, after = {"last": {**current, "compared": compared}}, 0, ""
            async with self._database.connection() as connection:
                operation = await OperationRepository(connection, me).note(
                    operation, after_uuid=after, documents_done=compared, found=found, reason=""
                )
            await self._rest()
        await asyncio.sleep(ROUND_PAUSE_SECONDS)
        return operation

    async def _rest(self) -> None:
        until = time.monotonic() + REST_SECONDS
        while time.monotonic() < until:
            async with self._database.connection() as connection:
                if not await OperationRepository(connection).are_many(REST_MARKS):
                    return
            await asyncio.sleep(1)

    async def _verify(self, operation: Operation, entity: Entity, me: int) -> None:
        asked, found = operation.asked, {"kinds": {}, "repaired": 0, "examples": [], **operation.found}
        async with self._database.connection() as connection:
            repository = OperationRepository(connection, me)
            total = await repository.count(entity)
            operation = await repository.note(operation, phase=Phase.WALKING.value, documents_total=total, reason="")
        walk = verify.walk(
            self._database,
            self._search,
            entity,
            after=operation.after_uuid or asked["after_uuid"],
            repair=asked["repair"],
            records_per_second=asked["records_per_second"],
            max_seconds=asked["max_seconds"],
        )
        done, kinds, repaired = operation.documents_done, dict(found["kinds"]), found["repaired"]
        async for report in walk:
            found |= {
                "kinds": {kind: kinds.get(kind, 0) + number for kind, number in report.kinds.items()},
                "repaired": repaired + report.repaired,
                "complete": report.complete,
                "examples": [*found["examples"], *([d.uuid, d.kind] for d in report.found)][:EXAMPLES],
            }
            after = report.after_uuid or operation.after_uuid
            async with self._database.connection() as connection:
                operation = await OperationRepository(connection, me).note(
                    operation, after_uuid=after, documents_done=done + report.compared, found=found
                )
        await self._end(operation, me, Phase.DONE)


def _measure(checks: Sequence[Operation]) -> None:
    for operation in checks:
        check = Check.of(operation)
        COMPARED.labels(operation.entity).set(check.compared)
        DIFFERING.labels(operation.entity).set(check.differing)
        OLDEST.labels(operation.entity).set(check.oldest_seconds)
