from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEARCH_TYPE_UNSPECIFIED: _ClassVar[SearchType]
    SEARCH_TYPE_EXACT: _ClassVar[SearchType]
    SEARCH_TYPE_SHUFFLE: _ClassVar[SearchType]
    SEARCH_TYPE_SUBSTRING: _ClassVar[SearchType]

class Operator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATOR_UNSPECIFIED: _ClassVar[Operator]
    OPERATOR_AND: _ClassVar[Operator]
    OPERATOR_OR: _ClassVar[Operator]
SEARCH_TYPE_UNSPECIFIED: SearchType
SEARCH_TYPE_EXACT: SearchType
SEARCH_TYPE_SHUFFLE: SearchType
SEARCH_TYPE_SUBSTRING: SearchType
OPERATOR_UNSPECIFIED: Operator
OPERATOR_AND: Operator
OPERATOR_OR: Operator

class Vql(_message.Message):
    __slots__ = ("where", "filters", "order_by", "page", "limit", "cursor", "select_columns", "company_config", "offset", "explain", "facets", "highlight", "track_total")
    WHERE_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    SELECT_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    COMPANY_CONFIG_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHT_FIELD_NUMBER: _ClassVar[int]
    TRACK_TOTAL_FIELD_NUMBER: _ClassVar[int]
    where: Where
    filters: FilterNode
    order_by: _containers.RepeatedCompositeFieldContainer[OrderBy]
    page: int
    limit: int
    cursor: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    select_columns: _containers.RepeatedScalarFieldContainer[str]
    company_config: CompanyConfig
    offset: int
    explain: bool
    facets: _containers.RepeatedCompositeFieldContainer[Facet]
    highlight: bool
    track_total: bool
    def __init__(self, where: _Optional[_Union[Where, _Mapping]] = ..., filters: _Optional[_Union[FilterNode, _Mapping]] = ..., order_by: _Optional[_Iterable[_Union[OrderBy, _Mapping]]] = ..., page: _Optional[int] = ..., limit: _Optional[int] = ..., cursor: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ..., select_columns: _Optional[_Iterable[str]] = ..., company_config: _Optional[_Union[CompanyConfig, _Mapping]] = ..., offset: _Optional[int] = ..., explain: _Optional[bool] = ..., facets: _Optional[_Iterable[_Union[Facet, _Mapping]]] = ..., highlight: _Optional[bool] = ..., track_total: _Optional[bool] = ...) -> None: ...

class Facet(_message.Message):
    __slots__ = ("field", "size", "ranges")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    field: str
    size: int
    ranges: _containers.RepeatedCompositeFieldContainer[FacetRange]
    def __init__(self, field: _Optional[str] = ..., size: _Optional[int] = ..., ranges: _Optional[_Iterable[_Union[FacetRange, _Mapping]]] = ...) -> None: ...

class FacetRange(_message.Message):
    __slots__ = ("gte", "lt")
    GTE_FIELD_NUMBER: _ClassVar[int]
    LT_FIELD_NUMBER: _ClassVar[int]
    gte: _struct_pb2.Value
    lt: _struct_pb2.Value
    def __init__(self, gte: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., lt: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...

class Where(_message.Message):
    __slots__ = ("text_matches", "keyword_match", "range_query")
    TEXT_MATCHES_FIELD_NUMBER: _ClassVar[int]
    KEYWORD_MATCH_FIELD_NUMBER: _ClassVar[int]
    RANGE_QUERY_FIELD_NUMBER: _ClassVar[int]
    text_matches: TextMatches
    keyword_match: KeywordMatch
    range_query: RangeQuery
    def __init__(self, text_matches: _Optional[_Union[TextMatches, _Mapping]] = ..., keyword_match: _Optional[_Union[KeywordMatch, _Mapping]] = ..., range_query: _Optional[_Union[RangeQuery, _Mapping]] = ...) -> None: ...

class TextMatches(_message.Message):
    __slots__ = ("must", "must_not")
    MUST_FIELD_NUMBER: _ClassVar[int]
    MUST_NOT_FIELD_NUMBER: _ClassVar[int]
    must: _containers.RepeatedCompositeFieldContainer[TextMatch]
    must_not: _containers.RepeatedCompositeFieldContainer[TextMatch]
    def __init__(self, must: _Optional[_Iterable[_Union[TextMatch, _Mapping]]] = ..., must_not: _Optional[_Iterable[_Union[TextMatch, _Mapping]]] = ...) -> None: ...

class TextMatch(_message.Message):
    __slots__ = ("text_value", "filter_key", "search_type", "slop", "operator", "fuzzy")
    TEXT_VALUE_FIELD_NUMBER: _ClassVar[int]
    FILTER_KEY_FIELD_NUMBER: _ClassVar[int]
    SEARCH_TYPE_FIELD_NUMBER: _ClassVar[int]
    SLOP_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    FUZZY_FIELD_NUMBER: _ClassVar[int]
    text_value: str
    filter_key: str
    search_type: SearchType
    slop: int
    operator: Operator
    fuzzy: bool
    def __init__(self, text_value: _Optional[str] = ..., filter_key: _Optional[str] = ..., search_type: _Optional[_Union[SearchType, str]] = ..., slop: _Optional[int] = ..., operator: _Optional[_Union[Operator, str]] = ..., fuzzy: _Optional[bool] = ...) -> None: ...

class KeywordMatch(_message.Message):
    __slots__ = ("must", "must_not")
    class MustEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.ListValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ...) -> None: ...
    class MustNotEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.ListValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ...) -> None: ...
    MUST_FIELD_NUMBER: _ClassVar[int]
    MUST_NOT_FIELD_NUMBER: _ClassVar[int]
    must: _containers.MessageMap[str, _struct_pb2.ListValue]
    must_not: _containers.MessageMap[str, _struct_pb2.ListValue]
    def __init__(self, must: _Optional[_Mapping[str, _struct_pb2.ListValue]] = ..., must_not: _Optional[_Mapping[str, _struct_pb2.ListValue]] = ...) -> None: ...

