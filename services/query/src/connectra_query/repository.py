"""All SQL of reading records. PostgreSQL itself writes their JSON."""

from collections.abc import Sequence
from functools import lru_cache

from connectra_common.db.database import Connection
from connectra_common.records.fields import COMPANY, Entity
from connectra_common.records.sql import COMPANY_JOIN, json_object, names_company


class RecordRepository:
    """Reads records, each time in one statement."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(
        self,
        entity: Entity,
        uuids: Sequence[str],
        cursors: Sequence[str],
        columns: tuple[str, ...],
        company_columns: tuple[str, ...] | None,
        highlights: Sequence[str] | None = None,
    ) -> tuple[bytes, int]:
        """JSON array of the records in the order given, each with its `cursor` and `highlight` (JSON texts), and their number. Deleted and
        missing ones are left out."""
        statement = _page(entity, columns, company_columns, highlights is not None)
        more = [] if highlights is None else [list(highlights)]
        [(rows, number)] = await self._connection.fetch(statement, list(uuids), list(cursors), *more)
        return rows.encode(), number

    async def living(self, entity: Entity, uuids: Sequence[str]) -> set[str]:
        """Those of the uuids that have a record."""
        return {row[0] for row in await self._connection.fetch(_living(entity), list(uuids))}

    async def many(self, entity: Entity, uuids: Sequence[str], columns: tuple[str, ...]) -> tuple[bytes, set[str]]:
        """JSON array of the records in the order given, each with its `row_version`, and the uuids found."""
        [(rows, found)] = await self._connection.fetch(_many(entity, columns), list(uuids))
        return rows.encode(), set(found)

    async def get(self, entity: Entity, uuid: str, columns: tuple[str, ...]) -> tuple[bytes, int] | None:
        """JSON of a record and its row_version; None when there is none or it is deleted."""
        row = await self._connection.fetchrow(_one(entity, columns), uuid)
        return (row[0].encode(), row[1]) if row else None


@lru_cache(maxsize=512)
def _page(entity: Entity, columns: tuple[str, ...], company_columns: tuple[str, ...] | None, highlight: bool) -> str:
    # One page, in the order of the search.
    members, join, more, name = [("cursor", "CAST(k.cursor AS json)")], _join(entity, columns), "", ""
    if highlight:
        members.append(("highlight", "CAST(k.highlight AS json)"))
        more, name = ", $3::text[]", ", highlight"
    if company_columns is not None:
        company = json_object(COMPANY, "c", company_columns)
        members.append(("company", f"CASE WHEN c.id IS NOT NULL THEN {company} END"))
        join = COMPANY_JOIN
    record = json_object(entity, "t", columns, members)
    return f"""
        SELECT CAST(coalesce(json_agg({record} ORDER BY k.n), '[]') AS text), count(*)
        FROM unnest($1::text[], $2::text[]{more}) WITH ORDINALITY AS k (uuid, cursor{name}, n)
        JOIN {entity.table} t ON t.uuid = k.uuid {join}
        WHERE t.deleted_at IS NULL"""


def _living(entity: Entity) -> str:
    # Which of these uuids have a record.
    return f"SELECT uuid FROM {entity.table} WHERE uuid = ANY($1::text[]) AND deleted_at IS NULL"


@lru_cache(maxsize=512)
def _one(entity: Entity, columns: tuple[str, ...]) -> str:
    # One record by uuid.
    return f"""
        SELECT CAST({json_object(entity, "t", columns)} AS text), t.row_version
        FROM {entity.table} t {_join(entity, columns)} WHERE t.uuid = $1 AND t.deleted_at IS NULL"""


@lru_cache(maxsize=512)
def _many(entity: Entity, columns: tuple[str, ...]) -> str:
    # Records by uuid, in the order of the uuids.
    record = json_object(entity, "t", columns, [("row_version", "t.row_version")])
    return f"""
        SELECT CAST(coalesce(json_agg({record} ORDER BY k.n), '[]') AS text), coalesce(array_agg(k.uuid), '{{}}')
        FROM unnest($1::text[]) WITH ORDINALITY AS k (uuid, n)
        JOIN {entity.table} t ON t.uuid = k.uuid {_join(entity, columns)} WHERE t.deleted_at IS NULL"""


def _join(entity: Entity, columns: tuple[str, ...]) -> str:
    return COMPANY_JOIN if names_company(entity, columns) else ""
