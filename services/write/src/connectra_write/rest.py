"""The REST door: JSON as documented."""

import asyncio
from dataclasses import asdict
from typing import Any

from connectra.write.v1 import write_rest_pb2 as pb
from connectra.write.v1 import write_rest_pb2_grpc as pb_grpc
from connectra_common.call import IdempotencyKey, current
from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.records.columns import unknown_headers
from connectra_common.records.fields import COMPANY, CONTACT, Entity, csv_columns
from connectra_common.records.limits import MAX_BATCH_RECORDS, MAX_BATCH_ROWS, MAX_WARNINGS
from connectra_common.requests import Warning, path, unknown_keys
from connectra_common.server import Context
from connectra_common.server.limits import BULK_BODY
from connectra_common.server.rest import envelope, read_json, read_object, replayed, send_headers
from google.api.httpbody_pb2 import HttpBody

from connectra_write.index.service import IndexService, IndexState
from connectra_write.records import batches
from connectra_write.records.outcomes import BatchWritten, Written
from connectra_write.records.service import RecordService
from connectra_write.records.validation import number_of_warnings, warnings


def _index(state: IndexState) -> dict[str, Any]:
    going = state.under_way
    return {
        "entity": state.entity,
        "index_name": state.index_name,
        "documents": state.documents,
        "previous": state.previous,
        "rebuild": going
        and {
            "phase": going.phase.value,
            "documents_done": going.documents_done,
            "documents_total": going.documents_total,
            "index_name": going.index_name,
            "reason": going.reason,
            "kind": going.kind.value,
        },
        "check": asdict(state.check) if state.check else None,
    }


class WriteRestServicer(pb_grpc.WriteRestServiceServicer):
    """See proto/connectra/write/v1/write_rest.proto."""

    def __init__(self, records: RecordService, index: IndexService) -> None:
        self._records, self._index = records, index

    async def CreateCompany(self, request: pb.CreateCompanyRestRequest, context: Context) -> HttpBody:
        return await self._create(COMPANY, request, context)

    async def CreateContact(self, request: pb.CreateContactRestRequest, context: Context) -> HttpBody:
        return await self._create(CONTACT, request, context)

    async def UpdateCompany(self, request: pb.UpdateCompanyRestRequest, context: Context) -> HttpBody:
        return await self._update(COMPANY, request, context)

    async def UpdateContact(self, request: pb.UpdateContactRestRequest, context: Context) -> HttpBody:
        return await self._update(CONTACT, request, context)

    async def DeleteCompany(self, request: pb.DeleteCompanyRestRequest, context: Context) -> HttpBody:
        return await self._delete(COMPANY, request, context)

    async def DeleteContact(self, request: pb.DeleteContactRestRequest, context: Context) -> HttpBody:
        return await self._delete(CONTACT, request, context)

    async def UpsertCompany(self, request: pb.UpsertCompanyRestRequest, context: Context) -> HttpBody:
        return await self._upsert(COMPANY, request, context)

    async def UpsertContact(self, request: pb.UpsertContactRestRequest, context: Context) -> HttpBody:
        return await self._upsert(CONTACT, request, context)

    async def BatchUpsertCompanies(self, request: pb.BatchUpsertCompaniesRestRequest, context: Context) -> HttpBody:
        return await self._batch(COMPANY, request, context)

    async def BatchUpsertContacts(self, request: pb.BatchUpsertContactsRestRequest, context: Context) -> HttpBody:
        return await self._batch(CONTACT, request, context)

    async def BatchUpsertRows(self, request: pb.BatchUpsertRowsRestRequest, context: Context) -> HttpBody:
        rows, found = await _read_rows(request)
        written = await self._records.batch_upsert_rows(rows, _key())
        message = "Batch upsert completed with errors" if written.failures else "Batch upsert successful"
        return await _batch_reply(written, found, context, message=message)

    async def GetIndexStatus(self, request: pb.GetIndexStatusRestRequest, context: Context) -> HttpBody:
        numbers, states = await self._index.status()
        return envelope(
            data={
                "pending": numbers.pending,
                "oldest_pending_seconds": numbers.oldest_seconds,
                "dead_letters": numbers.dead_letters,
                "indexers": numbers.indexers,
                "indices": [_index(state) for state in states],
            }
        )

    async def _create(self, entity: Entity, request: Any, context: Context) -> HttpBody:
        record, found = await _read_record(entity, request)
        written = await self._records.create(entity, record, _key())
        return await _reply(entity, written, found, context)

    async def _update(self, entity: Entity, request: Any, context: Context) -> HttpBody:
        record, found = await _read_record(entity, request)
        written = await self._records.update(entity, request.uuid, record, current().versions)
        return await _reply(entity, written, found, context)

    async def _delete(self, entity: Entity, request: Any, context: Context) -> HttpBody:
        token = await self._records.delete(entity, request.uuid, current().versions)
        await send_headers(context, x_consistency_token=token)
        return envelope(message=f"{entity.title} deleted successfully")

    async def _upsert(self, entity: Entity, request: Any, context: Context) -> HttpBody:
        record, found = await _read_record(entity, request)
        written = await self._records.upsert(entity, record, _key())
        return await _reply(entity, written, found, context, is_new=written.is_new)

    async def _batch(self, entity: Entity, request: Any, context: Context) -> HttpBody:
        records, prefix, found = await _read_records(entity, request)
        written = await self._records.batch_upsert(entity, records, _key())
        found.add([{"field": path((w.index, w.field), prefix), "message": w.message} for w in written.warnings])
        return await _batch_reply(written, found, context)


