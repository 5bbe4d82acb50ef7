from connectra.common.v1 import export_pb2 as _export_pb2
from connectra.common.v1 import records_pb2 as _records_pb2
from connectra.common.v1 import vql_pb2 as _vql_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListCompaniesRequest(_message.Message):
    __slots__ = ("query",)
    QUERY_FIELD_NUMBER: _ClassVar[int]
    query: _vql_pb2.Vql
    def __init__(self, query: _Optional[_Union[_vql_pb2.Vql, _Mapping]] = ...) -> None: ...

class ListCompaniesResponse(_message.Message):
    __slots__ = ("rows", "total", "facets", "explain")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[CompanyRow]
    total: Total
    facets: _containers.RepeatedCompositeFieldContainer[FacetResult]
    explain: _struct_pb2.Struct
    def __init__(self, rows: _Optional[_Iterable[_Union[CompanyRow, _Mapping]]] = ..., total: _Optional[_Union[Total, _Mapping]] = ..., facets: _Optional[_Iterable[_Union[FacetResult, _Mapping]]] = ..., explain: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class CompanyRow(_message.Message):
    __slots__ = ("company", "cursor", "highlight")
    class HighlightEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Fragments
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Fragments, _Mapping]] = ...) -> None: ...
    COMPANY_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHT_FIELD_NUMBER: _ClassVar[int]
    company: _records_pb2.Company
    cursor: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    highlight: _containers.MessageMap[str, Fragments]
    def __init__(self, company: _Optional[_Union[_records_pb2.Company, _Mapping]] = ..., cursor: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ..., highlight: _Optional[_Mapping[str, Fragments]] = ...) -> None: ...

class Fragments(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class Total(_message.Message):
    __slots__ = ("value", "relation")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    RELATION_FIELD_NUMBER: _ClassVar[int]
    value: int
    relation: str
    def __init__(self, value: _Optional[int] = ..., relation: _Optional[str] = ...) -> None: ...

class FacetResult(_message.Message):
    __slots__ = ("field", "counts", "other", "exact")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    field: str
    counts: _containers.RepeatedCompositeFieldContainer[FacetCount]
    other: int
    exact: bool
    def __init__(self, field: _Optional[str] = ..., counts: _Optional[_Iterable[_Union[FacetCount, _Mapping]]] = ..., other: _Optional[int] = ..., exact: _Optional[bool] = ...) -> None: ...

class FacetCount(_message.Message):
    __slots__ = ("value", "gte", "lt", "count")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    GTE_FIELD_NUMBER: _ClassVar[int]
    LT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    value: _struct_pb2.Value
    gte: _struct_pb2.Value
    lt: _struct_pb2.Value
    count: int
    def __init__(self, value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., gte: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., lt: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class CountCompaniesRequest(_message.Message):
    __slots__ = ("query",)
    QUERY_FIELD_NUMBER: _ClassVar[int]
    query: _vql_pb2.Vql
    def __init__(self, query: _Optional[_Union[_vql_pb2.Vql, _Mapping]] = ...) -> None: ...

class CountCompaniesResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class GetCompanyRequest(_message.Message):
    __slots__ = ("uuid", "select_columns")
    UUID_FIELD_NUMBER: _ClassVar[int]
    SELECT_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    select_columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, uuid: _Optional[str] = ..., select_columns: _Optional[_Iterable[str]] = ...) -> None: ...

class GetCompanyResponse(_message.Message):
    __slots__ = ("company",)
    COMPANY_FIELD_NUMBER: _ClassVar[int]
    company: _records_pb2.Company
    def __init__(self, company: _Optional[_Union[_records_pb2.Company, _Mapping]] = ...) -> None: ...

class BatchGetCompaniesRequest(_message.Message):
    __slots__ = ("uuids", "select_columns")
    UUIDS_FIELD_NUMBER: _ClassVar[int]
    SELECT_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    uuids: _containers.RepeatedScalarFieldContainer[str]
    select_columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, uuids: _Optional[_Iterable[str]] = ..., select_columns: _Optional[_Iterable[str]] = ...) -> None: ...

