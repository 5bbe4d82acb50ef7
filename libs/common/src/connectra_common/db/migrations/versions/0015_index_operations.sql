CREATE TABLE index_operations (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity TEXT NOT NULL,
    kind TEXT NOT NULL,
    phase TEXT DEFAULT 'waiting' NOT NULL,
    held BOOLEAN DEFAULT false NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    abort BOOLEAN DEFAULT false NOT NULL,
    asked JSONB DEFAULT '{}' NOT NULL,
    found JSONB DEFAULT '{}' NOT NULL,
    index_name TEXT,
    previous TEXT,
    after_uuid TEXT COLLATE "C" DEFAULT '' NOT NULL,
    documents_done BIGINT DEFAULT 0 NOT NULL,
    documents_total BIGINT DEFAULT 0 NOT NULL,
    actor TEXT DEFAULT '' NOT NULL,
    request_id TEXT DEFAULT '' NOT NULL,
    claimed_by INTEGER,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT index_operations_kind_check CHECK (kind IN ('rebuild', 'rollback', 'drop_previous', 'verify', 'check')),
    CONSTRAINT index_operations_phase_check
        CHECK (phase IN ('waiting', 'building', 'comparing', 'switching', 'walking', 'done', 'aborted'))
);
CREATE INDEX index_operations_entity_idx ON index_operations (entity) WHERE ended_at IS NULL;

CREATE TABLE index_catch_up (
    entity TEXT NOT NULL,
    uuid TEXT COLLATE "C" NOT NULL,
    generation BIGINT DEFAULT 1 NOT NULL,
    refused TEXT,
    PRIMARY KEY (entity, uuid)
);

-- Indexers of the previous release write to a new index themselves for as long as they run; those of this release list what they index.
INSERT INTO index_operations (entity, kind, phase, asked, index_name, previous, after_uuid, documents_done, documents_total, started_at,
                              updated_at, ended_at)
SELECT entity, 'rebuild', phase, '{"shards": 0, "accept_other_answers": false}', index_name, previous, after_uuid, documents_done,
       documents_total, started_at, updated_at, CASE phase WHEN 'done' THEN updated_at END
FROM index_builds;
DROP TABLE index_builds;
CREATE VIEW index_builds AS
SELECT entity, 'building' AS phase, index_name, previous, after_uuid, documents_done, documents_total, 0::bigint AS first_version
FROM index_operations WHERE ended_at IS NULL AND index_name IS NOT NULL;
