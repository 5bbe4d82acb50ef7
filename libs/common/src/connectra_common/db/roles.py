"""What each process may do in the database: a role for each, with just the tables of docs/architecture.md.

The roles belong to the server and hold no data. A process logs in as its role, or as a login that is a member of it. Triggers that
mark, audit and key records run with the rights of the tables' owner, so no process needs the right to write their tables.
"""

from collections.abc import Mapping

import asyncpg

_READ = "SELECT"
_KEEP = "SELECT, INSERT, UPDATE, DELETE"
_AUDIT_EVENT = "FUNCTION audit_event"
_KEEP_PARTITIONS = "FUNCTION keep_partitions"
_REMOVE_DELETED = "FUNCTION remove_deleted"
# Privileges by table, sequence or function, by process. A column in brackets: only that.
RIGHTS: Mapping[str, Mapping[str, str]] = {
    "query": {
        **dict.fromkeys(("companies", "contacts", "outbox", "written_batches", "audit"), _READ),
        **dict.fromkeys(("filters", "filters_data", "filter_value_changes"), _READ),
        _AUDIT_EVENT: "EXECUTE",
    },
    "write": {
        "companies": "SELECT, INSERT, UPDATE",
        "contacts": "SELECT, INSERT, UPDATE",
        "match_keys": "SELECT, INSERT, DELETE",
        "key_locks": "SELECT, INSERT, DELETE",
        "filters_data": _KEEP,
        "filter_value_changes": "SELECT, DELETE",
        "outbox": "SELECT, INSERT, UPDATE",
        "written_batches": "SELECT, INSERT, UPDATE, DELETE",
        "dead_letters": _READ,
        "index_operations": "SELECT, INSERT, UPDATE",
        "index_builds": _READ,  # of the previous release
        "import_batches": "SELECT, INSERT, UPDATE",
        "import_records": "SELECT, INSERT, UPDATE",
        "idempotency_keys": _KEEP,  # the previous release writes it
        "kept_answers": "SELECT, INSERT",
        _AUDIT_EVENT: "EXECUTE",
        _KEEP_PARTITIONS: "EXECUTE",
        _REMOVE_DELETED: "EXECUTE",
        "row_version_seq": "SELECT, USAGE",
        "outbox_seq": "SELECT, USAGE",
    },
    "indexer": {
        # Raises versions, and changes nothing else.
        "companies": "SELECT, UPDATE (row_version)",
        "contacts": "SELECT, UPDATE (row_version)",
        "outbox": _KEEP,
        "indexers": "SELECT, INSERT, DELETE",
        "dead_letters": _KEEP,
        "index_operations": "SELECT, INSERT, UPDATE",
        "index_catch_up": _KEEP,
        "index_builds": _READ,  # of the previous release
        _AUDIT_EVENT: "EXECUTE",
        "row_version_seq": "SELECT, USAGE, UPDATE",
        "outbox_seq": "SELECT, USAGE",
        "indexers_id_seq": "USAGE",
    },
    "jobs": {
        "jobs": _KEEP,
        "job_attempts": _READ,
        "uploads": _KEEP,
        "import_batches": "SELECT (job_uuid), DELETE",
        "import_records": "SELECT (job_uuid), DELETE",
        "idempotency_keys": "SELECT, INSERT, UPDATE",
        "kept_answers": "SELECT, INSERT",
        _AUDIT_EVENT: "EXECUTE",
        _KEEP_PARTITIONS: "EXECUTE",
    },
    "worker": {"jobs": "SELECT, UPDATE", "job_attempts": "SELECT, INSERT, UPDATE", _AUDIT_EVENT: "EXECUTE"},
    # `connectra doctor` and `connectra audit`.
    "ops": {
        "companies": "SELECT (deleted_at)",
        "contacts": "SELECT (deleted_at)",
        "outbox": _READ,
        "dead_letters": _READ,
        "jobs": "SELECT (status, lease_until, updated_at)",
        "audit": _READ,
        "alembic_version": _READ,
    },
    # What scales the workers by the number of jobs.
    "keda": {"jobs": "SELECT (status, run_after)"},
}

_MAY_CREATE = "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"

# Another database of the server may be migrated at the same time.
_CREATE = """
    DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""

# Tables and sequences that are ours to give.
_OURS = """
    SELECT quote_ident(relname) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'S')
    AND pg_has_role(relowner, 'USAGE')"""

_HERE = """
    SELECT quote_ident(current_schema()) AS schema, quote_ident(current_database()) AS database,
        (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = current_schema()) AS owns_schema,
        (SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()) AS owns_database"""


def name_of(process: str, prefix: str) -> str:
    """The role of a process."""
    return f"{prefix}_{process}"


async def create(connection: asyncpg.Connection, prefix: str) -> list[str]:
    """Creates the roles that are not there; returns those that this login may not create."""
    absent = await _absent(connection, prefix)
    if not absent or not await connection.fetchval(_MAY_CREATE):
        return absent
    for role in absent:
        await connection.execute(_CREATE.format(role=role))
    return []


async def grant(connection: asyncpg.Connection, prefix: str, *, audited: bool = True) -> None:
    """Gives each role that there is what its process needs, and takes everything else, in the caller's transaction.

    Args:
        audited: whether the write service leaves a trail of what it changes; if not, its role may turn it off for its sessions.
    """
    here = await connection.fetchrow(_HERE)
    assert here
    ours = ", ".join(row[0] for row in await connection.fetch(_OURS))
    schema, database = here["schema"], here["database"]
    if here["owns_schema"]:
        await connection.execute(f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC")
    absent = await _absent(connection, prefix)
    for process, rights in RIGHTS.items():
        if (role := name_of(process, prefix)) in absent:
            continue
        statements = [
            f"REVOKE ALL ON {ours} FROM {role}",
            f"REVOKE ALL ON FUNCTION audit_exempt, audit_event, keep_partitions, remove_deleted FROM {role}",
            f"GRANT USAGE ON SCHEMA {schema} TO {role}",
            *(f"GRANT {privileges} ON {name} TO {role}" for name, privileges in rights.items()),
        ]
        if here["owns_database"]:
            # Import batches are staged in temporary tables.
            more = ", TEMPORARY" if process == "write" else ""
            statements += [
                f"REVOKE ALL ON DATABASE {database} FROM {role}",
                f"GRANT CONNECT{more} ON DATABASE {database} TO {role}",
            ]
        if process == "write" and not audited:
            statements.append(f"GRANT EXECUTE ON FUNCTION audit_exempt() TO {role}")
        await connection.execute("; ".join(statements))


async def _absent(connection: asyncpg.Connection, prefix: str) -> list[str]:
    wanted = [name_of(process, prefix) for process in RIGHTS]
    there = {row[0] for row in await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY($1)", wanted)}
    return [role for role in wanted if role not in there]