class BatchGetCompaniesResponse(_message.Message):
    __slots__ = ("companies", "missing_uuids")
    COMPANIES_FIELD_NUMBER: _ClassVar[int]
    MISSING_UUIDS_FIELD_NUMBER: _ClassVar[int]
    companies: _containers.RepeatedCompositeFieldContainer[_records_pb2.Company]
    missing_uuids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, companies: _Optional[_Iterable[_Union[_records_pb2.Company, _Mapping]]] = ..., missing_uuids: _Optional[_Iterable[str]] = ...) -> None: ...

class SearchCompaniesRequest(_message.Message):
    __slots__ = ("query",)
    QUERY_FIELD_NUMBER: _ClassVar[int]
    query: _vql_pb2.Vql
    def __init__(self, query: _Optional[_Union[_vql_pb2.Vql, _Mapping]] = ...) -> None: ...

class SearchCompaniesResponse(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[CompanyRow]
    def __init__(self, rows: _Optional[_Iterable[_Union[CompanyRow, _Mapping]]] = ...) -> None: ...

class ExportCompaniesRequest(_message.Message):
    __slots__ = ("query", "format", "keep_formulas")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    KEEP_FORMULAS_FIELD_NUMBER: _ClassVar[int]
    query: _vql_pb2.Vql
    format: _export_pb2.ExportFormat
    keep_formulas: bool
    def __init__(self, query: _Optional[_Union[_vql_pb2.Vql, _Mapping]] = ..., format: _Optional[_Union[_export_pb2.ExportFormat, str]] = ..., keep_formulas: _Optional[bool] = ...) -> None: ...

class ExportCompaniesResponse(_message.Message):
    __slots__ = ("data", "rows")
    DATA_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    rows: int
    def __init__(self, data: _Optional[bytes] = ..., rows: _Optional[int] = ...) -> None: ...

class ListContactsRequest(_message.Message):
    __slots__ = ("query",)
    QUERY_FIELD_NUMBER: _ClassVar[int]
    query: _vql_pb2.Vql
    def __init__(self, query: _Optional[_Union[_vql_pb2.Vql, _Mapping]] = ...) -> None: ...

class ListContactsResponse(_message.Message):
    __slots__ = ("rows", "total", "facets", "explain")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[ContactRow]
    total: Total
    facets: _containers.RepeatedCompositeFieldContainer[FacetResult]
    explain: _struct_pb2.Struct
    def __init__(self, rows: _Optional[_Iterable[_Union[ContactRow, _Mapping]]] = ..., total: _Optional[_Union[Total, _Mapping]] = ..., facets: _Optional[_Iterable[_Union[FacetResult, _Mapping]]] = ..., explain: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class ContactRow(_message.Message):
    __slots__ = ("contact", "cursor", "company", "highlight")
    class HighlightEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Fragments
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Fragments, _Mapping]] = ...) -> None: ...
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    COMPANY_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHT_FIELD_NUMBER: _ClassVar[int]
    contact: _records_pb2.Contact
    cursor: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    company: _records_pb2.Company
    highlight: _containers.MessageMap[str, Fragments]
    def __init__(self, contact: _Optional[_Union[_records_pb2.Contact, _Mapping]] = ..., cursor: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ..., company: _Optional[_Union[_records_pb2.Company, _Mapping]] = ..., highlight: _Optional[_Mapping[str, Fragments]] = ...) -> None: ...

class CountContactsRequest(_message.Message):
    __slots__ = ("query",)
    QUERY_FIELD_NUMBER: _ClassVar[int]
    query: _vql_pb2.Vql
    def __init__(self, query: _Optional[_Union[_vql_pb2.Vql, _Mapping]] = ...) -> None: ...

class CountContactsResponse(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class GetContactRequest(_message.Message):
    __slots__ = ("uuid", "select_columns")
    UUID_FIELD_NUMBER: _ClassVar[int]
    SELECT_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    select_columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, uuid: _Optional[str] = ..., select_columns: _Optional[_Iterable[str]] = ...) -> None: ...

class GetContactResponse(_message.Message):
    __slots__ = ("contact",)
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    contact: _records_pb2.Contact
    def __init__(self, contact: _Optional[_Union[_records_pb2.Contact, _Mapping]] = ...) -> None: ...

class BatchGetContactsRequest(_message.Message):
    __slots__ = ("uuids", "select_columns")
    UUIDS_FIELD_NUMBER: _ClassVar[int]
    SELECT_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    uuids: _containers.RepeatedScalarFieldContainer[str]
    select_columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, uuids: _Optional[_Iterable[str]] = ..., select_columns: _Optional[_Iterable[str]] = ...) -> None: ...

