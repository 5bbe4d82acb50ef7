"""Takes over a database that another implementation of the documented tables made (docs/adr/0007, docs/adr/0033).

    looked at ─▶ moved aside ─▶ migrated ─▶ indexes dropped ─▶ copied, slice by slice ─▶ indexes built ─▶ compared, ours

Its tables move to the schema `predecessor`, where they stay as they were. Each arrow is a transaction or many; killed at any point, the
next call goes on there. What is to be done is seen from what is there, and from `predecessor.take_over`, which goes with the last step.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum

import asyncpg
from connectra_common.db import match_keys, migrate
from connectra_common.db.database import rows_of
from connectra_common.db.migrate import Tell, driver
from connectra_common.db.tables import metadata
from connectra_common.errors import Conflict
from connectra_common.records.fields import COMPANY, CONTACT, Entity, Type
from sqlalchemy.ext.asyncio import AsyncConnection

from connectra_ops.migrate import checks
from connectra_ops.migrate.checks import Finding

SCHEMA = "predecessor"
# Rows that one transaction copies.
SLICE = 20_000
# Rows between two lines on how it goes.
_TOLD_EVERY = 25 * SLICE
# For sorting what an index is built of.
_INDEX_MEMORY = "256MB"
# What was found before the tables were moved, and the indexes that are to be made again.
_STATE = f"{SCHEMA}.take_over"
_MARKED = (COMPANY.table, CONTACT.table)
# Tables that are copied without their indexes.
_BARE = (*_MARKED, "match_keys", "filters_data")

# What a column may be in the old database, by its name in pg_type.
_KINDS = {
    Type.INTEGER: {"int2", "int4", "int8"},
    Type.TEXT: {"varchar", "text", "bpchar"},
    Type.LIST: {"_varchar", "_text"},
    Type.TIME: {"timestamptz", "timestamp"},
    "boolean": {"bool"},
    "json": {"jsonb", "json"},
}
_TEXT, _INTEGER, _TIME = Type.TEXT, Type.INTEGER, Type.TIME
_VALUE = {"uuid": _TEXT, "filter_key": _TEXT, "service": _TEXT, "display_value": _TEXT, "value": _TEXT}
_FILTER = {"key": _TEXT, "service": _TEXT, "filter_type": _TEXT, "display_name": _TEXT, "active": "boolean"}
_JOB = {
    "uuid": _TEXT,
    "job_type": _TEXT,
    "data": "json",
    "status": _TEXT,
    "job_response": "json",
    "retry_count": _INTEGER,
}
# The documented tables in the order in which they are copied, and their columns.
SHAPE: Mapping[str, Mapping[str, str]] = {
    COMPANY.table: {f.name: f.type for f in COMPANY.fields},
    CONTACT.table: {f.name: f.type for f in CONTACT.fields},
    "filters": {"id": _INTEGER, **_FILTER, "direct_derived": "boolean", "deleted_at": _TIME},
    "filters_data": {"id": _INTEGER, **_VALUE, "deleted_at": _TIME},
    "jobs": {
        "id": _INTEGER,
        **_JOB,
        "retry_interval": _INTEGER,
        **dict.fromkeys(("run_after", "created_at", "updated_at"), _TIME),
    },
}


class State(Enum):
    """What a database is to a take-over."""

    EMPTY = "empty"
    OURS = "ours"
    ADOPTED = "adopted"
    PREDECESSOR = "predecessor"
    BEGUN = "begun"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, and taken over unless nothing was to be changed.

    Args:
        rows: of each old table.
        findings: what is odd about them; a finding that `blocks` stands in the way.
        left: columns that have no place in our tables, as table.column; their values stay in the schema `predecessor`.
    """

    state: State
    rows: Mapping[str, int] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    left: Sequence[str] = ()

    @property
    def blocked(self) -> bool:
        """Whether something must be fixed first."""
        return any(finding.blocks for finding in self.findings)


async def is_due(connection: AsyncConnection) -> bool:
    """Whether there are documented tables that are not ours, or not wholly yet."""
    raw = await driver(connection)
    found = {row[0] for row in await raw.fetch(_COLUMNS)}
    return await _is_begun(raw) or ("alembic_version" not in found and not found.isdisjoint(SHAPE))


