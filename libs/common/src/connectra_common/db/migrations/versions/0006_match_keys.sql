-- Which records have a key, that is an e-mail address, a domain or a profile URL that a caller gave. Keys are not unique. `key` is match_key(); whoever reads
-- it compares the records themselves, so an entry that is out of date does no harm. Without a primary key: a plain index costs an import half as much.
CREATE TABLE match_keys (
    key BIGINT NOT NULL,
    record_id BIGINT NOT NULL
);

-- A transaction that inserts a key, and deletes it at once, makes others that insert it wait until it ends. Nothing is ever seen in it.
CREATE UNLOGGED TABLE key_locks (
    key BIGINT NOT NULL,
    CONSTRAINT key_locks_pkey PRIMARY KEY (key)
);
ALTER TABLE key_locks SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

-- A key as a number; NULL for a value that identifies nobody. connectra_common.records.keys has the full rules, in which percent-encoding, IDN and accents in two
-- forms count as well; the services make numbers by it, and only what others write is keyed by this.
CREATE FUNCTION match_key(entity text, kind text, given text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    form text := lower(btrim(given));
BEGIN
    IF kind <> 'email' THEN
        form := regexp_replace(form, '^([a-z][a-z0-9+.-]*:)?//', '');
    END IF;
    IF kind = 'domain' THEN
        form := regexp_replace(rtrim(regexp_replace(form, '[:/?#].*$', ''), '.'), '^www\.', '');
    ELSIF kind = 'url' THEN
        form := rtrim(regexp_replace(form, '[?#].*$', ''), '/');
        form := regexp_replace(regexp_replace(form, '^www\.', ''), '^[^/]*\.linkedin\.com/', 'linkedin.com/');
        IF form !~ '/' OR form ~ '^linkedin\.com/[^/]*$' THEN
            form := '';
        END IF;
    END IF;
    RETURN CASE WHEN form <> '' THEN ('x' || left(md5(entity || ' ' || kind || ' ' || form), 16))::bit(64)::bigint END;
END $$;

-- Keeps the keys of records that others than the write service change. Arguments: entity, kind and column of its first key.
CREATE FUNCTION keep_match_keys() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed text := format(
        'FROM %s, LATERAL (VALUES (%L, %s, %s), (''url'', %s, %s)) AS k (kind, was, now)
         WHERE k.was IS DISTINCT FROM k.now',
        CASE TG_OP WHEN 'INSERT' THEN 'changed n' WHEN 'DELETE' THEN 'changed o' ELSE 'changed n JOIN before o USING (id)' END,
        TG_ARGV[1],
        CASE WHEN TG_OP = 'INSERT' THEN 'NULL' ELSE format('o.%I', TG_ARGV[2]) END,
        CASE WHEN TG_OP = 'DELETE' THEN 'NULL' ELSE format('n.%I', TG_ARGV[2]) END,
        CASE WHEN TG_OP = 'INSERT' THEN 'NULL' ELSE 'o.linkedin_url' END,
        CASE WHEN TG_OP = 'DELETE' THEN 'NULL' ELSE 'n.linkedin_url' END);
BEGIN
    IF TG_OP <> 'INSERT' THEN
        EXECUTE format('DELETE FROM match_keys USING (SELECT match_key(%L, k.kind, k.was) AS key, id %s) AS gone
                        WHERE match_keys.key = gone.key AND record_id = gone.id', TG_ARGV[0], changed);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        EXECUTE format('INSERT INTO match_keys SELECT key, id FROM (SELECT match_key(%L, k.kind, k.now) AS key, id %s) AS made
                        WHERE key IS NOT NULL', TG_ARGV[0], changed);
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE
    records text;
    arguments text;
    others text := 'WHEN (current_setting(''connectra.keys'', true) IS DISTINCT FROM ''kept'')';
BEGIN
    FOR records, arguments IN VALUES ('companies', '''company'', ''domain'', ''normalized_domain'''),
                                     ('contacts', '''contact'', ''email'', ''email''') LOOP
        EXECUTE format('CREATE TRIGGER %1$s_keys_inserted AFTER INSERT ON %1$I REFERENCING NEW TABLE AS changed
                        FOR EACH STATEMENT %2$s EXECUTE FUNCTION keep_match_keys(%3$s)', records, others, arguments);
        EXECUTE format('CREATE TRIGGER %1$s_keys_updated AFTER UPDATE ON %1$I REFERENCING OLD TABLE AS before NEW TABLE AS changed
                        FOR EACH STATEMENT %2$s EXECUTE FUNCTION keep_match_keys(%3$s)', records, others, arguments);
        EXECUTE format('CREATE TRIGGER %1$s_keys_deleted AFTER DELETE ON %1$I REFERENCING OLD TABLE AS changed
                        FOR EACH STATEMENT %2$s EXECUTE FUNCTION keep_match_keys(%3$s)', records, others, arguments);
    END LOOP;
END $$;

-- Whether a stored domain was given or computed is not known: it counts as given, as it did before.
INSERT INTO match_keys
SELECT key, id FROM (
    SELECT id, unnest(ARRAY[match_key('company', 'domain', normalized_domain), match_key('company', 'url', linkedin_url)]) AS key FROM companies
    UNION ALL
    SELECT id, unnest(ARRAY[match_key('contact', 'email', email), match_key('contact', 'url', linkedin_url)]) FROM contacts
) AS found WHERE key IS NOT NULL;
CREATE INDEX match_keys_key_idx ON match_keys (key, record_id);
ANALYZE match_keys;

-- Only upserts used them, which find records by their keys now.
DROP INDEX contacts_email_idx;
DROP INDEX companies_normalized_domain_idx;
