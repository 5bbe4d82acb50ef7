-- Most updates of a record change no indexed column: on a page with room they need no new index entries (HOT). Pages that exist already get
-- theirs as they are vacuumed.
ALTER TABLE contacts SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE companies SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE filters_data SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE match_keys SET (autovacuum_vacuum_scale_factor = 0.02);
-- A claimed job is updated by each heartbeat.
ALTER TABLE jobs SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
-- Rows live for moments: what matters is how many have died, and that they are gone soon.
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE written_batches SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- The uuid of a record never changes, while its id may, by plain SQL.
CREATE OR REPLACE FUNCTION mark_changed_companies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (entity, uuid, fan_out)
    SELECT 'company', n.uuid,
           (n.name, n.employees_count, n.industries, n.keywords, n.address, n.annual_revenue,
            n.total_funding, n.technologies, n.city, n.state, n.country, n.linkedin_url, n.website,
            n.normalized_domain, n.deleted_at IS NULL)
           IS DISTINCT FROM
           (o.name, o.employees_count, o.industries, o.keywords, o.address, o.annual_revenue,
            o.total_funding, o.technologies, o.city, o.state, o.country, o.linkedin_url, o.website,
            o.normalized_domain, o.deleted_at IS NULL)
    FROM changed n JOIN before o USING (uuid) ORDER BY n.uuid
    ON CONFLICT (entity, uuid) DO UPDATE
        SET generation = outbox.generation + 1, attempts = 0, claimed_until = NULL, claimed_by = NULL,
            lane = least(outbox.lane, excluded.lane),
            fan_out = outbox.fan_out OR excluded.fan_out,
            fan_out_after = CASE WHEN excluded.fan_out THEN '' ELSE outbox.fan_out_after END,
            fan_out_generation = CASE WHEN excluded.fan_out THEN outbox.generation + 1 ELSE outbox.fan_out_generation END;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION audit_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (actor, request_id, entity, uuid, operation, row_version, changes)
    SELECT audit_actor(), audit_request(), TG_ARGV[0], n.uuid,
           CASE WHEN (n.deleted_at IS NULL) = (o.deleted_at IS NULL) THEN 'update'
                WHEN n.deleted_at IS NULL THEN 'revive' ELSE 'delete' END,
           n.row_version, differing.fields
    FROM changed n JOIN before o USING (uuid),
         LATERAL (SELECT to_jsonb(o) AS fields OFFSET 0) was,
         LATERAL (SELECT jsonb_object_agg(key, jsonb_build_array(was.fields -> key, value)) AS fields
                  FROM jsonb_each(to_jsonb(n))
                  WHERE value <> was.fields -> key AND key NOT IN ('row_version', 'updated_at')) differing
    WHERE differing.fields IS NOT NULL;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION keep_match_keys() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed text := format(
        'FROM %s, LATERAL (VALUES (%L, %s, %s), (''url'', %s, %s)) AS k (kind, was, now)
         WHERE k.was IS DISTINCT FROM k.now%s',
        CASE TG_OP WHEN 'INSERT' THEN 'changed n' WHEN 'DELETE' THEN 'changed o' ELSE 'changed n JOIN before o USING (uuid)' END,
        TG_ARGV[1],
        CASE WHEN TG_OP = 'INSERT' THEN 'NULL' ELSE format('o.%I', TG_ARGV[2]) END,
        CASE WHEN TG_OP = 'DELETE' THEN 'NULL' ELSE format('n.%I', TG_ARGV[2]) END,
        CASE WHEN TG_OP = 'INSERT' THEN 'NULL' ELSE 'o.linkedin_url' END,
        CASE WHEN TG_OP = 'DELETE' THEN 'NULL' ELSE 'n.linkedin_url' END,
        CASE WHEN TG_OP = 'UPDATE' THEN ' OR n.id <> o.id' ELSE '' END);
BEGIN
    IF TG_OP <> 'INSERT' THEN
        EXECUTE format('DELETE FROM match_keys USING (SELECT match_key(%L, k.kind, k.was) AS key, o.id %s) AS gone
                        WHERE match_keys.key = gone.key AND record_id = gone.id', TG_ARGV[0], changed);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        EXECUTE format('INSERT INTO match_keys SELECT key, id FROM (SELECT match_key(%L, k.kind, k.now) AS key, n.id %s) AS made
                        WHERE key IS NOT NULL', TG_ARGV[0], changed);
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE
    named text;
BEGIN
    FOREACH named IN ARRAY ARRAY['mark_changed_companies', 'audit_updated', 'keep_match_keys'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', named, current_schema());
    END LOOP;
END $$;
