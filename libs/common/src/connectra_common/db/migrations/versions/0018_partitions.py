"""The audit trail, answers to requests with an idempotency key and the ledger of imports are kept in partitions, and dropped with them."""

from alembic import op
from sqlalchemy import text

from connectra_common.db.migrations.steps import build_index, script

revision = "0018"
down_revision = "0017"

# Tables with rows, the column of time, and the key of a partitioned one, which has that column.
_TABLES = {
    "audit": ("at", "id, at"),
    "import_batches": ("created_at", "job_uuid, generation, batch_number, created_at"),
}


def upgrade() -> None:
    """What a table holds becomes the first partition, unread: that all of it is older than its end is shown before, beside the writers.

    The previous release runs on it. Answers are in a new table, since its statements take the key for unique: so a request that was
    answered by one release and is repeated to the other is done again, while the pods of both run.
    """
    for table, (column, _) in _TABLES.items():
        # The release that is running must not come to the end: it is weeks away. Tried again later, it is moved on.
        if not op.get_bind().scalar(_IS_BOUNDED, {"table": table}):
            op.execute(f"""
                DO $$ BEGIN EXECUTE format(
                    'ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_old, ADD CONSTRAINT {table}_old CHECK ({column} < %L) NOT VALID',
                    to_timestamp(floor(extract(epoch FROM now()) / {_WIDTH}) * {_WIDTH} + 2 * {_WIDTH}));
                END $$""")
    for table, (_, key) in _TABLES.items():
        build_index(f"{table}_old_key", f"{table} ({key})", unique=True)
    with op.get_context().autocommit_block():
        for table in _TABLES:
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {table}_old")
    script(__file__)


# Seconds of a multiple of all widths of partitions: 28 days.
_WIDTH = 28 * 86_400
_IS_BOUNDED = text("""
    SELECT substring(pg_get_constraintdef(oid) FROM '''([^'']+)''')::timestamptz > now() + interval '14 days'
    FROM pg_constraint WHERE conrelid = to_regclass(:table) AND conname = :table || '_old'""")
