"""Whose jobs a caller sees, and whose objects an import reads. What belongs to somebody else looks as if it did not exist."""

import re

from connectra_common.call import Call
from connectra_common.db.database import Connection
from connectra_common.refusals import MissingRight
from connectra_common.rights import Right
from connectra_common.settings import S3Settings

from connectra_jobs.models import EXPORT

# Some stores take keys for paths: several slashes are one, and a backslash is one too.
_SLASHES = re.compile(r"[/\\]+")
_JOB_FILE = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.")

# Whether an object was uploaded by another client, or written by a job of another.
OF_OTHERS = """
    SELECT EXISTS (SELECT FROM uploads WHERE bucket = $1 AND s3_key = ANY($2::text[]) AND client <> $3)
        OR EXISTS (SELECT FROM jobs WHERE uuid = $4 AND client IS DISTINCT FROM $3)"""

# Whether an object was uploaded by a client, or by any.
UPLOADED = """
    SELECT EXISTS (SELECT FROM uploads WHERE bucket = $1 AND s3_key = $2 AND ($3::text IS NULL OR client = $3))"""


def owner_of(call: Call) -> str | None:
    """The client whose jobs alone a call may see; None: those of all."""
    return None if Right.ADMIN in call.rights else call.client


def require_right(call: Call, job_type: str) -> None:
    """Whether a call may have such a job run.

    Raises:
        MissingRight.
    """
    right = Right.EXPORT if job_type == EXPORT else Right.IMPORT
    if right not in call.rights:
        raise MissingRight(right)


class SourceRepository:
    """Whose objects there are, on one connection."""

    def __init__(self, connection: Connection, settings: S3Settings) -> None:
        self._connection, self._settings = connection, settings

    async def denied(self, call: Call, bucket: str, key: str) -> bool:
        """Whether an object is somebody else's. Objects that came into the bucket by other ways are nobody's."""
        if (owner := owner_of(call)) is None:
            return False
        path = _path(key)
        written = _JOB_FILE.match(path.removeprefix(_path(self._settings.key(""))))
        found: bool = await self._connection.fetchval(OF_OTHERS, bucket, [key, path], owner, written and written[1])
        return found

    async def uploaded(self, client: str | None, bucket: str, key: str) -> bool:
        """Whether a client uploaded an object; None: any client."""
        found: bool = await self._connection.fetchval(UPLOADED, bucket, key, client)
        return found


def _path(key: str) -> str:
    return _SLASHES.sub("/", key).lstrip("/")
