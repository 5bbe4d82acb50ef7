-- How often records have each value of a stored filter. Every statement that changes records adds to filter_value_changes which values these have more or
-- less, a row a record, and nothing waits for it. The write service adds the rows up in filters_data, soon after; whoever reads values adds those up that
-- are left. What makes no value to choose (blank, too long) is left out only there, so that a statement does as little as it can.
ALTER TABLE filters_data ADD uses BIGINT DEFAULT 0 NOT NULL;
-- Room to change `uses` in place.
ALTER TABLE filters_data SET (fillfactor = 85);

CREATE TABLE filter_value_changes (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    entity TEXT NOT NULL,
    filter_keys TEXT[] NOT NULL,
    filter_values TEXT[] NOT NULL,
    display_values TEXT[],
    changes BIGINT[] NOT NULL,
    CONSTRAINT filter_value_changes_pkey PRIMARY KEY (id)
);
ALTER TABLE filter_value_changes SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

DO $$
DECLARE
    entity text;
    records text;
    single text[];
    lists text[];
    of_value text; -- what else is offered, and as what it is shown
    shown text;
    keys text; -- of a record r
    filter_values text;
    compared text;
    note text;
    counted text;
    counts text[];
    named text;
BEGIN
    FOR entity, records, single, lists, of_value, shown IN VALUES
        ('company', 'companies', ARRAY['city', 'state', 'country'], ARRAY['industries', 'keywords', 'technologies'],
         -- Companies to choose from, by name.
         $v$CASE WHEN r.name ~ '\S' THEN r.uuid END, $v$, 'ARRAY[left(r.name, 500)]'),
        ('contact', 'contacts', ARRAY['title', 'email_status', 'seniority', 'city', 'state', 'country'], ARRAY['departments'], '', 'NULL::text[]')
    LOOP
        SELECT format('%L::text[]', CASE WHEN of_value = '' THEN single ELSE array_prepend('uuid', single) END)
               || string_agg(format(' || array_fill(%L::text, ARRAY[coalesce(cardinality(r.%I), 0)])', c, c), '' ORDER BY c)
        INTO keys FROM unnest(lists) AS c;
        SELECT format('ARRAY[%s%s]', of_value, (SELECT string_agg(format('r.%I', c), ', ' ORDER BY n) FROM unnest(single) WITH ORDINALITY AS s (c, n)))
               || string_agg(format(' || r.%I', c), '' ORDER BY c)
        INTO filter_values FROM unnest(lists) AS c;
        -- A row of each record in `source`, which has its `sign`.
        note := format($s$
            INSERT INTO filter_value_changes (entity, filter_keys, filter_values, display_values, changes)
            SELECT %L, %s, v.filter_values, %s, array_fill(r.sign, ARRAY[cardinality(v.filter_values)])
            FROM (%%s) AS r, LATERAL (SELECT %s AS filter_values OFFSET 0) AS v WHERE r.deleted_at IS NULL $s$,
            entity, keys, shown, filter_values);
        -- All of them at once, at most 1,000 values a row.
        counted := format($s$
            INSERT INTO filter_value_changes (entity, filter_keys, filter_values, display_values, changes)
            SELECT %L, array_agg(key), array_agg(value), array_agg(shown), array_agg(change)
            FROM (SELECT key, value, shown, %%s * count(*) AS change, row_number() OVER () / 1000 AS part
                  FROM %I AS r, unnest(%s, %s, %s) AS v (key, value, shown)
                  WHERE r.deleted_at IS NULL AND value ~ '\S' AND length(value) <= 500 GROUP BY key, value, shown) AS each
            GROUP BY part $s$,
            entity, records, keys, filter_values, shown);
        SELECT string_agg(format('%%1$s.%I', c), ', ') FROM unnest(single || lists || CASE WHEN of_value = '' THEN '{}' ELSE '{name}'::text[] END) AS c
        INTO compared;
        compared := compared || ', %1$s.deleted_at IS NULL';
        EXECUTE format($f$
            CREATE FUNCTION count_values_of_%I() RETURNS trigger LANGUAGE plpgsql AS $b$
            BEGIN
                CASE TG_OP
                    WHEN 'INSERT' THEN %s;
                    WHEN 'DELETE' THEN %s;
                    WHEN 'UPDATE' THEN %s;
                    WHEN 'TRUNCATE' THEN %s;
                END CASE;
                RETURN NULL;
            END $b$ $f$,
            records,
            format(note, 'SELECT 1::bigint AS sign, * FROM changed'),
            format(note, 'SELECT -1::bigint AS sign, * FROM changed'),
            format(note, format('SELECT s.* FROM changed n JOIN before o USING (uuid),
                                     LATERAL (SELECT 1::bigint AS sign, n.* UNION ALL SELECT -1, o.*) AS s
                                 WHERE (%s) IS DISTINCT FROM (%s)', format(compared, 'n'), format(compared, 'o'))),
            format(counted, -1));
        EXECUTE format('CREATE TRIGGER %1$s_values_inserted AFTER INSERT ON %1$I REFERENCING NEW TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION count_values_of_%1$s()', records);
        EXECUTE format('CREATE TRIGGER %1$s_values_updated AFTER UPDATE ON %1$I REFERENCING OLD TABLE AS before NEW TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION count_values_of_%1$s()', records);
        EXECUTE format('CREATE TRIGGER %1$s_values_deleted AFTER DELETE ON %1$I REFERENCING OLD TABLE AS changed
                        FOR EACH STATEMENT EXECUTE FUNCTION count_values_of_%1$s()', records);
        EXECUTE format('CREATE TRIGGER %1$s_values_truncated BEFORE TRUNCATE ON %1$I
                        FOR EACH STATEMENT EXECUTE FUNCTION count_values_of_%1$s()', records);
        counts := counts || format(counted, 1);
    END LOOP;

    -- Counts everything anew, as of one moment: changes that are committed later are added to it. Reads all records, and stops nobody from writing.
    EXECUTE format($f$
        CREATE FUNCTION recount_filter_values() RETURNS void LANGUAGE plpgsql AS $b$
        BEGIN
            PERFORM pg_advisory_xact_lock(7262537003);
            UPDATE filters_data SET uses = 0 WHERE uses <> 0;
            WITH gone AS (DELETE FROM filter_value_changes), companies_counted AS (%s) %s;
        END $b$ $f$, counts[1], counts[2]);

    -- As the other triggers: run as the owner, with names that no caller can divert.
    FOREACH named IN ARRAY ARRAY['count_values_of_companies', 'count_values_of_contacts'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', named, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %I() FROM PUBLIC', named);
    END LOOP;
    REVOKE ALL ON FUNCTION recount_filter_values() FROM PUBLIC;
END $$;
