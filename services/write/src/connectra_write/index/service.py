"""What operators can ask about the index and do with it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import asdict, dataclass

from connectra_common.db import audit
from connectra_common.db.audit import Event
from connectra_common.db.database import Database
from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records.fields import ENTITIES, Entity
from connectra_common.search import indices
from connectra_common.settings import ElasticsearchSettings
from elasticsearch import AsyncElasticsearch

from connectra_write.index import verify
from connectra_write.index.rebuild import Progress, Rebuild
from connectra_write.index.repository import DeadLetter, IndexRepository, Numbers
from connectra_write.notifier import Notifier

MAX_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class IndexState:
    """The index of one entity."""

    entity: str
    index_name: str
    documents: int
    previous: str
    rebuild: Progress | None


class IndexService:
    """Long work runs within its call, which streams the progress."""

    def __init__(
        self, database: Database, search: AsyncElasticsearch, settings: ElasticsearchSettings, notifier: Notifier
    ) -> None:
        self._database, self._search, self._notifier = database, search, notifier
        self._rebuild = Rebuild(database, search, settings)

    async def status(self) -> tuple[Numbers, list[IndexState]]:
        """The outbox and the indices, as of now."""
        states = []
        async with self._database.connection() as connection:
            repository = IndexRepository(connection)
            numbers = await repository.numbers()
            for entity in ENTITIES.values():
                build = await repository.build(entity)
                name = await indices.current(self._search, entity)
                documents = int((await self._search.count(index=name))["count"]) if name else 0
                under_way = Progress.of(build) if build and build.phase != "done" else None
                previous = (build.previous if build else None) or ""
                states.append(IndexState(entity.name, name or "", documents, previous, under_way))
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
    ) -> AsyncGenerator[Progress]:
        """See `Rebuild.run` and `Rebuild.abort`; the same errors.

        Raises:
            ValidationFailed: the entity or the number of shards.
        """
        of = _entity(entity)
        if not 0 <= shards <= 1024:
            raise ValidationFailed.at("shards", "from 1 to 1024, or 0 for as many as configured")
        if abort:
            async with self._recorded(of, "abort") as came:
                aborted = await self._rebuild.abort(of)
                came.update(asdict(aborted))
            yield aborted
            return
        async with (
            self._recorded(of, "reindex", shards=shards, accept_other_answers=accept_other_answers) as came,
            aclosing(self._rebuild.run(of, shards, accept_other_answers)) as steps,
        ):
            async for progress in steps:
                came.update(asdict(progress))
                yield progress

    async def rollback(self, entity: str) -> tuple[str, int]:
        """See `Rebuild.rollback`."""
        of = _entity(entity)
        async with self._recorded(of, "rollback") as came:
            moved = await self._rebuild.rollback(of)
            came["index_name"], came["marked"] = moved
        self._notifier.wake()
        return moved

    async def drop_previous(self, entity: str) -> str:
        """See `Rebuild.drop_previous`."""
        of = _entity(entity)
        async with self._recorded(of, "drop_previous") as came:
            came["index_name"] = dropped = await self._rebuild.drop_previous(of)
        return dropped

    async def verify(
        self, entity: str, repair: bool, after_uuid: str, records_per_second: int, max_seconds: int
    ) -> AsyncGenerator[verify.Report]:
        """See `verify.walk`.

        Raises:
            ValidationFailed: the entity or a limit.
        """
        of = _entity(entity)
        limits = {"records_per_second": records_per_second, "max_seconds": max_seconds}
        if wrong := [FieldViolation.at(n, "must not be negative") for n, value in limits.items() if value < 0]:
            raise ValidationFailed.of(wrong)
        walk = verify.walk(
            self._database,
            self._search,
            of,
            after=after_uuid,
            repair=repair,
            records_per_second=records_per_second,
            max_seconds=max_seconds,
        )
        # To compare changes nothing, and reveals nothing of the records.
        unrecorded: AbstractAsyncContextManager[dict[str, object]] = nullcontext({})
        recorded = self._recorded(of, "repair", after_uuid=after_uuid) if repair else unrecorded
        async with recorded as came, aclosing(walk):
            async for report in walk:
                came.update(compared=report.compared, repaired=report.repaired, complete=report.complete)
                if report.repaired:
                    self._notifier.wake()
                yield report

    def _recorded(
        self, entity: Entity, operation: str, **asked: object
    ) -> AbstractAsyncContextManager[dict[str, object]]:
        return audit.recorded(self._database, Event("index", entity.name, operation, asked))


def _entity(name: str) -> Entity:
    if name not in ENTITIES:
        raise ValidationFailed.at("entity", f"must be {' or '.join(ENTITIES)}")
    return ENTITIES[name]
