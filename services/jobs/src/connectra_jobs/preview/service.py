"""Reads the beginning of a file as an import would and stores nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing
from typing import TypeVar

from connectra_common.call import current
from connectra_common.db.database import Database
from connectra_common.errors import NotFound, ValidationFailed
from connectra_common.records.columns import Columns
from connectra_common.records.csv_file import Row, Rows
from connectra_common.records.csv_rows import RowReader
from connectra_common.settings import S3Settings
from connectra_common.storage.s3 import ObjectStore

from connectra_jobs.owners import SourceRepository
from connectra_jobs.preview.models import Column, LeftOutCell, Preview, RejectedRow, StoredRow, record_of
from connectra_jobs.requests import PreviewImportBody
from connectra_jobs.worker import objects
from connectra_jobs.worker.attempt import JobFailed
from connectra_jobs.worker.content import UnreadableFile
from connectra_jobs.worker.csv_stream import Batch
from connectra_jobs.worker.table import Table, open_table

T = TypeVar("T")

SAMPLE_BYTES = 1024 * 1024
SHOWN_ROWS = 20
SHOWN_PROBLEMS = 20
SAMPLES = 3
MAX_SAMPLE_CHARS = 100
# Previews read at once; further ones wait.
AT_ONCE = 4


class PreviewService:
    """Previews of files in one object store."""

    def __init__(self, database: Database, store: ObjectStore, settings: S3Settings) -> None:
        self._database, self._store, self._settings = database, store, settings
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def preview(self, wanted: PreviewImportBody) -> Preview:
        """What an import of the file would make of its first MiB.

        Raises:
            NotFound: there is no such object, or it is another client's.
            ValidationFailed: the file cannot be imported as it is; says why.
        """
        async with self._turn:
            reading = _Once()
            bucket = wanted.s3_bucket or self._settings.bucket
            async with self._database.connection() as connection:
                denied = await SourceRepository(connection, self._settings).denied(current(), bucket, wanted.s3_key)
            try:
                source = await objects.find(reading, self._store, bucket, wanted.s3_key, denied=denied)
            except JobFailed as error:
                raise NotFound(str(error)) from None
            try:
                with closing(await open_table(reading, self._store, source, wanted)) as table:
                    batches, whole = await _sample(table)
            except (UnreadableFile, JobFailed) as error:
                raise ValidationFailed.at("s3_key", str(error)) from None
            return await asyncio.to_thread(_look, table, batches, whole)


class _Once:
    """Reads without patience: who waits for an answer asks again."""

    async def persist(self, call: Callable[[], Awaitable[T]]) -> T:
        return await call()


async def _sample(table: Table) -> tuple[list[Batch], bool]:
    """The rows of the sample, and whether they are all."""
    found: list[Batch] = []
    async with aclosing(table.batches(table.shape.byte_end, table.shape.next_line, SHOWN_ROWS)) as batches:
        async for batch in batches:
            if batch.byte_end > SAMPLE_BYTES and found:
                return found, False
            found.append(batch)
    return found, True


def _look(table: Table, batches: list[Batch], whole: bool) -> Preview:
    shape, columns = table.shape, table.columns
    found = Preview(shape.format, shape.gzip, shape.encoding, shape.delimiter, shape.header_line, whole=whole)
    found.unknown = list(columns.unknown)
    reader, samples = RowReader(columns), _Samples(columns)
    for batch in batches:
        for row in Rows(reader, batch.records, shape.delimiter, batch.first_line):
            _add(found, row)
            samples.take(row.cells)
    found.columns = samples.columns()
    return found


def _add(found: Preview, row: Row) -> None:
    found.sampled_rows += 1
    found.rejected += row.problem is not None
    found.left_out += len(row.left_out)
    if row.problem:
        if len(found.rejected_rows) < SHOWN_PROBLEMS:
            found.rejected_rows.append(RejectedRow(row.line, row.problem, row.cells))
    elif len(found.rows) < SHOWN_ROWS:
        found.rows.append(StoredRow(row.line, record_of(row.company), record_of(row.contact)))
    room = SHOWN_PROBLEMS - len(found.left_out_cells)
    found.left_out_cells += [LeftOutCell(row.line, *cell) for cell in row.left_out[:room]]


class _Samples:
    """The first values of each column."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._values: list[list[str]] = [[] for _ in columns.headers]

    def take(self, cells: list[str]) -> None:
        for values, cell in zip(self._values, cells, strict=False):
            value = " ".join(cell.split())[:MAX_SAMPLE_CHARS]
            if len(values) < SAMPLES and value and value not in values:
                values.append(value)

    def columns(self) -> list[Column]:
        columns, instead = self._columns, dict(self._columns.unused)
        return [
            Column(header, target, confidence, values, None if target else instead.get(header))
            for header, target, confidence, values in zip(
                columns.headers, columns.targets, columns.confidence, self._values, strict=True
            )
        ]
