"""All SQL of the query service. It only reads."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache

from connectra_common.db.engine import driver, transaction
from connectra_common.records.fields import COMPANY, Entity
from connectra_common.records.sql import json_object
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class Repository:
    """Reads records as the JSON and CSV that PostgreSQL itself writes."""

    def __init__(self, engine: AsyncEngine) -> None:
        # Single statements: no transaction around them, which would be two more round trips.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection for several reads."""
        async with self._engine.connect() as connection:
            yield connection

    async def page(
        self,
        entity: Entity,
        uuids: Sequence[str],
        cursors: Sequence[str],
        columns: tuple[str, ...],
        company_columns: tuple[str, ...] | None,
        highlights: Sequence[str] | None = None,
    ) -> bytes:
        """JSON array of the records in the order given, each with its `cursor` and `highlight` (JSON texts). Deleted and missing ones
        are left out."""
        statement = _page(entity, columns, company_columns, highlights is not None)
        values = [list(uuids), list(cursors), *([list(highlights)] if highlights is not None else [])]
        # The hottest statement: the driver takes it as it is, which spares SQLAlchemy's part.
        async with self.connect() as connection:
            rows: str = await (await driver(connection)).fetchval(statement, *values)
        return rows.encode()

    async def many(self, entity: Entity, uuids: Sequence[str], columns: tuple[str, ...]) -> tuple[bytes, set[str]]:
        """JSON array of the records in the order given, each with its `row_version`, and the uuids found."""
        async with self.connect() as connection:
            row = (await connection.execute(_many(entity, columns), {"uuids": list(uuids)})).one()
        return str(row[0]).encode(), set(row[1])

    async def get(self, entity: Entity, uuid: str, columns: tuple[str, ...]) -> tuple[bytes, int] | None:
        """JSON of a record and its row_version; None when there is none or it is deleted."""
        async with self.connect() as connection:
            row = (await connection.execute(_one(entity, columns), {"uuid": uuid})).one_or_none()
        return (str(row[0]).encode(), row[1]) if row else None

    @asynccontextmanager
    async def outbox(self) -> AsyncIterator[Callable[[int], Awaitable[bool]]]:
        """A function that tells whether everything up to a consistency token has left the outbox."""
        async with transaction(self._engine) as connection:
            # The outbox is empty one moment and has thousands of rows the next: left to choose, the planner would have all of it read.
            await connection.execute("SET LOCAL enable_seqscan = off")

            async def is_indexed(token: int) -> bool:
                return not await connection.fetchval("SELECT EXISTS (SELECT FROM outbox WHERE first_seq <= $1)", token)

            yield is_indexed


@lru_cache(maxsize=512)
def _page(entity: Entity, columns: tuple[str, ...], company_columns: tuple[str, ...] | None, highlight: bool) -> str:
    # One page, in the engine's order.
    members, join, more, name = ["'cursor', CAST(k.cursor AS json)"], "", "", ""
    if highlight:
        members.append("'highlight', CAST(k.highlight AS json)")
        more, name = ", $3::text[]", ", highlight"
    if company_columns is not None:
        members.append(f"'company', CASE WHEN c.id IS NOT NULL THEN {json_object(COMPANY, 'c', company_columns)} END")
        join = "LEFT JOIN companies c ON c.uuid = t.company_id AND c.deleted_at IS NULL"
    record = json_object(entity, "t", columns, ", ".join(members))
    return f"""
        SELECT CAST(coalesce(json_agg({record} ORDER BY k.n), '[]') AS text)
        FROM unnest($1::text[], $2::text[]{more}) WITH ORDINALITY AS k (uuid, cursor{name}, n)
        JOIN {entity.table} t ON t.uuid = k.uuid {join}
        WHERE t.deleted_at IS NULL"""


@lru_cache(maxsize=512)
def _one(entity: Entity, columns: tuple[str, ...]) -> TextClause:
    # One record by uuid.
    return text(f"""
        SELECT CAST({json_object(entity, "t", columns)} AS text), t.row_version
        FROM {entity.table} t WHERE t.uuid = :uuid AND t.deleted_at IS NULL""")


@lru_cache(maxsize=512)
def _many(entity: Entity, columns: tuple[str, ...]) -> TextClause:
    # Records by uuid, in the order of the uuids.
    record = json_object(entity, "t", columns, "'row_version', t.row_version")
    return text(f"""
        SELECT CAST(coalesce(json_agg({record} ORDER BY k.n), '[]') AS text), coalesce(array_agg(k.uuid), '{{}}')
        FROM unnest(CAST(:uuids AS text[])) WITH ORDINALITY AS k (uuid, n)
        JOIN {entity.table} t ON t.uuid = k.uuid WHERE t.deleted_at IS NULL""")
