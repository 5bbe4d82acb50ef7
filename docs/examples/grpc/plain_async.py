"""grpcio, asyncio: everybody in Germany as a stream, which has no limit of depth."""

import asyncio
import os

import grpc
from connectra.common.v1 import vql_pb2
from connectra.query.v1 import query_service_pb2, query_service_pb2_grpc

address = os.environ["CONNECTRA_URL"].removeprefix("http://")
metadata = (("x-api-key", os.environ["CONNECTRA_API_KEY"]),)


async def main() -> None:
    query = vql_pb2.Vql(select_columns=["uuid", "email"])
    query.where.keyword_match.must["country"].append("germany")
    async with grpc.aio.insecure_channel(address) as channel:
        stub = query_service_pb2_grpc.QueryServiceStub(channel)
        found = 0
        async for part in stub.SearchContacts(query_service_pb2.SearchContactsRequest(query=query), metadata=metadata):
            found += len(part.rows)
        print(found, "contacts")


asyncio.run(main())
