"""Rejected rows and cells that were left out: stored as they come, one object per batch, and put together when a run ends.

The ledger has those of its last batch, and drops them with the next one. So a batch is sent only once the object of the one before it
is stored: whatever is killed, nothing is missing, and a piece that is written twice has the same name and content.
"""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog
from botocore.exceptions import ClientError
from connectra.write.internal.v1 import import_service_pb2
from connectra_common.consistency import Token
from connectra_common.records.csv_records import cells_of
from connectra_common.records.formulas import harmless
from connectra_common.server.streams import ahead
from connectra_common.settings import S3Settings
from connectra_common.storage.s3 import ObjectStore, list_objects

from connectra_jobs.models import JobInput, JsonObject
from connectra_jobs.repository import JobRepository, Unreported, sentences
from connectra_jobs.worker import objects, told
from connectra_jobs.worker.attempt import Holder
from connectra_jobs.worker.deps import Deps
from connectra_jobs.worker.objects import Upload

log = structlog.get_logger()

T = TypeVar("T")

CSV_TYPE = "text/csv; charset=utf-8"
LEFT_OUT_HEADER = ("line", "column", "value", "reason")
COUNTS = ("rows", "created", "updated", "unchanged", "merged", "rejected", "left_out")
CALL_TIMEOUT_SECONDS = 20
# Objects that are removed at once.
REMOVALS = 16


class Reported(Protocol):
    """An answer of the write service, with what a batch reported."""

    @property
    def rejected(self) -> Sequence[import_service_pb2.RejectedRow]: ...

    @property
    def left_out(self) -> Sequence[import_service_pb2.LeftOutCell]: ...


@dataclass(frozen=True)
class Reports:
    """The reports of one import of one file."""

    holder: Holder
    s3: ObjectStore
    s3_settings: S3Settings
    job_uuid: str
    given: JobInput

    async def keep(self, batch: int, answer: Reported, delimiter: str) -> None:
        """Stores what a batch reported."""
        rejected = [[row.line, row.reason, *cells_of(row.record, delimiter)] for row in answer.rejected]
        left_out = [[cell.line, cell.column, cell.value, cell.reason] for cell in answer.left_out]
        for kind, lines in (("rejected", rejected), ("left_out", left_out)):
            if lines:
                await self._put(f"{self._pieces}{batch:08}.{kind}.csv", as_csv(lines))

    async def assemble(self, headers: Sequence[str]) -> dict[str, str]:
        """Puts the files together and gives their keys by the names that these have in a job_response.

        Args:
            headers: cells of the file's header.
        """
        pieces = await self._list(self._pieces)
        keys = {}
        for kind, header in (("rejected", ("line", "reason", *headers)), ("left_out", LEFT_OUT_HEADER)):
            of_kind = [piece for piece in pieces if piece.endswith(f".{kind}.csv")]
            key = report_key(self.s3_settings, self.job_uuid, kind)
            if of_kind:
                await self.holder.persist(lambda: self._join(key, header, of_kind))  # noqa: B023 - awaited here
                keys[f"{kind}_s3_key"] = key
            elif self.given.generation > 1:  # that of a file that was replaced
                await self._remove(key)
        return keys

    async def remove_pieces(self) -> None:
        """Removes the pieces of all files that the job read, once it needs none any more. What cannot be removed is left to retention."""
        try:
            await self._remove_pieces()
        except ClientError as error:
            log.info(
                "pieces of reports not removed", job=self.job_uuid, code=error.response.get("Error", {}).get("Code")
            )

    async def _remove_pieces(self) -> None:
        pieces = await self._list(self.s3_settings.key(f"{self.job_uuid}.parts/"))
        for at in range(0, len(pieces), REMOVALS):
            await asyncio.gather(*(self._remove(piece) for piece in pieces[at : at + REMOVALS]))

    @property
    def _pieces(self) -> str:
        return self.s3_settings.key(f"{self.job_uuid}.parts/{self.given.generation}/")

    async def _join(self, key: str, header: Sequence[str], pieces: Sequence[str]) -> None:
        async with Upload(self.holder, self.s3, self.given.bucket, key, CSV_TYPE) as upload:
            await upload.write(as_csv([header]))
            async with aclosing(ahead(self._read(pieces))) as contents:
                async for content in contents:
                    await upload.write(content)
            await upload.complete()

    async def _read(self, pieces: Sequence[str]) -> AsyncGenerator[bytes]:
        for piece in pieces:
            source = await objects.find(self.holder, self.s3, self.given.bucket, piece)
            async with aclosing(objects.read(self.holder, self.s3, source, 0)) as content:
                async for data in content:
                    yield data

    async def _list(self, prefix: str) -> list[str]:
        async def once() -> list[str]:
            return sorted([key async for key, _ in list_objects(self.s3, self.given.bucket, prefix)])

        return await self.holder.persist(once)

    async def _put(self, key: str, data: bytes) -> None:
        await self.holder.persist(
            lambda: self.s3.put_object(Bucket=self.given.bucket, Key=key, Body=data, ContentType=CSV_TYPE)
        )

    async def _remove(self, key: str) -> None:
        await self.holder.persist(lambda: self.s3.delete_object(Bucket=self.given.bucket, Key=key))


