"""Jobs belong to the client that made them."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Only expands. Jobs of the previous release have no client: administrators see them."""
    op.execute("ALTER TABLE jobs ADD client TEXT, ADD source_denied BOOLEAN NOT NULL DEFAULT false")
    op.execute("CREATE INDEX jobs_client_created_at_idx ON jobs (client, created_at)")
    op.execute("CREATE INDEX uploads_s3_key_idx ON uploads (s3_key)")
    # Whoever may execute this adds to the trail of jobs and of nothing else. It runs as the owner, by names that no caller can divert.
    op.execute("""
        CREATE FUNCTION audit_job(actor text, request text, job text, operation text, changes jsonb) RETURNS void
        LANGUAGE sql SECURITY DEFINER AS $$
            INSERT INTO audit (actor, request_id, entity, uuid, operation, row_version, changes)
            VALUES (actor, nullif(request, ''), 'job', job, operation, 0, changes)
        $$""")
    op.execute("""
        DO $$ BEGIN
            EXECUTE format('ALTER FUNCTION audit_job SET search_path = %I, pg_temp', current_schema());
        END $$""")
    op.execute("REVOKE ALL ON FUNCTION audit_job FROM PUBLIC")
