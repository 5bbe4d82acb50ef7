"""Consistency tokens name what was written: batches keep the uuids of their records until the index has them."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Only expands. Tokens of the previous release go on waiting for everything before them."""
    op.execute("""
        CREATE TABLE written_batches (
            id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            mark BIGINT NOT NULL,
            companies TEXT[] COLLATE "C" NOT NULL,
            contacts TEXT[] COLLATE "C" NOT NULL,
            job_uuid TEXT COLLATE "C"
        )""")
    op.execute("CREATE INDEX written_batches_job_uuid_idx ON written_batches (job_uuid) WHERE job_uuid IS NOT NULL")
    op.execute('ALTER TABLE outbox ADD copies_of TEXT COLLATE "C"')
    op.execute("CREATE INDEX outbox_copies_of_idx ON outbox (copies_of) WHERE copies_of IS NOT NULL")
