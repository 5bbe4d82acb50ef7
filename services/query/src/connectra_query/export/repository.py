"""All SQL of exports. It only reads, and PostgreSQL itself writes the bytes of the file."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import asyncpg
from connectra_common.db.engine import transaction
from connectra_common.export import ExportFormat
from connectra_common.records.fields import COMPANY, Entity, Field, Type
from connectra_common.records.sql import expression
from connectra_common.vql.ast import Query
from connectra_common.vql.validate import COMPANY_PREFIX
from sqlalchemy.ext.asyncio import AsyncEngine

# PostgreSQL sends eight kilobytes at a time: after so short a rest the next read finds many of them.
READ_REST_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Layout:
    """How records become bytes. `keep_formulas`: in CSV, what a spreadsheet would take for a formula stays as it is."""

    format: ExportFormat = ExportFormat.CSV
    keep_formulas: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """Next piece of a file, and the records in it."""

    data: bytes
    rows: int


class ExportRepository:
    """Reads the records of one export."""

    def __init__(self, engine: AsyncEngine, query: Query, layout: Layout) -> None:
        self._engine, self._query, self._layout = engine, query, layout
        self._page = _select(query, layout, "t.id > $1 AND t.id <= $2 AND t.deleted_at IS NULL ORDER BY t.id")

    def snapshot(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A transaction whose reads, from `begin` on, all see the same moment."""
        return transaction(self._engine)

    async def begin(self, connection: asyncpg.Connection) -> None:
        """First in a snapshot."""
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # It waits for whoever takes the file, as long as an import waits for a dependency by default.
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '10min'")

    async def page_end(self, connection: asyncpg.Connection, after: int, rows: int) -> int | None:
        """The last id of the page of so many rows behind an id; None when nothing follows."""
        table = self._query.entity.table
        statement = f"SELECT max(id) FROM (SELECT id FROM {table} WHERE id > $1 ORDER BY id LIMIT $2) p"
        end: int | None = await connection.fetchval(statement, after, rows)
        return end

    async def page(self, connection: asyncpg.Connection, after: int, until: int) -> Chunk:
        """Records with ids behind `after` up to `until`."""
        return await self._copy(connection, self._page, after, until)

    async def some(self, ids: Sequence[int]) -> Chunk:
        """Those of the records with these ids that are not deleted, as they are now, in any order."""
        # COPY takes no parameters, and so many numbers are sooner written here than quoted by the server for the driver.
        given = f"'{{{','.join(map(str, ids))}}}'::bigint[]"
        statement = _select(self._query, self._layout, f"t.id = ANY({given}) AND t.deleted_at IS NULL")
        async with transaction(self._engine) as connection:
            return await self._copy(connection, statement)

    async def _copy(self, connection: asyncpg.Connection, statement: str, *arguments: object) -> Chunk:
        pieces: list[bytes] = []

        async def take(data: bytes) -> None:
            pieces.append(data)
            await asyncio.sleep(READ_REST_SECONDS)

        # JSON has no raw control characters, so with these the CSV writer copies it as it is.
        delimiter, quote = (None, None) if self._layout.format is ExportFormat.CSV else ("\x02", "\x01")
        status = await connection.copy_from_query(
            statement, *arguments, output=take, format="csv", delimiter=delimiter, quote=quote
        )
        return Chunk(b"".join(pieces), int(status.rpartition(" ")[2]))


def _select(query: Query, layout: Layout, condition: str) -> str:
    # Columns come from the catalogue, and were checked against it.
    names = query.columns if layout.format is ExportFormat.CSV else tuple(dict.fromkeys(query.columns))
    columns = [_column(query.entity, name) for name in names]
    companies = any(alias == "c" for alias, _ in columns)
    join = "LEFT JOIN companies c ON c.uuid = t.company_id AND c.deleted_at IS NULL" if companies else ""
    rows = f"FROM {query.entity.table} t {join} WHERE {condition}"
    if layout.format is ExportFormat.CSV:
        return f"SELECT {', '.join(_cell(field, alias, layout) for alias, field in columns)} {rows}"
    members = (f'{_member(field, alias)} AS "{name}"' for name, (alias, field) in zip(names, columns, strict=True))
    return f"SELECT row_to_json(r) FROM (SELECT {', '.join(members)} {rows}) r"


def _column(entity: Entity, name: str) -> tuple[str, Field]:
    if name.startswith(COMPANY_PREFIX):
        return "c", COMPANY.by_name[name.removeprefix(COMPANY_PREFIX)]
    return "t", entity.by_name[name]


def _member(field: Field, alias: str) -> str:
    # Of a contact without a company a list is null, as its other fields are.
    return f"{alias}.{field.name}" if alias == "c" and field.type is Type.LIST else expression(field, alias)


def _cell(field: Field, alias: str, layout: Layout) -> str:
    column = f"{alias}.{field.name}"
    if field.type is Type.TIME:
        return expression(field, alias)
    if field.type is Type.INTEGER or field.name in ("uuid", "company_id"):
        return column
    text = f"array_to_string({column}, ',')" if field.type is Type.LIST else column
    return text if layout.keep_formulas else harmless(text)


# First characters that make a spreadsheet calculate: tab, carriage return, + - = @
_FORMULA = "9, 13, 43, 45, 61, 64"


def harmless(text: str) -> str:
    """SQL of a text that no spreadsheet calculates: one that begins like a formula gets a leading apostrophe; a plain number needs none.

    An import takes the apostrophe off again, as it does with all that is neither letter nor digit at the ends of a cell.
    """
    number = "'^[+-]?[0-9]+([.][0-9]+)?$'"
    return f"CASE WHEN ascii({text}) IN ({_FORMULA}) AND {text} !~ {number} THEN '''' || {text} ELSE {text} END"
