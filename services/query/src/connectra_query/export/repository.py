"""All SQL of exports. It only reads; PostgreSQL itself writes the bytes of the file."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from connectra_common.db.database import IN_ORDER, Connection, rows_of
from connectra_common.export import ExportFormat
from connectra_common.records.fields import Entity, Field, Type, column_of
from connectra_common.records.sql import COMPANY_JOIN, expression
from connectra_common.vql.ast import Query

# PostgreSQL sends eight kilobytes at a time: after a pause this short the next read finds many of them.
READ_PAUSE_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Layout:
    """How records become bytes. `keep_formulas`: in CSV, leave alone what a spreadsheet would take for a formula."""

    format: ExportFormat = ExportFormat.CSV
    keep_formulas: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """Next piece of a file, and the records that begin with it."""

    data: bytes
    rows: int


class ExportRepository:
    """Reads the records of one export."""

    def __init__(self, connection: Connection, query: Query, layout: Layout) -> None:
        self._connection, self._query, self._layout = connection, query, layout

    async def last(self) -> int:
        """The greatest id so far; 0 when there is no record."""
        last: int = await self._connection.fetchval(f"SELECT coalesce(max(id), 0) FROM {self._query.entity.table}")
        return last

    async def page_end(self, after: int, until: int, rows: int) -> int | None:
        """The last id of the page of `rows` rows after an id, up to another; None when nothing follows."""
        table = self._query.entity.table
        page = f"SELECT id FROM {table} WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3"
        async with self._connection.transaction():
            await self._connection.execute(IN_ORDER)
            end: int | None = await self._connection.fetchval(f"SELECT max(id) FROM ({page}) p", after, until, rows)
        return end

    async def page(self, after: int, until: int) -> Chunk:
        """Records with ids after `after` up to `until`."""
        condition = "t.id > $1 AND t.id <= $2 AND t.deleted_at IS NULL ORDER BY t.id"
        return await self._copy(_select(self._query, self._layout, condition), after, until)

    async def some(self, ids: Sequence[int]) -> Chunk:
        """Those of the records with these ids that are not deleted, as they are now, in any order."""
        # COPY takes no parameters, and this many numbers are written faster here than quoted by the server for the driver.
        given = f"'{{{','.join(map(str, ids))}}}'::bigint[]"
        return await self._copy(_select(self._query, self._layout, f"t.id = ANY({given}) AND t.deleted_at IS NULL"))

    async def _copy(self, statement: str, *arguments: object) -> Chunk:
        pieces: list[bytes] = []

        async def take(data: bytes) -> None:
            pieces.append(data)
            await asyncio.sleep(READ_PAUSE_SECONDS)

        # JSON has no raw control characters, so with these as marks the CSV writer copies it unchanged.
        delimiter, quote = (None, None) if self._layout.format is ExportFormat.CSV else ("\x02", "\x01")
        status = await self._connection.copy_from_query(
            statement, *arguments, output=take, format="csv", delimiter=delimiter, quote=quote
        )
        return Chunk(b"".join(pieces), rows_of(status))


def _select(query: Query, layout: Layout, condition: str) -> str:
    # Columns come from the catalogue, and were checked against it.
    names = query.columns if layout.format is ExportFormat.CSV else tuple(dict.fromkeys(query.columns))
    columns = [_column(query.entity, name) for name in names]
    companies = any(alias == "c" for alias, _ in columns)
    join = COMPANY_JOIN if companies else ""
    rows = f"FROM {query.entity.table} t {join} WHERE {condition}"
    if layout.format is ExportFormat.CSV:
        return f"SELECT {', '.join(_cell(field, alias, layout) for alias, field in columns)} {rows}"
    members = (f'{_member(field, alias)} AS "{name}"' for name, (alias, field) in zip(names, columns, strict=True))
    return f"SELECT row_to_json(r) FROM (SELECT {', '.join(members)} {rows}) r"


def _column(entity: Entity, name: str) -> tuple[str, Field]:
    if (found := column_of(entity, name)) is None:
        raise ValueError(f"{entity.name} has no column {name!r}")
    owner, field = found
    return "t" if owner is entity else "c", field


def _member(field: Field, alias: str) -> str:
    # A contact without a company has null for its lists, as for its other fields.
    return f"{alias}.{field.name}" if alias == "c" and field.type is Type.LIST else expression(field, alias)


def _cell(field: Field, alias: str, layout: Layout) -> str:
    column = f"{alias}.{field.name}"
    if field.type is Type.TIME:
        return expression(field, alias)
    if field.type is Type.INTEGER or field.name in ("uuid", "company_id"):
        return column
    # A list begins as its first item does.
    text, first = (_joined(column), f"{column}[1]") if field.type is Type.LIST else (column, column)
    return escaped(text, first) if layout.keep_formulas else harmless(text, first)


# What parts the items of a list in a cell, and what an item in quotation marks begins and ends with.
_PARTS = "'[\",;]| ::: '"


def _joined(column: str) -> str:
    """SQL of a list's items between commas, as an import reads them: one with a separator in it stands in quotation marks."""
    item = f"""CASE WHEN item ~ {_PARTS} THEN '"' || replace(item, '"', '""') || '"' ELSE item END"""
    quoted = f"(SELECT string_agg({item}, ',' ORDER BY n) FROM unnest({column}) WITH ORDINALITY AS items(item, n))"
    return f"CASE WHEN array_to_string({column}, '|') ~ {_PARTS} THEN {quoted} ELSE array_to_string({column}, ',') END"


# As `records/formulas.py` has it; the first character is looked at first, since most texts end there.
_BEGINS = "9, 10, 13, 39, 43, 45, 61, 64, 65291, 65293, 65309, 65312"
_LIKE_A_FORMULA = r"E'^''*[\t\n\r+=@＋－＝＠-]'"
_NUMBER = "'^[+-]?[0-9]+([.][0-9]+)?$'"


def harmless(text: str, first: str) -> str:
    """SQL of a text that no spreadsheet evaluates: one that begins like a formula gets a leading apostrophe; a plain number needs none.

    An import takes the apostrophe off again. `first` is what the text begins with.
    """
    formula = f"ascii({first}) IN ({_BEGINS}) AND {text} ~ {_LIKE_A_FORMULA} AND {text} !~ {_NUMBER}"
    return f"CASE WHEN {formula} THEN '''' || {text} ELSE {text} END"


def escaped(text: str, first: str) -> str:
    """SQL of a text that keeps its formula: only an apostrophe before one gets another, since an import takes one off."""
    return f"CASE WHEN ascii({first}) = 39 AND {text} ~ {_LIKE_A_FORMULA} THEN '''' || {text} ELSE {text} END"
