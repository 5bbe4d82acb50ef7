"""The audit trail also has what is done to other things than records: by one function for all of them."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Only expands: `audit_job` stays for the previous release."""
    # Whoever may execute this adds to the trail, but not as if a record had changed. It runs as the owner, by names that no caller can
    # divert.
    op.execute("""
        CREATE FUNCTION audit_event(actor text, request text, entity text, subject text, operation text, details jsonb) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
            IF entity IN ('company', 'contact') THEN
                RAISE EXCEPTION 'changes of records are recorded by triggers alone' USING ERRCODE = 'insufficient_privilege';
            END IF;
            INSERT INTO audit (actor, request_id, entity, uuid, operation, row_version, changes)
            VALUES (coalesce(nullif(actor, ''), audit_actor()), nullif(request, ''), entity, subject, operation, 0, details);
        END $$""")
    op.execute("""
        DO $$ BEGIN
            EXECUTE format('ALTER FUNCTION audit_event SET search_path = %I, pg_temp', current_schema());
        END $$""")
    op.execute("REVOKE ALL ON FUNCTION audit_event FROM PUBLIC")
