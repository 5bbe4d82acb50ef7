"""Writes at the same time, versions, and idempotency keys, on the running services."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import httpx
import pytest
from connectra.common.v1 import records_pb2
from connectra.write.internal.v1 import import_service_pb2 as import_pb
from connectra.write.internal.v1.import_service_pb2_grpc import ImportServiceStub
from connectra.write.v1 import write_service_pb2 as pb
from connectra.write.v1.write_service_pb2_grpc import WriteServiceStub

from tests.support.wait import until
from tests.support.words import word


def company(mark: str, **more: Any) -> dict[str, Any]:
    return {"name": f"{mark} Co", "normalized_domain": f"{mark}.com", **more}


async def test_a_change_of_another_version_is_refused(api: httpx.AsyncClient, write: WriteServiceStub) -> None:
    made = await api.post("/companies/create", json=company(word()))
    path, etag = f"/companies/{made.json()['data']['uuid']}", made.headers["etag"]
    changed = await api.put(path, json={"city": "Bonn"}, headers={"if-match": etag})
    assert changed.status_code == 200
    now = changed.headers["etag"]
    assert now != etag
    for header in (etag, '"no-version-of-ours"', f'{etag}, "1"'):
        for method, body in (("PUT", {"city": "Rome"}), ("DELETE", None)):
            refused = await api.request(method, path, json=body, headers={"if-match": header})
            assert (refused.status_code, refused.json()["error_code"]) == (412, "CONFLICT")
            assert refused.json()["details"]["row_version"] == int(now.strip('"'))
    with pytest.raises(grpc.aio.AioRpcError, match="ABORTED"):
        await write.DeleteCompany(pb.DeleteCompanyRequest(uuid=path.rpartition("/")[2], row_version=1))
    assert (await api.put(path, json={}, headers={"if-match": "nonsense"})).status_code == 400
    assert (await api.put(path, json={}, headers={"if-match": f"{etag}, W/{now}"})).status_code == 200
    assert (await api.delete(path, headers={"if-match": "*"})).status_code == 200
    assert (await api.delete(path, headers={"if-match": now})).status_code == 404


@pytest.mark.parametrize("path", ["/companies/create", "/companies/upsert", "/companies/bulk", "/common/batch-upsert"])
async def test_what_does_not_look_at_versions_takes_none(
    api: httpx.AsyncClient, postgres: asyncpg.Connection, path: str
) -> None:
    made = company(word())
    body = {"data": [{"company": made["name"]}]} if "common" in path else [made] if "bulk" in path else made
    refused = await api.post(path, json=body, headers={"if-match": '"1"'})
    assert (refused.status_code, refused.json()["details"]["fields"][0]["field"]) == (400, "If-Match")
    assert not await postgres.fetchval("SELECT count(*) FROM companies WHERE name ILIKE $1", made["name"])
    assert (await api.post(path, json=body, headers={"if-match": "*"})).is_success


async def test_of_concurrent_changes_of_one_version_one_wins(api: httpx.AsyncClient) -> None:
    made = await api.post("/companies/create", json=company(word()))
    path, headers = f"/companies/{made.json()['data']['uuid']}", {"if-match": made.headers["etag"]}
    replies = await asyncio.gather(*(api.put(path, json={"city": f"c{n}"}, headers=headers) for n in range(8)))
    assert sorted(reply.status_code for reply in replies) == [200] + [412] * 7
    (winner,) = (reply for reply in replies if reply.status_code == 200)
    assert (await api.get(path)).json()["data"] == winner.json()["data"]


@pytest.mark.parametrize("entity", ["companies", "contacts"])
async def test_concurrent_upserts_of_one_key_make_one_record(
    api: httpx.AsyncClient, postgres: asyncpg.Connection, entity: str
) -> None:
    mark = word()
    key = {"normalized_domain": f"{mark}.com"} if entity == "companies" else {"email": f"{mark}@x.com"}
    names = [{"name": f"{mark} {n}"} if entity == "companies" else {"first_name": f"n{n}"} for n in range(24)]

    async def write(n: int) -> httpx.Response:
        if n % 3 == 0:
            return await api.post(f"/{entity}/bulk", json=[{**key, **names[n]}])
        return await api.post(f"/{entity}/upsert", json={**key, **names[n]})

    replies = await asyncio.gather(*(write(n) for n in range(24)))
    assert {reply.status_code for reply in replies} <= {200, 201}
    news = [r.json().get("is_new", False) or r.json()["data"].get("created") == 1 for r in replies]
    assert sum(news) == 1
    column, value = next(iter(key.items()))
    assert await postgres.fetchval(f"SELECT count(*) FROM {entity} WHERE {column} = $1", value) == 1


async def test_concurrent_batches_over_the_same_records_all_succeed(
    api: httpx.AsyncClient, imports: ImportServiceStub, postgres: asyncpg.Connection
) -> None:
    mark = word()
    contacts = [{"email": f"{mark}{n}@x.com", "title": f"{mark} {n % 7}", "city": None} for n in range(120)]
    columns = ("email", "title", "company")

    async def bulk(turn: int) -> None:
        turned = contacts[turn * 13 :] + contacts[: turn * 13]
        reply = await api.post("/contacts/bulk", json=turned if turn % 2 else turned[::-1])
        assert (reply.status_code, reply.json()["data"]["success_count"]) == (200, 120), reply.text

    async def imported(turn: int) -> None:
        rows = [f"{c['email']},{mark} t{n % 5},{mark} co {n % 9}" for n, c in enumerate(contacts)]
        request = import_pb.ImportBatchRequest(
            job_uuid=str(uuid4()), records="\n".join(rows[:: 1 if turn else -1]).encode(), columns=columns, first_line=2
        )
        assert (await imports.ImportBatch(request)).counts.rejected == 0

    async def single(n: int) -> None:
        reply = await api.post("/contacts/upsert", json={**contacts[n], "seniority": mark})
        assert reply.status_code in (200, 201), reply.text

    works = [*(bulk(n) for n in range(8)), *(imported(n) for n in range(2)), *(single(n) for n in range(0, 120, 10))]
    await asyncio.gather(*works)
    assert await postgres.fetchval("SELECT count(*) FROM contacts WHERE email LIKE $1", f"{mark}%") == 120


async def test_a_request_with_an_idempotency_key_is_done_once(
    api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    for path, body in (
        ("/companies/create", company(word())),
        ("/contacts/upsert", {"email": f"{word()}@x.com"}),
        ("/companies/bulk", [company(word()), {}]),
        ("/common/batch-upsert", {"data": [{"company": word()}]}),
    ):
        headers = {"idempotency-key": str(uuid4())}
        replies = await asyncio.gather(*(api.post(path, json=body, headers=headers) for _ in range(6)))
        first = replies[0]
        assert first.status_code in (200, 201, 207), first.text
        for reply in replies:
            assert (reply.status_code, reply.content) == (first.status_code, first.content)
            for name in ("etag", "x-consistency-token"):
                assert reply.headers.get(name) == first.headers.get(name)
        assert sum("idempotent-replayed" not in reply.headers for reply in replies) == 1
        other = await api.post(path, json=[{"email": "a@b.de"}] if "bulk" in path else company(word()), headers=headers)
        if "contacts" not in path and "common" not in path:
            assert (other.status_code, other.json()["error_code"]) == (409, "CONFLICT"), path


async def test_the_answer_to_a_repeated_call_is_marked_as_such(write: WriteServiceStub) -> None:
    request = pb.UpsertContactRequest(contact=records_pb2.Contact(email=f"{word()}@x.com"))
    metadata, marks = (("idempotency-key", str(uuid4())),), []
    for _ in range(2):
        call = write.UpsertContact(request, metadata=metadata)
        await call
        sent = dict(await call.initial_metadata())
        marks.append((sent.get("idempotent-replayed"), "x-consistency-token" in sent))
    assert marks == [(None, True), ("true", True)]


async def test_a_request_that_failed_leaves_its_key_free(api: httpx.AsyncClient) -> None:
    headers, stored = {"idempotency-key": str(uuid4())}, company(word(), uuid=str(uuid4()))
    await api.post("/companies/create", json=stored)
    assert (await api.post("/companies/create", json=stored, headers=headers)).status_code == 409
    assert (await api.post("/companies/create", json=company(word()), headers=headers)).status_code == 201
    for key in ("", "x" * 256):
        reply = await api.post("/companies/create", json=company(word()), headers={"idempotency-key": key})
        assert reply.status_code == 400


async def test_the_key_of_one_client_is_nothing_to_another(write: WriteServiceStub) -> None:
    key = str(uuid4())

    async def make(client: str) -> str:
        request = pb.CreateCompanyRequest(company=records_pb2.Company(name=word()))
        metadata = (("idempotency-key", key), ("x-client-id", client))
        return str((await write.CreateCompany(request, metadata=metadata)).company.uuid)

    assert await make("one") != await make("two")


async def test_writes_that_wait_for_a_lock_keep_neither_other_clients_nor_other_kinds_waiting(
    write: WriteServiceStub, api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    locked, other = [
        str((await api.post("/companies/create", json=company(word()))).json()["data"]["uuid"]) for _ in range(2)
    ]

    async def put(uuid: str, client: str) -> None:
        request = pb.UpdateCompanyRequest(company=records_pb2.Company(uuid=uuid, city=word()))
        await write.UpdateCompany(request, metadata=[("x-client-id", client)], timeout=30)

    waiting = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
    async with postgres.transaction():
        await postgres.execute("SELECT FROM companies WHERE uuid = $1 FOR UPDATE", locked)
        greedy = [asyncio.create_task(put(locked, "greedy")) for _ in range(80)]
        await until(lambda: postgres.fetchval(waiting), lambda count: count >= 8)
        # One that nobody waits for answers at once, its token included; and a bulk has connections of its own.
        async with asyncio.timeout(5):
            await put(other, "modest")
            bulk = [records_pb2.Company(name=word())]
            await write.BatchUpsertCompanies(pb.BatchUpsertCompaniesRequest(companies=bulk))
        refused = [task for task in greedy if task.done()]
        assert refused
        for task in refused:
            error = task.exception()
            assert isinstance(error, grpc.aio.AioRpcError)
            assert (error.code(), error.details()) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "too many writes at once: a client may have 8; wait until one has ended",
            )
        assert await postgres.fetchval(waiting) == 8
    await asyncio.gather(*greedy, return_exceptions=True)
    await put(locked, "greedy")