async def adopt(connection: AsyncConnection, tell: Tell, *, dry_run: bool = False) -> Report:
    """Takes the database over, or goes on with it. One that is empty, ours or taken over already is only reported.

    Args:
        connection: of `migrate.locked`.
        tell: takes lines on how it goes.

    Raises:
        Conflict: the database is neither that nor of the documented shape (the message says what differs), or a finding blocks and it
            is not a dry run.
        Unavailable: others hold locks on its tables.
    """
    raw = await driver(connection)
    state, left = await _look(raw)
    if state in (State.EMPTY, State.OURS, State.ADOPTED):
        return Report(state)
    if dry_run:
        rows, findings = ({}, []) if state is State.BEGUN else await checks.run(raw)
        return Report(state, rows, findings, left)

    async def move_aside() -> None:
        async with connection.begin():
            await raw.execute(f"LOCK TABLE {', '.join(SHAPE)} IN ACCESS EXCLUSIVE MODE")
            await _move_aside(raw, left)

    if state is State.PREDECESSOR:
        await migrate.patiently(connection, move_aside, tell)
    await migrate.upgrade(connection, tell)
    found = json.loads(await raw.fetchval(f"SELECT report::text FROM {_STATE}"))  # noqa: S608
    await _copy(raw, found["rows"], tell)
    findings = [Finding(**{**one, "examples": tuple(one["examples"])}) for one in found["findings"]]
    return Report(State.PREDECESSOR, found["rows"], findings, found["left"])


async def _move_aside(raw: asyncpg.Connection, left: Sequence[str]) -> None:
    rows, findings = await checks.run(raw)
    if any(finding.blocks for finding in findings):
        what = "; ".join(f"{f.table}: {f.what} ({', '.join(f.examples)})" for f in findings if f.blocks)
        raise Conflict(f"some rows must be fixed first: {what}")
    await raw.execute(f"CREATE SCHEMA {SCHEMA}")
    for table in SHAPE:
        await raw.execute(f"ALTER TABLE {table} SET SCHEMA {SCHEMA}")
    await raw.execute(f"CREATE TABLE {_STATE} (report json NOT NULL, indexes json)")
    found = {"rows": rows, "findings": [asdict(finding) for finding in findings], "left": left}
    await raw.execute(f"INSERT INTO {_STATE} (report) VALUES ($1::text::json)", json.dumps(found))  # noqa: S608


async def _is_begun(raw: asyncpg.Connection) -> bool:
    return bool(await raw.fetchval("SELECT to_regclass($1) IS NOT NULL", _STATE))


async def _look(raw: asyncpg.Connection) -> tuple[State, list[str]]:
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in await raw.fetch(_COLUMNS):
        found.setdefault(table, {})[column] = kind
    if await _is_begun(raw):
        return State.BEGUN, []
    if "alembic_version" in found:
        return (
            State.ADOPTED if await raw.fetchval("SELECT to_regnamespace($1) IS NOT NULL", SCHEMA) else State.OURS
        ), []
    if not found:
        return State.EMPTY, []
    wrong = _differences(found)
    if wrong:
        raise Conflict(f"this is neither an empty database nor one that can be taken over: {'; '.join(wrong)}")
    left = [f"{table}.{column}" for table, columns in SHAPE.items() for column in found[table].keys() - columns]
    return State.PREDECESSOR, sorted(left)


def _differences(found: Mapping[str, Mapping[str, str]]) -> list[str]:
    wrong = []
    for table, columns in SHAPE.items():
        if table not in found:
            wrong.append(f"there is no table {table}")
            continue
        for column, kind in columns.items():
            if (given := found[table].get(column)) is None:
                wrong.append(f"{table} has no column {column}")
            elif given not in _KINDS[kind]:
                wrong.append(f"{table}.{column} is of type {given}, expected is {' or '.join(sorted(_KINDS[kind]))}")
    wrong += [f"a table {name} is there already" for name in metadata.tables if name in found and name not in SHAPE]
    return wrong


