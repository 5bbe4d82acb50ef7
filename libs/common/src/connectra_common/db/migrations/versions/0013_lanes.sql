-- Lanes: 0 interactive, 1 bulks and imports, 2 fan-out and repairs. A transaction says so by `connectra.lane`; one that does not is interactive.
ALTER TABLE outbox ADD COLUMN lane SMALLINT NOT NULL DEFAULT coalesce(nullif(current_setting('connectra.lane', true), ''), '0')::smallint;
CREATE INDEX outbox_lanes_idx ON outbox (entity, lane, first_seq);

-- A record that is marked again is in the better of the two lanes.
CREATE OR REPLACE FUNCTION mark_contacts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (entity, uuid)
    SELECT 'contact', uuid FROM changed ORDER BY uuid
    ON CONFLICT (entity, uuid) DO UPDATE
        SET generation = outbox.generation + 1, attempts = 0, claimed_until = NULL, claimed_by = NULL,
            lane = least(outbox.lane, excluded.lane);
    RETURN NULL;
END $$;

-- Creating or deleting a company always affects its contacts: one that another transaction is just assigning to it is not visible from here.
CREATE OR REPLACE FUNCTION mark_companies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (entity, uuid, fan_out)
    SELECT 'company', uuid, true FROM changed ORDER BY uuid
    ON CONFLICT (entity, uuid) DO UPDATE
        SET generation = outbox.generation + 1, attempts = 0, claimed_until = NULL, claimed_by = NULL,
            lane = least(outbox.lane, excluded.lane),
            fan_out = true, fan_out_after = '', fan_out_generation = outbox.generation + 1;
    RETURN NULL;
END $$;

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
    FROM changed n JOIN before o USING (id) ORDER BY n.uuid
    ON CONFLICT (entity, uuid) DO UPDATE
        SET generation = outbox.generation + 1, attempts = 0, claimed_until = NULL, claimed_by = NULL,
            lane = least(outbox.lane, excluded.lane),
            fan_out = outbox.fan_out OR excluded.fan_out,
            fan_out_after = CASE WHEN excluded.fan_out THEN '' ELSE outbox.fan_out_after END,
            fan_out_generation = CASE WHEN excluded.fan_out THEN outbox.generation + 1 ELSE outbox.fan_out_generation END;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION mark_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO outbox (entity, uuid, fan_out) SELECT %L, uuid, %L::boolean FROM %I ORDER BY uuid
         ON CONFLICT (entity, uuid) DO UPDATE
             SET generation = outbox.generation + 1, attempts = 0, claimed_until = NULL, claimed_by = NULL,
            lane = least(outbox.lane, excluded.lane),
                 fan_out = excluded.fan_out, fan_out_after = '''', fan_out_generation = outbox.generation + 1',
        TG_ARGV[0], TG_ARGV[0] = 'company', TG_TABLE_NAME);
    RETURN NULL;
END $$;

DO $$
DECLARE
    named text;
BEGIN
    FOREACH named IN ARRAY ARRAY['mark_contacts', 'mark_companies', 'mark_changed_companies', 'mark_truncated'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', named, current_schema());
    END LOOP;
END $$;
