"""What operators can ask about the index and do with it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from math import inf
from typing import Any

from connectra_common.call import current
from connectra_common.db import audit
from connectra_common.db.audit import Event, Origin
from connectra_common.db.database import Database
from connectra_common.errors import FieldViolation, Unavailable, ValidationFailed, VersionConflict, WrongState
from connectra_common.records.fields import ENTITIES, Entity
from connectra_common.search import indices
from elasticsearch import AsyncElasticsearch

from connectra_write.index.repository import DeadLetter, IndexRepository, Numbers
from connectra_write.notifier import Notifier
from connectra_write.operations import CHANGES, Check, Kind, Operation, Phase

# Between two looks at an operation that a call follows; and between two messages, so that nobody takes the call for dead.
LOOK_SECONDS, AT_LEAST_SECONDS = 0.2, 15.0
# For the end of an operation whose call has one answer.
WAIT_SECONDS = 20.0
MAX_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class IndexState:
    """The index of one entity."""

    entity: str
    index_name: str
    documents: int
    previous: str
    under_way: Operation | None
    check: Check | None


class IndexService:
    """Long work is done by indexers; a call only asks for it, and tells how it goes."""

    def __init__(self, database: Database, search: AsyncElasticsearch, notifier: Notifier) -> None:
        self._database, self._search, self._notifier = database, search, notifier

    async def status(self) -> tuple[Numbers, list[IndexState]]:
        """The outbox and the indices, as of now."""
        states = []
        async with self._database.connection() as connection:
            repository = IndexRepository(connection)
            numbers = await repository.numbers()
            found = [
                (
                    entity,
                    await repository.under_way(entity, CHANGES),
                    await repository.last_change(entity),
                    await repository.under_way(entity, [Kind.CHECK]),
                )
                for entity in ENTITIES.values()
            ]
        for entity, under_way, last, comparing in found:
            previous, check = last.previous if last else "", Check.of(comparing) if comparing else None
            name = await indices.current(self._search, entity)
            documents = int((await self._search.count(index=name))["count"]) if name else 0
            states.append(IndexState(entity.name, name or "", documents, previous, under_way, check))
        return numbers, states

    async def dead_letters(self, limit: int, page_token: str) -> tuple[list[DeadLetter], str]:
        """A page of dead letters, and the token of the next page; "" on the last.

        Raises:
            ValidationFailed: the limit or the token.
        """
        if not 0 <= limit <= MAX_PAGE:
            raise ValidationFailed.at("limit", f"from 1 to {MAX_PAGE}, or 0 for 100")
        entity, separator, uuid = page_token.partition(":")
        if page_token and not separator:
            raise ValidationFailed.at("page_token", "is not that of a page")
        async with self._database.connection() as connection:
            found = await IndexRepository(connection).dead_letters((entity, uuid), limit := limit or 100)
        return found, f"{found[-1].entity}:{found[-1].uuid}" if len(found) == limit else ""

    async def replay(self, uuids: Sequence[str]) -> int:
        """Tries dead letters again, all of them when none are named. Returns how many."""
        asked = {"uuids": list(uuids)} if uuids else {}
        event = Event("index", "dead_letters", "replay", asked)
        async with audit.recorded(self._database, event) as came, self._database.connection() as connection:
            came["replayed"] = replayed = await IndexRepository(connection).replay(uuids)
        self._notifier.wake()
        return replayed

    async def reindex(
        self, entity: str, abort: bool, shards: int, accept_other_answers: bool
    ) -> AsyncGenerator[Operation]:
        """Asks for a rebuild, or follows the one that is under way; a held one goes on. It goes on too when the caller goes away.

        Raises:
            ValidationFailed: the entity or the number of shards.
            WrongState: another operation is under way, or there is none to abort; or it is held.
            VersionConflict: it was aborted meanwhile.
        """
        of = _entity(entity)
        if not 0 <= shards <= 1024:
            raise ValidationFailed.at("shards", "from 1 to 1024, or 0 for as many as configured")
        if abort:
            yield await self._abort(of, (Kind.REBUILD, Kind.ROLLBACK))
            return
        asked = {"shards": shards, "accept_other_answers": accept_other_answers}
        async with aclosing(self._follow(await self._ask(of, Kind.REBUILD, asked))) as steps:
            async for operation in steps:
                yield operation

    async def rollback(self, entity: str) -> Operation:
        """Asks for a rollback, or how the one that is under way, or was the last change, has come; waits a while for its end.

        Raises:
            ValidationFailed: the entity.
            WrongState: there is no previous index, another operation is under way, or it is held.
            VersionConflict: it was aborted.
        """
        return await self._wait(await self._ask(_entity(entity), Kind.ROLLBACK, {}))

    async def drop_previous(self, entity: str) -> str:
        """Removes the previous index. Returns its name. Raises as `rollback`."""
        operation = await self._wait(await self._ask(_entity(entity), Kind.DROP_PREVIOUS, {}))
        if not operation.has_ended:
            raise Unavailable("it has not come to an end yet; is an indexer running?")
        return str(operation.asked["index_name"])

    async def verify(
        self, entity: str, repair: bool, after_uuid: str, records_per_second: int, max_seconds: int, abort: bool = False
    ) -> AsyncGenerator[Operation]:
        """Asks for a comparison, or follows the one that is under way, which goes on when the caller goes away.

        Raises:
            ValidationFailed: the entity or a limit.
            WrongState: one that was asked for otherwise is under way, or there is none to abort.
            VersionConflict: it was aborted meanwhile.
        """
        of = _entity(entity)
        limits = {"records_per_second": records_per_second, "max_seconds": max_seconds}
        if wrong := [FieldViolation.at(n, "must not be negative") for n, value in limits.items() if value < 0]:
            raise ValidationFailed.of(wrong)
        if abort:
            yield await self._abort(of, (Kind.VERIFY,))
            return
        asked = {"repair": repair, "after_uuid": after_uuid, **limits}
        async with aclosing(self._follow(await self._ask(of, Kind.VERIFY, asked))) as steps:
            async for operation in steps:
                yield operation

    async def _ask(self, entity: Entity, kind: Kind, asked: dict[str, Any]) -> Operation:
        """The operation of this kind that is under way, or a new one."""
        try:
            async with self._database.transaction() as connection:
                repository = IndexRepository(connection)
                await repository.lock(entity)
                last = await repository.last_change(entity)
                other = await repository.under_way(entity, CHANGES if kind in CHANGES else (kind,))
                if other and (other.kind is not kind or (kind is Kind.VERIFY and other.asked != asked)):
                    raise WrongState(
                        f"a {other.kind.value} of the {entity.name} index is under way; let it end, or abort it"
                    )
                if other:
                    await repository.resume(other.id, asked)
                    operation = other
                elif kind is Kind.ROLLBACK and last and last.kind is Kind.ROLLBACK:
                    operation = last  # it has been done, and is not undone by asking again
                else:
                    if kind in (Kind.ROLLBACK, Kind.DROP_PREVIOUS):
                        previous = last.previous if last else ""
                        if not previous or not await self._search.indices.exists(index=previous):
                            raise WrongState(f"there is no previous {entity.name} index")
                        asked = {"index_name": previous}
                    operation = await repository.add(entity, kind, asked, Origin.of_call(current()))
        except WrongState as error:
            async with self._database.connection() as connection:
                refused = Event("index", entity.name, kind.value, {**asked, "outcome": error.reason})
                await audit.record(connection, refused)
            raise
        self._notifier.wake()
        return operation

    async def _follow(self, operation: Operation) -> AsyncGenerator[Operation]:
        """The operation whenever it has come further, and every few seconds, until it has ended."""
        told, at = None, -inf
        while True:
            async with self._database.connection() as connection:
                operation = await IndexRepository(connection).operation(operation.id)
            if operation.held:
                raise WrongState(operation.reason)
            if operation != told or time.monotonic() - at > AT_LEAST_SECONDS:
                yield operation
                told, at = operation, time.monotonic()
            if operation.phase is Phase.ABORTED:
                raise VersionConflict(f"the {operation.kind.value} was aborted: {operation.reason}")
            if operation.has_ended:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _wait(self, operation: Operation) -> Operation:
        """The operation at its end, or as it is after a while."""
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(current().seconds(WAIT_SECONDS + 5) - 5),
                aclosing(self._follow(operation)) as steps,
            ):
                async for step in steps:
                    operation = step
        return operation

    async def _abort(self, entity: Entity, kinds: Collection[Kind]) -> Operation:
        async with audit.recorded(self._database, Event("index", entity.name, "abort", {})) as came:
            async with self._database.connection() as connection:
                repository = IndexRepository(connection)
                operation = await repository.under_way(entity, kinds)
                if operation is None:
                    what = " or ".join(kind.value for kind in kinds)
                    raise WrongState(f"no {what} of the {entity.name} index is under way")
                await repository.abort(operation.id)
            self._notifier.wake()
            while not operation.has_ended:
                await asyncio.sleep(LOOK_SECONDS)
                async with self._database.connection() as connection:
                    operation = await IndexRepository(connection).operation(operation.id)
            came.update(phase=operation.phase.value, index_name=operation.index_name)
        return operation


def _entity(name: str) -> Entity:
    if name not in ENTITIES:
        raise ValidationFailed.at("entity", f"must be {' or '.join(ENTITIES)}")
    return ENTITIES[name]
