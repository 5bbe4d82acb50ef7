"""`insert_csv_file`: streams the object, cuts it into batches, hands them to the write service in order.

The write service keeps a ledger of the batches it applied, in the transaction that applied them. An attempt goes on
where the ledger ends, so it does not matter where the one before was killed, and no batch is ever applied twice.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import structlog
from connectra.write.v1 import write_service_pb2
from connectra_common import telemetry
from connectra_common.records.csv_records import Splitter
from connectra_common.server.streams import ahead

from connectra_jobs.models import JobInput, JsonObject
from connectra_jobs.requests import ImportData
from connectra_jobs.worker import objects, told
from connectra_jobs.worker.attempt import Attempt, HandBack, JobFailed, LeaseLost, explain
from connectra_jobs.worker.content import Content, open_content
from connectra_jobs.worker.csv_stream import Batch, Cutter, FileHeader, UnreadableFile, read_header
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
    report_key,
)

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
    source = await objects.find(attempt, deps.s3, data.s3_bucket or deps.s3_settings.bucket, data.s3_key)
    try:
        content = await open_content(attempt, deps.s3, source)
        header = await _read_header(content, data)
        work = (_validate if data.validate_only else _store)(attempt, content, header, data, deps)
        found = await work
    except UnreadableFile as error:
        raise JobFailed(str(error)) from None
    return {
        "messages": told.completed(found),
        **found,
        "bytes": source.size,
        "seconds": round(time.monotonic() - began, 3),
    }


async def _store(
    attempt: Attempt, content: Content, header: FileHeader, data: ImportData, deps: Deps
) -> dict[str, Any]:
    """Sends the file to the write service, until the end or until too many rows were rejected. Gives what is known of it then."""
    given = await _remember(attempt, content.source, header)
    work = _Import(attempt, content, header, given, data.max_rejected, deps)
    try:
        await work.send_all()
        await objects.check_unchanged(attempt, deps.s3, content.source)
    except (HandBack, LeaseLost):
        raise
    except Exception:  # whatever it is, the owner learns what was stored before
        await _report_failed(attempt, work)
        raise
    found = await work.report()
    _check(found, data.max_rejected, work.first_rejected)
    await work.reports.remove_pieces()
    return found


async def _report_failed(attempt: Attempt, work: "_Import") -> None:
    try:
        await work.report()
    except LeaseLost:
        raise
    except Exception as error:  # noqa: BLE001 - what made the attempt fail matters more; if it is the last one, its report is made later
        log.warning("failed run not reported yet", job=attempt.job.uuid, **explain(error))


async def _remember(attempt: Attempt, source: Source, header: FileHeader) -> JobInput:
    """Stores what is read. If it is not what an earlier attempt read, it is a new generation, whose ledger is empty."""
    earlier = attempt.claim.input
    generation = earlier.generation if earlier else 1
    if earlier and (earlier.bucket, earlier.key, earlier.etag, earlier.size) != (
        *(source.bucket, source.key, source.etag, source.size),
    ):
        generation += 1
        log.info("the object was replaced; the import begins again", generation=generation)
    shape: JsonObject = {"delimiter": header.delimiter, "headers": list(header.cells)}
    given = JobInput(generation, source.bucket, source.key, source.size, source.etag, source.version, shape)
    await attempt.persist(lambda: attempt.remember(given))
    return given


def _check(found: dict[str, Any], max_rejected: float | None, first: tuple[int, str] | None) -> None:
    """Whether an import did what it was to do.

    Raises:
        JobFailed: too much was rejected.
    """
    if problem := _too_many(found["rejected"], found["rows"], max_rejected):
        raise JobFailed(problem)
    if found["rows"] and found["rows"] == found["rejected"]:
        raise JobFailed(told.nothing_stored(found, first))


async def _validate(
    attempt: Attempt, content: Content, header: FileHeader, data: ImportData, deps: Deps
) -> dict[str, Any]:
    """Reads the file by the same rules and stores nothing but the rejected rows. An attempt that was cut off starts over."""
    return await attempt.persist(lambda: _validate_once(attempt, content, header, data, deps))


async def _validate_once(
    attempt: Attempt, content: Content, header: FileHeader, data: ImportData, deps: Deps
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "validate_only": True,
        "rows": 0,
        "companies": 0,
        "contacts": 0,
        "rejected": 0,
        "left_out": 0,
    }
    checker, offset = Checker(header.columns, header.delimiter), header.byte_end
    bucket, first = content.source.bucket, None
    keys = {kind: report_key(deps.s3_settings, attempt.job.uuid, kind) for kind in ("rejected", "left_out")}
    async with (
        Upload(attempt, deps.s3, bucket, keys["rejected"], CSV_TYPE) as rejected,
        Upload(attempt, deps.s3, bucket, keys["left_out"], CSV_TYPE) as left_out,
        aclosing(_cut(attempt, content, header, offset, header.next_line)) as batches,
    ):
        await rejected.write(as_csv([["line", "reason", *header.cells]]))
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
            await _checkpoint(attempt, content, found["rows"], offset)
            if type(data.max_rejected) is int and found["rejected"] > data.max_rejected:
                break
        for kind, upload in (("rejected", rejected), ("left_out", left_out)):
            if found[kind]:
                await upload.complete()
                found[f"{kind}_s3_key"] = keys[kind]
    found |= _of_file(content, header, offset)
    attempt.known = {**found, "messages": told.facts(found)}
    _check(found, data.max_rejected, first)
    return found


def _of_file(content: Content, header: FileHeader, offset: int) -> dict[str, Any]:
    """What a job_response says of the file itself."""
    unknown = {"unknown_columns": list(header.columns.unknown)} if header.columns.unknown else {}
    return {"encoding": "utf-8", **unknown, **({"unpacked_bytes": offset} if content.packed else {})}


def _too_many(rejected: int, rows: int, allowed: float | None) -> str | None:
    """The error when more rows were rejected than are allowed."""
    if allowed is None or rejected <= (allowed if isinstance(allowed, int) else allowed * rows):
        return None
    limit = f"{allowed:,}" if isinstance(allowed, int) else f"{allowed:.3g} of the rows"
    return f"{rejected:,} of {rows:,} rows were rejected; max_rejected allows {limit}"


async def _cut(attempt: Attempt, content: Content, header: FileHeader, offset: int, line: int) -> AsyncGenerator[Batch]:
    """Batches of the file from an offset on, which is the beginning of a record."""
    cutter = Cutter(Splitter(header.delimiter, len(header.cells)), offset, line, attempt.settings.batch_size)
    async with aclosing(content.read(offset)) as stream:
        async for data in stream:
            for batch in cutter.feed(data):
                yield batch
    for batch in cutter.finish():
        yield batch


async def _checkpoint(attempt: Attempt, content: Content, rows: int, offset: int) -> None:
    # Progress through a packed file is known in packed bytes only.
    done = content.position if content.packed else offset
    await attempt.checkpoint(rows=rows, bytes=done, total_bytes=content.source.size)


class _Import:
    """The batches of one attempt."""

    def __init__(
        self,
        attempt: Attempt,
        content: Content,
        header: FileHeader,
        given: JobInput,
        max_rejected: float | None,
        deps: Deps,
    ) -> None:
        self._attempt, self._content, self._header, self._deps = attempt, content, header, deps
        self._max_rejected = max_rejected if type(max_rejected) is int else None
        self._given, self._looked = given, time.monotonic()
        self.reports = Reports(attempt, deps.s3, deps.s3_settings, attempt.job.uuid, given)
        # Line and reason, as far as this attempt knows.
        self.first_rejected: tuple[int, str] | None = None

    async def send_all(self) -> None:
        """Sends what the ledger does not have yet."""
        ended = False
        while not ended:
            ledger = await self._ledger()
            if ledger.batches == 0:
                ledger.byte_offset, ledger.next_line = self._header.byte_end, self._header.next_line
            await self._checkpoint(ledger)
            ended = self._is_full(ledger) or await self._send_from(ledger)

    async def report(self) -> dict[str, Any]:
        """Puts the reports together, and gives what the job_response says of all that was sent, by earlier attempts too."""
        ledger = await self._ledger()
        found = counted(ledger) | _of_file(self._content, self._header, ledger.byte_offset)
        if self._given.generation > 1:
            found["replaced"] = True
        if ledger.counts.rejected or ledger.counts.left_out or "replaced" in found:
            found |= await self.reports.assemble(self._header.cells)
        self._attempt.known = {**found, "messages": told.facts(found)}
        self._attempt.searchable_after = int(ledger.consistency_token) if ledger.consistency_token else None
        self._attempt.reported = True
        return found

    async def _send_from(self, ledger: write_service_pb2.GetImportProgressResponse) -> bool:
        """Sends batches to the end of the file; False: the ledger turned out to be cut elsewhere."""
        batches = _cut(self._attempt, self._content, self._header, ledger.byte_offset, ledger.next_line)
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
        await self.reports.keep(batch, answer, self._header.delimiter)

    async def _look(self) -> None:
        if time.monotonic() - self._looked > LOOK_SECONDS:
            await objects.check_unchanged(self._attempt, self._deps.s3, self._content.source)
            self._looked = time.monotonic()

    def _is_full(self, ledger: write_service_pb2.GetImportProgressResponse) -> bool:
        return self._max_rejected is not None and ledger.counts.rejected > self._max_rejected

    async def _send(self, number: int, batch: Batch) -> write_service_pb2.ImportBatchResponse:
        request = write_service_pb2.ImportBatchRequest(
            job_uuid=self._attempt.job.uuid,
            batch_number=number,
            records=batch.records,
            columns=self._header.cells,
            targets=[target or "" for target in self._header.columns.targets],
            delimiter=self._header.delimiter,
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

    async def _ledger(self) -> write_service_pb2.GetImportProgressResponse:
        """How far the import has come; what the last batch reported is stored."""
        request = write_service_pb2.GetImportProgressRequest(
            job_uuid=self._attempt.job.uuid, generation=self._given.generation
        )
        ledger = await self._attempt.persist(
            lambda: self._deps.write.GetImportProgress(request, timeout=CALL_TIMEOUT_SECONDS)
        )
        if ledger.batches:
            await self._keep(ledger.batches - 1, ledger)
        return ledger

    async def _checkpoint(self, ledger: write_service_pb2.GetImportProgressResponse) -> None:
        await _checkpoint(self._attempt, self._content, ledger.counts.rows, ledger.byte_offset)


def _add(
    ledger: write_service_pb2.GetImportProgressResponse, answer: write_service_pb2.ImportBatchResponse, batch: Batch
) -> None:
    """The ledger with one more batch, as the write service will have it."""
    ledger.batches += 1
    ledger.byte_offset = batch.byte_end
    for name in COUNTS:
        setattr(ledger.counts, name, getattr(ledger.counts, name) + getattr(answer.counts, name))


async def _read_header(content: Content, job: ImportData) -> FileHeader:
    data = b""
    async with aclosing(content.read(0)) as stream:
        async for more in stream:
            data += more
            if header := read_header(data, whole=False, given=job.columns):
                return header
    header = read_header(data, whole=True, given=job.columns)
    assert header is not None
    return header