class BatchGetContactsResponse(_message.Message):
    __slots__ = ("contacts", "missing_uuids")
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    MISSING_UUIDS_FIELD_NUMBER: _ClassVar[int]
    contacts: _containers.RepeatedCompositeFieldContainer[_records_pb2.Contact]
    missing_uuids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, contacts: _Optional[_Iterable[_Union[_records_pb2.Contact, _Mapping]]] = ..., missing_uuids: _Optional[_Iterable[str]] = ...) -> None: ...

class SearchContactsRequest(_message.Message):
    __slots__ = ("query",)
    QUERY_FIELD_NUMBER: _ClassVar[int]
    query: _vql_pb2.Vql
    def __init__(self, query: _Optional[_Union[_vql_pb2.Vql, _Mapping]] = ...) -> None: ...

class SearchContactsResponse(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[ContactRow]
    def __init__(self, rows: _Optional[_Iterable[_Union[ContactRow, _Mapping]]] = ...) -> None: ...

class ExportContactsRequest(_message.Message):
    __slots__ = ("query", "format", "keep_formulas")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    KEEP_FORMULAS_FIELD_NUMBER: _ClassVar[int]
    query: _vql_pb2.Vql
    format: _export_pb2.ExportFormat
    keep_formulas: bool
    def __init__(self, query: _Optional[_Union[_vql_pb2.Vql, _Mapping]] = ..., format: _Optional[_Union[_export_pb2.ExportFormat, str]] = ..., keep_formulas: _Optional[bool] = ...) -> None: ...

class ExportContactsResponse(_message.Message):
    __slots__ = ("data", "rows")
    DATA_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    rows: int
    def __init__(self, data: _Optional[bytes] = ..., rows: _Optional[int] = ...) -> None: ...

class ListFiltersRequest(_message.Message):
    __slots__ = ("service",)
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    service: str
    def __init__(self, service: _Optional[str] = ...) -> None: ...

class ListFiltersResponse(_message.Message):
    __slots__ = ("filters",)
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    filters: _containers.RepeatedCompositeFieldContainer[Filter]
    def __init__(self, filters: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("id", "key", "service", "filter_type", "display_name", "direct_derived", "active")
    ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    FILTER_TYPE_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DIRECT_DERIVED_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    id: int
    key: str
    service: str
    filter_type: str
    display_name: str
    direct_derived: bool
    active: bool
    def __init__(self, id: _Optional[int] = ..., key: _Optional[str] = ..., service: _Optional[str] = ..., filter_type: _Optional[str] = ..., display_name: _Optional[str] = ..., direct_derived: _Optional[bool] = ..., active: _Optional[bool] = ...) -> None: ...

class ListFilterValuesRequest(_message.Message):
    __slots__ = ("service", "filter_key", "search_text", "page", "limit")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    FILTER_KEY_FIELD_NUMBER: _ClassVar[int]
    SEARCH_TEXT_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    service: str
    filter_key: str
    search_text: str
    page: int
    limit: int
    def __init__(self, service: _Optional[str] = ..., filter_key: _Optional[str] = ..., search_text: _Optional[str] = ..., page: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListFilterValuesResponse(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[FilterValue]
    def __init__(self, values: _Optional[_Iterable[_Union[FilterValue, _Mapping]]] = ...) -> None: ...

class FilterValue(_message.Message):
    __slots__ = ("value", "display_value")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_VALUE_FIELD_NUMBER: _ClassVar[int]
    value: str
    display_value: str
    def __init__(self, value: _Optional[str] = ..., display_value: _Optional[str] = ...) -> None: ...

class CheckHealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CheckHealthResponse(_message.Message):
    __slots__ = ("status", "checks")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    status: str
    checks: _containers.RepeatedCompositeFieldContainer[DependencyCheck]
    def __init__(self, status: _Optional[str] = ..., checks: _Optional[_Iterable[_Union[DependencyCheck, _Mapping]]] = ...) -> None: ...

class DependencyCheck(_message.Message):
    __slots__ = ("name", "status", "latency_ms")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: str
    latency_ms: float
    def __init__(self, name: _Optional[str] = ..., status: _Optional[str] = ..., latency_ms: _Optional[float] = ...) -> None: ...