def _key() -> IdempotencyKey | None:
    """The key of a call that may create records.

    Raises:
        ValidationFailed: it has an If-Match too, by which its caller would believe himself protected.
    """
    if current().versions is not None:
        message = "If-Match is for PUT and DELETE of a record; what creates or upserts does not look at versions"
        raise ValidationFailed.of([FieldViolation("If-Match", message)])
    return current().idempotency_key


async def _read_record(entity: Entity, request: Any) -> tuple[dict[str, Any], list[Warning]]:
    record = await read_object(request.body, required=True)
    return record, warnings(entity, record)


class _Warnings:
    """Those of a batch, of which MAX_WARNINGS are shown."""

    def __init__(self, found: list[Warning]) -> None:
        self._shown = found
        self._more = 0

    @property
    def are_full(self) -> bool:
        """Whether others are only counted."""
        return len(self._shown) >= MAX_WARNINGS

    def add(self, found: list[Warning], more: int = 0) -> None:
        """Some that were found, and the number of others."""
        free = MAX_WARNINGS - len(self._shown)
        self._shown += found[:free]
        self._more += max(len(found) - free, 0) + more

    def shown(self) -> list[Warning]:
        """With one that says how many there are besides."""
        more = {"field": "", "message": f"{self._more:,} more warnings"}
        return [*self._shown, more] if self._more else self._shown


async def _read_records(entity: Entity, request: Any) -> tuple[list[Any], str, _Warnings]:
    document = await read_json(request.body, required=True, limits=BULK_BODY)
    records, prefix, of_body = _array(document, (entity.table, "data"))
    batches.check_size(len(records), MAX_BATCH_RECORDS)
    found = _Warnings(of_body)
    for index, record in enumerate(records):
        if found.are_full:
            found.add([], number_of_warnings(entity, record))
        else:
            found.add(warnings(entity, record, f"{prefix}[{index}]"))
    return records, prefix, found


async def _read_rows(request: Any) -> tuple[list[Any], _Warnings]:
    document = await read_json(request.body, required=True, limits=BULK_BODY)
    rows, prefix, of_body = _array(document, ("data",))
    batches.check_size(len(rows), MAX_BATCH_ROWS)
    found = _Warnings(of_body)
    # A row may have cells of some megabytes.
    await asyncio.to_thread(_add_row_warnings, found, rows, prefix)
    return rows, found


def _add_row_warnings(found: _Warnings, rows: list[Any], prefix: str) -> None:
    known = sorted(csv_columns())
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or not batches.is_header(row):
            continue
        unknown, left_out = dict.fromkeys(unknown_headers(tuple(row))), batches.left_out(row, f"{prefix}[{index}]")
        if found.are_full:
            found.add([], len(unknown) + len(left_out))
        else:
            found.add([*unknown_keys(unknown, known, f"{prefix}[{index}]"), *left_out])


def _array(document: Any, names: tuple[str, ...]) -> tuple[list[Any], str, list[Warning]]:
    """The array of a batch: the document itself, or its one member of these names; how paths into it begin; warnings."""
    if isinstance(document, list):
        return document, "", []
    given = [name for name in names if name in document] if isinstance(document, dict) else []
    if len(given) != 1 or not isinstance(document[given[0]], list):
        field = given[-1] if given else names[0]
        what = " or ".join(repr(name) for name in names)
        raise ValidationFailed.of(
            [FieldViolation(field, f"the body must be an array, or an object with one array {what}")]
        )
    return document[given[0]], given[0], unknown_keys(document, names)


async def _reply(
    entity: Entity, written: Written, found: list[Warning], context: Context, *, is_new: bool | None = None
) -> HttpBody:
    await send_headers(
        context,
        status=written.http_status if written.is_new else None,
        etag=f'"{written.version}"',
        x_consistency_token=written.token,
        **({"location": f"/{entity.table}/{written.uuid}"} if written.is_new else {}),
        **replayed(written),
    )
    found = found + [{"field": w.field, "message": w.message} for w in written.warnings]
    return envelope(data=written.record.encode(), is_new=is_new, warnings=found or None)


async def _batch_reply(
    written: BatchWritten, found: _Warnings, context: Context, message: str | None = None
) -> HttpBody:
    failed = bool(written.failures)
    await send_headers(
        context,
        status=written.http_status if failed else None,
        x_consistency_token=written.token,
        **replayed(written),
    )
    return envelope(message=message, data=written.document(), warnings=found.shown() or None, success=not failed)
