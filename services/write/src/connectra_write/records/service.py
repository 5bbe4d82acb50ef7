"""What the write service does, once, for both doors."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import orjson
import structlog
from connectra_common.call import IdempotencyKey, current
from connectra_common.db import idempotency
from connectra_common.db.audit import Origin
from connectra_common.errors import (
    Conflict,
    ConnectraError,
    FieldViolation,
    NotFound,
    Unavailable,
    ValidationFailed,
    VersionConflict,
    from_exception,
)
from connectra_common.records.cleaning import Value
from connectra_common.records.fields import COMPANY, CONTACT, Entity
from connectra_common.records.ids import checked_uuid
from connectra_common.records.limits import MAX_BATCH_RECORDS, MAX_BATCH_ROWS
from prometheus_client import Counter

from connectra_write.filter_values.known import KnownValues, Wanted, name_value, wanted
from connectra_write.imports import parse as imports
from connectra_write.imports.parse import Rejected
from connectra_write.notifier import Notifier
from connectra_write.records import batches
from connectra_write.records.outcomes import BatchWritten, Written, packed
from connectra_write.records.repository import Changed, Database, FilterValue, Repository, Stored
from connectra_write.records.validation import Mode, check, derived_uuid

log = structlog.get_logger()

Record = dict[str, Value]
Answer = TypeVar("Answer", Written, BatchWritten)
# An answer, and the filter values that are stored once its transaction is.
Done = tuple[Answer, list[FilterValue]]

IMPORTED = Counter("connectra_import_records_total", "What import batches made of their rows.", ["outcome"])

# More records than that are checked in a thread, so that other calls go on.
_INLINE_RECORDS = 100
EXPIRY_INTERVAL_SECONDS = 60.0
_EXPIRY_SLICE = 5_000


@dataclass(frozen=True, slots=True)
class Counts:
    """Of rows (the first two) and of records of both tables."""

    rows: int
    rejected: int
    created: int
    updated: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Applied:
    """Answer to a batch of an import."""

    counts: Counts
    rejected: list[Rejected]
    token: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import has come."""

    batches: int
    byte_offset: int
    next_line: int
    counts: Counts
    token: int | None


