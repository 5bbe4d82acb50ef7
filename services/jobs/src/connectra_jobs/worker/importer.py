"""`insert_csv_file`: streams the object, cuts it into batches, hands them to the write service in order.

The write service keeps a ledger of the batches it applied, in the transaction that applied them. An attempt goes on
where the ledger ends, so it does not matter where the one before was killed, and no batch is ever applied twice.
"""

import asyncio
import csv
import io
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import structlog
from connectra.query.v1 import query_service_pb2 as pb
from connectra.write.v1 import write_service_pb2
from connectra_common import telemetry
from connectra_common.call import CONSISTENCY_TOKEN
from connectra_common.records.csv_records import Splitter, cells_of
from connectra_common.server.streams import ahead

from connectra_jobs.repository import JobRepository, RejectedRow
from connectra_jobs.requests import ImportData
from connectra_jobs.worker import objects
from connectra_jobs.worker.attempt import Attempt, JobFailed
from connectra_jobs.worker.content import Content, open_content
from connectra_jobs.worker.csv_stream import (
    Batch,
    Cutter,
    FileHeader,
    UnreadableFile,
    read_header,
)
from connectra_jobs.worker.deps import Deps
from connectra_jobs.worker.dry_run import Checker, check_all
from connectra_jobs.worker.objects import Upload

log = structlog.get_logger()

BATCH_TIMEOUT_SECONDS = 120
CALL_TIMEOUT_SECONDS = 20
# The index may be far behind after a large import; the rows are safe meanwhile.
SEARCHABLE_PATIENCE_SECONDS = 1800
_CSV_TYPE = "text/csv; charset=utf-8"
_COUNTS = ("rows", "created", "updated", "unchanged", "rejected")


async def run_import(attempt: Attempt, data: ImportData, deps: Deps) -> dict[str, Any]:
    """Imports the file and waits until its rows can be found. Gives the job_response.

    Raises:
        JobFailed: the file cannot be imported as it is, or more rows were rejected than are allowed.
    """
    began = time.monotonic()
    source = await objects.find(attempt, deps.s3, data.s3_bucket or deps.s3_settings.bucket, data.s3_key)
    response: dict[str, Any] = {}
    try:
        content = await open_content(attempt, deps.s3, source)
        header = await _read_header(content, data)
        if header.columns.unknown:
            response["unknown_columns"] = list(header.columns.unknown)
        work = (_validate if data.validate_only else _store)(attempt, content, header, data, deps)
        response |= await work
    except UnreadableFile as error:
        raise JobFailed(str(error), response) from None
    response |= {"bytes": source.size, "seconds": round(time.monotonic() - began, 3)}
    if problem := _too_many(response["rejected"], response["rows"], data.max_rejected):
        raise JobFailed(problem, response)
    done = (
        "Validation completed successfully; nothing was stored"
        if data.validate_only
        else "Import completed successfully"
    )
    return {"messages": done, **response}


async def _store(
    attempt: Attempt, content: Content, header: FileHeader, data: ImportData, deps: Deps
) -> dict[str, Any]:
    """Sends the file to the write service, until the end or until too many rows were rejected. Gives the counts."""
    progress = await _Import(attempt, content, header, data.max_rejected, deps).send_all()
    response: dict[str, Any] = {name: getattr(progress.counts, name) for name in _COUNTS}
    if content.packed:
        response["unpacked_bytes"] = progress.byte_offset
    if progress.counts.rejected:
        write = lambda: _write_rejected(attempt, content.source.bucket, header, deps)  # noqa: E731
        response["rejected_s3_key"] = await attempt.persist(write)
    if progress.consistency_token:
        await _wait_until_searchable(attempt, progress.consistency_token, deps)
    return response


async def _validate(
    attempt: Attempt, content: Content, header: FileHeader, data: ImportData, deps: Deps
) -> dict[str, Any]:
    """Reads the file by the same rules and stores nothing but the rejected rows. An attempt that was cut off starts over."""
    return await attempt.persist(lambda: _validate_once(attempt, content, header, data, deps))