async def _copy(raw: asyncpg.Connection, rows: Mapping[str, int], tell: Tell) -> None:
    await _drop_indexes(raw)
    for table in _INSERTS:
        await _copy_rows(raw, table, rows[table], tell)
    await _build_indexes(raw, tell)
    tell("keys of unusual addresses")
    async with raw.transaction():
        await match_keys.add_unusual(raw)
    for table in (*_INSERTS, "match_keys"):
        await raw.execute(f"ANALYZE {table}")
    async with raw.transaction():
        await raw.execute(_FILTERS)
        for table in SHAPE:
            kept = await raw.fetchval(f"SELECT count(*) FROM {SCHEMA}.{table} o JOIN {table} n USING (id)")  # noqa: S608
            if table != "filters" and kept != rows[table]:
                raise Conflict(
                    f"of {rows[table]} rows of {table} only {kept} could be taken over; the old ones are in {SCHEMA}"
                )
            await raw.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"  # noqa: S608
            )
        for entity in (COMPANY, CONTACT):
            await raw.execute(_MARK_ODD.format(entity=entity.name, table=entity.table))
        await raw.execute(f"DROP TABLE {_STATE}")


async def _drop_indexes(raw: asyncpg.Connection) -> None:
    """Drops all but the primary keys of the large tables, and remembers how to make them again."""
    async with raw.transaction():
        if await raw.fetchval(f"SELECT indexes IS NOT NULL FROM {_STATE}"):  # noqa: S608
            return
        made = await raw.fetch(_INDEXES, list(_BARE))
        await raw.execute(
            f"UPDATE {_STATE} SET indexes = $1::text::json",  # noqa: S608
            json.dumps({row["name"]: row["make"] for row in made}),
        )
        for row in made:
            await raw.execute(row["drop"])


async def _build_indexes(raw: asyncpg.Connection, tell: Tell) -> None:
    indexes = json.loads(await raw.fetchval(f"SELECT indexes::text FROM {_STATE}"))  # noqa: S608
    for number, (name, make) in enumerate(indexes.items(), 1):
        if await raw.fetchval("SELECT to_regclass($1) IS NULL", name):
            tell(f"index {number} of {len(indexes)}: {name}")
            async with raw.transaction():
                await raw.execute(f"SET LOCAL maintenance_work_mem = '{_INDEX_MEMORY}'")
                await raw.execute(make)


async def _copy_rows(raw: asyncpg.Connection, table: str, rows: int, tell: Tell) -> None:
    """Copies the rows of a table in order of id, from the last one that is there already."""
    after, copied = await raw.fetchval(f"SELECT coalesce(max(id), {-(2**63)}) FROM {table}"), 0  # noqa: S608
    next_rows = f"SELECT max(id) FROM (SELECT id FROM {SCHEMA}.{table} WHERE id > $1 ORDER BY id LIMIT {SLICE}) s"  # noqa: S608
    while (last := await raw.fetchval(next_rows, after)) is not None:
        async with raw.transaction():
            # Copying is not a change: no audit entries, and no outbox marks, since the index is rebuilt afterwards.
            await raw.execute("SET LOCAL connectra.audit = 'off'")
            if table in _MARKED:
                await raw.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_inserted")
            copied += rows_of(await raw.execute(_INSERTS[table], after, last))
            if table in _MARKED:
                await raw.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_inserted")
        after = last
        if copied % _TOLD_EVERY == 0:
            tell(f"{table}: {copied:,} of {rows:,} rows copied")


def _records(entity: Entity) -> str:
    types = {Type.INTEGER: "bigint", Type.TEXT: "text", Type.LIST: "text[]", Type.TIME: "timestamptz"}
    cells = {f.name: f"o.{f.name}::{types[f.type]}" for f in entity.fields}
    cells["uuid"] = _uuid(entity.table)
    cells["created_at"] = "coalesce(o.created_at, o.updated_at, now())"
    cells["updated_at"] = "coalesce(o.updated_at, o.created_at, now())"
    return f"""
        INSERT INTO {entity.table} ({", ".join(cells)})
        SELECT {", ".join(cells.values())} FROM {SCHEMA}.{entity.table} o {_SLICED}"""  # noqa: S608


def _uuid(table: str) -> str:
    # Of a row without one: made of its id (RFC 9562, version 8), so that a second try makes the same.
    digest = f"md5('connectra/{table}/' || o.id)"
    made = f"overlay(overlay({digest} PLACING '8' FROM 13) PLACING 'a' FROM 17)::uuid::text"
    return f"CASE WHEN o.uuid::text <> '' THEN o.uuid::text ELSE {made} END"


# Tables of the search path only: those of other schemas do not matter here.
_COLUMNS = """
    SELECT c.relname, a.attname, t.typname FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')"""

_SLICED = "WHERE o.id > $1 AND o.id <= $2 ORDER BY o.id"

