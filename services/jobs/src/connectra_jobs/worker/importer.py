"""`insert_csv_file`: streams the object, cuts it into batches, hands them to the write service in order.

The write service keeps a ledger of the batches it applied, in the transaction that applied them. An attempt goes on
where the ledger ends, so it does not matter where the one before was killed, and no batch is ever applied twice.
"""

import time
from contextlib import aclosing, closing
from typing import Any

import structlog
from connectra.write.internal.v1 import import_service_pb2
from connectra_common import telemetry
from connectra_common.server.streams import ahead

from connectra_jobs.models import JobInput, JsonObject
from connectra_jobs.requests import ImportData
from connectra_jobs.worker import objects, told
from connectra_jobs.worker.attempt import Attempt, HandBack, JobFailed, LeaseLost, explain
from connectra_jobs.worker.content import UnreadableFile
from connectra_jobs.worker.csv_stream import Batch
from connectra_jobs.worker.deps import Deps
from connectra_jobs.worker.dry_run import Checker, check_all
from connectra_jobs.worker.objects import Source, Upload
from connectra_jobs.worker.reports import (
    CALL_TIMEOUT_SECONDS,
    COUNTS,
    CSV_TYPE,
    LEFT_OUT_HEADER,
    Reported,
    Reports,
    as_csv,
    counted,
    last_mark,
    report_key,
)
from connectra_jobs.worker.table import Shape, Table, open_table

log = structlog.get_logger()

BATCH_TIMEOUT_SECONDS = 120
# Between two looks whether the object is still the same.
LOOK_SECONDS = 10.0


async def run_import(attempt: Attempt, data: ImportData, deps: Deps) -> JsonObject:
    """Imports the file, and gives the job_response once it is stored.

    Raises:
        JobFailed: the file cannot be imported as it is, nothing of it could be stored, or more rows were rejected than are allowed.
        SourceReplaced: the file was replaced meanwhile.
    """
    began = time.monotonic()
    source = await objects.find(
        *(attempt, deps.s3, data.s3_bucket or deps.s3_settings.bucket, data.s3_key), denied=attempt.claim.source_denied
    )
    try:
        with closing(await open_table(attempt, deps.s3, source, data, _earlier_shape(attempt, source))) as table:
            found = await (_validate if data.validate_only else _store)(attempt, table, data, deps)
    except UnreadableFile as error:
        raise JobFailed(str(error)) from None
    return {
        "messages": told.completed(found, table.notes),
        **found,
        "bytes": source.size,
        "seconds": round(time.monotonic() - began, 3),
    }


async def _store(attempt: Attempt, table: Table, data: ImportData, deps: Deps) -> dict[str, Any]:
    """Sends the file to the write service, until the end or until too many rows were rejected. Gives what is known of it then."""
    given = await _remember(attempt, table)
    work = _Import(attempt, table, given, data.max_rejected, deps)
    try:
        await work.send_all()
        await objects.check_unchanged(attempt, deps.s3, table.source)
    except (HandBack, LeaseLost):
        raise
    except Exception:  # whatever it is, the owner learns what was stored before
        await _report_failed(attempt, work)
        raise
    found = await work.report()
    _check(found, data.max_rejected, attempt.settings.max_rejected, work.first_rejected)
    await work.reports.remove_pieces()
    return found


async def _report_failed(attempt: Attempt, work: "_Import") -> None:
    try:
        await work.report()
    except LeaseLost:
        raise
    except Exception as error:  # noqa: BLE001 - what made the attempt fail matters more; if it is the last one, its report is made later
        log.warning("failed run not reported yet", job=attempt.job.uuid, **explain(error))


def _is_same(earlier: JobInput, source: Source) -> bool:
    return (earlier.bucket, earlier.key, earlier.etag, earlier.size) == (
        *(source.bucket, source.key, source.etag, source.size),
    )


def _earlier_shape(attempt: Attempt, source: Source) -> Shape | None:
    """What an earlier attempt found out of the same object."""
    earlier = attempt.claim.input
    shape = earlier.shape if earlier and _is_same(earlier, source) else None
    return Shape.from_json(shape) if shape and "format" in shape else None


async def _remember(attempt: Attempt, table: Table) -> JobInput:
    """Stores what is read. If it is not what an earlier attempt read, it is a new generation, whose ledger is empty."""
    earlier, source = attempt.claim.input, table.source
    generation = earlier.generation if earlier else 1
    if earlier and not _is_same(earlier, source):
        generation += 1
        log.info("the object was replaced; the import begins again", generation=generation)
    shape: JsonObject = table.shape.to_json()
    given = JobInput(generation, source.bucket, source.key, source.size, source.etag, source.version, shape)
    await attempt.persist(lambda: attempt.remember(given))
    return given


