-- Live indexer processes. Each holds the advisory lock (7262537, id) for as long as its session lives, so that others notice at once when it is gone.
CREATE TABLE indexers (
    id INTEGER GENERATED ALWAYS AS IDENTITY,
    host TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT indexers_pkey PRIMARY KEY (id)
);

-- The current or last rebuild of an entity's index.
CREATE TABLE index_builds (
    entity TEXT NOT NULL,
    phase TEXT NOT NULL,
    index_name TEXT NOT NULL,
    previous TEXT,
    after_uuid TEXT COLLATE "C" DEFAULT '' NOT NULL,
    documents_done BIGINT DEFAULT 0 NOT NULL,
    documents_total BIGINT DEFAULT 0 NOT NULL,
    first_version BIGINT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT index_builds_pkey PRIMARY KEY (entity),
    CONSTRAINT index_builds_phase_check CHECK (phase IN ('building', 'comparing', 'done'))
);

-- row_id: distinguishes a row from an earlier one with the same key. claimed_by: the indexer that holds a claim. fan_out_after: progress of
-- the walk over a company's contacts, which began with the mark of fan_out_generation. For a contact, the last mark by such a walk.
ALTER TABLE outbox
    ADD COLUMN row_id BIGINT GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN claimed_by INTEGER,
    ADD COLUMN fan_out_after TEXT COLLATE "C" DEFAULT '' NOT NULL,
    ADD COLUMN fan_out_generation BIGINT DEFAULT 1 NOT NULL;

-- A new mark releases the row: a record that changed again can be indexed at once, even if an indexer still works on its earlier state.
CREATE OR REPLACE FUNCTION mark_contacts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (entity, uuid)
    SELECT 'contact', uuid FROM changed ORDER BY uuid
    ON CONFLICT (entity, uuid) DO UPDATE
        SET generation = outbox.generation + 1, attempts = 0, claimed_until = NULL, claimed_by = NULL;
    RETURN NULL;
END $$;

-- Creating or deleting a company always affects its contacts: one that another transaction is just assigning to it is not visible from here.
CREATE OR REPLACE FUNCTION mark_companies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (entity, uuid, fan_out)
    SELECT 'company', uuid, true FROM changed ORDER BY uuid
    ON CONFLICT (entity, uuid) DO UPDATE
        SET generation = outbox.generation + 1, attempts = 0, claimed_until = NULL, claimed_by = NULL,
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
                 fan_out = excluded.fan_out, fan_out_after = '''', fan_out_generation = outbox.generation + 1',
        TG_ARGV[0], TG_ARGV[0] = 'company', TG_TABLE_NAME);
    RETURN NULL;
END $$;
