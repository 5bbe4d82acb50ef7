"""What the jobs service asks for while it imports a file."""

import asyncio
from dataclasses import replace

from connectra_common.call import current
from connectra_common.db.audit import Origin
from connectra_common.db.database import Database
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_common.records.ids import checked_uuid
from prometheus_client import Counter

from connectra_write import marks
from connectra_write.filter_values.known import KnownValues
from connectra_write.filter_values.rows import Wanted, wanted
from connectra_write.imports.outcomes import Applied, Counts, ImportProgress
from connectra_write.imports.parse import ImportBatch, Parsed, parse
from connectra_write.imports.repository import ImportRepository, LedgerRow
from connectra_write.notifier import Notifier
from connectra_write.records.repository import RecordRepository, company_names

IMPORTED = Counter("connectra_import_records_total", "What import batches made of their rows.", ["outcome"])


class ImportService:
    """Applies batches of files, each exactly once."""

    def __init__(self, database: Database, notifier: Notifier, known: KnownValues) -> None:
        self._database, self._notifier, self._known = database, notifier, known

    async def apply(self, batch: ImportBatch) -> Applied:
        """Stores the records of a batch and its row of the ledger in one transaction; the same batch again only repeats the answer.

        Raises:
            ValidationFailed: see `parse`; also for a job that is not a uuid.
        """
        batch = replace(batch, job_uuid=checked_uuid(batch.job_uuid, "job_uuid"))
        # In a thread: it takes a tenth of a second, in which other calls go on.
        parsed, values = await asyncio.to_thread(_parse, batch)
        async with self._database.transaction() as connection:
            ledger = ImportRepository(connection)
            await ledger.lock(batch.job_uuid)
            if applied := await ledger.find(batch.job_uuid, batch.number):
                return applied
            records = RecordRepository(connection, Origin.of_job(batch.job_uuid, current()))
            changed = await records.merge(COMPANY, list(parsed.companies.values()))
            names = company_names(changed)
            changed += await records.merge(CONTACT, list(parsed.contacts.values()))
            new = await self._known.store(records.filter_values, values, names)
            counts = _counts(parsed, created=sum(row.created for row in changed), changed=len(changed))
            token = await marks.newest(connection)
            await ledger.add(
                LedgerRow(
                    job_uuid=batch.job_uuid,
                    number=batch.number,
                    byte_start=batch.byte_start,
                    byte_end=batch.byte_end,
                    next_line=parsed.next_line,
                    counts=counts,
                    rejected=parsed.rejected,
                    token=token,
                )
            )
        self._known.add(new)
        self._notifier.wake()
        for outcome in ("created", "updated", "unchanged", "rejected"):
            IMPORTED.labels(outcome).inc(getattr(counts, outcome))
        return Applied(counts, parsed.rejected, token, replayed=False)

    async def progress(self, job_uuid: str) -> ImportProgress:
        """Where an import goes on.

        Raises:
            ValidationFailed: not a uuid.
        """
        job_uuid = checked_uuid(job_uuid, "job_uuid")
        async with self._database.connection() as connection:
            return await ImportRepository(connection).progress(job_uuid)


def _parse(batch: ImportBatch) -> tuple[Parsed, set[Wanted]]:
    parsed = parse(batch)
    return parsed, wanted(COMPANY, parsed.companies.values()) | wanted(CONTACT, parsed.contacts.values())


def _counts(parsed: Parsed, created: int, changed: int) -> Counts:
    return Counts(
        rows=parsed.rows,
        rejected=len(parsed.rejected),
        created=created,
        updated=changed - created,
        unchanged=len(parsed.companies) + len(parsed.contacts) - changed,
    )