class WriteService:
    """Changes of records; each call is one transaction.

    Every method that takes a record raises ValidationFailed with all that is wrong with it, and NotFound when it is a contact whose
    company is not there. With an idempotency key the answer is kept for 24 h and repeated; Conflict when the key was used otherwise.
    """

    def __init__(self, database: Database, notifier: Notifier) -> None:
        self._database = database
        self._notifier = notifier
        self._known = KnownValues()

    async def create(self, entity: Entity, record: object, key: IdempotencyKey | None = None) -> Written:
        """Stores a new record. One that was deleted begins anew: fields that are not given are empty.

        Raises:
            Conflict: there is one of this uuid; details have the uuid.
        """
        values = {name: value for name, value in _accepted(entity, record, Mode.CREATE).items() if value is not None}
        uuid = str(values.setdefault("uuid", derived_uuid(entity, values)))

        async def work(repository: Repository) -> Done[Written]:
            new = self._filter_values(entity, uuid, values)
            stored = await repository.create(entity, values, new) or await repository.restart(entity, values, new)
            if stored is None:
                await _check_company(repository, values)
                message = f"{entity.title} with uuid '{uuid}' already exists"
                raise Conflict(message, details={"uuid": uuid})
            return _written(stored), new

        return await self._answer(key, ("create", entity.name, record), Written, work)

    async def update(self, entity: Entity, uuid: str, record: object, versions: Sequence[int] | None = None) -> Written:
        """Lays the given fields over a record: null, "" and [] clear, absent keeps.

        Args:
            versions: the row_version must be one of these; None for any.

        Raises:
            NotFound: none, or deleted.
            VersionConflict: it has another version; details have it.
        """
        uuid = checked_uuid(uuid)
        values = _accepted(entity, record, Mode.UPDATE)
        if values.pop("uuid", uuid) != uuid:
            raise ValidationFailed.of([FieldViolation("uuid", "uuid cannot be changed")])

        async def work(repository: Repository) -> Done[Written]:
            new = self._filter_values(entity, uuid, values)
            stored = await repository.update(entity, uuid, values, versions, new)
            if stored is None:
                raise await _why_not(repository, entity, uuid, versions, values)
            return _written(stored), new

        return await self._answer(None, (), Written, work)

    async def delete(self, entity: Entity, uuid: str, versions: Sequence[int] | None = None) -> int:
        """Marks a record as deleted; returns the consistency token. Raises as `update`."""
        uuid = checked_uuid(uuid)
        async with self._database.connection() as repository:
            if not await repository.delete(entity, uuid, versions):
                raise await _why_not(repository, entity, uuid, versions, {})
        self._notifier.wake()
        return await self._database.consistency_token()

    async def upsert(self, entity: Entity, record: object, key: IdempotencyKey | None = None) -> Written:
        """Lays the given fields over the record with this uuid, else over the one with this domain or e-mail address, else creates one.

        A deleted one is revived with what it had. Concurrent calls for one domain or address make one record.
        """
        values = _accepted(entity, record, Mode.UPSERT)

        async def work(repository: Repository) -> Done[Written]:
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

        return await self._answer(key, ("upsert", entity.name, record), Written, work)

    async def batch_upsert(
        self, entity: Entity, records: Sequence[object], key: IdempotencyKey | None = None
    ) -> BatchWritten:
        """Up to 2,000 upserts in one transaction, as if one by one; what cannot be stored is reported, the rest is.

        Raises:
            ValidationFailed: no record, or too many.
        """
        batches.check_size(len(records), MAX_BATCH_RECORDS)
        batch = await _run(len(records), batches.sort_out, entity, records)

        async def work(repository: Repository) -> Done[BatchWritten]:
            async with repository.transaction():
                return await self._put_batch(repository, entity, batch, len(records))

        return await self._answer(key, ("bulk", entity.name, records), BatchWritten, work)

    async def batch_upsert_rows(self, rows: Sequence[object], key: IdempotencyKey | None = None) -> BatchWritten:
        """Up to 100 rows of CSV columns, by the rules of an import. Raises as `batch_upsert`."""
        batches.check_size(len(rows), MAX_BATCH_ROWS)
        read = batches.read_rows(rows)

        async def work(repository: Repository) -> Done[BatchWritten]:
            async with repository.transaction():
                created, names, values = 0, list[FilterValue](), set[Wanted]()
                for entity, records in read.by_entity:
                    changed = await repository.merge(entity, list(records.values()))
                    created += sum(row.created for row in changed)
                    names += _names(changed)
                    values |= wanted(entity, records.values())
                new = await self._add_filter_values(repository, values, names)
            stored = len(read.companies) + len(read.contacts)
            return BatchWritten(len(rows), created, stored - created, read.failures), new

        return await self._answer(key, ("rows", "", rows), BatchWritten, work)

    async def import_batch(self, batch: imports.Batch) -> Applied:
        """Applies a batch and its ledger row together; the same batch again only repeats the answer.

        Raises:
            ValidationFailed: see `imports.parse`; also for a job that is no uuid.
        """
        batch = replace(batch, job_uuid=checked_uuid(batch.job_uuid, "job_uuid"))
        # In a thread: it takes a tenth of a second, in which other calls go on.
        parsed, values = await asyncio.to_thread(_parse, batch)
        async with self._database.transaction(Origin.of_job(batch.job_uuid, current())) as repository:
            await repository.lock_import(batch.job_uuid)
            if row := await repository.batch(batch.job_uuid, batch.number):
                rejected = [Rejected(**r) for r in orjson.loads(row["rejected"])]
                return Applied(Counts(**orjson.loads(row["counts"])), rejected, row["consistency_token"], True)
            changed = await repository.merge(COMPANY, list(parsed.companies.values()))
            names = _names(changed)
            changed += await repository.merge(CONTACT, list(parsed.contacts.values()))
            new = await self._add_filter_values(repository, values, names)
            created = sum(row.created for row in changed)
            stored = len(parsed.companies) + len(parsed.contacts)
            counts = Counts(
                parsed.rows, len(parsed.rejected), created, len(changed) - created, unchanged=stored - len(changed)
            )
            token = await repository.consistency_token()
            await repository.add_batch(
                batch.job_uuid,
                batch.number,
                batch.byte_start,
                batch.byte_end,
                parsed.next_line,
                orjson.dumps(asdict(counts)).decode(),
                orjson.dumps([asdict(r) for r in parsed.rejected]).decode(),
                token,
            )
        self._known.add(new)
        self._notifier.wake()
        for outcome in ("created", "updated", "unchanged", "rejected"):
            IMPORTED.labels(outcome).inc(getattr(counts, outcome))
        return Applied(counts, parsed.rejected, token, False)

    async def import_progress(self, job_uuid: str) -> Progress:
        """Where an import goes on.

        Raises:
            ValidationFailed: not a uuid.
        """
        job_uuid = checked_uuid(job_uuid, "job_uuid")
        async with self._database.transaction() as repository:
            row = await repository.progress(job_uuid)
        counts = Counts(*(row[name] for name in ("rows", "rejected", "created", "updated", "unchanged")))
        return Progress(row["batches"], row["byte_offset"], row["next_line"], counts, row["token"])

    async def expire_keys(self, stopping: asyncio.Event) -> None:
        """Removes the answers of idempotency keys after their 24 h, until told to stop."""
        while not stopping.is_set():
            try:
                async with self._database.connection() as repository:
                    while await repository.expire_keys(_EXPIRY_SLICE) == _EXPIRY_SLICE:
                        pass
            except Exception as error:  # noqa: BLE001 - the next time will do
                log.warning("expiry of idempotency keys failed", reason=from_exception(error).reason)
            try:
                async with asyncio.timeout(EXPIRY_INTERVAL_SECONDS):
                    await stopping.wait()
            except TimeoutError:
                continue

    async def _answer(
        self,
        key: IdempotencyKey | None,
        request: tuple[object, ...],
        kind: type[Answer],
        work: Callable[[Repository], Awaitable[Done[Answer]]],
    ) -> Answer:
        """Does the work, under the idempotency key if there is one."""
        if key is None:
            async with self._database.connection() as repository:
                answer, new = await work(repository)
            self._known.add(new)
            self._notifier.wake()
            return replace(answer, token=await self._database.consistency_token())
        request_hash = idempotency.request_hash(*request)
        async with self._database.transaction() as repository:
            if earlier := await repository.reserve_key(key, request_hash):
                return kind.unpack(earlier)
            answer, new = await work(repository)
            answer = replace(answer, token=await repository.consistency_token())
            await repository.keep_answer(key, packed(answer))
        self._known.add(new)
        self._notifier.wake()
        return answer

    async def _put(self, repository: Repository, entity: Entity, values: Record) -> Done[Written]:
        new = self._filter_values(entity, str(values["uuid"]), values)
        stored = await repository.upsert(entity, values, new)
        if stored is None:
            await _check_company(repository, values)
            raise Unavailable("the record changed meanwhile; try again")
        return _written(stored), new

    async def _put_batch(
        self, repository: Repository, entity: Entity, batch: batches.Batch, total: int
    ) -> Done[BatchWritten]:
        keys = batch.keys
        matches = await repository.match(entity, list(keys)) if keys else []
        if unknown := keys - {row.key for row in matches}:
            # Whoever makes a record of such a key now is waited for, and seen.
            await repository.lock_keys(entity, unknown)
            matches += await repository.match(entity, list(unknown))
        known = await repository.find(entity, list(batch.uuids))
        if companies := {str(c) for one in batch.candidates if (c := one.values.get("company_id"))}:
            batch.without_missing_companies(await repository.existing_companies(list(companies)))
        records = batches.fold(entity, batch, known, matches)
        changed = await repository.merge(entity, list(records.values()), clearing=True)
        new = await self._add_filter_values(repository, wanted(entity, records.values()), _names(changed))
        fresh = {row.uuid for row in changed if row.created} | {row.uuid for row in (*known, *matches) if row.deleted}
        created = len(fresh & records.keys())
        failures = sorted(batch.failures, key=lambda failure: failure.index)
        return BatchWritten(total, created, total - len(failures) - created, failures), new

    def _filter_values(self, entity: Entity, uuid: str, values: Mapping[str, Value]) -> list[FilterValue]:
        new = self._known.missing(wanted(entity, (values,)))
        if entity is COMPANY and values.get("name"):
            new.append(name_value(uuid, values["name"]))
        return new

    async def _add_filter_values(
        self, repository: Repository, values: Iterable[Wanted], names: list[FilterValue]
    ) -> list[FilterValue]:
        new = self._known.missing(values)
        await repository.add_filter_values([*new, *names])
        return new


