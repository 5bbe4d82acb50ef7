"""Keys by call: what is refused, and who is told; the calls themselves are in tests/contract."""

import asyncio
import os
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from connectra.gateway.v1 import keys_service_pb2 as pb
from connectra.gateway.v1.keys_service_pb2_grpc import KeysServiceStub
from connectra_common.call import Call, bound
from connectra_common.errors import Conflict, Forbidden, NotFound, ValidationFailed, WrongState
from connectra_common.refusals import KeysReadOnly, OwnKey
from connectra_common.requests import read
from connectra_common.rights import ALL, Right
from connectra_gateway import clients
from connectra_gateway.key_service import serving
from connectra_gateway.key_service.requests import CreateKeyBody, RotateKeyBody, UpdateKeyBody
from connectra_gateway.key_service.service import KeysService
from connectra_gateway.settings import GatewaySettings

API_KEY = "key-of-default"


@pytest.fixture
def settings(tmp_path: Path) -> GatewaySettings:
    return GatewaySettings(_env_file=None, keys_file=str(tmp_path / "keys.json"), api_key=API_KEY)


@pytest.fixture
def service(settings: GatewaySettings) -> KeysService:
    return KeysService(settings)


@pytest.fixture
def file(settings: GatewaySettings) -> Path:
    return Path(settings.keys_file)


@pytest.fixture(autouse=True)
def by_default() -> Iterator[None]:
    with bound(Call("request-1", "default")):
        yield


def named(name: str, **more: object) -> CreateKeyBody:
    return read(CreateKeyBody, {"name": name, **more}).model


async def test_a_client_is_there_with_its_key_until_it_is_revoked(
    service: KeysService, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = await service.create(named("crm", rights=["read"], requests_per_minute=7))
    assert clients.load(file) == [client]
    assert [one.name for one in (await service.all()).clients] == ["default", "crm"]
    changed = await service.update("crm", read(UpdateKeyBody, {"rights": ["write"], "requests_per_minute": None}).model)
    assert changed == client.model_copy(update={"rights": {Right.WRITE}, "requests_per_minute": None})
    assert await service.update("crm", UpdateKeyBody()) == changed
    again = await service.rotate("crm", RotateKeyBody(overlap_seconds=0))
    assert [key.key for key in again.keys] == [again.key]
    assert again.key != client.key
    await service.revoke("crm")
    assert clients.load(file) == []
    told = capsys.readouterr().err
    for what in ("client crm added", "client crm changed", "client crm got another key", "client crm revoked"):
        assert f"{what} by default, request request-1" in told
    assert client.key not in told


async def test_without_rights_a_client_has_all_but_those_of_an_administrator(service: KeysService) -> None:
    assert (await service.create(named("crm"))).rights == ALL - {Right.ADMIN}


async def test_an_administrator_is_left_whoever_revokes_whom(service: KeysService, file: Path) -> None:
    for name in ("anna", "ben"):
        clients.add(file, name, frozenset({Right.ADMIN}))
    with bound(Call("", "anna")):
        with pytest.raises(OwnKey):
            await service.revoke("anna")
        with pytest.raises(OwnKey, match="right `admin`"):
            await service.update("anna", UpdateKeyBody(rights=["read"]))
        assert (await service.update("anna", UpdateKeyBody(rights=["admin", "read"]))).name == "anna"
        await service.update("ben", UpdateKeyBody(rights=["read"]))
    # The gateway may not know yet that this key is none any more.
    with bound(Call("", "ben")), pytest.raises(Forbidden):
        await service.revoke("anna")
    with bound(Call("", "anna")):
        await service.revoke("ben")
    assert [client.name for client in clients.load(file)] == ["anna"]


async def test_what_there_is_or_is_not_is_said(service: KeysService, file: Path) -> None:
    await service.create(named("crm"))
    with pytest.raises(Conflict):
        await service.create(named("crm"))
    for name in ("nobody", "../crm"):
        with pytest.raises(NotFound):
            await service.rotate(name, RotateKeyBody())
        with pytest.raises(NotFound):
            await service.revoke(name)
        with pytest.raises(NotFound):
            await service.update(name, UpdateKeyBody())
    with pytest.raises(KeysReadOnly, match="always has all rights"):
        await service.update("default", UpdateKeyBody(rights=["read"]))
    with pytest.raises(KeysReadOnly, match="API_KEY"):
        await service.rotate("default", RotateKeyBody())
    await asyncio.to_thread(file.write_text, "{")
    with pytest.raises(WrongState, match="is not JSON"):
        await service.all()


async def test_a_file_that_cannot_be_written_is_read_and_changes_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "no folder").write_text("")
    kept = str(tmp_path / "no folder" / "keys.json")
    service = KeysService(GatewaySettings(_env_file=None, keys_file=os.devnull, api_key=API_KEY))
    assert [client.name for client in (await service.all()).clients] == ["default"]
    with pytest.raises(KeysReadOnly, match="where the clients are kept"):
        await KeysService(GatewaySettings(_env_file=None, keys_file=kept, api_key=API_KEY)).create(named("crm"))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "crm", "rights": ["fly"]}, "rights[0]"),
        ({"name": "crm", "rights": []}, "rights"),
        ({"name": "crm", "expires_at": "soon"}, "expires_at"),
        ({"name": "crm", "expires_at": "2020-01-31"}, "expires_at"),
        ({"name": "crm", "expires_at": 1893456000}, "expires_at"),
        ({"name": "crm", "requests_per_minute": 0}, "requests_per_minute"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        read(CreateKeyBody, body)
    assert [violation.field for violation in refused.value.fields] == [field]


async def test_only_who_runs_the_gateway_reaches_the_socket(settings: GatewaySettings) -> None:
    with tempfile.TemporaryDirectory() as short:
        state, stopping = Path(short) / "state", asyncio.Event()
        serving_it = asyncio.create_task(serving.serve(settings, state, stopping))
        path = serving.socket(state)
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            stub = KeysServiceStub(channel)
            request = pb.CreateKeyRequest(name="crm", rights=["read"])
            request.expires_at.FromDatetime(datetime.now(UTC) + timedelta(days=1))
            made = await stub.CreateKey(request, wait_for_ready=True)
            changes = pb.UpdateKeyRequest(name="crm", rights=["write"], requests_per_minute=600)
            assert list((await stub.UpdateKey(changes)).client.rights) == ["write"]
            changed = (await stub.UpdateKey(pb.UpdateKeyRequest(name="crm", requests_per_minute=0))).client
            assert (list(changed.rights), changed.HasField("requests_per_minute")) == (["write"], False)
            listed = await stub.ListKeys(pb.ListKeysRequest())
        assert [(one.name, one.fixed) for one in listed.clients] == [("default", True), ("crm", False)]
        assert made.key.startswith(made.client.keys[0].begins)
        assert listed.writable
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        stopping.set()
        await serving_it


def test_a_folder_that_is_too_deep_for_a_socket_gets_one_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    found = serving.socket(deep)
    assert len(os.fsencode(found)) <= serving.MAX_PATH_BYTES
    assert found == serving.socket(deep) != serving.socket(tmp_path / ("y" * 100))
