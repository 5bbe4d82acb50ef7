"""Keeps the stored filter values true to the records, by their changes alone.

Every statement that changes records notes in its transaction how often each value is used more or less by it, and waits for nobody
(migration 0020). Here the notes are added up, one transaction at a time, so that no value is a bottleneck however many records have it.
A value appears with its first record and goes with its last: whoever reads values counts the notes that are left as well.
"""

import asyncio
from collections.abc import Iterable

from connectra_common.db.database import Database
from connectra_common.records.ids import filter_value_uuid

from connectra_write.filter_values.repository import Change, FilterValueRepository


async def add_up(database: Database) -> int:
    """Adds up all there is now; returns how many values have changed. Several processes may do so, of which one at a time works."""
    async with database.connection() as connection:
        newest, changed = await FilterValueRepository(connection).newest(), 0
    while newest is not None:
        async with database.transaction() as connection:
            repository = FilterValueRepository(connection)
            if not await repository.lock() or not await repository.is_behind(newest):
                break
            if changes := await repository.take():
                await repository.add(await asyncio.to_thread(_by_uuid, changes))
                changed += len(changes)
    return changed


def _by_uuid(changes: Iterable[Change]) -> dict[str, Change]:
    return {filter_value_uuid(c.filter_key, c.service, c.value): c for c in changes}
