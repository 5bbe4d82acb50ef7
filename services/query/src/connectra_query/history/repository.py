"""All SQL of histories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from connectra_common.db.database import Connection
from connectra_common.db.trail import MADE_BY
from connectra_common.records.fields import Entity

# Of the changes in one page, as JSON; the entry that goes beyond it is the last.
PAGE_BYTES = 1024 * 1024

# Entries before an id. The index on (uuid, id) finds them, however many others there are.
PAGE = f"""
    WITH found AS (
        SELECT id, at, operation, actor, {MADE_BY} AS made_by, request_id, row_version, changes::text AS changes
        FROM audit WHERE uuid = $1 AND entity = $2 AND id < $3 ORDER BY id DESC LIMIT $4 + 1
    ), sized AS (
        SELECT *, coalesce(sum(octet_length(changes)) OVER (ORDER BY id DESC), 0) - coalesce(octet_length(changes), 0) AS before,
            lead(id) OVER (ORDER BY id DESC) IS NOT NULL AS more
        FROM found
    )
    SELECT id, at, operation, actor, made_by, request_id, row_version, changes, more
    FROM sized WHERE before < {PAGE_BYTES} ORDER BY id DESC LIMIT $4"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of a record.

    Args:
        id: of the entry; greater than those of earlier changes.
        actor: as the trail has it, such as `job:UUID`.
        made_by: who created the job that is the actor; None for other actors, and if that is not known any more.
        changes: values before and after by column; empty for a created record.
        more: whether an earlier entry follows.
    """

    id: int
    at: datetime
    operation: str
    actor: str
    made_by: str | None
    request_id: str | None
    row_version: int
    changes: Mapping[str, Sequence[object]]
    more: bool


class HistoryRepository:
    """Reads the trail of one record at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def is_live(self, entity: Entity, uuid: str) -> bool | None:
        """Whether the record is there and not deleted; None: there is none."""
        live: bool | None = await self._connection.fetchval(
            f"SELECT deleted_at IS NULL FROM {entity.table} WHERE uuid = $1", uuid
        )
        return live

    async def page(self, entity: Entity, uuid: str, before: int, limit: int) -> list[Entry]:
        """Up to `limit` entries with ids below `before`, newest first; fewer if they are large."""
        rows = await self._connection.fetch(PAGE, uuid, entity.name, before, limit)
        return [Entry(**{**row, "changes": orjson.loads(row["changes"] or "{}")}) for row in rows]