_FILTER_VALUES = f"""
    INSERT INTO filters_data (id, uuid, filter_key, service, display_value, value, deleted_at)
    SELECT o.id, {_uuid("filters_data")}, o.filter_key, o.service, o.display_value, o.value, o.deleted_at
    FROM {SCHEMA}.filters_data o {_SLICED}"""  # noqa: S608

# No worker runs what the old ones ran, and running it again automatically could lay old data over new: it fails, and can be started
# again (`connectra jobs retry`).
_JOBS = f"""
    INSERT INTO jobs (id, uuid, job_type, data, status, job_response, retry_count, retry_interval, run_after,
                      created_at, updated_at, cancel_requested)
    SELECT o.id, {_uuid("jobs")}, o.job_type, coalesce(o.data::jsonb, '{{}}'),
           CASE WHEN stuck THEN 'failed' ELSE o.status END,
           CASE WHEN stuck
                THEN response || jsonb_build_object('runtime_errors', errors || to_jsonb('was ' || o.status || ' at the take-over'))
                ELSE response END,
           greatest(o.retry_count, 0), o.retry_interval,
           CASE WHEN stuck OR (o.status = 'failed' AND o.retry_count <= 0) THEN NULL
                WHEN o.status = 'failed' THEN coalesce(o.run_after, now()) ELSE o.run_after END,
           coalesce(o.created_at, o.updated_at, now()), coalesce(o.updated_at, o.created_at, now()), stuck
    FROM {SCHEMA}.jobs o,
         LATERAL (SELECT o.status IN ('in_queue', 'processing', 'retry_in_queued', 'retrying') AS stuck,
                         coalesce(o.job_response::jsonb, '{{}}') AS response) job,
         LATERAL (SELECT CASE WHEN jsonb_typeof(response -> 'runtime_errors') = 'array'
                              THEN response -> 'runtime_errors' ELSE '[]' END AS errors) earlier
    {_SLICED}"""  # noqa: S608

# Ids, labels and whether it is shown are the old ones'; how a filter works is ours to know. One of an unknown key is kept hidden.
_FILTERS = f"""
    CREATE TEMPORARY TABLE ours ON COMMIT DROP AS TABLE filters;
    DELETE FROM filters;
    INSERT INTO filters (id, service, key, filter_type, display_name, direct_derived, active, deleted_at)
    SELECT DISTINCT ON (o.service, o.key) o.id, o.service, o.key, coalesce(k.filter_type, o.filter_type), o.display_name,
           coalesce(k.direct_derived, false), o.active AND k.key IS NOT NULL, o.deleted_at
    FROM {SCHEMA}.filters o LEFT JOIN ours k ON k.service = o.service AND k.key = o.key
    WHERE o.service IS NOT NULL AND o.key IS NOT NULL ORDER BY o.service, o.key, o.id;
    SELECT setval(pg_get_serial_sequence('filters', 'id'), coalesce(max(id), 1)) FROM filters;
    INSERT INTO filters (service, key, filter_type, display_name, direct_derived, active)
    SELECT service, key, filter_type, display_name, direct_derived, active FROM ours k
    WHERE NOT EXISTS (SELECT FROM filters f WHERE f.service = k.service AND f.key = k.key) ORDER BY id"""  # noqa: S608

_INSERTS = {
    COMPANY.table: _records(COMPANY),
    CONTACT.table: _records(CONTACT),
    "filters_data": _FILTER_VALUES,
    "jobs": _JOBS,
}

_INDEXES = """
    SELECT index AS name,
           CASE WHEN c.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
                ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', records, c.conname, pg_get_constraintdef(c.oid)) END AS make,
           CASE WHEN c.oid IS NULL THEN format('DROP INDEX %s', index)
                ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', records, c.conname) END AS drop
    FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype = 'u',
         LATERAL (SELECT i.indexrelid::regclass::text AS index, i.indrelid::regclass::text AS records) named
    WHERE i.indrelid = ANY($1::text[]::regclass[]) AND NOT i.indisprimary ORDER BY i.indexrelid"""

# Records with a time that no index takes: the indexer finds that out, and the comparison of a rebuilt index then knows of them.
_MARK_ODD = """
    INSERT INTO outbox (entity, uuid, lane) SELECT '{entity}', uuid, 2 FROM {table}
    WHERE least(created_at, updated_at) < '0001-01-01' OR greatest(created_at, updated_at) >= '10000-01-01' ORDER BY uuid"""
