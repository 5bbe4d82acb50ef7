"""The typed door."""

from collections.abc import Sequence
from typing import Any

import orjson
from connectra.common.v1 import records_pb2
from connectra.write.v1 import write_service_pb2 as pb
from connectra.write.v1 import write_service_pb2_grpc as pb_grpc
from connectra_common.call import current
from connectra_common.errors import PayloadTooLarge, ValidationFailed
from connectra_common.records.fields import COMPANY, CONTACT, Entity, Type
from connectra_common.records.limits import MAX_BATCH_RECORDS, MAX_BATCH_ROWS
from connectra_common.records.messages import from_message, to_message
from connectra_common.requests import hinted
from connectra_common.server import Context
from connectra_common.server.limits import BULK_BODY
from connectra_common.server.rest import replayed, send_headers

from connectra_write.records.batches import check_size
from connectra_write.records.outcomes import BatchWritten, RecordWarning, Written
from connectra_write.records.service import RecordService
from connectra_write.records.writing import in_thread

# No record has as many fields.
MAX_MASK_PATHS = 100


class WriteServicer(pb_grpc.WriteServiceServicer):
    """See proto/connectra/write/v1/write_service.proto for what each method promises."""

    def __init__(self, records: RecordService) -> None:
        self._records = records

    async def CreateCompany(self, request: pb.CreateCompanyRequest, context: Context) -> pb.CreateCompanyResponse:
        written = await self._records.create(COMPANY, from_message(COMPANY, request.company), current().idempotency_key)
        token = await _send_token(written.token, context, replayed(written))
        return pb.CreateCompanyResponse(
            company=_message(COMPANY, written), consistency_token=token, warnings=_warnings(written.warnings)
        )

    async def CreateContact(self, request: pb.CreateContactRequest, context: Context) -> pb.CreateContactResponse:
        written = await self._records.create(CONTACT, from_message(CONTACT, request.contact), current().idempotency_key)
        token = await _send_token(written.token, context, replayed(written))
        return pb.CreateContactResponse(
            contact=_message(CONTACT, written), consistency_token=token, warnings=_warnings(written.warnings)
        )

    async def UpdateCompany(self, request: pb.UpdateCompanyRequest, context: Context) -> pb.UpdateCompanyResponse:
        written = await self._update(COMPANY, request.company, request)
        token = await _send_token(written.token, context, replayed(written))
        return pb.UpdateCompanyResponse(
            company=_message(COMPANY, written), consistency_token=token, warnings=_warnings(written.warnings)
        )

    async def UpdateContact(self, request: pb.UpdateContactRequest, context: Context) -> pb.UpdateContactResponse:
        written = await self._update(CONTACT, request.contact, request)
        token = await _send_token(written.token, context, replayed(written))
        return pb.UpdateContactResponse(
            contact=_message(CONTACT, written), consistency_token=token, warnings=_warnings(written.warnings)
        )

    async def DeleteCompany(self, request: pb.DeleteCompanyRequest, context: Context) -> pb.DeleteCompanyResponse:
        token = await self._records.delete(COMPANY, request.uuid, _versions(request))
        return pb.DeleteCompanyResponse(consistency_token=await _send_token(token, context))

    async def DeleteContact(self, request: pb.DeleteContactRequest, context: Context) -> pb.DeleteContactResponse:
        token = await self._records.delete(CONTACT, request.uuid, _versions(request))
        return pb.DeleteContactResponse(consistency_token=await _send_token(token, context))

    async def UpsertCompany(self, request: pb.UpsertCompanyRequest, context: Context) -> pb.UpsertCompanyResponse:
        written = await self._records.upsert(COMPANY, from_message(COMPANY, request.company), current().idempotency_key)
        token = await _send_token(written.token, context, replayed(written))
        return pb.UpsertCompanyResponse(
            company=_message(COMPANY, written),
            is_new=written.is_new,
            consistency_token=token,
            warnings=_warnings(written.warnings),
        )

    async def UpsertContact(self, request: pb.UpsertContactRequest, context: Context) -> pb.UpsertContactResponse:
        written = await self._records.upsert(CONTACT, from_message(CONTACT, request.contact), current().idempotency_key)
        token = await _send_token(written.token, context, replayed(written))
        return pb.UpsertContactResponse(
            contact=_message(CONTACT, written),
            is_new=written.is_new,
            consistency_token=token,
            warnings=_warnings(written.warnings),
        )

    async def BatchUpsertCompanies(
        self, request: pb.BatchUpsertCompaniesRequest, context: Context
    ) -> pb.BatchUpsertCompaniesResponse:
        records = await _records(COMPANY, request.companies)
        written = await self._records.batch_upsert(COMPANY, records, current().idempotency_key)
        token = await _send_token(written.token, context, replayed(written))
        return pb.BatchUpsertCompaniesResponse(result=_result(written), consistency_token=token)

    async def BatchUpsertContacts(
        self, request: pb.BatchUpsertContactsRequest, context: Context
    ) -> pb.BatchUpsertContactsResponse:
        records = await _records(CONTACT, request.contacts)
        written = await self._records.batch_upsert(CONTACT, records, current().idempotency_key)
        token = await _send_token(written.token, context, replayed(written))
        return pb.BatchUpsertContactsResponse(result=_result(written), consistency_token=token)

    async def BatchUpsertRows(self, request: pb.BatchUpsertRowsRequest, context: Context) -> pb.BatchUpsertRowsResponse:
        check_size(len(request.rows), MAX_BATCH_ROWS)
        _check_values(sum(len(row.values) for row in request.rows))
        rows = [dict(row.values) for row in request.rows]
        written = await self._records.batch_upsert_rows(rows, current().idempotency_key)
        token = await _send_token(written.token, context, replayed(written))
        return pb.BatchUpsertRowsResponse(result=_result(written), consistency_token=token)

    async def _update(self, entity: Entity, message: Any, request: Any) -> Written:
        record = _masked(entity, from_message(entity, message), request.update_mask.paths)
        return await self._records.update(entity, message.uuid, record, _versions(request))


