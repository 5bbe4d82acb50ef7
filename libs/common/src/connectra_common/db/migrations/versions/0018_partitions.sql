-- Tables in partitions of time, and what keeps them: by how much time each partition has, and by which column.
CREATE TABLE partitioned (
    records TEXT NOT NULL,
    by_column TEXT NOT NULL,
    width INTERVAL NOT NULL,
    CONSTRAINT partitioned_pkey PRIMARY KEY (records)
);
INSERT INTO partitioned VALUES ('audit', 'at', '7 days'), ('kept_answers', 'created_at', '6 hours'), ('import_batches', 'created_at', '28 days');

-- Answers of requests that carried an idempotency key. The key alone is not unique: a lock on it is taken before it is looked up.
CREATE TABLE kept_answers (
    client TEXT NOT NULL,
    key TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    request_hash TEXT NOT NULL,
    response TEXT NOT NULL,
    CONSTRAINT kept_answers_pkey PRIMARY KEY (client, key, created_at)
) PARTITION BY RANGE (created_at);

ALTER TABLE audit RENAME TO audit_old;
ALTER TABLE audit_old DROP CONSTRAINT audit_pkey;
ALTER TABLE audit_old ADD CONSTRAINT audit_old_pkey PRIMARY KEY USING INDEX audit_old_key;
ALTER INDEX audit_uuid_idx RENAME TO audit_old_uuid_idx;
ALTER INDEX audit_at_idx RENAME TO audit_old_at_idx;
DROP TRIGGER audit_not_changed ON audit_old;
DROP TRIGGER audit_not_deleted ON audit_old;
DO $$
DECLARE
    next bigint;
BEGIN
    SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM audit_id_seq INTO next;
    ALTER TABLE audit_old ALTER id DROP IDENTITY;
    EXECUTE format('CREATE TABLE audit (
        id BIGINT GENERATED ALWAYS AS IDENTITY (START WITH %s),
        at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        actor TEXT NOT NULL,
        request_id TEXT,
        entity TEXT NOT NULL,
        uuid TEXT COLLATE "C" NOT NULL,
        operation TEXT NOT NULL,
        row_version BIGINT NOT NULL,
        changes JSONB,
        CONSTRAINT audit_pkey PRIMARY KEY (id, at)
    ) PARTITION BY RANGE (at)', next);
END $$;
CREATE INDEX audit_uuid_idx ON audit (uuid, id);
CREATE INDEX audit_at_idx ON audit USING brin (at);
CREATE TRIGGER audit_not_changed BEFORE UPDATE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_not_deleted BEFORE DELETE ON audit FOR EACH ROW
    WHEN (OLD.at > now() - interval '1 day') EXECUTE FUNCTION audit_refuse();

ALTER TABLE import_batches RENAME TO import_batches_old;
ALTER TABLE import_batches_old DROP CONSTRAINT import_batches_pkey;
ALTER TABLE import_batches_old ADD CONSTRAINT import_batches_old_pkey PRIMARY KEY USING INDEX import_batches_old_key;
CREATE TABLE import_batches (
    LIKE import_batches_old INCLUDING DEFAULTS,
    CONSTRAINT import_batches_pkey PRIMARY KEY (job_uuid, generation, batch_number, created_at)
) PARTITION BY RANGE (created_at);

-- Rows for which there is no partition: of a time that is long past, or if nobody has kept the partitions for long.
CREATE TABLE audit_default PARTITION OF audit DEFAULT;
CREATE TABLE kept_answers_default PARTITION OF kept_answers DEFAULT;
CREATE TABLE import_batches_default PARTITION OF import_batches DEFAULT;

DO $$
DECLARE
    old text;
    ends timestamptz;
    empty boolean;
BEGIN
    FOREACH old IN ARRAY ARRAY['audit', 'import_batches'] LOOP
        SELECT substring(pg_get_constraintdef(oid) FROM '''([^'']+)''')::timestamptz INTO STRICT ends
        FROM pg_constraint WHERE conrelid = to_regclass(old || '_old') AND conname = old || '_old';
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', old || '_old') INTO empty;
        IF empty THEN
            EXECUTE format('DROP TABLE %I', old || '_old');
        ELSE
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', old, old || '_old', ends);
            EXECUTE format('ALTER TABLE %1$I DROP CONSTRAINT %1$I', old || '_old');
        END IF;
    END LOOP;
END $$;

