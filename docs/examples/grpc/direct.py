"""A service called directly, from inside: without the gateway and without a key, over all addresses of its name."""

import json
import os

import grpc
from connectra.query.v1 import query_service_pb2, query_service_pb2_grpc
from connectra_client import SyncConnectra

address = os.environ["QUERY_ADDRESS"]  # such as query:50051; in Kubernetes the name of a headless service
policy = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})

with grpc.insecure_channel(f"dns:///{address}", [("grpc.service_config", policy)]) as channel:
    stub = query_service_pb2_grpc.QueryServiceStub(channel)
    print(stub.CountContacts(query_service_pb2.CountContactsRequest(), timeout=10).count)

with SyncConnectra(query_url=f"http://{address}") as connectra:  # round robin as well
    print(connectra.count_contacts({}))
