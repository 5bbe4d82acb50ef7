"""A job knows what it reads, how far it was when it lost a worker, and what is still to be said of it; the ledger knows which file its
batches are of.
"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Only expands: the previous release runs on it. The ledger of an import that it has begun is generation 0, and is left behind when
    this release takes the import over: it begins again, which changes no record.
    """
    op.execute("""
        ALTER TABLE jobs
            ADD input JSONB,
            ADD lost_runs INTEGER NOT NULL DEFAULT 0,
            ADD lost_at BIGINT NOT NULL DEFAULT 0,
            ADD report_due BOOLEAN NOT NULL DEFAULT false,
            ADD searchable_after BIGINT""")
    op.execute("CREATE INDEX jobs_report_due_idx ON jobs (id) WHERE report_due")
    op.execute("CREATE INDEX jobs_searchable_after_idx ON jobs (searchable_after) WHERE searchable_after IS NOT NULL")
    # A cancelled job that its worker handed back stayed open forever.
    op.execute("""
        UPDATE jobs SET status = 'failed', run_after = NULL, job_response = job_response || '{"messages": "Cancelled by request"}'
        WHERE cancel_requested AND lease_until IS NULL AND (status = 'open' OR run_after IS NOT NULL)""")
    op.execute("""
        ALTER TABLE jobs ADD CONSTRAINT jobs_cancelled_check CHECK (
            NOT cancel_requested OR lease_until IS NOT NULL OR status = 'completed'
            OR (status = 'failed' AND run_after IS NULL))""")
    # Failed jobs without a time were retried at once; from now on a job has one exactly if it will be retried.
    op.execute("""
        UPDATE jobs SET run_after = now()
        WHERE status = 'failed' AND run_after IS NULL AND retry_count > 0 AND NOT cancel_requested
            AND retry_count >= (SELECT count(*) FROM job_attempts a WHERE a.job_uuid = jobs.uuid AND a.outcome = 'failed')""")
    op.execute("""
        ALTER TABLE import_batches
            ADD generation INTEGER NOT NULL DEFAULT 0,
            ADD input TEXT NOT NULL DEFAULT '',
            ADD left_out JSONB NOT NULL DEFAULT '[]',
            DROP CONSTRAINT import_batches_pkey,
            ADD CONSTRAINT import_batches_pkey PRIMARY KEY (job_uuid, generation, batch_number)""")
