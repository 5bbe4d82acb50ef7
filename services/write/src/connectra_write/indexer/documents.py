"""SQL by which PostgreSQL writes the documents, at a fraction of the cost of building them in Python.

A contact's document has copies of its company's fields, so its version has to grow with every change of either, in whatever order two
such changes are committed. It is `greater << 20 | nearness`: the greater of the two row versions, and how near the other one is to it. The
greater alone is not enough, because the change with the smaller version may be committed last. (Only a transaction during which a million
other changes happen could defeat this.) Elasticsearch refuses a document with a smaller version, so an old document that arrives late does
no harm.

Keys of the sound of names are the one thing that is computed here: PostgreSQL knows nothing of them.
"""

from collections.abc import AsyncIterator
from functools import lru_cache

import orjson
from asyncpg import Record
from asyncpg.cursor import Cursor
from connectra_common.records.fields import COMPANY, COPIED, ENTITIES, Entity, Field, Index, Type
from connectra_common.records.sql import expression
from connectra_common.search.alike import name_fields, sound_field, sound_keys

from connectra_write.indexer.bulk import Document

# Bits of a version below the greater row version.
NEARNESS_BITS = 20
_NEAREST = (1 << NEARNESS_BITS) - 1

# Rows of documents that are fetched at first, and at most.
FIRST_ROWS, MOST_ROWS = 4, 500


@lru_cache(maxsize=len(ENTITIES))
def by_uuid(entity: Entity) -> str:
    """For `$1`, uuids: rows of (uuid, version, document as JSON text or NULL for one to be deleted, names of people, the operation by which
    another index is to go live).

    The last is read in the snapshot of the documents: an operation that this does not see starts its walk later, and so finds everything
    that this sees.
    """
    return f"""
        SELECT k.uuid,
               -- A row that is gone has no version; the newest one given out is above its last.
               CASE WHEN t.id IS NULL THEN ((SELECT last_value FROM row_version_seq) << {NEARNESS_BITS}) + {_NEAREST}
                    ELSE {_version(entity)} END AS version,
               CASE WHEN t.id IS NOT NULL AND t.deleted_at IS NULL THEN {_document(entity)} END AS document,
               {_names(entity)} AS names, {_building(entity)} AS building
        FROM unnest($1::text[]) AS k (uuid) LEFT JOIN {entity.table} t ON t.uuid = k.uuid {_join(entity)}"""


@lru_cache(maxsize=len(ENTITIES))
def slice_of(entity: Entity) -> str:
    """The next `$2` records after `$1` in uuid order that are not deleted: rows of (uuid, version, document, names of people)."""
    return f"""
        SELECT t.uuid, {_version(entity)} AS version, {_document(entity)} AS document, {_names(entity)} AS names
        FROM {entity.table} t {_join(entity)}
        WHERE t.uuid > $1 AND t.deleted_at IS NULL ORDER BY t.uuid LIMIT $2"""


@lru_cache(maxsize=len(ENTITIES))
def versions_of(entity: Entity) -> str:
    """As `slice_of`, but without the documents."""
    return f"""
        SELECT t.uuid, {_version(entity)} AS version FROM {entity.table} t {_join(entity)}
        WHERE t.uuid > $1 AND t.deleted_at IS NULL ORDER BY t.uuid LIMIT $2"""


def document(entity: Entity, row: Record) -> Document:
    """What is sent to the index for a row: with the keys of its names."""
    source = row["document"]
    names = zip(name_fields(entity), row["names"], strict=True)
    keys = {sound_field(name): found for name, text in names if text and (found := sound_keys(text))}
    if source is not None and keys:
        source = f"{source[:-1]},{orjson.dumps(keys).decode()[1:]}"
    return Document(row["uuid"], row["version"], source)


async def read(cursor: Cursor, chars: int) -> AsyncIterator[Record]:
    """Rows of a cursor, until their documents have as many characters."""
    size, number, rows = 0, 0, FIRST_ROWS
    # Nobody knows how long a document is before it is written: as many at a time as will fit, judging by those before.
    while size < chars and (some := await cursor.fetch(rows)):
        for row in some:
            yield row
        number += len(some)
        size += sum(len(row["document"] or "") for row in some)
        rows = min(max((chars - size) * number // max(size, 1), 1), 10 * rows, MOST_ROWS)


def _join(entity: Entity) -> str:
    return "" if entity is COMPANY else "LEFT JOIN companies c ON c.uuid = t.company_id"


def _version(entity: Entity) -> str:
    if entity is COMPANY:
        return f"(t.row_version << {NEARNESS_BITS})"
    other = "coalesce(c.row_version, 0)"
    distance = f"abs(t.row_version - {other})"
    return f"((greatest(t.row_version, {other}) << {NEARNESS_BITS}) + greatest({_NEAREST} - {distance}, 0))"


def _building(entity: Entity) -> str:
    return f"(SELECT id FROM index_operations WHERE entity = '{entity.name}' AND ended_at IS NULL AND index_name IS NOT NULL)"


def _document(entity: Entity) -> str:
    return f"json_strip_nulls(json_build_object({', '.join(_members(entity))}))::text"


def _members(entity: Entity) -> list[str]:
    members = [f"'{f.name}', {_value(f, 't')}" for f in entity.fields if f.index is not Index.NONE]
    if entity is not COMPANY:
        # Nothing is shown of a deleted company.
        members += [f"'company_{f.name}', CASE WHEN c.deleted_at IS NULL THEN {_value(f, 'c')} END" for f in COPIED]
    return members


def _names(entity: Entity) -> str:
    return f"ARRAY[{', '.join(f't.{name}' for name in name_fields(entity))}]::text[]"


def _value(field: Field, alias: str) -> str:
    # An empty list is left out, like any empty value.
    return f"{alias}.{field.name}" if field.type is Type.LIST else expression(field, alias)
