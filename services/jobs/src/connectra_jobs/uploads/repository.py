"""SQL of uploads. The caller opens the transaction."""

import asyncpg
from connectra_common.db.database import Connection

from connectra_jobs.uploads.models import Upload

_COLUMNS = "uuid, client, bucket, s3_key, store_id, size_bytes, part_size, created_at, completed_at"

# A new upload.
INSERT = f"""
    INSERT INTO uploads (uuid, client, bucket, s3_key, store_id, size_bytes, part_size) VALUES ($1, $2, $3, $4, $5, $6, $7)
    RETURNING {_COLUMNS}"""

# One upload of a client.
GET = f"SELECT {_COLUMNS} FROM uploads WHERE uuid = $1 AND client = $2"

# Its parts have become an object.
COMPLETE = "UPDATE uploads SET completed_at = now() WHERE uuid = $1 AND completed_at IS NULL"

# It is given up.
DELETE = "DELETE FROM uploads WHERE uuid = $1"


class UploadRepository:
    """The table of uploads, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(
        self,
        uuid: str,
        client: str,
        bucket: str,
        s3_key: str,
        store_id: str | None = None,
        size_bytes: int | None = None,
        part_size: int | None = None,
    ) -> Upload:
        """Stores an upload; without `store_id` it is one PUT."""
        row = await self._connection.fetchrow(INSERT, uuid, client, bucket, s3_key, store_id, size_bytes, part_size)
        assert row is not None
        return _upload(row)

    async def get(self, uuid: str, client: str) -> Upload | None:
        """An upload that this client began."""
        row = await self._connection.fetchrow(GET, uuid, client)
        return _upload(row) if row else None

    async def complete(self, uuid: str) -> None:
        """Notes that it is an object now; again changes nothing."""
        await self._connection.execute(COMPLETE, uuid)

    async def delete(self, uuid: str) -> None:
        """Forgets it."""
        await self._connection.execute(DELETE, uuid)


def _upload(row: asyncpg.Record) -> Upload:
    return Upload(*row)
