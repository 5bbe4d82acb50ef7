import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Company(_message.Message):
    __slots__ = ("id", "uuid", "name", "employees_count", "industries", "keywords", "address", "annual_revenue", "total_funding", "technologies", "city", "state", "country", "linkedin_url", "website", "normalized_domain", "facebook_url", "twitter_url", "company_name_for_emails", "phone_number", "latest_funding", "latest_funding_amount", "last_raised_at", "created_at", "updated_at", "deleted_at", "row_version")
    ID_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EMPLOYEES_COUNT_FIELD_NUMBER: _ClassVar[int]
    INDUSTRIES_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ANNUAL_REVENUE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FUNDING_FIELD_NUMBER: _ClassVar[int]
    TECHNOLOGIES_FIELD_NUMBER: _ClassVar[int]
    CITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    LINKEDIN_URL_FIELD_NUMBER: _ClassVar[int]
    WEBSITE_FIELD_NUMBER: _ClassVar[int]
    NORMALIZED_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    FACEBOOK_URL_FIELD_NUMBER: _ClassVar[int]
    TWITTER_URL_FIELD_NUMBER: _ClassVar[int]
    COMPANY_NAME_FOR_EMAILS_FIELD_NUMBER: _ClassVar[int]
    PHONE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    LATEST_FUNDING_FIELD_NUMBER: _ClassVar[int]
    LATEST_FUNDING_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_RAISED_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    DELETED_AT_FIELD_NUMBER: _ClassVar[int]
    ROW_VERSION_FIELD_NUMBER: _ClassVar[int]
    id: int
    uuid: str
    name: str
    employees_count: int
    industries: _containers.RepeatedScalarFieldContainer[str]
    keywords: _containers.RepeatedScalarFieldContainer[str]
    address: str
    annual_revenue: int
    total_funding: int
    technologies: _containers.RepeatedScalarFieldContainer[str]
    city: str
    state: str
    country: str
    linkedin_url: str
    website: str
    normalized_domain: str
    facebook_url: str
    twitter_url: str
    company_name_for_emails: str
    phone_number: str
    latest_funding: str
    latest_funding_amount: int
    last_raised_at: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    deleted_at: _timestamp_pb2.Timestamp
    row_version: int
    def __init__(self, id: _Optional[int] = ..., uuid: _Optional[str] = ..., name: _Optional[str] = ..., employees_count: _Optional[int] = ..., industries: _Optional[_Iterable[str]] = ..., keywords: _Optional[_Iterable[str]] = ..., address: _Optional[str] = ..., annual_revenue: _Optional[int] = ..., total_funding: _Optional[int] = ..., technologies: _Optional[_Iterable[str]] = ..., city: _Optional[str] = ..., state: _Optional[str] = ..., country: _Optional[str] = ..., linkedin_url: _Optional[str] = ..., website: _Optional[str] = ..., normalized_domain: _Optional[str] = ..., facebook_url: _Optional[str] = ..., twitter_url: _Optional[str] = ..., company_name_for_emails: _Optional[str] = ..., phone_number: _Optional[str] = ..., latest_funding: _Optional[str] = ..., latest_funding_amount: _Optional[int] = ..., last_raised_at: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deleted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., row_version: _Optional[int] = ...) -> None: ...

class Contact(_message.Message):
    __slots__ = ("id", "uuid", "first_name", "last_name", "company_id", "email", "title", "departments", "mobile_phone", "email_status", "seniority", "city", "state", "country", "linkedin_url", "facebook_url", "twitter_url", "website", "work_direct_phone", "home_phone", "other_phone", "stage", "created_at", "updated_at", "deleted_at", "row_version")
    ID_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    FIRST_NAME_FIELD_NUMBER: _ClassVar[int]
    LAST_NAME_FIELD_NUMBER: _ClassVar[int]
    COMPANY_ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DEPARTMENTS_FIELD_NUMBER: _ClassVar[int]
    MOBILE_PHONE_FIELD_NUMBER: _ClassVar[int]
    EMAIL_STATUS_FIELD_NUMBER: _ClassVar[int]
    SENIORITY_FIELD_NUMBER: _ClassVar[int]
    CITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    LINKEDIN_URL_FIELD_NUMBER: _ClassVar[int]
    FACEBOOK_URL_FIELD_NUMBER: _ClassVar[int]
    TWITTER_URL_FIELD_NUMBER: _ClassVar[int]
    WEBSITE_FIELD_NUMBER: _ClassVar[int]
    WORK_DIRECT_PHONE_FIELD_NUMBER: _ClassVar[int]
    HOME_PHONE_FIELD_NUMBER: _ClassVar[int]
    OTHER_PHONE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    DELETED_AT_FIELD_NUMBER: _ClassVar[int]
    ROW_VERSION_FIELD_NUMBER: _ClassVar[int]
    id: int
    uuid: str
    first_name: str
    last_name: str
    company_id: str
    email: str
    title: str
    departments: _containers.RepeatedScalarFieldContainer[str]
    mobile_phone: str
    email_status: str
    seniority: str
    city: str
    state: str
    country: str
    linkedin_url: str
    facebook_url: str
    twitter_url: str
    website: str
    work_direct_phone: str
    home_phone: str
    other_phone: str
    stage: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    deleted_at: _timestamp_pb2.Timestamp
    row_version: int
    def __init__(self, id: _Optional[int] = ..., uuid: _Optional[str] = ..., first_name: _Optional[str] = ..., last_name: _Optional[str] = ..., company_id: _Optional[str] = ..., email: _Optional[str] = ..., title: _Optional[str] = ..., departments: _Optional[_Iterable[str]] = ..., mobile_phone: _Optional[str] = ..., email_status: _Optional[str] = ..., seniority: _Optional[str] = ..., city: _Optional[str] = ..., state: _Optional[str] = ..., country: _Optional[str] = ..., linkedin_url: _Optional[str] = ..., facebook_url: _Optional[str] = ..., twitter_url: _Optional[str] = ..., website: _Optional[str] = ..., work_direct_phone: _Optional[str] = ..., home_phone: _Optional[str] = ..., other_phone: _Optional[str] = ..., stage: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deleted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., row_version: _Optional[int] = ...) -> None: ...

class Warning(_message.Message):
    __slots__ = ("field", "message")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    field: str
    message: str
    def __init__(self, field: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
