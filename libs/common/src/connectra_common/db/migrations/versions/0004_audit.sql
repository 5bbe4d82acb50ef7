-- Who changed which record, when, from what to what. Ordered by id; `at` is the time of the transaction.
CREATE TABLE audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    actor TEXT NOT NULL,
    request_id TEXT,
    entity TEXT NOT NULL,
    uuid TEXT COLLATE "C" NOT NULL,
    operation TEXT NOT NULL,
    row_version BIGINT NOT NULL,
    changes JSONB,
    CONSTRAINT audit_pkey PRIMARY KEY (id)
);
CREATE INDEX audit_uuid_idx ON audit (uuid, id);
CREATE INDEX audit_at_idx ON audit USING brin (at);

-- How a writer identifies itself in its transaction; without that it is identified by its login.
CREATE FUNCTION audit_actor() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('connectra.actor', true), ''), 'sql:' || session_user)
$$;
CREATE FUNCTION audit_request() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('connectra.request_id', true), '')
$$;

-- Without values: they are those the record has now, minus what later entries changed. So the cost to an import is negligible.
CREATE FUNCTION audit_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (actor, request_id, entity, uuid, operation, row_version)
    SELECT audit_actor(), audit_request(), TG_ARGV[0], uuid, 'create', row_version FROM changed;
    RETURN NULL;
END $$;

-- {field: [old, new]}. A row that only got a new version makes no entry. OFFSET 0: the old row is converted to JSON once, not once per field.
CREATE FUNCTION audit_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (actor, request_id, entity, uuid, operation, row_version, changes)
    SELECT audit_actor(), audit_request(), TG_ARGV[0], n.uuid,
           CASE WHEN (n.deleted_at IS NULL) = (o.deleted_at IS NULL) THEN 'update'
                WHEN n.deleted_at IS NULL THEN 'revive' ELSE 'delete' END,
           n.row_version, differing.fields
    FROM changed n JOIN before o USING (id),
         LATERAL (SELECT to_jsonb(o) AS fields OFFSET 0) was,
         LATERAL (SELECT jsonb_object_agg(key, jsonb_build_array(was.fields -> key, value)) AS fields
                  FROM jsonb_each(to_jsonb(n))
                  WHERE value <> was.fields -> key AND key NOT IN ('row_version', 'updated_at')) differing
    WHERE differing.fields IS NOT NULL;
    RETURN NULL;
END $$;

-- Deleted permanently by plain SQL: all old values.
CREATE FUNCTION audit_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (actor, request_id, entity, uuid, operation, row_version, changes)
    SELECT audit_actor(), audit_request(), TG_ARGV[0], o.uuid, 'delete', o.row_version,
           (SELECT jsonb_object_agg(key, jsonb_build_array(value, NULL)) FROM jsonb_each(jsonb_strip_nulls(to_jsonb(o))))
    FROM changed o;
    RETURN NULL;
END $$;

CREATE FUNCTION audit_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO audit (actor, request_id, entity, uuid, operation, row_version, changes)
         SELECT audit_actor(), audit_request(), %L, o.uuid, ''delete'', o.row_version,
                (SELECT jsonb_object_agg(key, jsonb_build_array(value, NULL)) FROM jsonb_each(jsonb_strip_nulls(to_jsonb(o))))
         FROM %I o', TG_ARGV[0], TG_TABLE_NAME);
    RETURN NULL;
END $$;

-- A session may turn the trail off.
DO $$
DECLARE
    entity text;
    records text;
    wanted text := 'WHEN (current_setting(''connectra.audit'', true) IS DISTINCT FROM ''off'')';
BEGIN
    FOR entity, records IN VALUES ('company', 'companies'), ('contact', 'contacts') LOOP
        EXECUTE format('CREATE TRIGGER %2$s_audit_inserted AFTER INSERT ON %2$I REFERENCING NEW TABLE AS changed
                        FOR EACH STATEMENT %3$s EXECUTE FUNCTION audit_inserted(%1$L)', entity, records, wanted);
        EXECUTE format('CREATE TRIGGER %2$s_audit_updated AFTER UPDATE ON %2$I REFERENCING OLD TABLE AS before NEW TABLE AS changed
                        FOR EACH STATEMENT %3$s EXECUTE FUNCTION audit_updated(%1$L)', entity, records, wanted);
        EXECUTE format('CREATE TRIGGER %2$s_audit_deleted AFTER DELETE ON %2$I REFERENCING OLD TABLE AS changed
                        FOR EACH STATEMENT %3$s EXECUTE FUNCTION audit_deleted(%1$L)', entity, records, wanted);
        EXECUTE format('CREATE TRIGGER %2$s_audit_truncated BEFORE TRUNCATE ON %2$I
                        FOR EACH STATEMENT EXECUTE FUNCTION audit_truncated(%1$L)', entity, records);
    END LOOP;
END $$;

-- Append-only. Entries older than a day may be deleted.
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_not_changed BEFORE UPDATE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_not_deleted BEFORE DELETE ON audit FOR EACH ROW
    WHEN (OLD.at > now() - interval '1 day') EXECUTE FUNCTION audit_refuse();
