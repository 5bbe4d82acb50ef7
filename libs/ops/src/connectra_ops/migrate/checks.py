"""What may be odd about the rows of a database that is taken over. Odd rows are kept and reported; a few must be fixed first."""

from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

EXAMPLES = 5
# What certainly fits into an index entry of PostgreSQL (8 KiB pages).
_MAX_INDEXED_BYTES = 2_600
_UUID = "'^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'"
_EMAIL = r"'^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$'"


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows of a table that have something in common; `examples` are the first of their ids."""

    table: str
    what: str
    count: int
    examples: tuple[str, ...]
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class _Check:
    what: str
    # SQL; true of the rows that are meant.
    condition: str
    blocks: bool = False


def _uuids(table: str) -> tuple[_Check, ...]:
    return (
        _Check("no uuid; gets one made of its id", "coalesce(uuid::text, '') = ''"),
        _Check(
            "uuid in upper case; kept, but the API reads lower case only",
            f"uuid::text <> lower(uuid::text) AND lower(uuid::text) ~ {_UUID}",
        ),
        _Check(
            "not a valid uuid; kept and found by search, but the API cannot address it",
            f"uuid::text <> '' AND lower(uuid::text) !~ {_UUID}",
        ),
        _Check("uuid of several rows; each needs its own", _shared(table, "uuid::text"), blocks=True),
    )


def _shared(table: str, column: str, where: str = "true") -> str:
    return f"""({where}) AND {column} <> '' AND {column} IN (
        SELECT {column} FROM {table} WHERE {where} GROUP BY {column} HAVING count(*) > 1)"""  # noqa: S608


def _too_long(*columns: str) -> _Check:
    condition = " OR ".join(f"octet_length({column}::text) > {_MAX_INDEXED_BYTES}" for column in columns)
    return _Check(f"{' or '.join(columns)} of more than {_MAX_INDEXED_BYTES} bytes; shorten it", condition, blocks=True)


_LIVE = "deleted_at IS NULL"
_TIMES = (
    _Check("no created_at or updated_at; gets the other, or now", "created_at IS NULL OR updated_at IS NULL"),
    _Check(
        "a time that no index takes; kept, but search does not find the row",
        """least(created_at, updated_at) < '0001-01-01' OR greatest(created_at, updated_at) >= '10000-01-01'""",
    ),
)
_CHECKS: Mapping[str, tuple[_Check, ...]] = {
    "companies": (
        *_uuids("companies"),
        _Check("no name; kept", "coalesce(name, '') = ''"),
        _Check(
            "negative number; kept",
            "least(employees_count, annual_revenue, total_funding, latest_funding_amount) < 0",
        ),
        _Check(
            "domain of several companies; kept, upserts take the oldest",
            _shared("companies", "normalized_domain", _LIVE),
        ),
        *_TIMES,
        _too_long("uuid", "normalized_domain"),
    ),
    "contacts": (
        *_uuids("contacts"),
        _Check(
            "e-mail address of several contacts; kept, upserts take the oldest", _shared("contacts", "email", _LIVE)
        ),
        _Check("not a valid e-mail address; kept", f"email <> '' AND email !~ {_EMAIL}"),
        _Check(
            "company that is not there; kept",
            "company_id <> '' AND NOT EXISTS (SELECT FROM companies c WHERE c.uuid::text = company_id::text)",
        ),
        *_TIMES,
        _too_long("uuid", "email", "company_id"),
    ),
    "filters": (
        _Check("no service or key; left behind", "service IS NULL OR key IS NULL"),
        _Check(
            "duplicate key; the first row is taken, this one is left behind",
            "EXISTS (SELECT FROM filters f WHERE f.service = filters.service AND f.key = filters.key AND f.id < filters.id)",
        ),
    ),
    "filters_data": (
        *_uuids("filters_data")[:1],
        _Check("shows a uuid instead of a name; the write service corrects it", f"display_value ~ {_UUID}"),
        _Check("no value; kept, and offered to nobody", "coalesce(value, '') = ''"),
        _Check("uuid of several rows; each needs its own", _shared("filters_data", "uuid::text"), blocks=True),
        _too_long("uuid"),
    ),
    "jobs": (
        *_uuids("jobs"),
        _Check(
            "claimed or running; becomes failed and is not retried automatically",
            "status IN ('in_queue', 'processing', 'retry_in_queued', 'retrying')",
        ),
        _Check("failed with retries left; will be retried", "status = 'failed' AND retry_count > 0"),
        _Check(
            "unknown status; kept, never run",
            "status NOT IN ('open', 'in_queue', 'processing', 'completed', 'failed', 'retry_in_queued', 'retrying')",
        ),
        _Check("negative retry_count; becomes 0", "retry_count < 0"),
    ),
}


async def run(connection: asyncpg.Connection) -> tuple[dict[str, int], list[Finding]]:
    """Rows of each table, and what is odd about them; each table is read once, and once more for examples of what was found."""
    rows: dict[str, int] = {}
    findings: list[Finding] = []
    for table, checks in _CHECKS.items():
        counts = ", ".join(f"count(*) FILTER (WHERE {check.condition})" for check in checks)
        [(rows[table], *found)] = await connection.fetch(f"SELECT count(*), {counts} FROM {table}")  # noqa: S608
        for check, count in zip(checks, found, strict=True):
            if count:
                first = await connection.fetch(
                    f"SELECT id::text FROM {table} WHERE {check.condition} ORDER BY id LIMIT {EXAMPLES}"  # noqa: S608
                )
                findings.append(Finding(table, check.what, count, tuple(row[0] for row in first), check.blocks))
    return rows, findings
