"""The typed client against a real gRPC server of a few lines: tokens, keys, errors."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from connectra_client import ApiError, Connectra, Unreachable
from connectra_client.client import Tokens
from connectra_client.proto.connectra.query.v1 import (
    CountContactsRequest,
    CountContactsResponse,
    ExportContactsRequest,
    ExportContactsResponse,
    GetContactRequest,
    GetContactResponse,
)
from connectra_client.proto.connectra.write.v1 import DeleteContactRequest, DeleteContactResponse
from google.rpc import error_details_pb2, status_pb2
from grpclib.const import Cardinality, Handler, Status
from grpclib.encoding.base import StatusDetailsCodecBase
from grpclib.encoding.proto import ProtoCodec
from grpclib.exceptions import GRPCError
from grpclib.server import Server, Stream

QUERY, WRITE = "/connectra.query.v1.QueryService", "/connectra.write.v1.WriteService"
TOKEN = "x-consistency-token"


class Details(StatusDetailsCodecBase):  # type: ignore[misc]
    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        return bytes(details.SerializeToString())

    def decode(self, status: Status, message: str | None, data: bytes) -> Any:
        raise NotImplementedError


class Services:
    """Remembers the metadata of each call."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.tokens = iter(("7.contact.a", "12.contact.b"))

    async def count(self, stream: Stream[Any, Any]) -> None:
        await stream.recv_message()
        self.calls.append(dict(stream.metadata or {}))
        await stream.send_message(CountContactsResponse(count=5))

    async def get(self, stream: Stream[Any, Any]) -> None:
        await stream.recv_message()
        details = status_pb2.Status(code=5, message="no such contact")
        details.details.add().Pack(error_details_pb2.ErrorInfo(reason="CONTACT_NOT_FOUND", domain="connectra"))
        raise GRPCError(Status.NOT_FOUND, "no such contact", details)

    async def export(self, stream: Stream[Any, Any]) -> None:
        await stream.recv_message()
        await stream.send_message(ExportContactsResponse(data=b"uuid\n", rows=0))
        raise GRPCError(Status.UNAVAILABLE, "the search engine is away")

    async def delete(self, stream: Stream[Any, Any]) -> None:
        await stream.recv_message()
        await stream.send_initial_metadata(metadata={TOKEN: next(self.tokens)})
        await stream.send_message(DeleteContactResponse())

    def __mapping__(self) -> dict[str, Handler]:
        one, many = Cardinality.UNARY_UNARY, Cardinality.UNARY_STREAM
        return {
            f"{QUERY}/CountContacts": Handler(self.count, one, CountContactsRequest, CountContactsResponse),
            f"{QUERY}/GetContact": Handler(self.get, one, GetContactRequest, GetContactResponse),
            f"{QUERY}/ExportContacts": Handler(self.export, many, ExportContactsRequest, ExportContactsResponse),
            f"{WRITE}/DeleteContact": Handler(self.delete, one, DeleteContactRequest, DeleteContactResponse),
        }


@pytest.fixture
async def services() -> AsyncIterator[tuple[Services, str]]:
    handlers = Services()
    server = Server([handlers], codec=ProtoCodec(), status_details_codec=Details())
    listening = socket.create_server(("127.0.0.1", 0))
    await server.start(sock=listening)
    yield handlers, f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.close()
    await server.wait_closed()


async def test_the_key_goes_with_every_call(services: tuple[Services, str]) -> None:
    handlers, url = services
    async with Connectra(url, "secret") as connectra:
        assert (await connectra.query.count_contacts(CountContactsRequest())).count == 5
    assert handlers.calls[0]["x-api-key"] == "secret"
    assert TOKEN not in handlers.calls[0]


async def test_reads_carry_the_tokens_of_the_writes_before_until_one_was_answered(
    services: tuple[Services, str],
) -> None:
    handlers, url = services
    async with Connectra(url, "secret") as connectra:
        for _ in range(2):
            await connectra.write.delete_contact(DeleteContactRequest())
        with pytest.raises(ApiError):
            await connectra.query.get_contact(GetContactRequest())
        await connectra.query.count_contacts(CountContactsRequest())
        await connectra.query.count_contacts(CountContactsRequest())
    assert [call.get(TOKEN) for call in handlers.calls] == ["7.contact.a,12.contact.b", None]


def test_of_many_tokens_the_marks_are_kept() -> None:
    tokens = Tokens()
    for number in range(100):
        tokens.add(f"{number}.contact.{number}")
    assert len(tokens.waiting) <= 32
    assert next(iter(tokens.waiting)).isdecimal()


async def test_without_read_your_writes_no_token_is_sent(services: tuple[Services, str]) -> None:
    handlers, url = services
    async with Connectra(url, "secret", read_your_writes=False) as connectra:
        await connectra.write.delete_contact(DeleteContactRequest())
        await connectra.query.count_contacts(CountContactsRequest())
    assert TOKEN not in handlers.calls[-1]


async def test_a_refusal_has_code_reason_and_words(services: tuple[Services, str]) -> None:
    async with Connectra(services[1], "secret") as connectra:
        with pytest.raises(ApiError, match="no such contact") as caught:
            await connectra.query.get_contact(GetContactRequest())
        assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", "CONTACT_NOT_FOUND")


async def test_a_stream_that_breaks_off_raises_after_what_it_gave(services: tuple[Services, str]) -> None:
    async with Connectra(services[1], "secret") as connectra:
        stream = connectra.query.export_contacts(ExportContactsRequest())
        assert (await anext(stream)).data == b"uuid\n"
        with pytest.raises(ApiError, match="search engine is away"):
            await anext(stream)


async def test_nobody_there_is_unreachable() -> None:
    async with Connectra("http://127.0.0.1:1", "secret") as connectra:
        with pytest.raises(Unreachable):
            await connectra.query.count_contacts(CountContactsRequest())


async def test_an_answer_that_does_not_come_is_a_deadline() -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with Connectra(f"http://127.0.0.1:{port}", "secret", timeout=0.2) as connectra:
        with pytest.raises(ApiError) as caught:
            await connectra.query.count_contacts(CountContactsRequest())
    assert caught.value.code == "DEADLINE_EXCEEDED"
    silent.close()
