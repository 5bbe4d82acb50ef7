"""All SQL on the ledger of imports: which batches were applied, with what outcome."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import orjson
from connectra_common.db.database import Connection
from connectra_common.records.fields import Entity

from connectra_write.imports.outcomes import Applied, Counts, ImportProgress, LeftOutCell, RejectedRow

_COUNTS = tuple(field.name for field in fields(Counts))
_SUMS = ", ".join(f"coalesce(sum((counts ->> '{name}')::bigint), 0)::bigint AS {name}" for name in _COUNTS)
_BLOCK = 512
_LAST = "job_uuid = $1 AND generation = $2 ORDER BY batch_number DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A batch that was applied."""

    job_uuid: str
    generation: int
    number: int
    input: str
    byte_start: int
    byte_end: int
    next_line: int
    counts: Counts
    rejected: list[RejectedRow]
    left_out: list[LeftOutCell]
    token: int


@dataclass(frozen=True, slots=True)
class Last:
    """The last batch of a job."""

    generation: int
    number: int
    input: str
    byte_end: int


class ImportRepository:
    """Statements of one transaction, in which the records of a batch are written as well."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, job_uuid: str) -> None:
        """Makes the batches of one job wait for each other. Before any other lock."""
        await self._connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", job_uuid)

    async def last(self, job_uuid: str) -> Last | None:
        """The last batch of the newest generation."""
        row = await self._connection.fetchrow(
            """SELECT generation, batch_number, input, byte_end FROM import_batches
               WHERE job_uuid = $1 ORDER BY generation DESC, batch_number DESC LIMIT 1""",
            job_uuid,
        )
        return Last(*row) if row else None

    async def find(self, job_uuid: str, generation: int, number: int) -> Applied | None:
        """The outcome of a batch, if it was applied before."""
        row = await self._connection.fetchrow(
            """SELECT counts::text, rejected::text, left_out::text, consistency_token FROM import_batches
               WHERE job_uuid = $1 AND generation = $2 AND batch_number = $3""",
            *(job_uuid, generation, number),
        )
        if row is None:
            return None
        counts = Counts(**orjson.loads(row["counts"]))
        return Applied(counts, _rejected(row["rejected"]), _left_out(row["left_out"]), row["consistency_token"], True)

    async def add(self, row: LedgerRow) -> None:
        """Notes a batch as applied."""
        await self._connection.execute(
            """INSERT INTO import_batches
                   (job_uuid, generation, batch_number, input, byte_start, byte_end, next_line, consistency_token,
                    counts, rejected, left_out)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::jsonb, $10::text::jsonb, $11::text::jsonb)""",
            *(
                row.job_uuid,
                row.generation,
                row.number,
                row.input,
                row.byte_start,
                row.byte_end,
                row.next_line,
                row.token,
            ),
            orjson.dumps(asdict(row.counts)).decode(),
            orjson.dumps([asdict(rejected) for rejected in row.rejected]).decode(),
            orjson.dumps([asdict(cell) for cell in row.left_out]).decode(),
        )

    async def note_records(
        self, job_uuid: str, generation: int, entity: Entity, changed: Mapping[int, bool]
    ) -> dict[int, bool]:
        """Notes the records that a batch has written, and whether it has changed them, by their ids.

        Returns those of them that earlier batches of the generation had written, and whether these had changed them.
        """
        if not changed:
            return {}
        ids, flags = list(changed), list(changed.values())
        rows = await self._connection.fetch(_NOTE_RECORDS, job_uuid, generation, entity.name, ids, flags)
        return {row[0]: row[1] for row in rows}

    async def forget_reported(self, job_uuid: str, batch: Last) -> None:
        """Drops the rows and cells that a batch reported: whoever sends the next one has stored them."""
        await self._connection.execute(
            """UPDATE import_batches SET rejected = '[]', left_out = '[]'
               WHERE job_uuid = $1 AND generation = $2 AND batch_number = $3 AND (rejected <> '[]' OR left_out <> '[]')""",
            *(job_uuid, batch.generation, batch.number),
        )

    async def progress(self, job_uuid: str, generation: int) -> ImportProgress:
        """Sums over the batches of a generation."""
        row = await self._connection.fetchrow(
            f"""SELECT count(*) AS batches, coalesce(max(byte_end), 0) AS byte_offset,
                       coalesce(max(next_line), 0) AS next_line, max(consistency_token) AS token, {_SUMS},
                       coalesce((SELECT rejected::text FROM import_batches WHERE {_LAST}), '[]') AS last_rejected,
                       coalesce((SELECT left_out::text FROM import_batches WHERE {_LAST}), '[]') AS last_left_out
                FROM import_batches WHERE job_uuid = $1 AND generation = $2""",
            *(job_uuid, generation),
        )
        assert row is not None  # sums of nothing are a row as well
        counts = Counts(**{name: row[name] for name in _COUNTS})
        reported = _rejected(row["last_rejected"]), _left_out(row["last_left_out"])
        return ImportProgress(row["batches"], row["byte_offset"], row["next_line"], counts, row["token"], *reported)


# A bit a record: ids of new ones follow each other, so that a batch of them touches a few rows.
_NOTE_RECORDS = f"""
    WITH given AS MATERIALIZED (
        SELECT id / {_BLOCK} AS block, array_agg(id) AS ids,
               bit_or(set_bit(B'0'::bit({_BLOCK}), (id % {_BLOCK})::int, 1)) AS written,
               bit_or(set_bit(B'0'::bit({_BLOCK}), (id % {_BLOCK})::int, changed::int)) AS changed
        FROM unnest($4::bigint[], $5::boolean[]) AS g (id, changed) GROUP BY 1),
    -- LIMIT: it is looked up for each block, whatever the planner believes of the table.
    again AS (
        SELECT g.ids, r.written & g.written AS written, r.changed
        FROM given g, LATERAL (
            SELECT written, changed FROM import_records
            WHERE job_uuid = $1 AND generation = $2 AND entity = $3 AND block = g.block LIMIT 1) AS r),
    noted AS (
        INSERT INTO import_records AS r (job_uuid, generation, entity, block, written, changed)
        SELECT $1, $2, $3, block, written, changed FROM given
        ON CONFLICT (job_uuid, generation, entity, block) DO UPDATE
            SET written = r.written | excluded.written, changed = r.changed | excluded.changed
            WHERE (r.written | excluded.written, r.changed | excluded.changed) <> (r.written, r.changed))
    SELECT id, get_bit(a.changed, (id % {_BLOCK})::int) = 1 FROM again a, unnest(a.ids) AS id
    WHERE get_bit(a.written, (id % {_BLOCK})::int) = 1"""


def _rejected(text: str) -> list[RejectedRow]:
    return [RejectedRow(**row) for row in orjson.loads(text)]


def _left_out(text: str) -> list[LeftOutCell]:
    return [LeftOutCell(**cell) for cell in orjson.loads(text)]
