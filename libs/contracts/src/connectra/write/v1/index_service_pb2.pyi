from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetIndexStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetIndexStatusResponse(_message.Message):
    __slots__ = ("pending", "oldest_pending_seconds", "dead_letters", "indices", "indexers")
    PENDING_FIELD_NUMBER: _ClassVar[int]
    OLDEST_PENDING_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    INDEXERS_FIELD_NUMBER: _ClassVar[int]
    pending: int
    oldest_pending_seconds: float
    dead_letters: int
    indices: _containers.RepeatedCompositeFieldContainer[IndexState]
    indexers: int
    def __init__(self, pending: _Optional[int] = ..., oldest_pending_seconds: _Optional[float] = ..., dead_letters: _Optional[int] = ..., indices: _Optional[_Iterable[_Union[IndexState, _Mapping]]] = ..., indexers: _Optional[int] = ...) -> None: ...

class IndexState(_message.Message):
    __slots__ = ("entity", "index_name", "documents", "previous", "rebuild")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    REBUILD_FIELD_NUMBER: _ClassVar[int]
    entity: str
    index_name: str
    documents: int
    previous: str
    rebuild: ReindexResponse
    def __init__(self, entity: _Optional[str] = ..., index_name: _Optional[str] = ..., documents: _Optional[int] = ..., previous: _Optional[str] = ..., rebuild: _Optional[_Union[ReindexResponse, _Mapping]] = ...) -> None: ...

class ListDeadLettersRequest(_message.Message):
    __slots__ = ("limit", "page_token")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    limit: int
    page_token: str
    def __init__(self, limit: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDeadLettersResponse(_message.Message):
    __slots__ = ("dead_letters", "next_page_token")
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dead_letters: _containers.RepeatedCompositeFieldContainer[DeadLetter]
    next_page_token: str
    def __init__(self, dead_letters: _Optional[_Iterable[_Union[DeadLetter, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("entity", "uuid", "reason")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    entity: str
    uuid: str
    reason: str
    def __init__(self, entity: _Optional[str] = ..., uuid: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ReplayDeadLettersRequest(_message.Message):
    __slots__ = ("uuids",)
    UUIDS_FIELD_NUMBER: _ClassVar[int]
    uuids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, uuids: _Optional[_Iterable[str]] = ...) -> None: ...

class ReplayDeadLettersResponse(_message.Message):
    __slots__ = ("replayed",)
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    replayed: int
    def __init__(self, replayed: _Optional[int] = ...) -> None: ...

class ReindexRequest(_message.Message):
    __slots__ = ("entity", "abort", "shards", "accept_other_answers")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    ABORT_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_OTHER_ANSWERS_FIELD_NUMBER: _ClassVar[int]
    entity: str
    abort: bool
    shards: int
    accept_other_answers: bool
    def __init__(self, entity: _Optional[str] = ..., abort: _Optional[bool] = ..., shards: _Optional[int] = ..., accept_other_answers: _Optional[bool] = ...) -> None: ...

class ReindexResponse(_message.Message):
    __slots__ = ("phase", "documents_done", "documents_total", "index_name")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_DONE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    phase: str
    documents_done: int
    documents_total: int
    index_name: str
    def __init__(self, phase: _Optional[str] = ..., documents_done: _Optional[int] = ..., documents_total: _Optional[int] = ..., index_name: _Optional[str] = ...) -> None: ...

class RollbackIndexRequest(_message.Message):
    __slots__ = ("entity",)
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    entity: str
    def __init__(self, entity: _Optional[str] = ...) -> None: ...

class RollbackIndexResponse(_message.Message):
    __slots__ = ("index_name", "marked")
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    MARKED_FIELD_NUMBER: _ClassVar[int]
    index_name: str
    marked: int
    def __init__(self, index_name: _Optional[str] = ..., marked: _Optional[int] = ...) -> None: ...

class DropPreviousIndexRequest(_message.Message):
    __slots__ = ("entity",)
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    entity: str
    def __init__(self, entity: _Optional[str] = ...) -> None: ...

class DropPreviousIndexResponse(_message.Message):
    __slots__ = ("index_name",)
    INDEX_NAME_FIELD_NUMBER: _ClassVar[int]
    index_name: str
    def __init__(self, index_name: _Optional[str] = ...) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("entity", "repair", "after_uuid", "records_per_second", "max_seconds")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    REPAIR_FIELD_NUMBER: _ClassVar[int]
    AFTER_UUID_FIELD_NUMBER: _ClassVar[int]
    RECORDS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    MAX_SECONDS_FIELD_NUMBER: _ClassVar[int]
    entity: str
    repair: bool
    after_uuid: str
    records_per_second: int
    max_seconds: int
    def __init__(self, entity: _Optional[str] = ..., repair: _Optional[bool] = ..., after_uuid: _Optional[str] = ..., records_per_second: _Optional[int] = ..., max_seconds: _Optional[int] = ...) -> None: ...

class VerifyResponse(_message.Message):
    __slots__ = ("after_uuid", "compared", "missing", "ghost", "stale", "different", "repaired", "complete", "found")
    AFTER_UUID_FIELD_NUMBER: _ClassVar[int]
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    GHOST_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    DIFFERENT_FIELD_NUMBER: _ClassVar[int]
    REPAIRED_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    after_uuid: str
    compared: int
    missing: int
    ghost: int
    stale: int
    different: int
    repaired: int
    complete: bool
    found: _containers.RepeatedCompositeFieldContainer[Drift]
    def __init__(self, after_uuid: _Optional[str] = ..., compared: _Optional[int] = ..., missing: _Optional[int] = ..., ghost: _Optional[int] = ..., stale: _Optional[int] = ..., different: _Optional[int] = ..., repaired: _Optional[int] = ..., complete: _Optional[bool] = ..., found: _Optional[_Iterable[_Union[Drift, _Mapping]]] = ...) -> None: ...

class Drift(_message.Message):
    __slots__ = ("uuid", "kind")
    UUID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    kind: str
    def __init__(self, uuid: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...
