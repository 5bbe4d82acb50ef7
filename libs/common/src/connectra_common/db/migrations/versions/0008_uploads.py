"""Remembers which files clients uploaded, and which jobs' files were removed: retention touches nothing else."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Only expands: files that the previous release gave out are not remembered, and so they are kept."""
    op.execute(
        """
        CREATE TABLE uploads (
            uuid TEXT COLLATE "C" NOT NULL,
            client TEXT NOT NULL,
            bucket TEXT NOT NULL,
            s3_key TEXT NOT NULL,
            store_id TEXT,
            size_bytes BIGINT,
            part_size BIGINT,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            completed_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT uploads_pkey PRIMARY KEY (uuid)
        )
        """
    )
    op.execute("CREATE INDEX uploads_created_at_idx ON uploads (created_at)")
    op.execute("ALTER TABLE jobs ADD files_removed_at TIMESTAMP WITH TIME ZONE")
