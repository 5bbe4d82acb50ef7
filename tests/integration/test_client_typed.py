"""The typed clients against a real gRPC server of a few lines: tokens, keys, metadata, deadlines, errors."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from connectra_client import ApiError, ClientError, Connectra, Contact, Job, SyncConnectra, Unreachable, channel
from connectra_client.channel import DEFAULT, Timeout, Tokens
from connectra_client.proto.connectra.jobs.v1 import WatchJobRequest, WatchJobResponse
from connectra_client.proto.connectra.query.v1 import (
    CountContactsRequest,
    CountContactsResponse,
    ExportContactsRequest,
    ExportContactsResponse,
    GetContactRequest,
    GetContactResponse,
)
from connectra_client.proto.connectra.write.v1 import (
    DeleteContactRequest,
    DeleteContactResponse,
    UpsertContactRequest,
    UpsertContactResponse,
)
from google.rpc import error_details_pb2, status_pb2

QUERY, WRITE, JOBS = (
    "connectra.query.v1.QueryService",
    "connectra.write.v1.WriteService",
    "connectra.jobs.v1.JobsService",
)
TOKEN = "x-consistency-token"


class Services:
    """Remembers the metadata of each call, and how long it may take."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.seconds: list[float | None] = []
        self.tokens = iter(("7.contact.a", "12.contact.b"))
        self.watches = 0

    def _note(self, context: Any) -> None:
        self.calls.append(dict(context.invocation_metadata()))
        self.seconds.append(context.time_remaining())

    async def count(self, request: CountContactsRequest, context: Any) -> CountContactsResponse:
        self._note(context)
        return CountContactsResponse(count=5)

    async def get(self, request: GetContactRequest, context: Any) -> GetContactResponse:
        self._note(context)
        details = status_pb2.Status(code=5, message="no such contact")
        details.details.add().Pack(error_details_pb2.ErrorInfo(reason="CONTACT_NOT_FOUND", domain="connectra"))
        context.set_trailing_metadata((("grpc-status-details-bin", details.SerializeToString()),))
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such contact")
        raise AssertionError

    async def export(self, request: ExportContactsRequest, context: Any) -> AsyncIterator[ExportContactsResponse]:
        self._note(context)
        yield ExportContactsResponse(data=b"uuid\n", rows=0)
        context.set_trailing_metadata((("x-request-id", "r-1"),))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the search engine is away")

    async def delete(self, request: DeleteContactRequest, context: Any) -> DeleteContactResponse:
        await context.send_initial_metadata(((TOKEN, next(self.tokens)),))
        return DeleteContactResponse()

    async def upsert(self, request: UpsertContactRequest, context: Any) -> UpsertContactResponse:
        self._note(context)
        return UpsertContactResponse(contact=request.contact)

    async def watch(self, request: WatchJobRequest, context: Any) -> AsyncIterator[WatchJobResponse]:
        """Breaks off once, after which the job has got no further yet."""
        self._note(context)
        self.watches += 1
        yield WatchJobResponse(job=Job(uuid=request.uuid, status="processing"))
        if self.watches == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        yield WatchJobResponse(job=Job(uuid=request.uuid, status="completed"))

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        one, many = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        make: Any = grpc.method_handlers_generic_handler
        return [
            make(
                QUERY,
                {
                    "CountContacts": one(self.count, CountContactsRequest.parse, bytes),
                    "CountCompanies": one(self.count, CountContactsRequest.parse, bytes),
                    "GetContact": one(self.get, GetContactRequest.parse, bytes),
                    "ExportContacts": many(self.export, ExportContactsRequest.parse, bytes),
                },
            ),
            make(
                WRITE,
                {
                    "DeleteContact": one(self.delete, DeleteContactRequest.parse, bytes),
                    "UpsertContact": one(self.upsert, UpsertContactRequest.parse, bytes),
                },
            ),
            make(JOBS, {"WatchJob": many(self.watch, WatchJobRequest.parse, bytes)}),
        ]


@pytest.fixture
async def services() -> AsyncIterator[tuple[Services, str]]:
    services, server = Services(), grpc.aio.server()
    server.add_generic_rpc_handlers(tuple(services.handlers()))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield services, f"http://127.0.0.1:{port}"
    await server.stop(None)


async def blocking(url: str, work: Callable[[SyncConnectra], Any], **options: Any) -> Any:
    """What `work` does with a blocking client of its own."""

    def connected() -> Any:
        with SyncConnectra(url, "secret", **options) as client:
            return work(client)

    return await asyncio.to_thread(connected)


async def test_the_key_and_a_request_id_go_with_every_call(services: tuple[Services, str]) -> None:
    heard, url = services
    async with Connectra(url, "secret") as connectra:
        assert (await connectra.query.count_contacts(CountContactsRequest())).count == 5
    assert await blocking(url, lambda client: client.count_contacts({})) == 5
    for call in heard.calls:
        assert call["x-api-key"] == "secret"
        assert len(call["x-request-id"]) == 36
        assert TOKEN not in call