async def _validate_once(
    attempt: Attempt, content: Content, header: FileHeader, data: ImportData, deps: Deps
) -> dict[str, Any]:
    found = {"rows": 0, "companies": 0, "contacts": 0, "rejected": 0}
    checker, offset = Checker(header.columns, header.delimiter), header.byte_end
    key = _rejected_key(attempt, deps)
    async with (
        Upload(attempt, deps.s3, content.source.bucket, key, _CSV_TYPE) as upload,
        aclosing(_cut(attempt, content, header, offset, header.next_line)) as batches,
    ):
        async for batch, findings in check_all(checker, batches):
            offset = batch.byte_end
            for name in ("rows", "companies", "contacts"):
                found[name] += getattr(findings, name)
            if findings.rejected and not found["rejected"]:
                await upload.write(_csv([["line", "reason", *header.cells]]))
            found["rejected"] += len(findings.rejected)
            await upload.write(_csv([[row.line, row.reason, *row.cells] for row in findings.rejected]))
            await _checkpoint(attempt, content, found["rows"], offset)
            if type(data.max_rejected) is int and found["rejected"] > data.max_rejected:
                break
        if found["rejected"]:
            await upload.complete()
    packed = {"unpacked_bytes": offset} if content.packed else {}
    return {"validate_only": True, **found, **packed, **({"rejected_s3_key": key} if found["rejected"] else {})}


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
        self, attempt: Attempt, content: Content, header: FileHeader, max_rejected: float | None, deps: Deps
    ) -> None:
        self._attempt, self._content, self._header, self._deps = attempt, content, header, deps
        self._max_rejected = max_rejected if type(max_rejected) is int else None

    async def send_all(self) -> write_service_pb2.GetImportProgressResponse:
        """Sends what the ledger does not have yet, and gives the ledger of all that was sent."""
        ended = False
        while not ended:
            ledger = await self._ledger()
            if ledger.batches == 0:
                ledger.byte_offset, ledger.next_line = self._header.byte_end, self._header.next_line
            await self._checkpoint(ledger)
            ended = self._is_full(ledger) or await self._send_from(ledger)
        return await self._ledger()  # it also has the token by which the index can be waited for

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
                _add(ledger, answer, batch)
                await self._checkpoint(ledger)
                if self._is_full(ledger):
                    break
        return True

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
        )
        with telemetry.trace("import batch", job=request.job_uuid, batch=number):
            return await self._attempt.persist(
                lambda: self._deps.write.ImportBatch(request, timeout=BATCH_TIMEOUT_SECONDS)
            )

    async def _ledger(self) -> write_service_pb2.GetImportProgressResponse:
        request = write_service_pb2.GetImportProgressRequest(job_uuid=self._attempt.job.uuid)
        return await self._attempt.persist(
            lambda: self._deps.write.GetImportProgress(request, timeout=CALL_TIMEOUT_SECONDS)
        )

    async def _checkpoint(self, ledger: write_service_pb2.GetImportProgressResponse) -> None:
        await _checkpoint(self._attempt, self._content, ledger.counts.rows, ledger.byte_offset)


def _add(
    ledger: write_service_pb2.GetImportProgressResponse, answer: write_service_pb2.ImportBatchResponse, batch: Batch
) -> None:
    """The ledger with one more batch, as the write service will have it."""
    ledger.batches += 1
    ledger.byte_offset = batch.byte_end
    for name in _COUNTS:
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


def _rejected_key(attempt: Attempt, deps: Deps) -> str:
    return deps.s3_settings.key(f"{attempt.job.uuid}.rejected.csv")


async def _write_rejected(attempt: Attempt, bucket: str, header: FileHeader, deps: Deps) -> str:
    """All rows that were skipped, also by earlier runs, with line and reason. Gives the key."""
    key = _rejected_key(attempt, deps)
    number = -1
    async with Upload(attempt, deps.s3, bucket, key, _CSV_TYPE) as upload:
        await upload.write(_csv([["line", "reason", *header.cells]]))
        while batch := await _rejected_rows(attempt, number, deps):
            number, rows = batch
            lines = [[row["line"], row["reason"], *cells_of(row["record"], header.delimiter)] for row in rows]
            await upload.write(_csv(lines))
            await attempt.checkpoint()
        await upload.complete()
    return key


async def _rejected_rows(attempt: Attempt, after: int, deps: Deps) -> tuple[int, list[RejectedRow]] | None:
    # A connection for each look: none is held while rows are uploaded.
    async with deps.database.connection() as connection:
        return await JobRepository(connection).rejected_rows(attempt.job.uuid, after)


async def _wait_until_searchable(attempt: Attempt, token: str, deps: Deps) -> None:
    async def ask() -> None:
        # Each call waits for the index of its entity.
        metadata = ((CONSISTENCY_TOKEN, token),)
        await asyncio.gather(
            deps.query.CountCompanies(pb.CountCompaniesRequest(), metadata=metadata, timeout=CALL_TIMEOUT_SECONDS),
            deps.query.CountContacts(pb.CountContactsRequest(), metadata=metadata, timeout=CALL_TIMEOUT_SECONDS),
        )

    await attempt.persist(ask, SEARCHABLE_PATIENCE_SECONDS)


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()
