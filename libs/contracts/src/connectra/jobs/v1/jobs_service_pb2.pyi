import datetime

from connectra.common.v1 import export_pb2 as _export_pb2
from connectra.common.v1 import vql_pb2 as _vql_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Job(_message.Message):
    __slots__ = ("id", "uuid", "job_type", "data", "status", "job_response", "retry_count", "retry_interval", "run_after", "attempts", "progress", "created_at", "updated_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    JOB_TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    JOB_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    RETRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    RETRY_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    RUN_AFTER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: int
    uuid: str
    job_type: str
    data: _struct_pb2.Struct
    status: str
    job_response: _struct_pb2.Struct
    retry_count: int
    retry_interval: int
    run_after: _timestamp_pb2.Timestamp
    attempts: int
    progress: _struct_pb2.Struct
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[int] = ..., uuid: _Optional[str] = ..., job_type: _Optional[str] = ..., data: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., status: _Optional[str] = ..., job_response: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., retry_count: _Optional[int] = ..., retry_interval: _Optional[int] = ..., run_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempts: _Optional[int] = ..., progress: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateJobRequest(_message.Message):
    __slots__ = ("import_file", "export_query", "retry_count")
    IMPORT_FILE_FIELD_NUMBER: _ClassVar[int]
    EXPORT_QUERY_FIELD_NUMBER: _ClassVar[int]
    RETRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    import_file: ImportFile
    export_query: ExportQuery
    retry_count: int
    def __init__(self, import_file: _Optional[_Union[ImportFile, _Mapping]] = ..., export_query: _Optional[_Union[ExportQuery, _Mapping]] = ..., retry_count: _Optional[int] = ...) -> None: ...

class ImportFile(_message.Message):
    __slots__ = ("s3_key", "s3_bucket", "max_rejected_rows", "max_rejected_share", "validate_only")
    S3_KEY_FIELD_NUMBER: _ClassVar[int]
    S3_BUCKET_FIELD_NUMBER: _ClassVar[int]
    MAX_REJECTED_ROWS_FIELD_NUMBER: _ClassVar[int]
    MAX_REJECTED_SHARE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    s3_key: str
    s3_bucket: str
    max_rejected_rows: int
    max_rejected_share: float
    validate_only: bool
    def __init__(self, s3_key: _Optional[str] = ..., s3_bucket: _Optional[str] = ..., max_rejected_rows: _Optional[int] = ..., max_rejected_share: _Optional[float] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class ExportQuery(_message.Message):
    __slots__ = ("service", "vql", "s3_bucket", "format", "gzip", "keep_formulas")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    VQL_FIELD_NUMBER: _ClassVar[int]
    S3_BUCKET_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    GZIP_FIELD_NUMBER: _ClassVar[int]
    KEEP_FORMULAS_FIELD_NUMBER: _ClassVar[int]
    service: str
    vql: _vql_pb2.Vql
    s3_bucket: str
    format: _export_pb2.ExportFormat
    gzip: bool
    keep_formulas: bool
    def __init__(self, service: _Optional[str] = ..., vql: _Optional[_Union[_vql_pb2.Vql, _Mapping]] = ..., s3_bucket: _Optional[str] = ..., format: _Optional[_Union[_export_pb2.ExportFormat, str]] = ..., gzip: _Optional[bool] = ..., keep_formulas: _Optional[bool] = ...) -> None: ...

class CreateJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("job_type", "statuses", "limit", "created_after", "created_before", "cursor", "page")
    JOB_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    job_type: str
    statuses: _containers.RepeatedScalarFieldContainer[str]
    limit: int
    created_after: _timestamp_pb2.Timestamp
    created_before: _timestamp_pb2.Timestamp
    cursor: str
    page: int
    def __init__(self, job_type: _Optional[str] = ..., statuses: _Optional[_Iterable[str]] = ..., limit: _Optional[int] = ..., created_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cursor: _Optional[str] = ..., page: _Optional[int] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_cursor")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_cursor: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("uuid",)
    UUID_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    def __init__(self, uuid: _Optional[str] = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("uuid",)
    UUID_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    def __init__(self, uuid: _Optional[str] = ...) -> None: ...

class CancelJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class RetryJobRequest(_message.Message):
    __slots__ = ("uuid",)
    UUID_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    def __init__(self, uuid: _Optional[str] = ...) -> None: ...

class RetryJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("uuid",)
    UUID_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    def __init__(self, uuid: _Optional[str] = ...) -> None: ...

class WatchJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class ListJobFilesRequest(_message.Message):
    __slots__ = ("uuid",)
    UUID_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    def __init__(self, uuid: _Optional[str] = ...) -> None: ...

class ListJobFilesResponse(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[JobFile]
    def __init__(self, files: _Optional[_Iterable[_Union[JobFile, _Mapping]]] = ...) -> None: ...

class JobFile(_message.Message):
    __slots__ = ("kind", "s3_key", "size_bytes", "download_url")
    KIND_FIELD_NUMBER: _ClassVar[int]
    S3_KEY_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DOWNLOAD_URL_FIELD_NUMBER: _ClassVar[int]
    kind: str
    s3_key: str
    size_bytes: int
    download_url: str
    def __init__(self, kind: _Optional[str] = ..., s3_key: _Optional[str] = ..., size_bytes: _Optional[int] = ..., download_url: _Optional[str] = ...) -> None: ...

class CreateUploadUrlRequest(_message.Message):
    __slots__ = ("filename",)
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    filename: str
    def __init__(self, filename: _Optional[str] = ...) -> None: ...

class CreateUploadUrlResponse(_message.Message):
    __slots__ = ("upload_url", "s3_key", "expires_in_seconds")
    UPLOAD_URL_FIELD_NUMBER: _ClassVar[int]
    S3_KEY_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    upload_url: str
    s3_key: str
    expires_in_seconds: int
    def __init__(self, upload_url: _Optional[str] = ..., s3_key: _Optional[str] = ..., expires_in_seconds: _Optional[int] = ...) -> None: ...
