"""What the jobs service asks for while it imports a file."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

import structlog
from connectra_common.call import current
from connectra_common.db.audit import Origin
from connectra_common.db.database import Database
from connectra_common.errors import WrongState
from connectra_common.records.fields import CONTACT, Entity
from connectra_common.records.ids import checked_uuid
from prometheus_client import Counter

from connectra_write import marks
from connectra_write.imports.outcomes import Applied, Counts, ImportProgress, RejectedRow
from connectra_write.imports.parse import ImportBatch, Parsed, parse
from connectra_write.imports.repository import ImportRepository, Last, LedgerRow
from connectra_write.marks import Lane
from connectra_write.notifier import Notifier
from connectra_write.records import batches, writing
from connectra_write.records.batches import Folded
from connectra_write.records.repository import RecordRepository
from connectra_write.records.writing import BatchOutcome

# Marks of bulks and imports beyond which a batch waits for the indexers, and how long at most: while they are away for long, imports go
# on, slowly.
MOST_MARKS, WAIT_SECONDS, LOOK_SECONDS = 50_000, 5.0, 0.5

log = structlog.get_logger()

WAITED = Counter("connectra_import_index_wait_seconds_total", "Seconds that import batches waited for the indexers.")
IMPORTED = Counter("connectra_import_records_total", "What import batches made of their rows.", ["outcome"])


class ImportService:
    """Applies batches of files, each exactly once."""

    def __init__(self, database: Database, notifier: Notifier) -> None:
        self._database, self._notifier = database, notifier

    async def apply(self, batch: ImportBatch) -> Applied:
        """Stores the records of a batch and its row of the ledger in one transaction; the same batch again only repeats the answer.

        Raises:
            ValidationFailed: see `parse`; also for a job that is not a uuid.
            WrongState: it does not follow the last batch of the job.
        """
        batch = replace(batch, job_uuid=checked_uuid(batch.job_uuid, "job_uuid"))
        waited = await self._give_way()
        # In a thread: it takes a tenth of a second, in which other calls go on.
        parsed = await asyncio.to_thread(parse, batch)
        async with self._database.transaction() as connection:
            ledger = ImportRepository(connection)
            await ledger.lock(batch.job_uuid)
            last = await ledger.last(batch.job_uuid)
            if _is_earlier(batch, last) and (
                applied := await ledger.find(batch.job_uuid, batch.generation, batch.number)
            ):
                return applied
            records = RecordRepository(connection, Origin.of_job(batch.job_uuid, current()))
            done = await writing.write(records, parsed.batch, batches.ROWS, batch.job_uuid)
            rejected = _rejected(parsed, done.folded)
            before = {
                entity: await ledger.note_records(
                    batch.job_uuid, batch.generation, entity, {id_: uuid in of.changed for uuid, id_ in of.ids.items()}
                )
                for entity, of in done.written.items()
            }
            counts = _counts(parsed, done, before, rejected=len(rejected))
            token = await marks.newest(connection)
            await ledger.add(
                LedgerRow(
                    job_uuid=batch.job_uuid,
                    generation=batch.generation,
                    number=batch.number,
                    input=batch.input,
                    byte_start=batch.byte_start,
                    byte_end=batch.byte_end,
                    next_line=parsed.next_line,
                    counts=counts,
                    rejected=rejected,
                    left_out=parsed.left_out,
                    token=token,
                )
            )
            # A worker of the previous release, which knows no generations, reads the rejected rows at the end of its file.
            if last and batch.generation:
                await ledger.forget_reported(batch.job_uuid, last)
        self._notifier.wake()
        for outcome in ("created", "updated", "unchanged", "merged", "rejected"):
            IMPORTED.labels(outcome).inc(max(getattr(counts, outcome), 0))
        return Applied(counts, rejected, parsed.left_out, token, replayed=False, waited_seconds=waited)

    async def _give_way(self) -> float:
        """Waits, holding nothing, while the indexers are far behind: an import that outran them would fill the outbox for hours.

        Returns the seconds that it took.
        """
        began = time.monotonic()
        while (waited := time.monotonic() - began) < WAIT_SECONDS:
            async with self._database.connection() as connection:
                if not await marks.are_many(connection, Lane.BULK, MOST_MARKS):
                    break
            await asyncio.sleep(LOOK_SECONDS)
        if waited > LOOK_SECONDS:
            WAITED.inc(waited)
            log.info("an import waited for the index", seconds=round(waited, 1))
            return waited
        return 0.0

    async def progress(self, job_uuid: str, generation: int) -> ImportProgress:
        """Where an import goes on.

        Raises:
            ValidationFailed: not a uuid.
        """
        job_uuid = checked_uuid(job_uuid, "job_uuid")
        async with self._database.connection() as connection:
            return await ImportRepository(connection).progress(job_uuid, generation)


def _is_earlier(batch: ImportBatch, last: Last | None) -> bool:
    """Whether a batch comes before the end of its job's ledger; False: it goes on there.

    Raises:
        WrongState: neither.
    """
    problem, number, begin = None, 0, None
    if last and batch.generation < last.generation:
        problem = "the job has begun to read another file"
    elif last and batch.generation == last.generation:
        number, begin = last.number + 1, last.byte_end
        if batch.input != last.input:
            problem = "the batches before it are of another file"
    if not problem and batch.number > number:
        problem = f"the next one is {number}"
    elif not problem and batch.number == number and begin not in (None, batch.byte_start):
        problem = f"it begins at byte {batch.byte_start}, and the one before it ended at {begin}"
    if problem:
        raise WrongState(f"batch {batch.number} of the import cannot be applied: {problem}")
    return batch.number < number


def _rejected(parsed: Parsed, folded: Folded) -> list[RejectedRow]:
    """Rows that could not be read, and those of which nobody can tell whom they mean, in the order of the file."""
    texts = {row.index: row.text for row in parsed.batch.rows} if folded.failures else {}
    ambiguous = [RejectedRow(failure.index, failure.error, texts[failure.index]) for failure in folded.failures]
    return sorted((*parsed.rejected, *ambiguous), key=lambda row: row.line)


def _counts(parsed: Parsed, done: BatchOutcome, before: Mapping[Entity, Mapping[int, bool]], rejected: int) -> Counts:
    """What a batch adds to the counts of its file, in which each record counts once, wherever the file was cut.

    Args:
        before: records that earlier batches of the file have written, and whether these have changed them.
    """
    updated = unchanged = 0
    merged = done.folded.merged
    for entity, written in done.written.items():
        for uuid, id_ in written.ids.items():
            changed = uuid in written.changed
            known = before[entity].get(id_)
            if known is None:
                updated += changed and uuid not in written.created
                unchanged += not changed
                continue
            if changed and not known:  # it was counted as unchanged
                updated += 1
                unchanged -= 1
            if entity is CONTACT and uuid not in done.folded.joined:
                merged += 1
    return Counts(
        rows=parsed.rows,
        rejected=rejected,
        created=done.created,
        updated=updated,
        unchanged=unchanged,
        merged=merged,
        left_out=len(parsed.left_out),
    )
