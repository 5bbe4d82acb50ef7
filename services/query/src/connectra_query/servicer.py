"""The typed door. Methods that are not here answer UNIMPLEMENTED."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import asdict
from typing import TypeVar

import orjson
from connectra.common.v1 import records_pb2
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1 import query_service_pb2_grpc as pb_grpc
from connectra_common.call import current
from connectra_common.export import ExportFormat
from connectra_common.records.fields import COMPANY, CONTACT, Entity, column_of
from connectra_common.records.messages import to_message
from connectra_common.records.sql import names_company
from connectra_common.requests import read
from connectra_common.server import Context
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import ALIKE, to_json, to_value
from google.protobuf import struct_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from connectra_query.aggregate import messages
from connectra_query.aggregate.models import Aggregate
from connectra_query.columns import columns
from connectra_query.explain.service import Explained, Judged
from connectra_query.export.repository import Chunk, Layout
from connectra_query.filters.service import FilterValuesRequest
from connectra_query.history.service import Change, FieldChange, HistoryRequest
from connectra_query.search.compile import Json
from connectra_query.service import Count, Page, QueryService
from connectra_query.suggest.service import LIMITS, Suggestions, SuggestRequest

_List = pb.ListCompaniesRequest | pb.ListContactsRequest
_Count = pb.CountCompaniesRequest | pb.CountContactsRequest
_Aggregate = pb.AggregateCompaniesRequest | pb.AggregateContactsRequest
_Suggest = pb.SuggestCompaniesRequest | pb.SuggestContactsRequest
_Explain = pb.ExplainCompanyRequest | pb.ExplainContactRequest
_Get = pb.GetCompanyRequest | pb.GetContactRequest
_History = pb.ListCompanyHistoryRequest | pb.ListContactHistoryRequest
_BatchGet = pb.BatchGetCompaniesRequest | pb.BatchGetContactsRequest
_Search = pb.SearchCompaniesRequest | pb.SearchContactsRequest
_Export = pb.ExportCompaniesRequest | pb.ExportContactsRequest
_HistoryPage = TypeVar("_HistoryPage", pb.ListCompanyHistoryResponse, pb.ListContactHistoryResponse)
_Listed = TypeVar("_Listed", pb.ListCompaniesResponse, pb.ListContactsResponse)


class QueryServicer(pb_grpc.QueryServiceServicer):
    """See proto/connectra/query/v1/query_service.proto for what each method promises."""

    def __init__(self, service: QueryService) -> None:
        self._service = service

    async def ListCompanies(self, request: pb.ListCompaniesRequest, context: Context) -> pb.ListCompaniesResponse:
        page = await self._page(COMPANY, request)
        return _with_extras(pb.ListCompaniesResponse(rows=_company_rows(page.rows)), page)

    async def ListContacts(self, request: pb.ListContactsRequest, context: Context) -> pb.ListContactsResponse:
        page = await self._page(CONTACT, request)
        return _with_extras(pb.ListContactsResponse(rows=_contact_rows(page.rows)), page)

    async def CountCompanies(self, request: pb.CountCompaniesRequest, context: Context) -> pb.CountCompaniesResponse:
        count = await self._count(COMPANY, request)
        return pb.CountCompaniesResponse(count=count.value, did_you_mean=count.did_you_mean)

    async def CountContacts(self, request: pb.CountContactsRequest, context: Context) -> pb.CountContactsResponse:
        count = await self._count(CONTACT, request)
        return pb.CountContactsResponse(count=count.value, did_you_mean=count.did_you_mean)

    async def AggregateCompanies(
        self, request: pb.AggregateCompaniesRequest, context: Context
    ) -> pb.AggregateCompaniesResponse:
        matches, meant = await self._aggregate(COMPANY, request)
        return pb.AggregateCompaniesResponse(matches=matches, did_you_mean=meant)

    async def AggregateContacts(
        self, request: pb.AggregateContactsRequest, context: Context
    ) -> pb.AggregateContactsResponse:
        matches, meant = await self._aggregate(CONTACT, request)
        return pb.AggregateContactsResponse(matches=matches, did_you_mean=meant)

    async def SuggestCompanies(
        self, request: pb.SuggestCompaniesRequest, context: Context
    ) -> pb.SuggestCompaniesResponse:
        found = await self._suggest(COMPANY, request)
        values = [pb.Suggestion(**asdict(one)) for one in found.values]
        return pb.SuggestCompaniesResponse(suggestions=values, exact=found.exact)

    async def SuggestContacts(self, request: pb.SuggestContactsRequest, context: Context) -> pb.SuggestContactsResponse:
        found = await self._suggest(CONTACT, request)
        values = [pb.Suggestion(**asdict(one)) for one in found.values]
        return pb.SuggestContactsResponse(suggestions=values, exact=found.exact)

    async def ExplainCompany(self, request: pb.ExplainCompanyRequest, context: Context) -> pb.ExplainCompanyResponse:
        found = await self._explain(COMPANY, request)
        conditions = map(_judged, found.conditions)
        return pb.ExplainCompanyResponse(matches=found.matches, conditions=conditions, did_you_mean=found.did_you_mean)

    async def ExplainContact(self, request: pb.ExplainContactRequest, context: Context) -> pb.ExplainContactResponse:
        found = await self._explain(CONTACT, request)
        conditions = map(_judged, found.conditions)
        return pb.ExplainContactResponse(matches=found.matches, conditions=conditions, did_you_mean=found.did_you_mean)

    async def GetCompany(self, request: pb.GetCompanyRequest, context: Context) -> pb.GetCompanyResponse:
        return pb.GetCompanyResponse(company=_company(await self._get(COMPANY, request)))

    async def GetContact(self, request: pb.GetContactRequest, context: Context) -> pb.GetContactResponse:
        contact = await self._get(CONTACT, request)
        return pb.GetContactResponse(contact=_contact(contact), company=_company_in(contact))

    async def ListCompanyHistory(
        self, request: pb.ListCompanyHistoryRequest, context: Context
    ) -> pb.ListCompanyHistoryResponse:
        return await self._history(COMPANY, request, pb.ListCompanyHistoryResponse())

    async def ListContactHistory(
        self, request: pb.ListContactHistoryRequest, context: Context
    ) -> pb.ListContactHistoryResponse:
        return await self._history(CONTACT, request, pb.ListContactHistoryResponse())

    async def BatchGetCompanies(
        self, request: pb.BatchGetCompaniesRequest, context: Context
    ) -> pb.BatchGetCompaniesResponse:
        companies, missing = await self._batch(COMPANY, request)
        return pb.BatchGetCompaniesResponse(companies=map(_company, companies), missing_uuids=missing)

    async def BatchGetContacts(
        self, request: pb.BatchGetContactsRequest, context: Context
    ) -> pb.BatchGetContactsResponse:
        contacts, missing = await self._batch(CONTACT, request)
        companies: Iterable[records_pb2.Company] = ()
        if names_company(CONTACT, request.select_columns):
            companies = (_company_in(contact) or records_pb2.Company() for contact in contacts)
        return pb.BatchGetContactsResponse(contacts=map(_contact, contacts), missing_uuids=missing, companies=companies)

    async def SearchCompanies(
        self, request: pb.SearchCompaniesRequest, context: Context
    ) -> AsyncIterator[pb.SearchCompaniesResponse]:
        async with aclosing(self._walk(COMPANY, request)) as pages:
            async for rows in pages:
                yield pb.SearchCompaniesResponse(rows=_company_rows(rows))

    async def SearchContacts(
        self, request: pb.SearchContactsRequest, context: Context
    ) -> AsyncIterator[pb.SearchContactsResponse]:
        async with aclosing(self._walk(CONTACT, request)) as pages:
            async for rows in pages:
                yield pb.SearchContactsResponse(rows=_contact_rows(rows))

    async def ListColumns(self, request: pb.ListColumnsRequest, context: Context) -> pb.ListColumnsResponse:
        return pb.ListColumnsResponse(columns=[pb.Column(**asdict(column)) for column in columns(request.service)])

    async def ListFilters(self, request: pb.ListFiltersRequest, context: Context) -> pb.ListFiltersResponse:
        filters = await self._service.filters(request.service, current())
        return pb.ListFiltersResponse(filters=[pb.Filter(**asdict(f)) for f in filters])

    async def ListFilterValues(
        self, request: pb.ListFilterValuesRequest, context: Context
    ) -> pb.ListFilterValuesResponse:
        names = ("filter_key", "search_text", "page", "limit")
        asked = read(FilterValuesRequest, {name: getattr(request, name) for name in names}).model
        values = await self._service.filter_values(request.service, asked, current())
        return pb.ListFilterValuesResponse(values=[pb.FilterValue(value=v, display_value=d) for v, d in values])

    async def ExportCompanies(
        self, request: pb.ExportCompaniesRequest, context: Context
    ) -> AsyncIterator[pb.ExportCompaniesResponse]:
        async with aclosing(self._export(COMPANY, request)) as chunks:
            async for chunk in chunks:
                yield pb.ExportCompaniesResponse(data=chunk.data, rows=chunk.rows)

    async def ExportContacts(
        self, request: pb.ExportContactsRequest, context: Context
    ) -> AsyncIterator[pb.ExportContactsResponse]:
        async with aclosing(self._export(CONTACT, request)) as chunks:
            async for chunk in chunks:
                yield pb.ExportContactsResponse(data=chunk.data, rows=chunk.rows)

    async def CheckHealth(self, request: pb.CheckHealthRequest, context: Context) -> pb.CheckHealthResponse:
        checks = await self._service.health()
        return pb.CheckHealthResponse(
            status="ok" if all(c.ok for c in checks) else "degraded",
            checks=[
                pb.DependencyCheck(name=c.name, status="ok" if c.ok else "down", latency_ms=c.latency_ms)
                for c in checks
            ],
        )

    async def _page(self, entity: Entity, request: _List) -> Page:
        return await self._service.page(entity, _vql(request), current())

    def _walk(self, entity: Entity, request: _Search) -> AsyncGenerator[bytes]:
        return self._service.walk(entity, _vql(request), current())

    async def _batch(self, entity: Entity, request: _BatchGet) -> tuple[list[Json], list[str]]:
        rows, missing = await self._service.batch_get(entity, request.uuids, request.select_columns)
        return orjson.loads(rows), missing

    async def _count(self, entity: Entity, request: _Count) -> Count:
        return await self._service.count(entity, _vql(request), current())

    async def _aggregate(self, entity: Entity, request: _Aggregate) -> tuple[pb.Group, str | None]:
        asked = read(Aggregate, messages.to_json(request)).model
        found = await self._service.aggregate(entity, asked, current())
        return messages.to_group(entity, found.group, found.records), found.did_you_mean

    async def _explain(self, entity: Entity, request: _Explain) -> Explained:
        return await self._service.explain(entity, request.uuid, _vql(request), current())

    async def _suggest(self, entity: Entity, request: _Suggest) -> Suggestions:
        fields = list(request.fields[: LIMITS.fields + 1])
        asked = read(SuggestRequest, {"text": request.text, "fields": fields, "limit": request.limit}).model
        return await self._service.suggest(entity, asked, current())

    async def _get(self, entity: Entity, request: _Get) -> Json:
        row, version = await self._service.get(entity, request.uuid, request.select_columns)
        return {**orjson.loads(row), "row_version": version}

    async def _history(self, entity: Entity, request: _History, page: _HistoryPage) -> _HistoryPage:
        asked = read(HistoryRequest, {"limit": request.limit, "cursor": request.cursor}).model
        history = await self._service.history(entity, request.uuid, asked, current())
        page.entries.extend(map(_history_entry, history.changes))
        page.next_cursor = history.next_cursor or ""
        return page

    def _export(self, entity: Entity, request: _Export) -> AsyncGenerator[Chunk]:
        layout = Layout(ExportFormat.from_proto(request.format) or ExportFormat.CSV, request.keep_formulas)
        return self._service.export(entity, _vql(request), layout, current())


def _vql(request: _List | _Count | _Search | _Export | _Explain) -> Vql:
    return read(Vql, to_json(request.query)).model


def _judged(judged: Judged) -> pb.JudgedCondition:
    condition = struct_pb2.Struct()
    condition.update(judged.condition)
    return pb.JudgedCondition(
        path=judged.path,
        condition=condition,
        met=judged.met,
        excluded=judged.excluded,
        values=map(str, judged.values),
        found=[pb.FoundWord(word=word, fields=fields) for word, fields in (judged.found or {}).items()],
        alike=[pb.AlikeName(**{**one, "by": ALIKE[one["by"]]}) for one in judged.alike or ()],
    )


def _with_extras(message: _Listed, page: Page) -> _Listed:
    message.next_cursor.extend(map(to_value, page.next_cursor or ()))
    if page.total is not None:
        message.total.value, message.total.relation = page.total["value"], page.total["relation"]
    for facet in page.facets or ():
        message.facets.add(
            field=facet["field"],
            other=facet.get("other", 0),
            exact=facet["exact"],
            counts=[_facet_count(count) for count in facet.get("values") or facet.get("ranges") or ()],
        )
    if page.explanation is not None:
        message.explain.update(page.explanation)
    if page.did_you_mean is not None:
        message.did_you_mean = page.did_you_mean
    return message


def _history_entry(change: Change) -> pb.HistoryEntry:
    time = Timestamp()
    time.FromDatetime(change.time)
    return pb.HistoryEntry(
        time=time,
        action=change.action,
        actor=change.actor,
        request_id=change.request_id,
        job_uuid=change.job_uuid,
        row_version=change.row_version,
        changes={name: _field_change(values) for name, values in change.changes.items()},
    )


def _field_change(values: FieldChange) -> pb.FieldChange:
    return pb.FieldChange(**{name: to_value(value) for name, value in asdict(values).items() if value is not None})


def _facet_count(count: Json) -> pb.FacetCount:
    values = {name: to_value(count[name]) for name in ("value", "gte", "lt") if count.get(name) is not None}
    return pb.FacetCount(count=count["count"], **values)


def _company_rows(rows: bytes) -> Iterator[pb.CompanyRow]:
    for row in orjson.loads(rows):
        yield pb.CompanyRow(company=_company(row), cursor=_cursor(row), highlight=_highlight(row))


def _contact_rows(rows: bytes) -> Iterator[pb.ContactRow]:
    for row in orjson.loads(rows):
        yield pb.ContactRow(
            contact=_contact(row), cursor=_cursor(row), company=_company_in(row), highlight=_highlight(row)
        )


def _company_in(row: Json) -> records_pb2.Company | None:
    """The company of a row, which is a member of its own, or whose columns are among those of the contact."""
    named = [(name, column_of(CONTACT, name)) for name in row]
    selected = {of[1].name: row[name] for name, of in named if of and of[0] is COMPANY and row[name] is not None}
    found = (row.get("company") or {}) | selected
    return _company(found) if found else None


def _cursor(row: Json) -> Iterator[struct_pb2.Value]:
    return map(to_value, row["cursor"])


def _highlight(row: Json) -> dict[str, pb.Fragments]:
    return {name: pb.Fragments(values=texts) for name, texts in row.get("highlight", {}).items()}


def _company(record: Json) -> records_pb2.Company:
    message: records_pb2.Company = to_message(COMPANY, record)
    return message


def _contact(record: Json) -> records_pb2.Contact:
    message: records_pb2.Contact = to_message(CONTACT, record)
    return message
