-- Whoever may execute this may write records without a trail, by `SET connectra.audit = 'off'`: the owner, and roles that the owner lets.
CREATE FUNCTION audit_exempt() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT current_setting('connectra.audit', true) = 'off'
$$;
REVOKE ALL ON FUNCTION audit_exempt() FROM PUBLIC;

DO $$
DECLARE
    entity text;
    records text;
    wanted text := format(
        'WHEN (current_setting(''connectra.audit'', true) IS DISTINCT FROM ''off'' OR NOT has_function_privilege(%L::regprocedure, ''EXECUTE''))',
        'audit_exempt()'::regprocedure);
    named text;
BEGIN
    FOR entity, records IN VALUES ('company', 'companies'), ('contact', 'contacts') LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER %2$s_audit_inserted AFTER INSERT ON %2$I REFERENCING NEW TABLE AS changed
                        FOR EACH STATEMENT %3$s EXECUTE FUNCTION audit_inserted(%1$L)', entity, records, wanted);
        EXECUTE format('CREATE OR REPLACE TRIGGER %2$s_audit_updated AFTER UPDATE ON %2$I REFERENCING OLD TABLE AS before NEW TABLE AS changed
                        FOR EACH STATEMENT %3$s EXECUTE FUNCTION audit_updated(%1$L)', entity, records, wanted);
        EXECUTE format('CREATE OR REPLACE TRIGGER %2$s_audit_deleted AFTER DELETE ON %2$I REFERENCING OLD TABLE AS changed
                        FOR EACH STATEMENT %3$s EXECUTE FUNCTION audit_deleted(%1$L)', entity, records, wanted);
    END LOOP;

    -- Run as the owner, with names that no caller can divert. Nobody else may put such a function on a table of his own: it would
    -- write what he likes.
    FOREACH named IN ARRAY ARRAY['mark_contacts', 'mark_companies', 'mark_changed_companies', 'mark_truncated', 'audit_inserted',
                                 'audit_updated', 'audit_deleted', 'audit_truncated', 'keep_match_keys', 'check_job_transition'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', named, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %I() FROM PUBLIC', named);
    END LOOP;
END $$;
