-- The documented tables as the predecessor's ORM made them: no migrations, no foreign keys, no further indexes.
CREATE TABLE companies (id bigserial PRIMARY KEY, uuid varchar NOT NULL UNIQUE, name varchar, employees_count bigint, industries varchar[],
    keywords varchar[], address varchar, annual_revenue bigint, total_funding bigint, technologies varchar[], city varchar, state varchar,
    country varchar, linkedin_url varchar, website varchar, normalized_domain varchar, facebook_url varchar, twitter_url varchar,
    company_name_for_emails varchar, phone_number varchar, latest_funding varchar, latest_funding_amount bigint, last_raised_at varchar,
    created_at timestamptz DEFAULT current_timestamp, updated_at timestamptz DEFAULT current_timestamp, deleted_at timestamptz);
CREATE TABLE contacts (id bigserial PRIMARY KEY, uuid varchar UNIQUE, first_name varchar, last_name varchar, company_id varchar, email varchar,
    title varchar, departments varchar[], mobile_phone varchar, email_status varchar, seniority varchar, city varchar, state varchar,
    country varchar, linkedin_url varchar, facebook_url varchar, twitter_url varchar, website varchar, work_direct_phone varchar,
    home_phone varchar, other_phone varchar, stage varchar, created_at timestamptz DEFAULT current_timestamp,
    updated_at timestamptz DEFAULT current_timestamp, deleted_at timestamptz, notes varchar);
CREATE TABLE filters (id bigserial PRIMARY KEY, key varchar, service varchar, filter_type varchar NOT NULL, display_name varchar NOT NULL,
    direct_derived boolean, active boolean NOT NULL DEFAULT true, deleted_at timestamptz);
CREATE TABLE filters_data (id bigserial PRIMARY KEY, uuid varchar NOT NULL UNIQUE, filter_key varchar NOT NULL, service varchar NOT NULL,
    display_value varchar NOT NULL, value varchar, deleted_at timestamptz);
CREATE TABLE jobs (id bigserial PRIMARY KEY, uuid varchar NOT NULL UNIQUE, job_type varchar NOT NULL, data jsonb DEFAULT '{}',
    status varchar NOT NULL DEFAULT 'open', job_response jsonb DEFAULT '{}', retry_count bigint NOT NULL DEFAULT 0,
    retry_interval bigint NOT NULL DEFAULT 30, run_after timestamptz, created_at timestamptz DEFAULT current_timestamp,
    updated_at timestamptz DEFAULT current_timestamp);

-- 3,000 records and their kin, every kind of oddity among them.
INSERT INTO companies (id, uuid, name, employees_count, industries, normalized_domain, annual_revenue, created_at, updated_at, deleted_at)
SELECT n * 3, CASE n % 100 WHEN 1 THEN upper(md5(n::text)::uuid::text) WHEN 2 THEN 'company-' || n ELSE md5(n::text)::uuid::text END,
       CASE WHEN n % 50 <> 3 THEN 'Company ' || n || E' \n"ü\\' END, CASE n % 20 WHEN 4 THEN -n ELSE n END,
       CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '{}' ELSE ARRAY['saas', NULL, 'a,b'] END, 'c' || n / 2 || '.com', n * 1000000000::bigint,
       CASE WHEN n % 30 <> 5 THEN '2020-01-01T00:00:00.123456Z'::timestamptz + n * interval '1 hour' END,
       CASE n % 40 WHEN 6 THEN NULL WHEN 7 THEN '15000-01-01' ELSE '2021-01-01'::timestamptz END,
       CASE WHEN n % 10 = 8 THEN now() END
FROM generate_series(1, 1000) n;
INSERT INTO companies (uuid, name) VALUES ('', 'nobody');
INSERT INTO contacts (uuid, first_name, email, company_id, departments, created_at, updated_at, deleted_at, notes)
SELECT CASE n % 100 WHEN 1 THEN NULL WHEN 2 THEN upper(md5('c' || n)::uuid::text) ELSE md5('c' || n)::uuid::text END,
       'Person ' || n, CASE n % 25 WHEN 3 THEN 'not an address' WHEN 4 THEN '' ELSE 'p' || n / 3 || '@x.com' END,
       CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN md5((n % 1000)::text)::uuid::text WHEN 2 THEN 'gone-' || n WHEN 3 THEN '' ELSE md5('4')::uuid::text END,
       ARRAY['sales'], '2020-01-01T00:00:00Z', '2021-01-01T00:00:00Z', CASE WHEN n % 11 = 5 THEN now() END, 'note ' || n
FROM generate_series(1, 2000) n;
INSERT INTO filters (id, service, key, filter_type, display_name, direct_derived, active) VALUES
    (1, 'company', 'uuid', 'keyword', 'Company', NULL, true), (40, 'company', 'city', 'keyword', 'Town', false, false),
    (41, 'company', 'city', 'keyword', 'City again', false, true), (2, 'contact', 'shoe_size', 'range', 'Shoe size', true, true),
    (90, 'contact', NULL, 'range', 'Nothing', true, true);
INSERT INTO filters_data (uuid, filter_key, service, display_value, value)
SELECT md5('f' || n)::uuid::text, CASE WHEN n % 2 = 0 THEN 'uuid' ELSE 'city' END, 'company',
       CASE WHEN n % 2 = 0 THEN md5(n::text)::uuid::text ELSE 'town ' || n END, CASE n % 3 WHEN 0 THEN NULL ELSE 'town ' || n END
FROM generate_series(1, 200) n;
INSERT INTO jobs (uuid, job_type, data, status, job_response, retry_count, run_after)
SELECT CASE WHEN n = 1 THEN '' ELSE md5('j' || n)::uuid::text END, 'insert_csv_file', CASE WHEN n % 2 = 0 THEN '{"s3_key": "a"}'::jsonb END,
       (ARRAY['open','in_queue','processing','completed','failed','retry_in_queued','retrying','lost'])[n % 8 + 1],
       CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '{"runtime_errors": ["x"]}'::jsonb ELSE '{}' END, n % 5 - 1, now()
FROM generate_series(1, 80) n;
