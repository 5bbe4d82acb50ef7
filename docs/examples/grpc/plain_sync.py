"""grpcio, blocking: vice presidents in sales, page by page."""

import os

import grpc
from connectra.common.v1 import vql_pb2
from connectra.query.v1 import query_service_pb2, query_service_pb2_grpc

address = os.environ["CONNECTRA_URL"].removeprefix("http://")
metadata = (("x-api-key", os.environ["CONNECTRA_API_KEY"]),)

query = vql_pb2.Vql(limit=50, select_columns=["uuid", "first_name", "title"])
query.order_by.add(order_by="last_name")
query.where.text_matches.must.add(filter_key="title", text_value="sales", search_type=vql_pb2.SEARCH_TYPE_SHUFFLE)
query.where.keyword_match.must["seniority"].extend(["vp", "director"])

with grpc.insecure_channel(address) as channel:
    stub = query_service_pb2_grpc.QueryServiceStub(channel)
    found = 0
    while True:
        page = stub.ListContacts(query_service_pb2.ListContactsRequest(query=query), timeout=10, metadata=metadata)
        found += len(page.rows)
        if not page.next_cursor:
            break
        del query.cursor[:]
        query.cursor.extend(page.next_cursor)
print(found, "contacts")