-- Makes the partitions of a table that are needed soon, and drops those whose rows are all older than `kept`, if that is given. Returns the names
-- of those. Whoever may execute it needs no other right, and can drop nothing that is not a day old.
CREATE FUNCTION keep_partitions(parent text, kept interval) RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    kind partitioned;
    seconds double precision;
    starts timestamptz;
    made text;
    one record;
    needed boolean;
    dropped text[] := '{}';
BEGIN
    SELECT * INTO STRICT kind FROM partitioned WHERE records = parent;
    -- One process at a time is enough.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('partitions of ' || parent, 0)) THEN
        RETURN dropped;
    END IF;
    seconds := extract(epoch FROM kind.width);
    SELECT greatest(to_timestamp(floor(extract(epoch FROM now()) / seconds) * seconds), max(ends)) INTO starts FROM partitions(parent);
    WHILE starts < now() + 4 * kind.width LOOP
        made := parent || to_char(starts AT TIME ZONE 'UTC', '"_"YYYYMMDDHH24');
        BEGIN
            -- Attached, not made as a partition: readers and writers of the others do not wait.
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL EXCLUDING IDENTITY)', made, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, made, starts, starts + kind.width);
        EXCEPTION WHEN check_violation THEN
            RAISE WARNING '% has rows of the time of %, which stay there', parent || '_default', made;
        END;
        starts := starts + kind.width;
    END LOOP;
    IF kept IS NULL THEN
        RETURN dropped;
    END IF;
    kept := greatest(kept, interval '1 day');
    FOR one IN SELECT * FROM partitions(parent) WHERE ends < now() - kept ORDER BY ends LOOP
        needed := false;
        IF parent = 'import_batches' THEN
            -- A job that is there may run again.
            EXECUTE format('SELECT EXISTS (SELECT FROM %s b JOIN jobs j ON j.uuid = b.job_uuid)', one.name) INTO needed;
        END IF;
        IF NOT needed THEN
            BEGIN
                EXECUTE format('DROP TABLE %s', one.name);
                dropped := dropped || one.name;
            EXCEPTION WHEN lock_not_available THEN
                NULL; -- somebody reads it; the next call tries again
            END;
        END IF;
    END LOOP;
    EXECUTE format('DELETE FROM %I WHERE %I < now() - $1', parent || '_default', kind.by_column) USING kept;
    RETURN dropped;
END $$;

CREATE FUNCTION partitions(parent text) RETURNS TABLE (name text, ends timestamptz) LANGUAGE sql STABLE AS $$
    SELECT c.oid::regclass::text, substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([^'']+)''\)')::timestamptz
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass(parent) AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'
$$;

-- Removes records that were deleted before `kept`, `most` at once: of their history stays what led to this, with an entry that has no values.
CREATE FUNCTION remove_deleted(records text, kept interval, most integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    entity text := CASE records WHEN 'companies' THEN 'company' WHEN 'contacts' THEN 'contact' END;
    audited boolean := current_setting('connectra.audit', true) IS DISTINCT FROM 'off'
        OR NOT has_function_privilege(session_user, 'audit_exempt()', 'EXECUTE');
    gone integer;
BEGIN
    IF entity IS NULL OR kept < interval '1 day' THEN
        RAISE EXCEPTION 'only companies and contacts that were deleted a day ago or more' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('connectra.audit', 'off', true), set_config('connectra.lane', '2', true);
    EXECUTE format(
        'WITH due AS (
             SELECT uuid FROM %1$I WHERE deleted_at < now() - $1 ORDER BY deleted_at LIMIT $2 FOR UPDATE SKIP LOCKED),
         removed AS (DELETE FROM %1$I r USING due WHERE r.uuid = due.uuid RETURNING r.uuid, r.row_version),
         noted AS (
             INSERT INTO audit (actor, entity, uuid, operation, row_version)
             SELECT ''retention'', $3, uuid, ''delete'', row_version FROM removed WHERE $4)
         SELECT count(*) FROM removed', records) INTO gone USING kept, most, entity, audited;
    RETURN gone;
END $$;

DO $$
DECLARE
    function text;
BEGIN
    FOREACH function IN ARRAY ARRAY['keep_partitions(text, interval)', 'remove_deleted(text, interval, integer)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', function, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', function);
    END LOOP;
END $$;
-- A partition that is made or dropped waits so long for readers, and keeps others waiting behind it; the next call tries again.
ALTER FUNCTION keep_partitions SET lock_timeout = '500ms';

SELECT keep_partitions(records, NULL) FROM partitioned;
