from connectra.common.v1 import records_pb2 as _records_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateCompanyRequest(_message.Message):
    __slots__ = ("company",)
    COMPANY_FIELD_NUMBER: _ClassVar[int]
    company: _records_pb2.Company
    def __init__(self, company: _Optional[_Union[_records_pb2.Company, _Mapping]] = ...) -> None: ...

class CreateCompanyResponse(_message.Message):
    __slots__ = ("company", "consistency_token")
    COMPANY_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    company: _records_pb2.Company
    consistency_token: str
    def __init__(self, company: _Optional[_Union[_records_pb2.Company, _Mapping]] = ..., consistency_token: _Optional[str] = ...) -> None: ...

class UpdateCompanyRequest(_message.Message):
    __slots__ = ("company", "update_mask", "row_version")
    COMPANY_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ROW_VERSION_FIELD_NUMBER: _ClassVar[int]
    company: _records_pb2.Company
    update_mask: _field_mask_pb2.FieldMask
    row_version: int
    def __init__(self, company: _Optional[_Union[_records_pb2.Company, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., row_version: _Optional[int] = ...) -> None: ...

class UpdateCompanyResponse(_message.Message):
    __slots__ = ("company", "consistency_token")
    COMPANY_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    company: _records_pb2.Company
    consistency_token: str
    def __init__(self, company: _Optional[_Union[_records_pb2.Company, _Mapping]] = ..., consistency_token: _Optional[str] = ...) -> None: ...

class DeleteCompanyRequest(_message.Message):
    __slots__ = ("uuid", "row_version")
    UUID_FIELD_NUMBER: _ClassVar[int]
    ROW_VERSION_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    row_version: int
    def __init__(self, uuid: _Optional[str] = ..., row_version: _Optional[int] = ...) -> None: ...

class DeleteCompanyResponse(_message.Message):
    __slots__ = ("consistency_token",)
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    consistency_token: str
    def __init__(self, consistency_token: _Optional[str] = ...) -> None: ...

class UpsertCompanyRequest(_message.Message):
    __slots__ = ("company",)
    COMPANY_FIELD_NUMBER: _ClassVar[int]
    company: _records_pb2.Company
    def __init__(self, company: _Optional[_Union[_records_pb2.Company, _Mapping]] = ...) -> None: ...

class UpsertCompanyResponse(_message.Message):
    __slots__ = ("company", "is_new", "consistency_token")
    COMPANY_FIELD_NUMBER: _ClassVar[int]
    IS_NEW_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    company: _records_pb2.Company
    is_new: bool
    consistency_token: str
    def __init__(self, company: _Optional[_Union[_records_pb2.Company, _Mapping]] = ..., is_new: _Optional[bool] = ..., consistency_token: _Optional[str] = ...) -> None: ...

class BatchUpsertCompaniesRequest(_message.Message):
    __slots__ = ("companies",)
    COMPANIES_FIELD_NUMBER: _ClassVar[int]
    companies: _containers.RepeatedCompositeFieldContainer[_records_pb2.Company]
    def __init__(self, companies: _Optional[_Iterable[_Union[_records_pb2.Company, _Mapping]]] = ...) -> None: ...

class BatchUpsertCompaniesResponse(_message.Message):
    __slots__ = ("result", "consistency_token")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    result: BatchResult
    consistency_token: str
    def __init__(self, result: _Optional[_Union[BatchResult, _Mapping]] = ..., consistency_token: _Optional[str] = ...) -> None: ...

class CreateContactRequest(_message.Message):
    __slots__ = ("contact",)
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    contact: _records_pb2.Contact
    def __init__(self, contact: _Optional[_Union[_records_pb2.Contact, _Mapping]] = ...) -> None: ...

class CreateContactResponse(_message.Message):
    __slots__ = ("contact", "consistency_token")
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    contact: _records_pb2.Contact
    consistency_token: str
    def __init__(self, contact: _Optional[_Union[_records_pb2.Contact, _Mapping]] = ..., consistency_token: _Optional[str] = ...) -> None: ...

class UpdateContactRequest(_message.Message):
    __slots__ = ("contact", "update_mask", "row_version")
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ROW_VERSION_FIELD_NUMBER: _ClassVar[int]
    contact: _records_pb2.Contact
    update_mask: _field_mask_pb2.FieldMask
    row_version: int
    def __init__(self, contact: _Optional[_Union[_records_pb2.Contact, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., row_version: _Optional[int] = ...) -> None: ...

class UpdateContactResponse(_message.Message):
    __slots__ = ("contact", "consistency_token")
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    contact: _records_pb2.Contact
    consistency_token: str
    def __init__(self, contact: _Optional[_Union[_records_pb2.Contact, _Mapping]] = ..., consistency_token: _Optional[str] = ...) -> None: ...

class DeleteContactRequest(_message.Message):
    __slots__ = ("uuid", "row_version")
    UUID_FIELD_NUMBER: _ClassVar[int]
    ROW_VERSION_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    row_version: int
    def __init__(self, uuid: _Optional[str] = ..., row_version: _Optional[int] = ...) -> None: ...

class DeleteContactResponse(_message.Message):
    __slots__ = ("consistency_token",)
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    consistency_token: str
    def __init__(self, consistency_token: _Optional[str] = ...) -> None: ...

class UpsertContactRequest(_message.Message):
    __slots__ = ("contact",)
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    contact: _records_pb2.Contact
    def __init__(self, contact: _Optional[_Union[_records_pb2.Contact, _Mapping]] = ...) -> None: ...

class UpsertContactResponse(_message.Message):
    __slots__ = ("contact", "is_new", "consistency_token")
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    IS_NEW_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    contact: _records_pb2.Contact
    is_new: bool
    consistency_token: str
    def __init__(self, contact: _Optional[_Union[_records_pb2.Contact, _Mapping]] = ..., is_new: _Optional[bool] = ..., consistency_token: _Optional[str] = ...) -> None: ...

class BatchUpsertContactsRequest(_message.Message):
    __slots__ = ("contacts",)
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    contacts: _containers.RepeatedCompositeFieldContainer[_records_pb2.Contact]
    def __init__(self, contacts: _Optional[_Iterable[_Union[_records_pb2.Contact, _Mapping]]] = ...) -> None: ...

class BatchUpsertContactsResponse(_message.Message):
    __slots__ = ("result", "consistency_token")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    result: BatchResult
    consistency_token: str
    def __init__(self, result: _Optional[_Union[BatchResult, _Mapping]] = ..., consistency_token: _Optional[str] = ...) -> None: ...

class BatchResult(_message.Message):
    __slots__ = ("total_count", "success_count", "error_count", "created", "updated", "errors")
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    total_count: int
    success_count: int
    error_count: int
    created: int
    updated: int
    errors: _containers.RepeatedCompositeFieldContainer[RecordError]
    def __init__(self, total_count: _Optional[int] = ..., success_count: _Optional[int] = ..., error_count: _Optional[int] = ..., created: _Optional[int] = ..., updated: _Optional[int] = ..., errors: _Optional[_Iterable[_Union[RecordError, _Mapping]]] = ...) -> None: ...

class RecordError(_message.Message):
    __slots__ = ("index", "uuid", "error", "fields")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    index: int
    uuid: str
    error: str
    fields: _containers.RepeatedCompositeFieldContainer[_records_pb2.Warning]
    def __init__(self, index: _Optional[int] = ..., uuid: _Optional[str] = ..., error: _Optional[str] = ..., fields: _Optional[_Iterable[_Union[_records_pb2.Warning, _Mapping]]] = ...) -> None: ...

class BatchUpsertRowsRequest(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[CsvRow]
    def __init__(self, rows: _Optional[_Iterable[_Union[CsvRow, _Mapping]]] = ...) -> None: ...

class CsvRow(_message.Message):
    __slots__ = ("values",)
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.ScalarMap[str, str]
    def __init__(self, values: _Optional[_Mapping[str, str]] = ...) -> None: ...

class BatchUpsertRowsResponse(_message.Message):
    __slots__ = ("result", "consistency_token")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    result: BatchResult
    consistency_token: str
    def __init__(self, result: _Optional[_Union[BatchResult, _Mapping]] = ..., consistency_token: _Optional[str] = ...) -> None: ...

class ImportBatchRequest(_message.Message):
    __slots__ = ("job_uuid", "batch_number", "records", "columns", "delimiter", "first_line", "byte_start", "byte_end")
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    BATCH_NUMBER_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    DELIMITER_FIELD_NUMBER: _ClassVar[int]
    FIRST_LINE_FIELD_NUMBER: _ClassVar[int]
    BYTE_START_FIELD_NUMBER: _ClassVar[int]
    BYTE_END_FIELD_NUMBER: _ClassVar[int]
    job_uuid: str
    batch_number: int
    records: bytes
    columns: _containers.RepeatedScalarFieldContainer[str]
    delimiter: str
    first_line: int
    byte_start: int
    byte_end: int
    def __init__(self, job_uuid: _Optional[str] = ..., batch_number: _Optional[int] = ..., records: _Optional[bytes] = ..., columns: _Optional[_Iterable[str]] = ..., delimiter: _Optional[str] = ..., first_line: _Optional[int] = ..., byte_start: _Optional[int] = ..., byte_end: _Optional[int] = ...) -> None: ...

class ImportBatchResponse(_message.Message):
    __slots__ = ("counts", "rejected", "consistency_token", "replayed")
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    counts: ImportCounts
    rejected: _containers.RepeatedCompositeFieldContainer[RejectedRow]
    consistency_token: str
    replayed: bool
    def __init__(self, counts: _Optional[_Union[ImportCounts, _Mapping]] = ..., rejected: _Optional[_Iterable[_Union[RejectedRow, _Mapping]]] = ..., consistency_token: _Optional[str] = ..., replayed: _Optional[bool] = ...) -> None: ...

class ImportCounts(_message.Message):
    __slots__ = ("rows", "rejected", "created", "updated", "unchanged")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    rows: int
    rejected: int
    created: int
    updated: int
    unchanged: int
    def __init__(self, rows: _Optional[int] = ..., rejected: _Optional[int] = ..., created: _Optional[int] = ..., updated: _Optional[int] = ..., unchanged: _Optional[int] = ...) -> None: ...

class RejectedRow(_message.Message):
    __slots__ = ("line", "reason", "record")
    LINE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    line: int
    reason: str
    record: str
    def __init__(self, line: _Optional[int] = ..., reason: _Optional[str] = ..., record: _Optional[str] = ...) -> None: ...

class GetImportProgressRequest(_message.Message):
    __slots__ = ("job_uuid",)
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    job_uuid: str
    def __init__(self, job_uuid: _Optional[str] = ...) -> None: ...

class GetImportProgressResponse(_message.Message):
    __slots__ = ("batches", "byte_offset", "next_line", "counts", "consistency_token")
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    BYTE_OFFSET_FIELD_NUMBER: _ClassVar[int]
    NEXT_LINE_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    batches: int
    byte_offset: int
    next_line: int
    counts: ImportCounts
    consistency_token: str
    def __init__(self, batches: _Optional[int] = ..., byte_offset: _Optional[int] = ..., next_line: _Optional[int] = ..., counts: _Optional[_Union[ImportCounts, _Mapping]] = ..., consistency_token: _Optional[str] = ...) -> None: ...
