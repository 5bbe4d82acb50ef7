"""An import knows which records it has written: what a later batch does with one of them is told as what it is."""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Only expands: what batches of the previous release write is not noted."""
    op.execute("""
        CREATE TABLE import_records (
            job_uuid TEXT COLLATE "C" NOT NULL,
            generation INTEGER NOT NULL,
            entity TEXT NOT NULL,
            block BIGINT NOT NULL,
            written BIT(512) NOT NULL,
            changed BIT(512) NOT NULL,
            CONSTRAINT import_records_pkey PRIMARY KEY (job_uuid, generation, entity, block)
        ) WITH (fillfactor = 80)""")
