"""Writes batches: reads what they may mean, decides, and stores the outcome, in one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import asyncpg
from connectra_common.errors import Unavailable
from connectra_common.records import keys
from connectra_common.records.fields import CONTACT, Entity

from connectra_write.records.batches import ENTITIES, Batch, Folded, Manner, fold
from connectra_write.records.identities import Claim, Identities
from connectra_write.records.repository import RecordRepository

# Others may change a record between its reading and its lock. More often than this is not chance.
TRIES = 5
# Batches with more records than this are worked on in a thread, so that other calls go on.
INLINE_RECORDS = 100

Result = TypeVar("Result")


class Moved(Exception):
    """A record is not as it was read any more: what was decided by it does not hold."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the records of an entity.

    Args:
        ids: of all of them, unchanged ones included, by uuid.
        changed: uuids of those that are new or have changed; `created`: of new ones, `revived`: of those that were deleted.
    """

    ids: dict[str, int]
    changed: set[str]
    created: set[str]
    revived: set[str]


@dataclass(slots=True)
class BatchOutcome:
    """What became of a batch.

    Args:
        number: under which its records are noted, see `marks.add_batch`.
    """

    folded: Folded
    written: dict[Entity, Written] = field(default_factory=dict)
    number: int = 0

    @property
    def records(self) -> int:
        """How many records were written, unchanged ones included."""
        return sum(len(written.ids) for written in self.written.values())

    @property
    def created(self) -> int:
        """How many records were created."""
        return sum(len(written.created) for written in self.written.values())

    @property
    def revived(self) -> int:
        """How many of them were deleted before."""
        return sum(len(written.revived) for written in self.written.values())


async def write(repository: RecordRepository, batch: Batch, manner: Manner, job: str | None = None) -> BatchOutcome:
    """Stores a batch, as if its rows were written one by one; in the caller's transaction, or in one of its own.

    Args:
        job: uuid of the import that it is a part of.

    Raises:
        Unavailable: the records change all the time.
    """
    return await repeated(repository, lambda: _write(repository, batch, manner, job))


async def repeated(repository: RecordRepository, work: Callable[[], Awaitable[Result]]) -> Result:
    """Does some work in a transaction, and again from the start while it raises Moved, or while PostgreSQL ends it to resolve a deadlock.

    Raises:
        Unavailable: it does so each time.
    """
    for _ in range(TRIES):
        try:
            async with repository.transaction():
                return await work()
        except (Moved, asyncpg.DeadlockDetectedError):
            continue
    raise Unavailable("the records changed meanwhile; try again")


async def identities(
    repository: RecordRepository, entity: Entity, claims: Iterable[Claim], by: Collection[str], *, warns: bool
) -> Identities:
    """What is stored that claims may mean, or share a key with if `warns`."""
    numbers, uuids = set[int](), set[str]()
    for claim in claims:
        numbers.update(_deciding(entity, claim, by) if not warns else _all(entity, claim))
        if uuid := claim.candidate.uuid or claim.candidate.recipe:
            uuids.add(uuid)
    known = await repository.known(entity, sorted(numbers), sorted(uuids)) if numbers or uuids else []
    return Identities(entity, known, uuids, by)


async def completed(repository: RecordRepository, entity: Entity, found: Identities) -> Identities:
    """The same, with the uuids that turned out to matter."""
    more = found.unknown - found.asked
    known = await repository.known(entity, [], sorted(more))
    return Identities(entity, [*found.stored.values(), *known], found.asked | more, found.by)


def deciding(entity: Entity, claims: Iterable[Claim], by: Collection[str]) -> set[int]:
    """The keys by which it is decided which records are meant: they are to be locked before."""
    return {number for claim in claims for number in _deciding(entity, claim, by)}


async def in_thread(records: int, function: Callable[..., Result], *arguments: object) -> Result:
    """Calls a function, in a thread if it has many records to work on."""
    if records <= INLINE_RECORDS:
        return function(*arguments)
    return await asyncio.to_thread(function, *arguments)


def _deciding(entity: Entity, claim: Claim, by: Collection[str]) -> list[int]:
    if claim.candidate.uuid:
        return []
    return [keys.number(entity, key) for key in claim.keys if key.kind in by]


def _all(entity: Entity, claim: Claim) -> list[int]:
    return [keys.number(entity, key) for key in claim.keys]


async def _write(repository: RecordRepository, batch: Batch, manner: Manner, job: str | None) -> BatchOutcome:
    claims = {entity: batch.claims(entity) for entity in ENTITIES}
    await repository.lock_keys(number for entity in ENTITIES for number in deciding(entity, claims[entity], manner.by))
    found = {
        entity: await identities(repository, entity, claims[entity], manner.by, warns=manner.warns)
        for entity in ENTITIES
    }
    named = {str(c) for claim in claims[CONTACT] if (c := claim.candidate.values.get("company_id"))}
    companies = await repository.existing_companies(list(named)) if named else set[str]()
    while True:
        folded = await in_thread(len(batch.rows), fold, batch, manner, found, companies)
        short = [entity for entity in ENTITIES if found[entity].unknown - found[entity].asked]
        fresh = {entity: await completed(repository, entity, found[entity]) for entity in short}
        if not fresh:
            break
        found = {
            entity: fresh.get(entity) or Identities(entity, one.stored.values(), one.asked, one.by)
            for entity, one in found.items()
        }
    outcome = BatchOutcome(folded)
    for entity in ENTITIES:
        await _store(repository, entity, found[entity], outcome, manner)
    outcome.number = await repository.note_batch({entity: folded.written[entity].keys() for entity in ENTITIES}, job)
    return outcome


async def _store(
    repository: RecordRepository, entity: Entity, found: Identities, outcome: BatchOutcome, manner: Manner
) -> None:
    records = outcome.folded.written[entity]
    if not records:
        return
    stored = found.stored
    old = [uuid for uuid in records if uuid in stored]
    now = await repository.lock(entity, old) if old else {}
    if any(now.get(uuid) != (stored[uuid].deleted, *stored[uuid].columns) for uuid in old):
        raise Moved
    changed = await repository.merge(entity, list(records.values()), clearing=manner.clearing)
    created = {row.uuid: row.id for row in changed if row.created}
    # One that was to be new, and that somebody else has created meanwhile, may be of somebody else.
    if created.keys() != records.keys() - stored.keys():
        raise Moved
    ids = {uuid: stored[uuid].id if uuid in stored else created[uuid] for uuid in records}
    made, gone = list[tuple[int, int]](), list[tuple[int, int]]()
    for uuid in records:
        change = found.key_change(uuid)
        if change.made or change.gone:
            made += [(number, ids[uuid]) for number in change.made]
            gone += [(number, ids[uuid]) for number in change.gone]
    await repository.change_keys(made, gone)
    outcome.written[entity] = Written(
        ids, {row.uuid for row in changed}, set(created), {uuid for uuid in old if stored[uuid].deleted}
    )


def written_uuids(folded: Folded, total: int) -> list[str | None]:
    """The uuid of each record of a request."""
    return [folded.uuids.get(index) for index in range(total)]