def _written(stored: Stored) -> Written:
    return Written(stored.record, stored.version, stored.is_new)


def _parse(batch: imports.Batch) -> tuple[imports.Parsed, set[Wanted]]:
    parsed = imports.parse(batch)
    return parsed, wanted(COMPANY, parsed.companies.values()) | wanted(CONTACT, parsed.contacts.values())


async def _run(records: int, function: Callable[..., batches.Batch], *arguments: object) -> batches.Batch:
    if records <= _INLINE_RECORDS:
        return function(*arguments)
    return await asyncio.to_thread(function, *arguments)


def _accepted(entity: Entity, record: object, mode: Mode) -> Record:
    checked = check(entity, record, mode)
    if checked.violations:
        raise ValidationFailed.of(checked.violations)
    return checked.values


def _names(changed: Sequence[Changed]) -> list[FilterValue]:
    return [name_value(row.uuid, row.name) for row in changed if row.name]


async def _check_company(repository: Repository, values: Mapping[str, Value]) -> None:
    company = values.get("company_id")
    if company is not None and not await repository.existing_companies([str(company)]):
        raise _not_found(COMPANY, str(company))


async def _why_not(
    repository: Repository, entity: Entity, uuid: str, versions: Sequence[int] | None, values: Mapping[str, Value]
) -> ConnectraError:
    """The error of a change that found no record."""
    found = await repository.version(entity, uuid)
    if found is None or found[1]:
        return _not_found(entity, uuid)
    if versions is not None and found[0] not in versions:
        message = f"{entity.title} has changed since it was read"
        return VersionConflict(message, details={"uuid": uuid, "row_version": found[0]})
    await _check_company(repository, values)
    return Unavailable("the record changed meanwhile; try again")


def _not_found(entity: Entity, uuid: str) -> NotFound:
    return NotFound(f"{entity.title} with identifier 'specified UUID' not found", details={"uuid": uuid})