def _check(found: dict[str, Any], allowed: float | None, most: int, first: tuple[int, str] | None) -> None:
    """Whether an import did what it was to do.

    Args:
        found: what is known of it.
        allowed: its own `max_rejected`.
        most: rejected rows that the settings allow.
        first: line and reason of the first one.

    Raises:
        JobFailed: too much was rejected.
    """
    if problem := _too_many(found["rejected"], found["rows"], allowed, most):
        raise JobFailed(problem)
    if found["rows"] and found["rows"] == found["rejected"]:
        raise JobFailed(told.nothing_stored(found, first))


async def _validate(attempt: Attempt, table: Table, data: ImportData, deps: Deps) -> dict[str, Any]:
    """Reads the file by the same rules and stores nothing but the rejected rows. An attempt that was cut off starts over."""
    return await attempt.persist(lambda: _validate_once(attempt, table, data, deps))


async def _validate_once(attempt: Attempt, table: Table, data: ImportData, deps: Deps) -> dict[str, Any]:
    found: dict[str, Any] = {
        "validate_only": True,
        "rows": 0,
        "companies": 0,
        "contacts": 0,
        "rejected": 0,
        "left_out": 0,
    }
    shape = table.shape
    checker, offset = Checker(table.columns, shape.delimiter), shape.byte_end
    bucket, first = table.source.bucket, None
    keys = {kind: report_key(deps.s3_settings, attempt.job.uuid, kind) for kind in ("rejected", "left_out")}
    async with (
        Upload(attempt, deps.s3, bucket, keys["rejected"], CSV_TYPE) as rejected,
        Upload(attempt, deps.s3, bucket, keys["left_out"], CSV_TYPE) as left_out,
        aclosing(table.batches(offset, shape.next_line, attempt.settings.batch_size)) as batches,
    ):
        await rejected.write(as_csv([["line", "reason", *shape.headers]]))
        await left_out.write(as_csv([LEFT_OUT_HEADER]))
        async for batch, findings in check_all(checker, batches):
            offset = batch.byte_end
            for name in ("rows", "companies", "contacts"):
                found[name] += getattr(findings, name)
            found["rejected"] += len(findings.rejected)
            found["left_out"] += len(findings.left_out)
            if findings.rejected and first is None:
                first = findings.rejected[0].line, findings.rejected[0].reason
            await rejected.write(as_csv([[row.line, row.reason, *row.cells] for row in findings.rejected]))
            await left_out.write(as_csv(findings.left_out))
            await _checkpoint(attempt, table, found["rows"], offset)
            if found["rejected"] > _rows_allowed(data.max_rejected, attempt.settings.max_rejected):
                break
        for kind, upload in (("rejected", rejected), ("left_out", left_out)):
            if found[kind]:
                await upload.complete()
                found[f"{kind}_s3_key"] = keys[kind]
    found |= _of_file(table, offset)
    attempt.known = {**found, "messages": told.facts(found, table.notes)}
    _check(found, data.max_rejected, attempt.settings.max_rejected, first)
    return found


def _of_file(table: Table, offset: int) -> dict[str, Any]:
    """What a job_response says of the file itself."""
    unknown = {"unknown_columns": list(table.columns.unknown)} if table.columns.unknown else {}
    return {"encoding": table.shape.encoding, **unknown, **({"unpacked_bytes": offset} if table.shape.gzip else {})}


def _rows_allowed(allowed: float | None, most: int) -> int:
    """Rejected rows with which there is no point in reading on, but for one more."""
    return min(allowed, most) if isinstance(allowed, int) else most


def _too_many(rejected: int, rows: int, allowed: float | None, most: int) -> str | None:
    """The error when more rows were rejected than are allowed."""
    if rejected > most:
        return (
            f"{rejected:,} of {rows:,} rows were rejected; no import may have more than {most:,} (IMPORT_MAX_REJECTED)"
        )
    if allowed is None or rejected <= (allowed if isinstance(allowed, int) else allowed * rows):
        return None
    limit = f"{allowed:,}" if isinstance(allowed, int) else f"{allowed:.3g} of the rows"
    return f"{rejected:,} of {rows:,} rows were rejected; max_rejected allows {limit}"


async def _checkpoint(attempt: Attempt, table: Table, rows: int, offset: int) -> None:
    await attempt.checkpoint(rows=rows, bytes=table.position(offset), total_bytes=table.source.size)


