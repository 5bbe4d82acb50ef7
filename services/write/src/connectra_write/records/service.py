"""What clients ask for: changes of records."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar

from connectra_common.call import IdempotencyKey, current
from connectra_common.db import idempotency
from connectra_common.db.audit import Origin
from connectra_common.db.database import Connection, Database
from connectra_common.errors import ConnectraError, FieldViolation, Unavailable, ValidationFailed, VersionConflict
from connectra_common.records.cleaning import Value
from connectra_common.records.fields import COMPANY, Entity
from connectra_common.records.ids import checked_uuid
from connectra_common.records.limits import MAX_BATCH_RECORDS, MAX_BATCH_ROWS
from connectra_common.refusals import RecordExists, RecordNotFound

from connectra_write import marks
from connectra_write.consistency import ConsistencyTokens
from connectra_write.filter_values.known import KnownValues
from connectra_write.filter_values.rows import FilterValue, Wanted, name_value, wanted
from connectra_write.notifier import Notifier
from connectra_write.records import batches
from connectra_write.records.outcomes import BatchWritten, Written, packed
from connectra_write.records.repository import RecordRepository, Stored, company_names
from connectra_write.records.validation import Mode, check, derived_uuid

Record = dict[str, Value]
StoredAnswer = TypeVar("StoredAnswer", Written, BatchWritten)


class Outcome(NamedTuple, Generic[StoredAnswer]):
    """The outcome of a change: its answer, and the filter values that are stored once its transaction is committed."""

    answer: StoredAnswer
    new: list[FilterValue]


# The work of a call. With an idempotency key it is done in the transaction that keeps the answer; without one it opens its own where
# one statement is not enough.
Change = Callable[[RecordRepository], Awaitable[Outcome[StoredAnswer]]]

# Batches with more records than this are checked in a thread, so that other calls go on.
_INLINE_RECORDS = 100


class RecordService:
    """Changes records; each call is one transaction.

    Every method that takes a record raises ValidationFailed with all that is wrong with it, and RecordNotFound for a contact whose company
    does not exist. With an idempotency key the answer is kept for 24 h and repeated; IdempotencyKeyReused when another request had the key.
    """

    def __init__(self, database: Database, notifier: Notifier, known: KnownValues) -> None:
        self._database, self._notifier, self._known = database, notifier, known
        self._tokens = ConsistencyTokens(database)

    async def create(self, entity: Entity, record: object, key: IdempotencyKey | None = None) -> Written:
        """Stores a new record. A deleted one is restored with only the given fields.

        Raises:
            RecordExists: there is one of this uuid.
        """
        values = {name: value for name, value in _accepted(entity, record, Mode.CREATE).items() if value is not None}
        uuid = str(values.setdefault("uuid", derived_uuid(entity, values)))

        async def change(repository: RecordRepository) -> Outcome[Written]:
            new = self._filter_values(entity, uuid, values)
            stored = await repository.create(entity, values, new) or await repository.restart(entity, values, new)
            if stored is None:
                await _check_company(repository, values)
                raise RecordExists(entity.title, uuid)
            return Outcome(_written(stored), new)

        return await self._once_per_key(key, ("create", entity.name, record), Written, change)

    async def update(self, entity: Entity, uuid: str, record: object, versions: Sequence[int] | None = None) -> Written:
        """Lays the given fields over a record: null, "" and [] clear a field, absent ones stay.

        Args:
            versions: the row_version must be one of these; None for any.

        Raises:
            RecordNotFound: none, or deleted.
            VersionConflict: it has another version; details have it.
        """
        uuid = checked_uuid(uuid)
        values = _accepted(entity, record, Mode.UPDATE)
        if values.pop("uuid", uuid) != uuid:
            raise ValidationFailed.of([FieldViolation("uuid", "uuid cannot be changed")])

        async def change(repository: RecordRepository) -> Outcome[Written]:
            new = self._filter_values(entity, uuid, values)
            stored = await repository.update(entity, uuid, values, versions, new)
            if stored is None:
                raise await _why_not(repository, entity, uuid, versions, values)
            return Outcome(_written(stored), new)

        return await self._once_per_key(None, (), Written, change)

    async def delete(self, entity: Entity, uuid: str, versions: Sequence[int] | None = None) -> int:
        """Marks a record as deleted; returns the consistency token. Raises as `update`."""
        uuid = checked_uuid(uuid)
        async with self._database.connection() as connection:
            repository = self._repository(connection)
            if not await repository.delete(entity, uuid, versions):
                raise await _why_not(repository, entity, uuid, versions, {})
        self._notifier.wake()
        return await self._tokens.latest()

    async def upsert(self, entity: Entity, record: object, key: IdempotencyKey | None = None) -> Written:
        """Lays the given fields over the record with this uuid, else over the one with this domain or e-mail address, else creates one.

        A deleted one is revived with the fields it had. Concurrent calls for one domain or address make one record.
        """
        values = _accepted(entity, record, Mode.UPSERT)

        async def change(repository: RecordRepository) -> Outcome[Written]:
            match = values.get(entity.match_column)
            uuid = values.get("uuid") or (None if match else derived_uuid(entity, values))
            if uuid is None and (found := await repository.match(entity, [str(match)])):
                uuid = found[0].uuid
            if uuid is not None:
                return await self._put(repository, entity, {**values, "uuid": uuid})
            async with repository.transaction():
                await repository.lock_keys(entity, [str(match)])
                found = await repository.match(entity, [str(match)])
                uuid = found[0].uuid if found else derived_uuid(entity, values)
                return await self._put(repository, entity, {**values, "uuid": uuid})

        return await self._once_per_key(key, ("upsert", entity.name, record), Written, change)

    async def batch_upsert(
        self, entity: Entity, records: Sequence[object], key: IdempotencyKey | None = None
    ) -> BatchWritten:
        """Up to 2,000 upserts in one transaction, as if one by one; records that cannot be stored are reported, the others are stored.

        Raises:
            EmptyPayload, BatchTooLarge: no record, or too many.
        """
        batches.check_size(len(records), MAX_BATCH_RECORDS)
        batch = await _run(len(records), batches.sort_out, entity, records)

        async def change(repository: RecordRepository) -> Outcome[BatchWritten]:
            async with repository.transaction():
                return await self._put_batch(repository, entity, batch, len(records))

        return await self._once_per_key(key, ("bulk", entity.name, records), BatchWritten, change)

    async def batch_upsert_rows(self, rows: Sequence[object], key: IdempotencyKey | None = None) -> BatchWritten:
        """Up to 100 rows of CSV columns, by the rules of an import. Raises as `batch_upsert`."""
        batches.check_size(len(rows), MAX_BATCH_ROWS)
        read = batches.read_rows(rows)

        async def change(repository: RecordRepository) -> Outcome[BatchWritten]:
            async with repository.transaction():
                created, names, values = 0, list[FilterValue](), set[Wanted]()
                for entity, records in read.by_entity:
                    changed = await repository.merge(entity, list(records.values()))
                    created += sum(row.created for row in changed)
                    names += company_names(changed)
                    values |= wanted(entity, records.values())
                new = await self._known.store(repository.filter_values, values, names)
            stored = len(read.companies) + len(read.contacts)
            return Outcome(BatchWritten(len(rows), created, stored - created, read.failures), new)

        return await self._once_per_key(key, ("rows", "", rows), BatchWritten, change)

    async def _once_per_key(
        self,
        key: IdempotencyKey | None,
        request: tuple[object, ...],
        kind: type[StoredAnswer],
        change: Change[StoredAnswer],
    ) -> StoredAnswer:
        """Makes a change, or repeats the answer that is stored under the idempotency key."""
        if key is None:
            async with self._database.connection() as connection:
                answer, new = await change(self._repository(connection))
            self._known.add(new)
            self._notifier.wake()
            return replace(answer, token=await self._tokens.latest())
        request_hash = idempotency.request_hash(*request)
        async with self._database.transaction() as connection:
            if earlier := await idempotency.reserve(connection, key, request_hash):
                return kind.unpack(earlier)
            answer, new = await change(self._repository(connection))
            answer = replace(answer, token=await marks.newest(connection))
            await idempotency.keep(connection, key, packed(answer))
        self._known.add(new)
        self._notifier.wake()
        return answer

    async def _put(self, repository: RecordRepository, entity: Entity, values: Record) -> Outcome[Written]:
        new = self._filter_values(entity, str(values["uuid"]), values)
        stored = await repository.upsert(entity, values, new)
        if stored is None:
            await _check_company(repository, values)
            raise Unavailable("the record changed meanwhile; try again")
        return Outcome(_written(stored), new)

    async def _put_batch(
        self, repository: RecordRepository, entity: Entity, batch: batches.Batch, total: int
    ) -> Outcome[BatchWritten]:
        keys = batch.keys
        matches = await repository.match(entity, list(keys)) if keys else []
        if unknown := keys - {row.key for row in matches}:
            # Waits for whoever is making a record of such a key, and then sees it.
            await repository.lock_keys(entity, unknown)
            matches += await repository.match(entity, list(unknown))
        known = await repository.find(entity, list(batch.uuids))
        if companies := {str(c) for one in batch.candidates if (c := one.values.get("company_id"))}:
            batch.without_missing_companies(await repository.existing_companies(list(companies)))
        records = batches.fold(entity, batch, known, matches)
        changed = await repository.merge(entity, list(records.values()), clearing=True)
        values = wanted(entity, records.values())
        new = await self._known.store(repository.filter_values, values, company_names(changed))
        fresh = {row.uuid for row in changed if row.created} | {row.uuid for row in (*known, *matches) if row.deleted}
        created = len(fresh & records.keys())
        failures = sorted(batch.failures, key=lambda failure: failure.index)
        return Outcome(BatchWritten(total, created, total - len(failures) - created, failures), new)

    def _repository(self, connection: Connection) -> RecordRepository:
        return RecordRepository(connection, Origin.of_call(current()))

    def _filter_values(self, entity: Entity, uuid: str, values: Mapping[str, Value]) -> list[FilterValue]:
        new = self._known.missing(wanted(entity, (values,)))
        if entity is COMPANY and values.get("name"):
            new.append(name_value(uuid, values["name"]))
        return new


def _written(stored: Stored) -> Written:
    return Written(stored.record, stored.version, stored.is_new)


async def _run(records: int, function: Callable[..., batches.Batch], *arguments: object) -> batches.Batch:
    if records <= _INLINE_RECORDS:
        return function(*arguments)
    return await asyncio.to_thread(function, *arguments)


def _accepted(entity: Entity, record: object, mode: Mode) -> Record:
    checked = check(entity, record, mode)
    if checked.violations:
        raise ValidationFailed.of(checked.violations)
    return checked.values


async def _check_company(repository: RecordRepository, values: Mapping[str, Value]) -> None:
    company = values.get("company_id")
    if company is not None and not await repository.existing_companies([str(company)]):
        raise RecordNotFound(COMPANY.title, str(company))


async def _why_not(
    repository: RecordRepository, entity: Entity, uuid: str, versions: Sequence[int] | None, values: Mapping[str, Value]
) -> ConnectraError:
    """Why a change found no record."""
    found = await repository.version(entity, uuid)
    if found is None or found[1]:
        return RecordNotFound(entity.title, uuid)
    if versions is not None and found[0] not in versions:
        message = f"{entity.title} has changed since it was read"
        return VersionConflict(message, details={"uuid": uuid, "row_version": found[0]})
    await _check_company(repository, values)
    return Unavailable("the record changed meanwhile; try again")