def report_key(settings: S3Settings, job_uuid: str, kind: str) -> str:
    """Key of a finished report."""
    return settings.key(f"{job_uuid}.{kind}.csv")


def as_csv(lines: Sequence[Sequence[object]]) -> bytes:
    """Lines of a report, whose cells no spreadsheet evaluates."""
    buffer = io.StringIO(newline="")
    rows = ([harmless(cell) if isinstance(cell, str) else cell for cell in line] for line in lines)
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


def counted(ledger: import_service_pb2.GetImportProgressResponse) -> dict[str, Any]:
    """What the ledger of an import counts, as a job_response has it, and whether it is searchable yet."""
    counts = {name: getattr(ledger.counts, name) for name in COUNTS}
    return {**counts, "searchable": not ledger.consistency_token}


def last_mark(ledger: import_service_pb2.GetImportProgressResponse) -> int | None:
    """The highest mark of what an import stored; None: nothing."""
    return Token.parse(ledger.consistency_token).mark if ledger.consistency_token else None


async def finish(deps: Deps) -> None:
    """Completes the responses of imports that ended without a worker: cancelled while they waited, or given up."""
    async with deps.database.connection() as connection:
        ended = await JobRepository(connection).unreported()
    for item in ended:
        try:
            await _finish(item, deps)
        except Exception as error:  # noqa: BLE001 - the next look tries again, and others are not kept waiting
            log.warning("import not reported yet", job=item.job.uuid, error=repr(error))


async def _finish(item: Unreported, deps: Deps) -> None:
    request = import_service_pb2.GetImportProgressRequest(job_uuid=item.job.uuid, generation=item.input.generation)
    ledger = await deps.write.GetImportProgress(request, timeout=CALL_TIMEOUT_SECONDS)
    reports = Reports(Nobody(), deps.s3, deps.s3_settings, item.job.uuid, item.input)
    shape: Mapping[str, Any] = item.input.shape or {}
    if ledger.batches:
        await reports.keep(ledger.batches - 1, ledger, shape.get("delimiter", ","))
    response: JsonObject = counted(ledger)
    if ledger.counts.rejected or ledger.counts.left_out:
        response |= await reports.assemble(shape.get("headers", ()))
    response["messages"] = sentences(item.job.job_response.get("messages"), told.facts(response))
    token = last_mark(ledger)
    async with deps.database.transaction() as connection:
        await JobRepository(connection).report(item, response, token)


class Nobody:
    """Holds a job that has ended: what fails is left to the next look."""

    async def persist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Makes a call once."""
        return await call()

    async def renew(self) -> None:
        """There is no lease."""
