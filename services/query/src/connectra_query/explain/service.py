"""Looks at one record as it is stored, and at each condition of a query."""

from dataclasses import dataclass
from typing import Any

import orjson
from connectra_common.db.database import Database
from connectra_common.records import ids
from connectra_common.records.fields import COMPANY, Entity
from connectra_common.refusals import RecordNotFound
from connectra_common.vql.ast import FreeText, Query, Word
from connectra_common.vql.evaluate import Record, Verdict, likenesses, meets, places, values, verdicts
from connectra_common.vql.render import render_node

from connectra_query.repository import RecordRepository
from connectra_query.search.forgiving import did_you_mean

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """A condition and the record.

    Args:
        path: of the condition in the request.
        condition: as it was understood.
        met: whether the record meets it.
        excluded: whether the query asks for records that do not.
        values: what the record has in the field.
        found: of a free text: each word, and the fields that have it.
        alike: of a condition with `alike`: `{"word", "field", "name", "by"}`, names that the record has in place of words.
    """

    path: str
    condition: Json
    met: bool
    excluded: bool
    values: list[Any]
    found: dict[str, list[str]] | None = None
    alike: list[Json] | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """Whether the query finds the record once the index has it, and what its conditions say; `did_you_mean`: with these words as well."""

    matches: bool
    conditions: list[Judged]
    did_you_mean: str | None = None


class ExplainService:
    """Explains without the index: with what PostgreSQL has."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def explain(self, query: Query, uuid: str) -> Explained:
        """What each condition says of the record.

        Raises:
            ValidationFailed: not a uuid.
            NotFound: none, or deleted.
        """
        record = await self._record(query.entity, ids.checked_uuid(uuid))
        judged = [_judged(verdict, record) for verdict in verdicts(query.root, query.entity, record)]
        return Explained(meets(query.root, query.entity, record), judged, did_you_mean(query))

    async def _record(self, entity: Entity, uuid: str) -> Json:
        async with self._database.connection() as connection:
            company = None if entity is COMPANY else ()
            rows, number = await RecordRepository(connection).page(entity, [uuid], ["[]"], (), company)
        if not number:
            raise RecordNotFound(entity.title, uuid)
        record: Json = orjson.loads(rows)[0]
        firm = record.get("company") or {}
        return record | {f"company_{name}": value for name, value in firm.items() if f"company_{name}" not in record}


def _judged(verdict: Verdict, record: Record) -> Judged:
    condition, met, excluded = verdict
    found = places(condition, record) if isinstance(condition, FreeText) else None
    there = [] if found is not None else values(record, condition.field)
    alike = None
    if isinstance(condition, Word | FreeText) and condition.alike:
        alike = [one._asdict() for one in likenesses(condition, record)]
    return Judged(condition.path, render_node(condition), met, excluded, there, found, alike)
