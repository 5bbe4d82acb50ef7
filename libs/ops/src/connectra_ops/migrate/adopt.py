"""Takes over a database that another implementation of the documented tables made (docs/adr/0007).

Its tables move to the schema `predecessor`, where they stay as they were; the migrations make ours, and every row is copied. All in
the caller's transaction, which must be that of `migrate.locked`: it happens once, and wholly or not at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import asyncpg
from connectra_common.db import match_keys, migrate
from connectra_common.db.migrate import driver
from connectra_common.db.tables import metadata
from connectra_common.errors import Conflict
from connectra_common.records.fields import COMPANY, CONTACT, Entity, Type
from sqlalchemy.ext.asyncio import AsyncConnection

from connectra_ops.migrate import checks
from connectra_ops.migrate.checks import Finding

SCHEMA = "predecessor"

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
    """Whether documented tables are there that our migrations have not made."""
    found = {row[0] for row in await (await driver(connection)).fetch(_COLUMNS)}
    return "alembic_version" not in found and not found.isdisjoint(SHAPE)


async def adopt(connection: AsyncConnection, *, dry_run: bool = False) -> Report:
    """Takes the database over. One that is empty, ours or taken over already is only reported.

    Raises:
        Conflict: the database is neither that nor of the documented shape (the message says what differs), or a finding blocks and it
            is not a dry run.
    """
    raw = await driver(connection)
    state, left = await _look(raw)
    if state is not State.PREDECESSOR:
        return Report(state)
    if not dry_run:
        await raw.execute(f"LOCK TABLE {', '.join(SHAPE)} IN ACCESS EXCLUSIVE MODE")
    rows, findings = await checks.run(raw)
    report = Report(state, rows, findings, left)
    if dry_run:
        return report
    if report.blocked:
        what = "; ".join(f"{f.table}: {f.what} ({', '.join(f.examples)})" for f in findings if f.blocks)
        raise Conflict(f"some rows must be fixed first: {what}")
    await raw.execute(f"CREATE SCHEMA {SCHEMA}")
    for table in SHAPE:
        await raw.execute(f"ALTER TABLE {table} SET SCHEMA {SCHEMA}")
    await migrate.upgrade(connection)
    await _copy(raw, rows)
    return report


async def _look(raw: asyncpg.Connection) -> tuple[State, list[str]]:
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in await raw.fetch(_COLUMNS):
        found.setdefault(table, {})[column] = kind
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


async def _copy(raw: asyncpg.Connection, rows: Mapping[str, int]) -> None:
    # The trail begins with what happens from now on. The triggers mark every record for the index, and keep its keys.
    await raw.execute("SET LOCAL connectra.audit = 'off'")
    for entity in (COMPANY, CONTACT):
        await raw.execute(_records(entity))
    await match_keys.add_unusual(raw)
    await raw.execute(_FILTER_VALUES)
    await raw.execute(_JOBS)
    await raw.execute(_FILTERS)
    for table in SHAPE:
        kept = await raw.fetchval(f"SELECT count(*) FROM {SCHEMA}.{table} o JOIN {table} n USING (id)")  # noqa: S608
        if table != "filters" and kept != rows[table]:
            raise Conflict(f"of {rows[table]} rows of {table} only {kept} could be taken over; nothing was changed")
        await raw.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"  # noqa: S608
        )
        await raw.execute(f"ANALYZE {table}")


def _records(entity: Entity) -> str:
    types = {Type.INTEGER: "bigint", Type.TEXT: "text", Type.LIST: "text[]", Type.TIME: "timestamptz"}
    cells = {f.name: f"o.{f.name}::{types[f.type]}" for f in entity.fields}
    cells["uuid"] = _uuid(entity.table)
    cells["created_at"] = "coalesce(o.created_at, o.updated_at, now())"
    cells["updated_at"] = "coalesce(o.updated_at, o.created_at, now())"
    return f"""
        INSERT INTO {entity.table} ({", ".join(cells)})
        SELECT {", ".join(cells.values())} FROM {SCHEMA}.{entity.table} o ORDER BY o.id"""  # noqa: S608


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

_FILTER_VALUES = f"""
    INSERT INTO filters_data (id, uuid, filter_key, service, display_value, value, deleted_at)
    SELECT o.id, {_uuid("filters_data")}, o.filter_key, o.service, o.display_value, o.value, o.deleted_at
    FROM {SCHEMA}.filters_data o ORDER BY o.id"""  # noqa: S608

# No worker runs what the old ones ran, and running it again automatically could lay old data over new: it fails, and can be started
# again (`connectra job retry`).
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
    ORDER BY o.id"""  # noqa: S608

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
