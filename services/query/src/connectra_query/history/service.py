"""Histories, shared by the typed and the REST API."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from connectra_common.call import Call
from connectra_common.db.database import Database
from connectra_common.errors import ValidationFailed
from connectra_common.records import ids
from connectra_common.records.fields import Entity, Type
from connectra_common.refusals import PageSizeExceeded, RecordNotFound
from connectra_common.requests import Request
from connectra_common.rights import Right
from connectra_common.times import rfc3339
from connectra_common.vql.limits import LIMITS, Limits
from pydantic import Field

from connectra_query.history.repository import Entry, HistoryRepository

# Of entries and of what precedes them.
_MAX_ID = 2**63 - 1
_CLIENT, _JOB = "client:", "job:"


class HistoryRequest(Request):
    """Which part of a history; both may be texts, as a query string has them."""

    limit: Annotated[int, Field(ge=0, strict=False)] = 0
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A value before and after; None where there was or is none."""

    old: object
    new: object


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a record, as its reader may see it.

    Args:
        action: create, update, delete or revive.
        actor: who made it, or created the job that did; None, as the next two, if that is not for the reader.
        request_id: of the call.
        job_uuid: of the import that it was part of.
        row_version: of the record after it.
        changes: by field.
    """

    time: datetime
    action: str
    actor: str | None
    request_id: str | None
    job_uuid: str | None
    row_version: int
    changes: Mapping[str, FieldChange]


@dataclass(frozen=True, slots=True)
class History:
    """A page of changes, newest first; `next_cursor` is None on the last."""

    changes: list[Change]
    next_cursor: str | None


class HistoryService:
    """Reads from PostgreSQL alone."""

    def __init__(self, database: Database, limits: Limits = LIMITS) -> None:
        self._database = database
        self._limits = limits

    async def page(self, entity: Entity, uuid: str, request: HistoryRequest, call: Call) -> History:
        """A page of a record's history. Administrators see that of a deleted record too, and who made each change; others only
        what they did themselves.

        Raises:
            ValidationFailed: not a uuid, or not a limit or cursor.
            NotFound: no such record, or it is deleted.
        """
        uuid = ids.checked_uuid(uuid)
        limit, before = self._limit(request), _id(request.cursor)
        async with self._database.connection() as connection:
            repository = HistoryRepository(connection)
            live = await repository.is_live(entity, uuid)
            sees_all = Right.ADMIN in call.rights
            entries = await repository.page(entity, uuid, before, limit) if live or sees_all else []
        # Of a record that was removed by SQL the trail is what is left.
        if not live and not (sees_all and (entries or live is not None)):
            raise RecordNotFound(entity.title, uuid)
        viewer = None if sees_all else f"{_CLIENT}{call.client}"
        more = entries[-1].more if entries else False
        return History([_seen(entity, entry, viewer) for entry in entries], str(entries[-1].id) if more else None)

    def _limit(self, request: HistoryRequest) -> int:
        if request.limit > (most := self._limits.page_size):
            raise PageSizeExceeded(request.limit, most)
        return request.limit or self._limits.default_page_size


def _id(cursor: str) -> int:
    if not cursor:
        return _MAX_ID
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 20 and int(cursor) <= _MAX_ID):
        raise ValidationFailed.at("cursor", "is not the next_cursor of an earlier page")
    return int(cursor)


def _seen(entity: Entity, entry: Entry, viewer: str | None) -> Change:
    """An entry as a viewer sees it; None: an administrator."""
    actor = entry.made_by or entry.actor
    is_shown = viewer is None or viewer == actor
    by_job = entry.actor.removeprefix(_JOB) if entry.actor.startswith(_JOB) else None
    return Change(
        time=entry.at,
        action=entry.operation,
        actor=actor if is_shown else None,
        request_id=entry.request_id if is_shown else None,
        job_uuid=by_job if is_shown else None,
        row_version=entry.row_version,
        changes={
            name: FieldChange(*(_value(entity, name, value) for value in values))
            for name, values in entry.changes.items()
            if name in entity.by_name
        },
    )


def _value(entity: Entity, name: str, value: object) -> object:
    if isinstance(value, str) and entity.by_name[name].type is Type.TIME:
        return rfc3339(datetime.fromisoformat(value))
    return value
