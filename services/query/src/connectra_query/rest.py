"""The REST door: JSON as documented. Methods that are not here answer 501."""

from dataclasses import asdict

from connectra.query.v1 import query_rest_pb2 as pb
from connectra.query.v1 import query_rest_pb2_grpc as pb_grpc
from connectra_common.call import current
from connectra_common.records.fields import COMPANY, CONTACT, Entity
from connectra_common.records.sql import names_company
from connectra_common.requests import read
from connectra_common.server import Context
from connectra_common.server.rest import envelope, read_object, reply, send_headers
from connectra_common.times import rfc3339
from connectra_common.vql.model import Vql
from google.api.httpbody_pb2 import HttpBody

from connectra_query.aggregate.models import Aggregate
from connectra_query.aggregate.service import document
from connectra_query.columns import columns
from connectra_query.filters.service import FilterValuesRequest
from connectra_query.history.service import HistoryRequest
from connectra_query.service import QueryService
from connectra_query.suggest.service import SuggestRequest

_List = pb.ListCompaniesRestRequest | pb.ListContactsRestRequest
_Count = pb.CountCompaniesRestRequest | pb.CountContactsRestRequest
_Aggregate = pb.AggregateCompaniesRestRequest | pb.AggregateContactsRestRequest
_Suggest = pb.SuggestCompaniesRestRequest | pb.SuggestContactsRestRequest
_Explain = pb.ExplainCompanyRestRequest | pb.ExplainContactRestRequest
_Get = pb.GetCompanyRestRequest | pb.GetContactRestRequest
_History = pb.ListCompanyHistoryRestRequest | pb.ListContactHistoryRestRequest
_FilterValues = (
    pb.ListFilterValuesRestRequest | pb.ListCompanyFilterValuesRestRequest | pb.ListContactFilterValuesRestRequest
)


