"""Keys that make a call safe to repeat, tokens, update masks, versions."""

import os
from uuid import uuid4

import grpc
from connectra.common.v1 import records_pb2
from connectra.query.v1 import query_service_pb2, query_service_pb2_grpc
from connectra.write.v1 import write_service_pb2, write_service_pb2_grpc
from google.protobuf.field_mask_pb2 import FieldMask

address = os.environ["CONNECTRA_URL"].removeprefix("http://")
key = ("x-api-key", os.environ["CONNECTRA_API_KEY"])

with grpc.insecure_channel(address) as channel:
    write = write_service_pb2_grpc.WriteServiceStub(channel)
    query = query_service_pb2_grpc.QueryServiceStub(channel)

    # Sent twice, stored once: the second answer is the first one.
    create = write_service_pb2.CreateContactRequest(
        contact=records_pb2.Contact(
            first_name="Emmy", last_name="Noether", email=f"{uuid4()}@erlangen.example", city="Erlangen"
        )
    )
    once = ("idempotency-key", str(uuid4()))
    first, again = (write.CreateContact(create, timeout=10, metadata=(key, once)) for _ in range(2))
    print(first.contact.uuid == again.contact.uuid)

    # The city is cleared: the mask names it, and the record has none. Somebody else's change meanwhile would be ABORTED.
    changed = write.UpdateContact(
        write_service_pb2.UpdateContactRequest(
            contact=records_pb2.Contact(uuid=first.contact.uuid, title="Professor"),
            update_mask=FieldMask(paths=["title", "city"]),
            row_version=first.contact.row_version,
        ),
        timeout=10,
        metadata=(key,),
    )
    print(changed.contact.title, changed.contact.HasField("city"))

    # A search with the token of a write sees that write.
    asked = query_service_pb2.CountContactsRequest()
    asked.query.where.keyword_match.must["uuid"].append(first.contact.uuid)
    token = ("x-consistency-token", changed.consistency_token)
    print(query.CountContacts(asked, timeout=10, metadata=(key, token)).count)
