"""What an error says, and which ones may pass."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

import grpc
from connectra.query.v1 import query_service_pb2, query_service_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

address = os.environ["CONNECTRA_URL"].removeprefix("http://")
metadata = (("x-api-key", os.environ["CONNECTRA_API_KEY"]),)
T = TypeVar("T")

PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED)


def patiently(call: Callable[[], T]) -> T:
    """What a call gives, repeated while it may pass: a read, or a write with an idempotency key."""
    for attempt in range(5):
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() not in PASSING:
                raise
            time.sleep(min(0.2 * 2**attempt, 5))
    raise TimeoutError


with grpc.insecure_channel(address) as channel:
    asked = query_service_pb2.CountContactsRequest()
    asked.query.where.keyword_match.must["cuntry"].append("germany")
    try:
        stub = query_service_pb2_grpc.QueryServiceStub(channel)
        print(patiently(lambda: stub.CountContacts(asked, timeout=10, metadata=metadata)).count)
    except grpc.RpcError as error:
        print(error.code().name)
        assert isinstance(error, grpc.Call)
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                print(info.domain, info.reason)
            if detail.Unpack(violations):
                print(violations.field_violations[0].field, violations.field_violations[0].description)
