"""What happened to one record: through both doors, for readers and administrators."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import httpx
import pytest
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra.write.v1 import write_service_pb2 as write_pb
from connectra.write.v1.write_service_pb2_grpc import WriteServiceStub
from connectra_client.exit_codes import ExitCode
from connectra_common.records.fields import CONTACT
from connectra_common.rights import Right
from connectra_gateway import clients
from connectra_query.history.repository import PAGE, PAGE_BYTES, HistoryRepository

from tests.support.http import client, until_status
from tests.support.jobs import import_file
from tests.support.stack import Stack
from tests.support.words import word

RIGHTS = {
    "editor": frozenset({Right.READ, Right.WRITE, Right.IMPORT}),
    "reader": frozenset({Right.READ}),
    "administrator": frozenset({Right.READ, Right.ADMIN}),
}

Callers = dict[str, httpx.AsyncClient]
Names = dict[str, str]


@pytest.fixture(scope="module")
async def known(stack: Stack) -> dict[str, clients.Client]:
    """The clients in RIGHTS, which the gateway knows by now."""
    file = stack.home / "keys.json"
    known = {name: clients.add(file, f"{name}-{word()}", rights) for name, rights in RIGHTS.items()}
    async with client(stack.gateway, known["administrator"].key) as last:
        await until_status(last, 200, "GET", "/contacts/filters")
    return known


@pytest.fixture
async def callers(stack: Stack, known: dict[str, clients.Client]) -> AsyncIterator[Callers]:
    """A client of the gateway for each of them."""
    async with AsyncExitStack() as opened:
        yield {n: await opened.enter_async_context(client(stack.gateway, one.key)) for n, one in known.items()}


def ada() -> dict[str, str]:
    return {"first_name": "Ada", "last_name": "Lovelace", "email": f"{word()}@history.example"}


async def entries(caller: httpx.AsyncClient, path: str, **asked: Any) -> list[dict[str, Any]]:
    answer = await caller.get(f"{path}/history", params=asked)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


@pytest.mark.parametrize("kind", ["companies", "contacts"])
async def test_a_history_has_each_change_and_comes_in_pages(api: httpx.AsyncClient, kind: str) -> None:
    uuid = str(uuid4())
    name = {"companies": {"name": "Acme"}, "contacts": ada()}[kind]
    path, lists = f"/{kind}/{uuid}", {"companies": "keywords", "contacts": "departments"}[kind]
    calls: list[tuple[str, str, Any]] = [
        ("POST", f"/{kind}/create", {"uuid": uuid, **name}),
        ("PUT", path, {"country": "Germany", lists: ["a", "b"]}),
        ("PUT", path, {"country": None}),
        ("DELETE", path, None),
        ("POST", f"/{kind}/upsert", {"uuid": uuid, **name}),
    ]
    for number, (method, url, body) in enumerate(calls):
        reply = await api.request(method, url, json=body, headers={"x-request-id": f"{uuid[:8]}-{number}"})
        assert reply.is_success, reply.text
    etag = (await api.get(path)).headers["etag"]

    found = await entries(api, path)
    assert [entry["action"] for entry in found] == ["revive", "delete", "update", "update", "create"]
    assert [entry["request_id"] for entry in found] == [f"{uuid[:8]}-{number}" for number in (4, 3, 2, 1, 0)]
    assert {(entry["actor"], entry["job_uuid"]) for entry in found} == {("client:default", None)}
    assert f'"{found[0]["row_version"]}"' == etag
    country = found[3]["changes"]["country"]["new"]
    assert found[3]["changes"] == {"country": {"old": None, "new": country}, lists: {"old": None, "new": ["a", "b"]}}
    assert found[2]["changes"] == {"country": {"old": country, "new": None}}
    deleted = found[1]["changes"]["deleted_at"]
    assert (deleted["old"], len(deleted["new"]), deleted["new"][-1]) == (None, len(found[0]["time"]), "Z")
    assert found[4]["changes"] == {}

    paged: list[Any] = []
    cursor: dict[str, Any] = {}
    for _ in range(3):
        page = (await api.get(f"/v1{path}/history", params={"limit": 2, **cursor})).json()
        paged.append(page["data"])
        # A later change shifts no page.
        await api.put(path, json={"country": word()})
        cursor = {"cursor": page.get("next_cursor")}
    assert (paged, cursor) == ([found[:2], found[2:4], found[4:]], {"cursor": None})
    head = await api.head(f"{path}/history")
    assert (head.status_code, head.content) == (200, b"")


async def test_both_doors_tell_the_same(stack: Stack, known: dict[str, clients.Client], callers: Callers) -> None:
    made = (await callers["editor"].post("/contacts/create", json=ada())).json()["data"]
    path = f"/contacts/{made['uuid']}"
    await callers["editor"].put(path, json={"title": "Engineer", "departments": ["a"]})
    told = await entries(callers["editor"], path)
    async with grpc.aio.insecure_channel(stack.gateway.removeprefix("http://")) as opened:
        query, metadata = QueryServiceStub(opened), [("x-api-key", known["editor"].key)]
        asked = pb.ListContactHistoryRequest(uuid=made["uuid"], limit=1)
        first = await query.ListContactHistory(asked, metadata=metadata)
        asked.cursor = first.next_cursor
        second = await query.ListContactHistory(asked, metadata=metadata)
    (change,), (creation,) = first.entries, second.entries
    assert (change.action, change.actor, creation.action) == ("update", f"client:{known['editor'].name}", "create")
    assert (change.time.ToJsonString()[:19], change.row_version) == (told[0]["time"][:19], told[0]["row_version"])
    assert (change.request_id, change.HasField("job_uuid")) == (told[0]["request_id"], False)
    assert change.changes["title"].new.string_value == "Engineer"
    assert not change.changes["title"].HasField("old")
    assert [value.string_value for value in change.changes["departments"].new.list_value.values] == ["a"]
    assert (dict(creation.changes), second.next_cursor) == ({}, "")


async def test_what_an_import_changed_names_the_client_and_its_job(
    callers: Callers, known: dict[str, clients.Client], postgres: asyncpg.Connection
) -> None:
    mark = word()
    job = await import_file(callers["editor"], f"first_name,email\n{mark},{mark}@history.example\n".encode())
    uuid = await postgres.fetchval("SELECT uuid FROM contacts WHERE email = $1", f"{mark}@history.example")
    own = (f"client:{known['editor'].name}", job["uuid"])
    for caller, (actor, job_uuid) in {"editor": own, "administrator": own, "reader": (None, None)}.items():
        (entry,) = await entries(callers[caller], f"/contacts/{uuid}")
        assert (entry["action"], entry["actor"], entry["job_uuid"]) == ("create", actor, job_uuid), caller


async def test_a_reader_sees_what_changed_and_an_administrator_who_changed_it(
    callers: Callers, api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    uuid = str(uuid4())
    path = f"/companies/{uuid}"
    await api.post("/companies/create", json={"uuid": uuid, "name": "Acme"})
    await callers["editor"].put(path, json={"city": "Bonn"})
    await postgres.execute("UPDATE companies SET city = 'Köln' WHERE uuid = $1", uuid)

    seen = {name: await entries(caller, path) for name, caller in callers.items()}
    actors = {name: [(entry["actor"] or "").partition("-")[0] for entry in found] for name, found in seen.items()}
    login = await postgres.fetchval("SELECT 'sql:' || session_user")
    assert actors["administrator"] == [login.partition("-")[0], "client:editor", "client:default"]
    assert actors["editor"] == ["", "client:editor", ""]
    assert actors["reader"] == ["", "", ""]
    assert [bool(entry["request_id"]) for entry in seen["editor"]] == [False, True, False]
    assert [entry["changes"] for entry in seen["reader"]] == [entry["changes"] for entry in seen["administrator"]]

    # A deleted record does not exist for those who read; administrators see who deleted it, also when it was removed for good.
    await callers["editor"].delete(path)
    absent = await callers["reader"].get(f"/companies/{uuid4()}/history")
    for name in ("editor", "reader"):
        gone = await callers[name].get(f"{path}/history")
        assert (gone.status_code, gone.json()["message"]) == (404, absent.json()["message"]), name
    assert (await entries(callers["administrator"], path))[0]["action"] == "delete"
    await postgres.execute("DELETE FROM companies WHERE uuid = $1", uuid)
    last = (await entries(callers["administrator"], path, limit=1))[0]
    assert (last["actor"], last["changes"]["name"]) == (login, {"old": "Acme", "new": None})
    assert (await callers["administrator"].get(f"/contacts/{uuid}/history")).status_code == 404


async def test_nobody_acts_in_the_name_of_another(
    stack: Stack, known: dict[str, clients.Client], callers: Callers
) -> None:
    mine, uuid = known["editor"], str(uuid4())
    forged = [("x-client-id", "default"), ("x-client-rights", "admin"), ("x-token-subject", "default")]
    made = await callers["editor"].post("/contacts/create", json={"uuid": uuid, **ada()}, headers=forged)
    assert made.status_code == 201
    async with grpc.aio.insecure_channel(stack.gateway.removeprefix("http://")) as opened:
        request = write_pb.UpdateContactRequest()
        request.contact.uuid, request.contact.title = uuid, "Engineer"
        await WriteServiceStub(opened).UpdateContact(request, metadata=[("x-api-key", mine.key), *forged])
        asked, sent = pb.ListContactHistoryRequest(uuid=uuid), [("x-api-key", known["reader"].key), *forged]
        seen = await QueryServiceStub(opened).ListContactHistory(asked, metadata=sent)
    assert [entry.actor for entry in seen.entries] == ["", ""]
    told = await entries(callers["administrator"], f"/contacts/{uuid}")
    assert [entry["actor"] for entry in told] == [f"client:{mine.name}"] * 2


async def test_a_page_is_found_by_its_index_and_bounded_in_bytes(database: asyncpg.Connection) -> None:
    # As if there were many other records; the trail is append-only for all but its owner.
    await database.execute("""INSERT INTO audit (actor, entity, uuid, operation, row_version)
        SELECT 'client:a', 'contact', md5(n::text), 'create', n FROM generate_series(1, 50000) n; ANALYZE audit""")
    uuid, large = str(uuid4()), "x" * (PAGE_BYTES // 2)
    for number in range(4):
        await database.execute(
            """INSERT INTO audit (actor, entity, uuid, operation, row_version, changes)
               VALUES ('client:a', 'contact', $1, 'update', $2, jsonb_build_object('title', jsonb_build_array(NULL, $3::text)))""",
            *(uuid, number, large),
        )
    before, seen = 2**63 - 1, []
    while True:
        page = await HistoryRepository(database).page(CONTACT, uuid, before, 100)
        seen.append([entry.row_version for entry in page])
        if not page[-1].more:
            break
        before = page[-1].id
    assert seen == [[3, 2], [1, 0]]

    plan = "\n".join(line for (line,) in await database.fetch(f"EXPLAIN {PAGE}", uuid, CONTACT.name, 2**63 - 1, 25))
    partition = await database.fetchval("SELECT DISTINCT tableoid::regclass::text FROM audit")
    assert f"{partition}_uuid_id_idx" in plan
    assert f"Seq Scan on {partition} " not in plan


async def test_the_command_shows_it(stack: Stack, api: httpx.AsyncClient) -> None:
    made = (await api.post("/companies/create", json={"name": f"Acme {word()}"})).json()["data"]
    await api.put(f"/companies/{made['uuid']}", json={"city": "Bonn"})
    calls = [("companies", made["uuid"]), ("companies", made["uuid"], "-n", "1", "--json"), ("contacts", made["uuid"])]
    done = [await asyncio.to_thread(stack.command, "history", *arguments) for arguments in calls]
    assert [one.returncode for one in done] == [ExitCode.DONE, ExitCode.DONE, ExitCode.NOT_FOUND], done
    assert "client:default" in done[0].stdout
    assert 'city: - → "Bonn"' in done[0].stdout
    assert [entry["changes"] for entry in json.loads(done[1].stdout)] == [{"city": {"old": None, "new": "Bonn"}}]
    assert "not found" in done[2].stderr