async def _records(entity: Entity, messages: Sequence[Any]) -> list[dict[str, Any]]:
    check_size(len(messages), MAX_BATCH_RECORDS)
    lists = [field.name for field in entity.writable if field.type is Type.LIST]
    _check_values(sum(len(getattr(message, name)) for message in messages for name in lists))
    return await in_thread(len(messages), lambda: [from_message(entity, message) for message in messages])


def _check_values(count: int) -> None:
    if count > BULK_BODY.values:
        raise PayloadTooLarge(f"the request has more than {BULK_BODY.values:,} values")


def _masked(entity: Entity, record: dict[str, Any], paths: Any) -> dict[str, Any]:
    """The fields that a mask names, None where unset; without a mask those that are set."""
    if not paths:
        return record
    if len(paths) > MAX_MASK_PATHS:
        raise ValidationFailed.at("update_mask", f"{len(paths):,} paths; at most {MAX_MASK_PATHS} are allowed")
    names = [field.name for field in entity.data_fields]
    if unknown := [("update_mask", path) for path in paths if path not in names and path not in entity.by_name]:
        raise ValidationFailed.of(hinted(unknown, names, "update_mask"))
    return {name: record.get(name) for name in paths if name in names}


def _versions(request: Any) -> list[int] | None:
    return [request.row_version] if request.row_version else None


def _message(entity: Entity, written: Written) -> Any:
    return to_message(entity, {**orjson.loads(written.record), "row_version": written.version})


def _result(written: BatchWritten) -> pb.BatchResult:
    errors = [
        pb.RecordError(
            index=failure.index,
            uuid=failure.uuid or "",
            error=failure.error,
            fields=[records_pb2.Warning(field=f.field, message=f.message) for f in failure.fields],
        )
        for failure in written.failures
    ]
    return pb.BatchResult(
        total_count=written.total,
        success_count=written.total - len(errors),
        error_count=len(errors),
        created=written.created,
        updated=written.updated,
        errors=errors,
        uuids=[uuid or "" for uuid in written.uuids],
        warnings=_warnings(written.warnings, "[{}].{}"),
    )


def _warnings(found: list[RecordWarning], path: str = "{1}") -> list[records_pb2.Warning]:
    return [records_pb2.Warning(field=path.format(w.index, w.field), message=w.message) for w in found]


async def _send_token(token: str, context: Context, mark: dict[str, str] | None = None) -> str:
    """The consistency token, which is sent as metadata too, beside the mark of an answer that was given before."""
    await send_headers(context, status=None, x_consistency_token=token, **(mark or {}))
    return token