class QueryRestServicer(pb_grpc.QueryRestServiceServicer):
    """See proto/connectra/query/v1/query_rest.proto."""

    def __init__(self, service: QueryService) -> None:
        self._service = service

    async def GetHealth(self, request: pb.GetHealthRequest, context: Context) -> HttpBody:
        return reply({"status": "ok"})

    async def GetDependencyHealth(self, request: pb.GetDependencyHealthRequest, context: Context) -> HttpBody:
        checks = await self._service.health()
        ok = {check.name: check.ok for check in checks}
        if not ok["postgres"]:
            await send_headers(context, status=503)
        return reply(
            {
                "status": "ok" if all(ok.values()) else "degraded",
                "checks": {c.name: {"status": "ok" if c.ok else "down", "latency_ms": c.latency_ms} for c in checks},
            }
        )

    async def ListCompanies(self, request: pb.ListCompaniesRestRequest, context: Context) -> HttpBody:
        return await self._list(COMPANY, request)

    async def ListContacts(self, request: pb.ListContactsRestRequest, context: Context) -> HttpBody:
        return await self._list(CONTACT, request)

    async def CountCompanies(self, request: pb.CountCompaniesRestRequest, context: Context) -> HttpBody:
        return await self._count(COMPANY, request)

    async def CountContacts(self, request: pb.CountContactsRestRequest, context: Context) -> HttpBody:
        return await self._count(CONTACT, request)

    async def AggregateCompanies(self, request: pb.AggregateCompaniesRestRequest, context: Context) -> HttpBody:
        return await self._aggregate(COMPANY, request)

    async def AggregateContacts(self, request: pb.AggregateContactsRestRequest, context: Context) -> HttpBody:
        return await self._aggregate(CONTACT, request)

    async def SuggestCompanies(self, request: pb.SuggestCompaniesRestRequest, context: Context) -> HttpBody:
        return await self._suggest(COMPANY, request)

    async def SuggestContacts(self, request: pb.SuggestContactsRestRequest, context: Context) -> HttpBody:
        return await self._suggest(CONTACT, request)

    async def ExplainCompany(self, request: pb.ExplainCompanyRestRequest, context: Context) -> HttpBody:
        return await self._explain(COMPANY, request)

    async def ExplainContact(self, request: pb.ExplainContactRestRequest, context: Context) -> HttpBody:
        return await self._explain(CONTACT, request)

    async def GetCompany(self, request: pb.GetCompanyRestRequest, context: Context) -> HttpBody:
        return await self._get(COMPANY, request, context)

    async def GetContact(self, request: pb.GetContactRestRequest, context: Context) -> HttpBody:
        return await self._get(CONTACT, request, context)

    async def ListCompanyHistory(self, request: pb.ListCompanyHistoryRestRequest, context: Context) -> HttpBody:
        return await self._history(COMPANY, request)

    async def ListContactHistory(self, request: pb.ListContactHistoryRestRequest, context: Context) -> HttpBody:
        return await self._history(CONTACT, request)

    async def ListCompanyColumns(self, request: pb.ListCompanyColumnsRestRequest, context: Context) -> HttpBody:
        return self._columns(COMPANY.name)

    async def ListContactColumns(self, request: pb.ListContactColumnsRestRequest, context: Context) -> HttpBody:
        return self._columns(CONTACT.name)

    async def ListColumns(self, request: pb.ListColumnsRestRequest, context: Context) -> HttpBody:
        return self._columns(request.service)

    async def ListCompanyFilters(self, request: pb.ListCompanyFiltersRestRequest, context: Context) -> HttpBody:
        return await self._filters(COMPANY.name)

    async def ListContactFilters(self, request: pb.ListContactFiltersRestRequest, context: Context) -> HttpBody:
        return await self._filters(CONTACT.name)

    async def ListFilters(self, request: pb.ListFiltersRestRequest, context: Context) -> HttpBody:
        return await self._filters(request.service)

    async def ListCompanyFilterValues(
        self, request: pb.ListCompanyFilterValuesRestRequest, context: Context
    ) -> HttpBody:
        return await self._filter_values(COMPANY.name, request)

    async def ListContactFilterValues(
        self, request: pb.ListContactFilterValuesRestRequest, context: Context
    ) -> HttpBody:
        return await self._filter_values(CONTACT.name, request)

    async def ListFilterValues(self, request: pb.ListFilterValuesRestRequest, context: Context) -> HttpBody:
        return await self._filter_values(request.service, request)

    async def _history(self, entity: Entity, request: _History) -> HttpBody:
        given = {name: text for name in ("limit", "cursor") if (text := getattr(request, name))}
        history = await self._service.history(entity, request.uuid, read(HistoryRequest, given).model, current())
        data = [{**asdict(change), "time": rfc3339(change.time)} for change in history.changes]
        return envelope(data=data, success=True, next_cursor=history.next_cursor)

    def _columns(self, service: str) -> HttpBody:
        return envelope(data=[asdict(column) for column in columns(service)])

    async def _filters(self, service: str) -> HttpBody:
        filters = await self._service.filters(service, current())
        return envelope(data=[{**asdict(f), "deleted_at": None} for f in filters])

    async def _filter_values(self, service: str, request: _FilterValues) -> HttpBody:
        # The path says which service; clients send it in the body too.
        asked, warnings = read(FilterValuesRequest, await read_object(request.body), "service")
        values = await self._service.filter_values(service, asked, current())
        data = [{"value": value, "display_value": shown} for value, shown in values]
        return envelope(data=data, warnings=warnings or None)

    async def _list(self, entity: Entity, request: _List) -> HttpBody:
        query, warnings = read(Vql, await read_object(request.body))
        page = await self._service.page(entity, query, current())
        return envelope(
            data=page.rows,
            next_cursor=page.next_cursor,
            total=page.total,
            facets=page.facets,
            explain=page.explanation,
            did_you_mean=page.did_you_mean,
            warnings=warnings or None,
        )

    async def _count(self, entity: Entity, request: _Count) -> HttpBody:
        query, warnings = read(Vql, await read_object(request.body))
        count = await self._service.count(entity, query, current())
        return envelope(count=count.value, did_you_mean=count.did_you_mean, warnings=warnings or None)

    async def _aggregate(self, entity: Entity, request: _Aggregate) -> HttpBody:
        asked, warnings = read(Aggregate, await read_object(request.body))
        found = await self._service.aggregate(entity, asked, current())
        data = document(asked, found.group, found.records)
        return envelope(data=data, did_you_mean=found.did_you_mean, warnings=warnings or None)

    async def _explain(self, entity: Entity, request: _Explain) -> HttpBody:
        query, warnings = read(Vql, await read_object(request.body))
        found = await self._service.explain(entity, request.uuid, query, current())
        conditions = [{n: v for n, v in asdict(one).items() if v is not None} for one in found.conditions]
        data = {"matches": found.matches, "conditions": conditions}
        return envelope(data=data, did_you_mean=found.did_you_mean, warnings=warnings or None)

    async def _suggest(self, entity: Entity, request: _Suggest) -> HttpBody:
        asked, warnings = read(SuggestRequest, await read_object(request.body))
        found = await self._service.suggest(entity, asked, current())
        return envelope(data=[asdict(one) for one in found.values], exact=found.exact, warnings=warnings or None)

    async def _get(self, entity: Entity, request: _Get, context: Context) -> HttpBody:
        columns = [name.strip() for name in request.select_columns.split(",") if name.strip()]
        row, version = await self._service.get(entity, request.uuid, columns)
        # The version is the contact's, while columns of its company change without it.
        if current().has(version) and not names_company(entity, columns):
            await send_headers(context, status=304, etag=f'"{version}"')
            return HttpBody()
        await send_headers(context, etag=f'"{version}"')
        return envelope(data=row)