class _Import:
    """The batches of one attempt."""

    def __init__(
        self,
        attempt: Attempt,
        table: Table,
        given: JobInput,
        max_rejected: float | None,
        deps: Deps,
    ) -> None:
        self._attempt, self._table, self._deps = attempt, table, deps
        self._most_rejected = _rows_allowed(max_rejected, attempt.settings.max_rejected)
        self._given, self._looked = given, time.monotonic()
        self.reports = Reports(attempt, deps.s3, deps.s3_settings, attempt.job.uuid, given)
        self._waited = 0.0
        # Line and reason, as far as this attempt knows.
        self.first_rejected: tuple[int, str] | None = None

    async def send_all(self) -> None:
        """Sends what the ledger does not have yet."""
        ended = False
        while not ended:
            ledger = await self._ledger()
            if ledger.batches == 0:
                ledger.byte_offset, ledger.next_line = self._table.shape.byte_end, self._table.shape.next_line
            await self._checkpoint(ledger)
            ended = self._is_full(ledger) or await self._send_from(ledger)

    async def report(self) -> dict[str, Any]:
        """Puts the reports together, and gives what the job_response says of all that was sent, by earlier attempts too."""
        ledger = await self._ledger()
        found = counted(ledger) | _of_file(self._table, ledger.byte_offset)
        if self._given.generation > 1:
            found["replaced"] = True
        if ledger.counts.rejected or ledger.counts.left_out or "replaced" in found:
            found |= await self.reports.assemble(self._table.shape.headers)
        self._attempt.known = {**found, "messages": told.facts(found, self._table.notes)}
        self._attempt.searchable_after = last_mark(ledger)
        self._attempt.reported = True
        return found

    async def _send_from(self, ledger: import_service_pb2.GetImportProgressResponse) -> bool:
        """Sends batches to the end of the file; False: the ledger turned out to be cut elsewhere."""
        batches = self._table.batches(ledger.byte_offset, ledger.next_line, self._attempt.settings.batch_size)
        # The next batch is read while one is applied.
        async with aclosing(ahead(batches)) as following:
            async for batch in following:
                answer = await self._send(ledger.batches, batch)
                if answer.replayed:
                    # Applied before: its answer was lost, or another worker did it, who may have cut elsewhere.
                    stored = await self._ledger()
                    if (stored.batches, stored.byte_offset) != (ledger.batches + 1, batch.byte_end):
                        return False
                await self._keep(ledger.batches, answer)
                self._waited += answer.index_wait_seconds
                _add(ledger, answer, batch)
                await self._checkpoint(ledger)
                await self._look()
                if self._is_full(ledger):
                    break
        return True

    async def _keep(self, batch: int, answer: Reported) -> None:
        """To be called before the next batch is sent, which tells the ledger that it was done."""
        if answer.rejected and not self.first_rejected:
            self.first_rejected = answer.rejected[0].line, answer.rejected[0].reason
        if answer.rejected or answer.left_out:
            # A worker that slept past its lease must not leave a piece where another has tidied up.
            await self._attempt.checkpoint()
        await self.reports.keep(batch, answer, self._table.shape.delimiter)

    async def _look(self) -> None:
        if time.monotonic() - self._looked > LOOK_SECONDS:
            await objects.check_unchanged(self._attempt, self._deps.s3, self._table.source)
            self._looked = time.monotonic()

    def _is_full(self, ledger: import_service_pb2.GetImportProgressResponse) -> bool:
        return ledger.counts.rejected > self._most_rejected

    async def _send(self, number: int, batch: Batch) -> import_service_pb2.ImportBatchResponse:
        shape = self._table.shape
        request = import_service_pb2.ImportBatchRequest(
            job_uuid=self._attempt.job.uuid,
            batch_number=number,
            records=batch.records,
            columns=shape.headers,
            targets=[target or "" for target in shape.targets],
            delimiter=shape.delimiter,
            first_line=batch.first_line,
            byte_start=batch.byte_start,
            byte_end=batch.byte_end,
            generation=self._given.generation,
            input=self._given.name,
        )
        with telemetry.trace("import batch", job=request.job_uuid, batch=number):
            return await self._attempt.persist(
                lambda: self._deps.write.ImportBatch(request, timeout=BATCH_TIMEOUT_SECONDS)
            )

    async def _ledger(self) -> import_service_pb2.GetImportProgressResponse:
        """How far the import has come; what the last batch reported is stored."""
        request = import_service_pb2.GetImportProgressRequest(
            job_uuid=self._attempt.job.uuid, generation=self._given.generation
        )
        ledger = await self._attempt.persist(
            lambda: self._deps.write.GetImportProgress(request, timeout=CALL_TIMEOUT_SECONDS)
        )
        if ledger.batches:
            await self._keep(ledger.batches - 1, ledger)
        return ledger

    async def _checkpoint(self, ledger: import_service_pb2.GetImportProgressResponse) -> None:
        if self._waited:
            self._attempt.progress["index_wait_seconds"] = round(self._waited)
        await _checkpoint(self._attempt, self._table, ledger.counts.rows, ledger.byte_offset)


def _add(
    ledger: import_service_pb2.GetImportProgressResponse, answer: import_service_pb2.ImportBatchResponse, batch: Batch
) -> None:
    """The ledger with one more batch, as the write service will have it."""
    ledger.batches += 1
    ledger.byte_offset = batch.byte_end
    for name in COUNTS:
        setattr(ledger.counts, name, getattr(ledger.counts, name) + getattr(answer.counts, name))
