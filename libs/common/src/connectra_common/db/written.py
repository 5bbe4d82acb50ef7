"""Which writes the index does not have yet, by the marks in the outbox and by the batches that are noted with the records they wrote."""

from collections.abc import Collection, Sequence

from connectra_common.consistency import Kind, Token
from connectra_common.db.database import Connection
from connectra_common.db.queues import OLDEST

# A company is indexed when its contacts have the fields they copy as well.
_RECORDS = """
    SELECT k.n FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS k (entity, uuid, mark, n)
    WHERE EXISTS (SELECT FROM outbox o WHERE o.entity = k.entity AND o.uuid = k.uuid AND o.first_seq + 0 <= k.mark)
       OR (k.entity = 'company' AND EXISTS (SELECT FROM outbox o WHERE o.copies_of = k.uuid AND o.first_seq + 0 <= k.mark))"""


def _marked(uuids: str, condition: str) -> str:
    # Each looked up by itself, and no more once one is found.
    return f"""EXISTS (
        SELECT FROM unnest(b.{uuids}) AS u (uuid)
        CROSS JOIN LATERAL (SELECT FROM outbox o WHERE {condition} AND o.first_seq + 0 <= b.mark LIMIT 1) o)"""


# Of a row `b` of `written_batches`. Contacts first: of a batch that waits, most of them are marked, and one is enough. Most of its
# companies are as they were and have no mark, so all of them would be looked up in vain. CASE, because the planner orders conditions.
BATCH_IS_PENDING = f"""CASE
    WHEN {_marked("contacts", "o.entity = 'contact' AND o.uuid = u.uuid")} THEN true
    WHEN {_marked("companies", "o.entity = 'company' AND o.uuid = u.uuid")} THEN true
    ELSE {_marked("companies", "o.copies_of = u.uuid")} END"""

# Of a job the youngest batch first: most likely it waits, and the others are not looked at.
_BATCHES = f"""
    SELECT b.id::text AS name FROM written_batches b WHERE id = ANY($1::bigint[]) AND ({BATCH_IS_PENDING})
    UNION ALL
    SELECT j.uuid FROM unnest($2::text[]) AS j (uuid), LATERAL (
        SELECT FROM (SELECT * FROM written_batches WHERE job_uuid = j.uuid ORDER BY id DESC OFFSET 0) b
        WHERE {BATCH_IS_PENDING} LIMIT 1) AS waiting"""


async def pending(connection: Connection, tokens: Collection[Token]) -> set[Token]:
    """Those of the tokens whose write the index does not have yet. A batch that is not known is indexed."""
    records = [token for token in tokens if token.kind in (Kind.COMPANY, Kind.CONTACT)]
    batches = [token for token in tokens if token.kind in (Kind.BATCH, Kind.JOB)]
    everything = [token for token in tokens if token.kind is None]
    async with connection.transaction():
        await by_key(connection)
        found = await _pending_records(connection, records) if records else set()
        if batches:
            found |= await _pending_batches(connection, batches)
        if everything:
            oldest: int | None = await connection.fetchval(f"SELECT ({OLDEST})", 0)
            found |= {token for token in everything if oldest is not None and oldest <= token.mark}
    return found


async def _pending_records(connection: Connection, tokens: Sequence[Token]) -> set[Token]:
    rows = await connection.fetch(
        _RECORDS, [str(t.kind) for t in tokens], [t.name for t in tokens], [t.mark for t in tokens]
    )
    return {tokens[row["n"] - 1] for row in rows}


async def _pending_batches(connection: Connection, tokens: Sequence[Token]) -> set[Token]:
    numbers = [int(token.name) for token in tokens if token.kind is Kind.BATCH]
    jobs = [token.name for token in tokens if token.kind is Kind.JOB]
    rows = await connection.fetch(_BATCHES, numbers, jobs)
    names = {row["name"] for row in rows}
    return {token for token in tokens if token.name in names}


async def by_key(connection: Connection) -> None:
    """Has the statements of a transaction look marks up by their keys."""
    # The outbox is empty one moment and has thousands of rows the next: left to choose, the planner would have all of it read.
    await connection.execute("SET LOCAL enable_seqscan = off")
