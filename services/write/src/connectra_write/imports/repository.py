"""All SQL on the ledger of imports: which batches were applied, with what outcome."""

from dataclasses import asdict, dataclass

import orjson
from connectra_common.db.database import Connection

from connectra_write.imports.outcomes import Applied, Counts, ImportProgress, RejectedRow


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A batch that was applied."""

    job_uuid: str
    number: int
    byte_start: int
    byte_end: int
    next_line: int
    counts: Counts
    rejected: list[RejectedRow]
    token: int


class ImportRepository:
    """Statements of one transaction, in which the records of a batch are written as well."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, job_uuid: str) -> None:
        """Makes the batches of one job wait for each other. Before any other lock."""
        await self._connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", job_uuid)

    async def find(self, job_uuid: str, number: int) -> Applied | None:
        """The outcome of a batch, if it was applied before."""
        row = await self._connection.fetchrow(
            """SELECT counts::text, rejected::text, consistency_token FROM import_batches
               WHERE job_uuid = $1 AND batch_number = $2""",
            *(job_uuid, number),
        )
        if row is None:
            return None
        rejected = [RejectedRow(**rejected) for rejected in orjson.loads(row["rejected"])]
        return Applied(Counts(**orjson.loads(row["counts"])), rejected, row["consistency_token"], replayed=True)

    async def add(self, row: LedgerRow) -> None:
        """Notes a batch as applied."""
        await self._connection.execute(
            """INSERT INTO import_batches
                   (job_uuid, batch_number, byte_start, byte_end, next_line, counts, rejected, consistency_token)
               VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7::text::jsonb, $8)""",
            *(row.job_uuid, row.number, row.byte_start, row.byte_end, row.next_line),
            orjson.dumps(asdict(row.counts)).decode(),
            orjson.dumps([asdict(rejected) for rejected in row.rejected]).decode(),
            row.token,
        )

    async def progress(self, job_uuid: str) -> ImportProgress:
        """Sums over the batches of a job."""
        row = await self._connection.fetchrow(
            """SELECT count(*) AS batches, coalesce(max(byte_end), 0) AS byte_offset, coalesce(max(next_line), 0) AS next_line,
                      max(consistency_token) AS token,
                      coalesce(sum((counts ->> 'rows')::bigint), 0)::bigint AS rows,
                      coalesce(sum((counts ->> 'rejected')::bigint), 0)::bigint AS rejected,
                      coalesce(sum((counts ->> 'created')::bigint), 0)::bigint AS created,
                      coalesce(sum((counts ->> 'updated')::bigint), 0)::bigint AS updated,
                      coalesce(sum((counts ->> 'unchanged')::bigint), 0)::bigint AS unchanged
               FROM import_batches WHERE job_uuid = $1""",
            job_uuid,
        )
        assert row is not None  # sums of nothing are a row as well
        counts = Counts(*(row[name] for name in ("rows", "rejected", "created", "updated", "unchanged")))
        return ImportProgress(row["batches"], row["byte_offset"], row["next_line"], counts, row["token"])
