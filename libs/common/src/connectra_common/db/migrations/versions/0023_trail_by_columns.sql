-- Makes the function that writes into the trail what an update changed, {field: [old, new]}, for the columns that the tables have by now: a migration
-- that adds one calls it. Rows compared as JSON, field by field, cost several times as much.
--
-- What a statement changed is joined by FULL JOIN, which is never a nested loop. A session plans these statements once, for the number of rows
-- that it happens to change first: one that began with a single record would compare each row of a batch with all others. And they have no
-- parameters: a statement that has some may be planned at each call, which takes longer than the statement.
CREATE FUNCTION define_audit_updated() RETURNS void LANGUAGE plpgsql AS $define$
DECLARE
    entity text;
    records text;
    fields text;
    branches text := '';
BEGIN
    FOR entity, records IN VALUES ('company', 'companies'), ('contact', 'contacts') LOOP
        SELECT string_agg(format('%1$L, CASE WHEN n.%1$I IS DISTINCT FROM o.%1$I THEN jsonb_build_array(o.%1$I, n.%1$I) END', attname), ', '
                          ORDER BY attnum)
        INTO STRICT fields FROM pg_attribute
        WHERE attrelid = to_regclass(records) AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('uuid', 'row_version', 'updated_at');
        branches := branches || format($branch$
            WHEN %1$L THEN
                INSERT INTO audit (actor, request_id, entity, uuid, operation, row_version, changes)
                SELECT audit_actor(), audit_request(), %1$L, uuid, operation, row_version, changes
                FROM (SELECT n.uuid, n.row_version,
                             CASE WHEN (n.deleted_at IS NULL) = (o.deleted_at IS NULL) THEN 'update'
                                  WHEN n.deleted_at IS NULL THEN 'revive' ELSE 'delete' END AS operation,
                             jsonb_strip_nulls(jsonb_build_object(%2$s)) AS changes
                      FROM changed n FULL JOIN before o USING (uuid) OFFSET 0) AS updated
                WHERE changes <> '{}';$branch$, entity, fields);
    END LOOP;
    EXECUTE format($function$
        CREATE OR REPLACE FUNCTION audit_updated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = %I, pg_temp AS $body$
        BEGIN
            CASE TG_ARGV[0]%s
            END CASE;
            RETURN NULL;
        END $body$ $function$, current_schema(), branches);
END $define$;
REVOKE ALL ON FUNCTION define_audit_updated() FROM PUBLIC;
SELECT define_audit_updated();

CREATE OR REPLACE FUNCTION audit_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    CASE TG_ARGV[0]
        WHEN 'company' THEN
            INSERT INTO audit (actor, request_id, entity, uuid, operation, row_version)
            SELECT audit_actor(), audit_request(), 'company', uuid, 'create', row_version FROM changed;
        WHEN 'contact' THEN
            INSERT INTO audit (actor, request_id, entity, uuid, operation, row_version)
            SELECT audit_actor(), audit_request(), 'contact', uuid, 'create', row_version FROM changed;
    END CASE;
    RETURN NULL;
END $$;

DO $$
DECLARE
    named text;
    was text;
    now text;
BEGIN
    FOREACH named IN ARRAY ARRAY['mark_changed_companies', 'count_values_of_companies', 'count_values_of_contacts'] LOOP
        was := pg_get_functiondef(to_regproc(named));
        now := replace(was, 'FROM changed n JOIN before o USING (uuid)', 'FROM changed n FULL JOIN before o USING (uuid)');
        IF now = was THEN
            RAISE EXCEPTION '% does not join as it did', named;
        END IF;
        EXECUTE now;
    END LOOP;
    EXECUTE format('ALTER FUNCTION audit_inserted() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END $$;