async def test_the_metadata_of_a_call_is_merged_with_that_of_the_client(services: tuple[Services, str]) -> None:
    heard, url = services
    own = {"X-Request-Id": "mine", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    request = UpsertContactRequest(contact=Contact(email="a@b.example"))
    async with Connectra(url, "secret") as connectra:
        await connectra.write.upsert_contact(request, metadata=own, idempotency_key="c-1")
        await connectra.upsert_contact(Contact(email="a@b.example"), idempotency_key="c-2")
    await blocking(url, lambda client: client.write.upsert_contact(request, metadata=own, idempotency_key="c-3"))
    assert [call["idempotency-key"] for call in heard.calls] == ["c-1", "c-2", "c-3"]
    assert {call["x-api-key"] for call in heard.calls} == {"secret"}
    for call in (heard.calls[0], heard.calls[2]):
        assert (call["x-request-id"], call["traceparent"]) == ("mine", own["traceparent"])


async def test_reads_carry_the_tokens_of_the_writes_before_until_one_was_answered(
    services: tuple[Services, str],
) -> None:
    heard, url = services
    async with Connectra(url, "secret") as connectra:
        for _ in range(2):
            await connectra.delete_contact("u")
        with pytest.raises(ApiError):
            await connectra.get_contact("u")
        for _ in range(2):
            await connectra.count_contacts({})
        for _ in range(2):
            await connectra.count_companies({})
    # Reading a record shows nothing of an index, and one index nothing of the other.
    assert [call.get(TOKEN) for call in heard.calls] == [None, *["7.contact.a,12.contact.b", None] * 2]


async def test_reads_of_the_blocking_client_carry_tokens_too(services: tuple[Services, str]) -> None:
    heard, url = services

    def work(client: SyncConnectra) -> None:
        client.delete_contact("u")
        for _ in range(2):
            client.count_contacts({})

    await blocking(url, work)
    assert [call.get(TOKEN) for call in heard.calls] == ["7.contact.a", None]


def test_of_many_tokens_the_marks_are_kept() -> None:
    tokens = Tokens()
    for number in range(100):
        tokens.add(f"{number}.contact.{number}")
    assert len(tokens.waiting) <= 32
    assert next(iter(tokens.waiting)).isdecimal()


def test_no_token_is_lost_among_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(token: str) -> int:
        time.sleep(0)  # lets another thread go on
        return int(token.partition(".")[0])

    monkeypatch.setattr(channel, "_mark", slowly)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(4):
            tokens = Tokens()
            given = [f"{number}.contact.{number}" for number in range(100)]
            list(threads.map(tokens.add, given))
            mark, *waiting = tokens.waiting
            assert {token for token in given if int(token.partition(".")[0]) > int(mark)} == set(waiting)


async def test_without_read_your_writes_no_token_is_sent(services: tuple[Services, str]) -> None:
    heard, url = services
    async with Connectra(url, "secret", read_your_writes=False) as connectra:
        await connectra.delete_contact("u")
        await connectra.count_contacts({})
    assert TOKEN not in heard.calls[-1]


async def test_a_refusal_has_code_reason_words_and_the_request_id(services: tuple[Services, str]) -> None:
    heard, url = services
    async with Connectra(url, "secret") as connectra:
        with pytest.raises(ApiError, match="no such contact") as caught:
            await connectra.get_contact("u")
    assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", "CONTACT_NOT_FOUND")
    assert caught.value.request_id == heard.calls[0]["x-request-id"]
    with pytest.raises(ApiError, match="no such contact") as caught:
        await blocking(url, lambda client: client.get_contact("u"))
    assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", "CONTACT_NOT_FOUND")


async def test_a_stream_that_breaks_off_raises_after_what_it_gave(
    services: tuple[Services, str], tmp_path: Path
) -> None:
    url = services[1]
    async with Connectra(url, "secret") as connectra:
        stream = connectra.query.export_contacts(ExportContactsRequest())
        assert (await anext(stream)).data == b"uuid\n"
        with pytest.raises(ApiError, match="search engine is away"):
            await anext(stream)
        with pytest.raises(ApiError, match="search engine is away"):
            await connectra.export_csv("contacts", {}, tmp_path / "out.csv")
    with pytest.raises(ApiError, match="search engine is away"):
        await blocking(url, lambda client: list(client.query.export_contacts(ExportContactsRequest())))
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240


async def test_streams_have_no_deadline_unless_the_call_says_so(services: tuple[Services, str]) -> None:
    heard, url = services
    timeouts: tuple[Timeout, ...] = (DEFAULT, 5)
    async with Connectra(url, "secret", timeout=20) as connectra:
        await connectra.query.count_contacts(CountContactsRequest())
        await connectra.query.count_contacts(CountContactsRequest(), timeout=None)
        await connectra.query.count_contacts(CountContactsRequest(), timeout=5)
        for timeout in timeouts:
            async for _ in connectra.jobs.watch_job(WatchJobRequest(uuid="j"), timeout=timeout):
                break
    assert [seconds and round(seconds) for seconds in heard.seconds] == [20, None, 5, None, 5]


async def test_a_watch_goes_on_after_the_connection_broke(services: tuple[Services, str]) -> None:
    heard, url = services
    async with Connectra(url, "secret") as connectra:
        assert [job.status async for job in connectra.watch_job("j")] == ["processing", "completed"]
    assert heard.watches == 2
    heard.watches = 0
    assert (await blocking(url, lambda client: client.wait_for_job("j"))).status == "completed"


async def test_a_watch_ends_with_the_error_when_patience_does() -> None:
    async with Connectra("http://127.0.0.1:1", "secret") as connectra:
        with pytest.raises(Unreachable):
            await connectra.wait_for_job("j", patience=0.1)


async def test_services_are_called_directly_without_a_key(services: tuple[Services, str]) -> None:
    heard, url = services
    async with Connectra(query_url=url) as connectra:
        assert await connectra.count_contacts({}) == 5
        with pytest.raises(ClientError, match="no address for jobs: give it jobs_url"):
            await connectra.wait_for_job("j")
    assert "x-api-key" not in heard.calls[0]
    async with Connectra("http://127.0.0.1:1", "secret", query_url=url) as mixed:
        assert await mixed.count_contacts({}) == 5
        with pytest.raises(Unreachable):
            await mixed.delete_contact("u")


async def test_a_client_that_is_opened_the_other_way_says_how() -> None:
    waits: Any = Connectra("http://127.0.0.1:1", "secret")
    with pytest.raises(TypeError, match=r"opened by `async with`; .* use `with SyncConnectra"), waits:
        pass
    blocks: Any = SyncConnectra("http://127.0.0.1:1", "secret")
    with pytest.raises(TypeError, match=r"opened by `with`; .* use `async with Connectra"):
        async with blocks:
            pass


async def test_a_client_without_an_address_for_files_says_so(tmp_path: Path) -> None:
    with SyncConnectra(query_url="http://127.0.0.1:1") as client, pytest.raises(ClientError, match="give it jobs_url"):
        client.upload(tmp_path)
    async with Connectra(query_url="http://127.0.0.1:1") as awaited:
        with pytest.raises(ClientError, match="give it jobs_url"):
            await awaited.upload(tmp_path)


async def test_an_export_of_neither_contacts_nor_companies_is_refused(tmp_path: Path) -> None:
    entity: Any = "contact"
    with (
        SyncConnectra(query_url="http://127.0.0.1:1") as client,
        pytest.raises(ClientError, match="'contact' is neither"),
    ):
        client.export_csv(entity, {}, tmp_path / "a.csv")
    async with Connectra(query_url="http://127.0.0.1:1") as awaited:
        with pytest.raises(ClientError, match="'contact' is neither"):
            await awaited.export_csv(entity, {}, tmp_path / "a.csv")


async def test_a_client_that_is_not_open_says_so(services: tuple[Services, str]) -> None:
    url = services[1]
    client = Connectra(url, "secret")
    with pytest.raises(ClientError, match="is not open"):
        await client.count_contacts({})
    async with client:
        stub = client.query
    with pytest.raises(ClientError, match="is not open"):
        await client.count_contacts({})
    with pytest.raises(ClientError, match="is not open"):
        await stub.count_contacts(CountContactsRequest())
    with pytest.raises(ClientError, match="is not open"):
        SyncConnectra(url, "secret").count_contacts({})


async def test_servers_with_certificates_of_ones_own_are_trusted_and_get_one(tmp_path: Path) -> None:
    authority = trustme.CA()
    own, mine = authority.issue_cert("127.0.0.1"), authority.issue_cert("client.example")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(tuple(Services().handlers()))
    pair = (own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())
    port = server.add_secure_port(
        "127.0.0.1:0", grpc.ssl_server_credentials([pair], authority.cert_pem.bytes(), require_client_auth=True)
    )
    await server.start()
    url = f"https://127.0.0.1:{port}"
    trusted: dict[str, Any] = {"ca_file": tmp_path / "ca.pem"}
    shown = {**trusted, "certificate": (tmp_path / "cert.pem", tmp_path / "key.pem")}
    async with Connectra(query_url=url, **shown) as connectra:
        assert await connectra.count_contacts({}) == 5
    assert await blocking(url, lambda client: client.count_contacts({}), **shown) == 5
    for lacking in ({}, trusted):
        async with Connectra(query_url=url, **lacking) as connectra:
            with pytest.raises(Unreachable):
                await connectra.count_contacts({})
    with pytest.raises(ClientError, match=r"missing\.pem cannot be read"):
        async with Connectra(query_url=url, ca_file=tmp_path / "missing.pem"):
            pass
    await server.stop(None)


async def test_nobody_there_is_unreachable() -> None:
    async with Connectra("http://127.0.0.1:1", "secret") as connectra:
        with pytest.raises(Unreachable):
            await connectra.count_contacts({})


async def test_an_answer_that_does_not_come_is_a_deadline() -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with Connectra(f"http://127.0.0.1:{port}", "secret", timeout=0.2) as connectra:
        with pytest.raises(ApiError) as caught:
            await connectra.count_contacts({})
    assert caught.value.code == "DEADLINE_EXCEEDED"
    silent.close()
