"""What clients ask for: changes of records."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from connectra_common.call import IdempotencyKey, current
from connectra_common.consistency import Kind, Token, joined
from connectra_common.db import idempotency
from connectra_common.db.audit import Origin
from connectra_common.db.database import Connection, Database
from connectra_common.errors import ConnectraError, FieldViolation, Unavailable, ValidationFailed, VersionConflict
from connectra_common.records import keys
from connectra_common.records.cleaning import Value
from connectra_common.records.fields import COMPANY, Entity
from connectra_common.records.identity import Candidate
from connectra_common.records.ids import checked_uuid
from connectra_common.records.limits import MAX_BATCH_RECORDS, MAX_BATCH_ROWS
from connectra_common.refusals import RecordExists, RecordNotFound

from connectra_write import marks
from connectra_write.consistency import ConsistencyTokens
from connectra_write.notifier import Notifier
from connectra_write.records import batches, writing
from connectra_write.records.identities import Claim, Identities
from connectra_write.records.outcomes import BatchWritten, RecordFailure, RecordWarning, Written, packed
from connectra_write.records.repository import RecordRepository, Stored
from connectra_write.records.validation import Mode, candidate, check

StoredAnswer = TypeVar("StoredAnswer", Written, BatchWritten)


class Outcome(NamedTuple, Generic[StoredAnswer]):
    """The outcome of a change.

    Args:
        answer: without its consistency token.
        kind, name: what its consistency token names.
        is_written: whether there is anything to be indexed.
    """

    answer: StoredAnswer
    kind: Kind
    name: str
    is_written: bool = True


# The work of a call. With an idempotency key it is done in the transaction that keeps the answer; without one it opens its own where
# one statement is not enough.
Change = Callable[[RecordRepository], Awaitable[Outcome[StoredAnswer]]]


class RecordService:
    """Changes records; each call is one transaction.

    Every method that takes a record raises ValidationFailed with all that is wrong with it, and RecordNotFound for a contact whose company
    does not exist. With an idempotency key the answer is kept for 24 h and repeated; IdempotencyKeyReused when another request had the key.

    Args:
        database: for single records.
        bulks: for batches of them.
    """

    def __init__(
        self,
        database: Database,
        bulks: Database,
        tokens: ConsistencyTokens,
        notifier: Notifier,
    ) -> None:
        self._database, self._bulks, self._tokens, self._notifier = database, bulks, tokens, notifier

    async def create(self, entity: Entity, record: object, key: IdempotencyKey | None = None) -> Written:
        """Stores a new record. A deleted one is restored with only the given fields.

        Raises:
            RecordExists: there is one of this uuid.
        """
        given = _accepted(entity, record, Mode.CREATE)
        given.values = {name: value for name, value in given.values.items() if value is not None}
        claim = Claim.of(entity, given)

        async def change(repository: RecordRepository) -> Outcome[Written]:
            for _ in range(writing.TRIES):
                found, uuid = await self._find(repository, entity, claim, by=())
                if found.is_live(uuid):
                    raise RecordExists(entity.title, uuid)
                known = found.stored.get(uuid)
                found.put(uuid, claim, afresh=True)
                values = {**given.values, "uuid": uuid}
                write = repository.restart if known else repository.create
                if stored := await write(entity, values, found.key_change(uuid)):
                    return _outcome(entity, uuid, stored, batches.shared_keys(entity, found, uuid, claim.keys))
                await _check_company(repository, values)
            raise Unavailable(_CHANGED)

        return await self._once_per_key(self._database, key, ("create", entity.name, record), Written, change)

    async def update(self, entity: Entity, uuid: str, record: object, versions: Sequence[int] | None = None) -> Written:
        """Lays the given fields over a record: null, "" and [] clear a field, absent ones stay. A record that has all these values already
        is not written, and keeps its version.

        Args:
            versions: the row_version must be one of these; None for any.

        Raises:
            RecordNotFound: none, or deleted.
            VersionConflict: it has another version; details have it.
        """
        uuid = checked_uuid(uuid)
        given = _accepted(entity, record, Mode.UPDATE, uuid)
        if given.uuid != uuid:
            raise ValidationFailed.of([FieldViolation("uuid", "uuid cannot be changed")])
        values = given.values
        claim = Claim.of(entity, given)

        async def change(repository: RecordRepository) -> Outcome[Written]:
            for _ in range(writing.TRIES):
                moved, warnings = None, list[RecordWarning]()
                if any(name in values for _, name in keys.FIELDS[entity]):
                    found, _ = await self._find(repository, entity, claim, by=())
                    if not found.is_live(uuid):
                        raise RecordNotFound(entity.title, uuid)
                    found.put(uuid, claim)
                    moved = found.stored[uuid], found.key_change(uuid)
                    warnings = batches.shared_keys(entity, found, uuid, claim.keys)
                if stored := await repository.update(entity, uuid, values, versions, moved):
                    return _outcome(entity, uuid, stored, warnings)
                if problem := await _why_not(repository, entity, uuid, versions, values):
                    raise problem
            raise Unavailable(_CHANGED)

        return await self._once_per_key(self._database, None, (), Written, change)

    async def delete(self, entity: Entity, uuid: str, versions: Sequence[int] | None = None) -> str:
        """Marks a record as deleted; returns the consistency token. Raises as `update`."""
        uuid = checked_uuid(uuid)
        async with self._database.connection() as connection:
            repository = self._repository(connection)
            if not await repository.delete(entity, uuid, versions):
                raise await _why_not(repository, entity, uuid, versions, {}) or Unavailable(_CHANGED)
        self._notifier.wake()
        return await self._tokens.of(Kind(entity.name), uuid)

    async def upsert(self, entity: Entity, record: object, key: IdempotencyKey | None = None) -> Written:
        """Lays the given fields over the record that is meant (docs/identity.md), else creates one.

        A deleted one is revived with the fields it had. Concurrent calls for one key make one record.

        Raises:
            SeveralRecords: several live records have the key.
        """
        claim = Claim.of(entity, _accepted(entity, record, Mode.UPSERT))
        locks = writing.deciding(entity, [claim], batches.RECORDS.by)

        async def locked(repository: RecordRepository) -> Outcome[Written]:
            await repository.lock_keys(locks)
            if outcome := await self._put(repository, entity, claim, is_locked=True):
                return outcome
            raise writing.Moved

        async def change(repository: RecordRepository) -> Outcome[Written]:
            # Most upserts find a record that has their keys, and change none: nothing that others decide by. With an idempotency key this
            # is one transaction, in which the row stays locked even if it turns out not to fit: keys are to be locked before.
            if key is None and (outcome := await self._put(repository, entity, claim, is_locked=not locks)):
                return outcome
            return await writing.repeated(repository, lambda: locked(repository))

        return await self._once_per_key(self._database, key, ("upsert", entity.name, record), Written, change)

    async def batch_upsert(
        self, entity: Entity, records: Sequence[object], key: IdempotencyKey | None = None
    ) -> BatchWritten:
        """Up to 2,000 upserts in one transaction, as if one by one; records that cannot be stored are reported, the others are stored.

        Raises:
            EmptyPayload, BatchTooLarge: no record, or too many.
        """
        batches.check_size(len(records), MAX_BATCH_RECORDS)
        batch = await asyncio.to_thread(batches.sort_out, entity, records)

        async def change(repository: RecordRepository) -> Outcome[BatchWritten]:
            done = await writing.write(repository, batch, batches.RECORDS)
            failures = _in_order(batch.failures, done.folded.failures)
            created = done.created + done.revived
            updated = len(records) - len(failures) - created
            uuids = writing.written_uuids(done.folded, len(records))
            answer = BatchWritten(len(records), created, updated, failures, uuids, done.folded.warnings)
            return Outcome(answer, Kind.BATCH, str(done.number))

        return await self._once_per_key(self._bulks, key, ("bulk", entity.name, records), BatchWritten, change)

    async def batch_upsert_rows(self, rows: Sequence[object], key: IdempotencyKey | None = None) -> BatchWritten:
        """Up to 100 rows of CSV columns, by the rules of an import. Raises as `batch_upsert`."""
        batches.check_size(len(rows), MAX_BATCH_ROWS)
        batch = await asyncio.to_thread(batches.read_rows, rows)

        async def change(repository: RecordRepository) -> Outcome[BatchWritten]:
            done = await writing.write(repository, batch, batches.ROWS)
            failures = _in_order(batch.failures, done.folded.failures)
            created, uuids = done.created, writing.written_uuids(done.folded, len(rows))
            answer = BatchWritten(len(rows), created, done.records - created, failures, uuids)
            return Outcome(answer, Kind.BATCH, str(done.number))

        return await self._once_per_key(self._bulks, key, ("rows", "", rows), BatchWritten, change)

    async def _once_per_key(
        self,
        database: Database,
        key: IdempotencyKey | None,
        request: tuple[object, ...],
        kind: type[StoredAnswer],
        change: Change[StoredAnswer],
    ) -> StoredAnswer:
        """Makes a change, or repeats the answer that is stored under the idempotency key."""
        if key is None:
            async with database.connection() as connection:
                outcome = await change(self._repository(connection))
            self._follow(outcome)
            return replace(outcome.answer, token=await self._tokens.of(outcome.kind, outcome.name))
        request_hash = idempotency.request_hash(*request)
        async with database.transaction() as connection:
            if earlier := await idempotency.reserve(connection, key, request_hash):
                return kind.unpack(earlier)
            outcome = await change(self._repository(connection))
            token = Token(await marks.newest(connection), outcome.kind, outcome.name)
            answer = replace(outcome.answer, token=joined(current().token, token))
            await idempotency.keep(connection, key, request_hash, packed(answer))
        self._follow(outcome)
        return answer

    def _follow(self, outcome: Outcome[StoredAnswer]) -> None:
        """What comes after the commit."""
        if outcome.is_written:
            self._notifier.wake()

    async def _find(
        self, repository: RecordRepository, entity: Entity, claim: Claim, by: Collection[str]
    ) -> tuple[Identities, str]:
        """The record that a claim means by these kinds of keys, and what is known about it and about others with its keys."""
        found = await writing.identities(repository, entity, [claim], by, warns=True)
        while True:
            uuid = found.find(claim).uuid
            if not found.unknown - found.asked:
                return found, uuid
            found = await writing.completed(repository, entity, found)

    async def _put(
        self, repository: RecordRepository, entity: Entity, claim: Claim, *, is_locked: bool
    ) -> Outcome[Written] | None:
        """Does an upsert; None when the record changes meanwhile, or when the keys must be locked first."""
        found, uuid = await self._find(repository, entity, claim, batches.RECORDS.by)
        known = found.stored.get(uuid)
        values = {**found.put(uuid, claim), "uuid": uuid}
        moves = found.key_change(uuid)
        if not is_locked and (known is None or moves.made):
            return None
        if known:
            stored = await repository.lay(entity, known, values, moves)
        else:
            stored = await repository.create(entity, values, moves)
        if stored is None:
            await _check_company(repository, values)
            return None
        return _outcome(entity, uuid, stored, batches.shared_keys(entity, found, uuid, claim.keys))

    def _repository(self, connection: Connection) -> RecordRepository:
        return RecordRepository(connection, Origin.of_call(current()))


_CHANGED = "the record changed meanwhile; try again"


def _outcome(entity: Entity, uuid: str, stored: Stored, warnings: list[RecordWarning]) -> Outcome[Written]:
    written = Written(stored.record, stored.version, stored.is_new, warnings=warnings)
    return Outcome(written, Kind(entity.name), uuid, stored.is_written)


def _in_order(*failures: list[RecordFailure]) -> list[RecordFailure]:
    return sorted(chain(*failures), key=lambda failure: failure.index)


def _accepted(entity: Entity, record: object, mode: Mode, uuid: str | None = None) -> Candidate:
    checked = check(entity, record, mode)
    if checked.violations:
        raise ValidationFailed.of(checked.violations)
    return candidate(entity, checked, uuid)


async def _check_company(repository: RecordRepository, values: Mapping[str, Value]) -> None:
    company = values.get("company_id")
    if company is not None and not await repository.existing_companies([str(company)]):
        raise RecordNotFound(COMPANY.title, str(company))


async def _why_not(
    repository: RecordRepository, entity: Entity, uuid: str, versions: Sequence[int] | None, values: Mapping[str, Value]
) -> ConnectraError | None:
    """Why a change found no record; None when it may find one now."""
    found = await repository.version(entity, uuid)
    if found is None or found[1]:
        return RecordNotFound(entity.title, uuid)
    if versions is not None and found[0] not in versions:
        message = f"{entity.title} has changed since it was read"
        return VersionConflict(message, details={"uuid": uuid, "row_version": found[0]})
    await _check_company(repository, values)
    return None
