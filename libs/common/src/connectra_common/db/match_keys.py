"""The keys of records that were written by other means than the write service (`records.keys`, the table `match_keys`)."""

import asyncpg

from connectra_common.records import keys

_SLICE = 5_000
# The database's own match_key() is exact for the rest.
_UNUSUAL = r"[^ -~]|%|xn--"


async def add_unusual(connection: asyncpg.Connection) -> None:
    """Adds the keys that only the full rules give: of addresses with accents, IDN or percent-encoding. In the caller's transaction."""
    for entity, fields in keys.FIELDS.items():
        names = [name for _, name in fields]
        found = connection.cursor(
            f"""SELECT id, {", ".join(names)} FROM {entity.table}
                WHERE {" OR ".join(f"{name} ~ $1" for name in names)}""",  # noqa: S608
            _UNUSUAL,
        )
        async with connection.transaction():
            cursor = await found
            while rows := await cursor.fetch(_SLICE):
                made = [
                    (keys.number(entity, key), row["id"])
                    for row in rows
                    for kind, name in fields
                    if (key := keys.read(entity, kind, row[name]))
                ]
                await connection.executemany(
                    """INSERT INTO match_keys SELECT $1, $2
                       WHERE NOT EXISTS (SELECT FROM match_keys WHERE key = $1 AND record_id = $2)""",
                    made,
                )
