"""What every server process is built from: the call, background loops, streams, answers."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any

import orjson
import pytest
import structlog
from connectra_common import call, logging
from connectra_common.call import Call, IdempotencyKey
from connectra_common.db.audit import UNKNOWN, Origin
from connectra_common.errors import DeadlineExceeded, ValidationFailed
from connectra_common.rights import ALL, Right
from connectra_common.server import process
from connectra_common.server.background import every, first_of
from connectra_common.server.comments import commented
from connectra_common.server.reflection import ReflectionServicer, visible
from connectra_common.server.rest import envelope
from connectra_common.server.streams import ahead
from connectra_common.settings import AppSettings
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest


def test_rights_are_those_the_gateway_names_and_all_for_a_caller_inside() -> None:
    assert Call.read({"x-client-id": "crm", "x-client-rights": "read,fly,export"}, "r1", None).rights == {
        Right.READ,
        Right.EXPORT,
    }
    assert Call.read({"x-client-id": "crm"}, "r1", None).rights == frozenset()
    assert Call.read({}, "r1", None).rights == ALL


@pytest.mark.parametrize(
    ("rights", "services", "methods"),
    [
        (frozenset(), {"query.v1.QueryService"}, {"CheckHealth"}),
        ({Right.WRITE}, {"query.v1.QueryService", "write.v1.WriteService"}, {"CheckHealth", "CreateCompany"}),
        (
            {Right.ADMIN},
            {"query.v1.QueryService", "write.v1.IndexService", "jobs.v1.JobsService", "gateway.v1.KeysService"},
            {"Reindex", "GetJob", "CreateKey"},
        ),
    ],
)
def test_reflection_shows_a_client_only_what_its_rights_open(
    rights: Iterable[Right], services: set[str], methods: set[str]
) -> None:
    names, pool = visible(frozenset(rights))
    assert set(names) == {f"connectra.{name}" for name in services}
    shown = {method.name for name in names for method in pool.FindServiceByName(name).methods}
    assert methods <= shown
    assert not {"ListContacts", "ExportContacts", "CreateJob", "ImportBatch"} & shown
    with pytest.raises(KeyError):
        pool.FindFileContainingSymbol("connectra.write.internal.v1.ImportService")


async def described(*symbols: str) -> list[FileDescriptorProto]:
    """The files that reflection gives inside for names."""

    async def asked() -> AsyncIterator[ServerReflectionRequest]:
        for symbol in symbols:
            yield ServerReflectionRequest(file_containing_symbol=symbol)

    servicer = ReflectionServicer(["connectra.query.v1.QueryService"])
    context: Any = None
    replies = [reply async for reply in servicer.ServerReflectionInfo(asked(), context)]
    sent = (one for reply in replies for one in reply.file_descriptor_response.file_descriptor_proto)
    return [FileDescriptorProto.FromString(one) for one in sent]


async def test_reflection_has_the_comments_of_the_contracts() -> None:
    files = {file.name: file for file in await described("connectra.query.v1.QueryService")}
    service = files["connectra/query/v1/query_service.proto"]
    at = {tuple(location.path): location for location in service.source_code_info.location}
    names = [method.name for method in service.service[0].method]
    assert at[6, 0].leading_comments
    assert [name for i, name in enumerate(names) if not at[6, 0, 2, i].leading_comments] == []
    vql = files["connectra/common/v1/vql.proto"]
    fields = {tuple(location.path): location.leading_comments for location in vql.source_code_info.location}
    names = [field.name for field in vql.message_type[0].field]
    assert fields[4, 0, 2, names.index("limit")] == " 1 to 100; 0 means 25.\n"


def test_comments_stay_with_their_methods_where_others_are_left_out() -> None:
    _, pool = visible(frozenset({Right.WRITE}))
    file = FileDescriptorProto()
    pool.FindFileByName("connectra/query/v1/query_service.proto").CopyToProto(file)
    assert [method.name for method in file.service[0].method] == ["CheckHealth"]
    assert commented(file)
    (said,) = (one.leading_comments for one in file.source_code_info.location if list(one.path) == [6, 0, 2, 0])
    assert said.startswith(" Checks each dependency of the service now.")


def test_a_call_carries_what_its_metadata_say() -> None:
    metadata = {
        "x-client-id": "acme",
        "x-consistency-token": "7",
        "idempotency-key": "k",
        "if-match": '"3", W/"4", "x"',
    }
    read = Call.read(metadata, "r1", 10)
    assert (read.request_id, read.client, read.token) == ("r1", "acme", "7")
    assert read.idempotency_key == IdempotencyKey("acme", "k")
    assert read.versions == [3, 4]
    assert 9 < read.seconds(60) <= 10
    assert read.seconds(1) == 1


def test_a_call_without_metadata_asks_for_nothing() -> None:
    empty = Call.read({}, "r1", None)
    assert (empty.client, empty.token, empty.idempotency_key, empty.versions) == ("", None, None, None)
    assert empty.seconds(30) == 30


def test_a_call_whose_time_is_over_is_refused() -> None:
    with pytest.raises(DeadlineExceeded):
        Call(ends=time.monotonic() - 1).seconds(1)


@pytest.mark.parametrize("key", ["", "k" * 256, "ü"])
def test_an_idempotency_key_that_is_none_is_refused_by_name(key: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        _ = Call.read({"idempotency-key": key}, "r1", None).idempotency_key
    assert refused.value.fields[0].field == "Idempotency-Key"


@pytest.mark.parametrize("tags", ["soon", ""])
def test_a_header_that_is_no_list_of_tags_is_refused_by_name(tags: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        _ = Call.read({"if-match": tags}, "r1", None).versions
    assert refused.value.fields[0].field == "If-Match"


async def test_the_current_call_is_seen_by_tasks_and_ends_with_its_block() -> None:
    async def seen() -> str:
        return call.current().request_id

    with call.bound(Call(request_id="r1")):
        assert await asyncio.create_task(seen()) == "r1"
    assert await seen() == ""


def test_the_audit_trail_reads_the_call_and_no_variables_of_the_logs() -> None:
    with structlog.contextvars.bound_contextvars(request_id="forged", client="forged"):
        assert Origin.of_call(call.current()) == UNKNOWN
    assert Origin.of_call(Call("r1", "acme")) == Origin("client:acme", "r1")
    assert Origin.of_call(Call("r1")) == Origin("direct", "r1")
    assert Origin.of_job("j", Call("r1", "acme")) == Origin("job:j", "r1")


def test_log_lines_name_the_call(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(AppSettings(), "test")
    try:
        with call.bound(Call("r1", "acme")):
            structlog.get_logger().warning("inside")
        structlog.get_logger().warning("outside")
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    inside, outside = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (inside["request_id"], inside["client"]) == ("r1", "acme")
    assert "request_id" not in outside


async def test_a_loop_works_until_told_to_stop_and_survives_a_turn_that_fails() -> None:
    stopping, turns = asyncio.Event(), 0

    async def work() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            stopping.set()
        raise OSError("away")

    async with asyncio.timeout(5):
        await every(0.001, work, "test", at_start=True)(stopping)
    assert turns == 3


async def test_a_loop_that_is_not_to_work_at_start_rests_first() -> None:
    stopping = asyncio.Event()
    stopping.set()
    worked = False

    async def work() -> None:
        nonlocal worked
        worked = True

    await every(60, work, "test")(stopping)
    assert not worked


async def test_waiting_for_the_first_event_tells_whether_there_was_one() -> None:
    late, soon = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, soon.set)
    assert await first_of(late, soon, seconds=5)
    assert not await first_of(late, seconds=0.001)


async def test_the_next_piece_is_made_while_one_is_used() -> None:
    made: list[int] = []
    closed = False

    async def pieces() -> AsyncGenerator[int]:
        nonlocal closed
        try:
            for number in range(5):
                made.append(number)
                yield number
        finally:
            closed = True

    used = []
    async for piece in ahead(pieces()):
        await asyncio.sleep(0)
        used.append(piece)
        assert made[-1] == min(piece + 1, 4)
    assert used == [0, 1, 2, 3, 4]
    assert closed


async def test_pieces_that_fail_raise_where_they_are_used() -> None:
    async def pieces() -> AsyncGenerator[int]:
        yield 1
        raise OSError("away")

    stream = ahead(pieces())
    assert await anext(stream) == 1
    with pytest.raises(OSError, match="away"):
        await anext(stream)


def test_an_answer_has_its_members_in_order_and_takes_json_as_it_is() -> None:
    body = envelope(data=b'[{"a":1}]', total=None, facets=[], warnings=None)
    assert body.data == b'{"data":[{"a":1}],"facets":[],"success":true}'
    assert envelope(message="m", success=False, count=3).data == b'{"message":"m","success":false,"count":3}'


async def test_a_process_that_stood_still_asks_again_before_it_calls_a_dependency_unusable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "CHECK_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(process, "STOOD_STILL_SECONDS", 0.1)
    asked: list[bool] = []

    async def check(stands_still: bool) -> None:
        asked.append(stands_still)
        if stands_still and len(asked) == 1:
            time.sleep(0.2)  # noqa: ASYNC251 - what is meant
        elif not stands_still or len(asked) != 2:
            raise ConnectionError
        await asyncio.sleep(0.1 * (len(asked) == 1))

    assert await process.passes(lambda: check(True))
    assert asked == [True, True]
    assert not await process.passes(lambda: check(False))
    assert len(asked) == 3