class RangeQuery(_message.Message):
    __slots__ = ("must", "must_not")
    class MustEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Range
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Range, _Mapping]] = ...) -> None: ...
    class MustNotEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Range
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Range, _Mapping]] = ...) -> None: ...
    MUST_FIELD_NUMBER: _ClassVar[int]
    MUST_NOT_FIELD_NUMBER: _ClassVar[int]
    must: _containers.MessageMap[str, Range]
    must_not: _containers.MessageMap[str, Range]
    def __init__(self, must: _Optional[_Mapping[str, Range]] = ..., must_not: _Optional[_Mapping[str, Range]] = ...) -> None: ...

class Range(_message.Message):
    __slots__ = ("gte", "gt", "lte", "lt")
    GTE_FIELD_NUMBER: _ClassVar[int]
    GT_FIELD_NUMBER: _ClassVar[int]
    LTE_FIELD_NUMBER: _ClassVar[int]
    LT_FIELD_NUMBER: _ClassVar[int]
    gte: _struct_pb2.Value
    gt: _struct_pb2.Value
    lte: _struct_pb2.Value
    lt: _struct_pb2.Value
    def __init__(self, gte: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., gt: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., lte: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., lt: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...

class OrderBy(_message.Message):
    __slots__ = ("order_by", "order_direction")
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    ORDER_DIRECTION_FIELD_NUMBER: _ClassVar[int]
    order_by: str
    order_direction: str
    def __init__(self, order_by: _Optional[str] = ..., order_direction: _Optional[str] = ...) -> None: ...

class CompanyConfig(_message.Message):
    __slots__ = ("populate", "select_columns")
    POPULATE_FIELD_NUMBER: _ClassVar[int]
    SELECT_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    populate: bool
    select_columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, populate: _Optional[bool] = ..., select_columns: _Optional[_Iterable[str]] = ...) -> None: ...

class FilterNode(_message.Message):
    __slots__ = ("all", "any", "negate", "leaf")
    ALL_FIELD_NUMBER: _ClassVar[int]
    ANY_FIELD_NUMBER: _ClassVar[int]
    NEGATE_FIELD_NUMBER: _ClassVar[int]
    LEAF_FIELD_NUMBER: _ClassVar[int]
    all: FilterList
    any: FilterList
    negate: FilterNode
    leaf: FilterLeaf
    def __init__(self, all: _Optional[_Union[FilterList, _Mapping]] = ..., any: _Optional[_Union[FilterList, _Mapping]] = ..., negate: _Optional[_Union[FilterNode, _Mapping]] = ..., leaf: _Optional[_Union[FilterLeaf, _Mapping]] = ...) -> None: ...

class FilterList(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[FilterNode]
    def __init__(self, nodes: _Optional[_Iterable[_Union[FilterNode, _Mapping]]] = ...) -> None: ...

class FilterLeaf(_message.Message):
    __slots__ = ("field", "operator", "value")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    field: str
    operator: str
    value: _struct_pb2.Value
    def __init__(self, field: _Optional[str] = ..., operator: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...
