"""Keeps the stored filter values true to the records: removes values that no record has any more, adds missing ones, follows names.

Writers add values as they store records; no single write can tell that a value was the last of its kind, and plain SQL adds none at all. So
a sweep compares, one filter at a time.
"""

import time
from dataclasses import dataclass

from connectra_common.db.database import Database
from connectra_common.records.fields import ENTITIES, Entity, Field

from connectra_write import marks
from connectra_write.filter_values.repository import Difference, FilterValueRepository

# A hidden value is removed after this time. Writers remember for a shorter time which values are stored (`known.KEPT_SECONDS`).
REMOVE_AFTER_SECONDS = 3_600
# The most changes of one filter in a run; the next run goes on.
MAX_CHANGES = 20_000


@dataclass(slots=True)
class Swept:
    """What a run changed, in values."""

    added: int = 0
    renamed: int = 0
    revived: int = 0
    hidden: int = 0
    removed: int = 0
    filters: int = 0


class FilterValueSweep:
    """One for each process; several processes may have one, of which one at a time works."""

    def __init__(self, database: Database, remove_after_seconds: float = REMOVE_AFTER_SECONDS) -> None:
        self._database = database
        self._remove_after = float(remove_after_seconds)
        self._filters = [(entity, field) for entity in ENTITIES.values() for field in entity.stored_filters]
        self._next = 0
        # The outbox sequence when this round began, and when the last one did: if they are equal, no record has changed in between.
        self._began: int | None = None
        self._swept: int | None = None
        self._idle_until = 0.0

    async def run(self, budget_seconds: float) -> Swept:
        """Sweeps filter after filter, from where the last run ended; starts none after the budget is used up or when a round is complete.

        Each filter is one transaction that reads its column once and then changes what differs. Costs next to nothing when no record
        has changed since the last round.
        """
        done, until = Swept(), time.monotonic() + budget_seconds
        while time.monotonic() < until:
            if self._next == 0 and not await self._is_due():
                break
            entity, field = self._filters[self._next]
            async with self._database.transaction() as connection:
                repository = FilterValueRepository(connection)
                if not await repository.lock_sweep():
                    break
                full = await _sweep(repository, entity, field, self._remove_after, done)
            done.filters += 1
            if full:  # there is more to change in this one
                continue
            self._next = (self._next + 1) % len(self._filters)
            if self._next == 0:
                self._swept, self._idle_until = self._began, time.monotonic() + self._remove_after
                break
        return done

    async def _is_due(self) -> bool:
        async with self._database.connection() as connection:
            self._began = await marks.newest(connection)
        return self._began != self._swept or time.monotonic() > self._idle_until


async def _sweep(
    repository: FilterValueRepository, entity: Entity, field: Field, remove_after: float, done: Swept
) -> bool:
    found = await repository.differences(entity, field, remove_after, MAX_CHANGES)
    by_change: dict[str, list[Difference]] = {}
    for difference in found:
        by_change.setdefault(difference.change, []).append(difference)

    def uuids(change: str) -> list[str]:
        return sorted(str(difference.uuid) for difference in by_change.get(change, ()))

    # First what may have to wait for a writer who is adding the same value: nothing is locked yet that this one could wait for. The others
    # skip what a writer holds, and check again what they change: one may have been there since.
    if missing := by_change.get("add"):
        done.added += await repository.add_missing(entity, field, missing)
    if hidden := uuids("hide"):
        done.hidden += await repository.hide(hidden)
    if revived := uuids("revive"):
        done.revived += await repository.revive(revived)
    if removed := uuids("remove"):
        done.removed += await repository.remove(removed, remove_after)
    if renamed := by_change.get("rename"):
        done.renamed += await repository.rename([str(d.uuid) for d in renamed], [str(d.shown) for d in renamed])
    return len(found) == MAX_CHANGES
