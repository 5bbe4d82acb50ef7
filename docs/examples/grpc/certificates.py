"""TLS: an authority of one's own, and a certificate for servers that ask for one."""

import os
from pathlib import Path

import grpc
from connectra.query.v1 import query_service_pb2, query_service_pb2_grpc
from connectra_client import SyncConnectra

address, folder = os.environ["QUERY_ADDRESS"], Path(os.environ["CERTIFICATES"])
credentials = grpc.ssl_channel_credentials(
    root_certificates=(folder / "ca.crt").read_bytes(),
    private_key=(folder / "tls.key").read_bytes(),
    certificate_chain=(folder / "tls.crt").read_bytes(),
)

with grpc.secure_channel(address, credentials) as channel:
    stub = query_service_pb2_grpc.QueryServiceStub(channel)
    print(stub.CountContacts(query_service_pb2.CountContactsRequest(), timeout=10).count)

pair = (folder / "tls.crt", folder / "tls.key")
with SyncConnectra(query_url=f"https://{address}", ca_file=folder / "ca.crt", certificate=pair) as connectra:
    print(connectra.count_contacts({}))
