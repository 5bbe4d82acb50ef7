"""Import batches, the index, and search, on the running services: what is written is found exactly once, and both stores stay equal."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import httpx
import pytest
from connectra.common.v1 import vql_pb2
from connectra.query.v1 import query_service_pb2 as query_pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra.write.internal.v1 import import_service_pb2 as import_pb
from connectra.write.internal.v1.import_service_pb2_grpc import ImportServiceStub

from tests.support.contacts import batch, is_count, named, row
from tests.support.queries import text_clause, text_query
from tests.support.wait import until
from tests.support.words import word


async def search(
    api: httpx.AsyncClient, entity: str, document: dict[str, Any], token: str | None = None
) -> list[dict[str, Any]]:
    answer = await api.post(f"/{entity}", json=document, headers={"x-consistency-token": token} if token else {})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


async def test_a_batch_is_applied_once_and_search_sees_it_with_its_token(
    imports: ImportServiceStub, api: httpx.AsyncClient
) -> None:
    mark, job = word(), str(uuid4())
    request = batch(job, 0, *(row(mark, n) for n in range(30)), "short")
    first = await imports.ImportBatch(request)
    assert (first.counts.rows, first.counts.created, first.counts.rejected) == (31, 31, 1)
    assert (first.rejected[0].line, first.rejected[0].record) == (32, "short")
    again = await imports.ImportBatch(request)
    assert again.replayed
    assert (again.counts, again.rejected, again.consistency_token) == (
        first.counts,
        first.rejected,
        first.consistency_token,
    )

    found = await search(api, "contacts", named(mark, limit=100), first.consistency_token)
    assert len(found) == 30
    counted = await api.post("/contacts/count/", json=named(mark))
    assert counted.json() == {"count": 30, "success": True}
    progress = await imports.GetImportProgress(import_pb.GetImportProgressRequest(job_uuid=job))
    assert (progress.batches, progress.byte_offset, progress.next_line) == (1, request.byte_end, 33)
    assert (progress.counts, progress.consistency_token) == (first.counts, first.consistency_token)


async def test_a_batch_that_does_not_follow_the_last_one_of_its_job_is_refused(imports: ImportServiceStub) -> None:
    mark, job = word(), str(uuid4())
    a: dict[str, Any] = {"generation": 1, "input": "a"}
    b: dict[str, Any] = {"generation": 2, "input": "b"}
    first = batch(job, 0, row(mark, 0), begin=50, **a)
    end = first.byte_end
    await imports.ImportBatch(first)
    wrong = {
        "the next one is 1": batch(job, 2, row(mark, 1), begin=end, **a),
        f"begins at byte {end + 1}, and the one before it ended at {end}": batch(
            job, 1, row(mark, 1), begin=end + 1, **a
        ),
        "of another file": batch(job, 1, row(mark, 1), begin=end, generation=1, input="b"),
        "the next one is 0": batch(job, 1, row(mark, 1), begin=end, **b),
    }

    async def refused(request: import_pb.ImportBatchRequest, reason: str) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match=reason) as error:
            await imports.ImportBatch(request)
        assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION

    for reason, request in wrong.items():
        await refused(request, reason)
    await imports.ImportBatch(batch(job, 1, row(mark, 1), begin=end, **a))
    await imports.ImportBatch(batch(job, 0, row(mark, 2), begin=7, **b))
    await refused(batch(job, 2, row(mark, 3), begin=2 * end, **a), "has begun to read another file")
    for generation, batches, rows in ((1, 2, 2), (2, 1, 1), (3, 0, 0)):
        asked = import_pb.GetImportProgressRequest(job_uuid=job, generation=generation)
        progress = await imports.GetImportProgress(asked)
        assert (progress.batches, progress.counts.rows) == (batches, rows)


async def test_the_ledger_keeps_reported_rows_until_the_next_batch_says_that_they_are_stored(
    imports: ImportServiceStub,
) -> None:
    mark, job = word(), str(uuid4())
    file: dict[str, Any] = {"generation": 1, "input": "a"}
    asked = import_pb.GetImportProgressRequest(job_uuid=job, generation=1)
    first = batch(job, 0, row(mark, 0), "short", **file)
    assert (
        list((await imports.ImportBatch(first)).rejected)
        == list((await imports.GetImportProgress(asked)).rejected)
        != []
    )
    second = batch(job, 1, row(mark, 1), begin=first.byte_end, **file)
    assert not (await imports.ImportBatch(second)).rejected
    again = await imports.ImportBatch(first)
    assert (again.replayed, again.counts.rejected, list(again.rejected)) == (True, 1, [])
    progress = await imports.GetImportProgress(asked)
    assert (progress.counts.rejected, list(progress.rejected)) == (1, [])


async def test_what_has_not_changed_is_left_alone_and_empty_cells_change_nothing(
    imports: ImportServiceStub, postgres: asyncpg.Connection
) -> None:
    mark = word()
    await imports.ImportBatch(batch(str(uuid4()), 0, row(mark, 1)))
    same = await imports.ImportBatch(batch(str(uuid4()), 0, row(mark, 1), f",,,ann1,{mark},ann1@{mark}.com,"))
    assert (same.counts.created, same.counts.updated, same.counts.unchanged) == (0, 0, 2)
    changed = await imports.ImportBatch(batch(str(uuid4()), 0, row(mark, 1, title="VP")))
    assert (changed.counts.updated, changed.counts.unchanged) == (1, 1)
    assert await postgres.fetchval("SELECT title FROM contacts WHERE last_name = $1", mark) == "VP"


async def test_an_import_revives_what_was_deleted(
    imports: ImportServiceStub, postgres: asyncpg.Connection, api: httpx.AsyncClient
) -> None:
    mark = word()
    await imports.ImportBatch(batch(str(uuid4()), 0, row(mark, 1)))
    await postgres.execute("UPDATE contacts SET deleted_at = now() WHERE last_name = $1", mark)
    await until(lambda: is_count(api, mark, 0))
    revived = await imports.ImportBatch(batch(str(uuid4()), 0, row(mark, 1)))
    assert revived.counts.updated == 1
    assert len(await search(api, "contacts", named(mark), revived.consistency_token)) == 1


async def test_many_batches_over_the_same_records_neither_fail_nor_lose(
    imports: ImportServiceStub, postgres: asyncpg.Connection
) -> None:
    mark = word()
    rows = [row(mark, n) for n in range(100)]
    jobs = [[*rows[i:], *rows[:i]] for i in range(0, 100, 10)]
    applied = await asyncio.gather(*(imports.ImportBatch(batch(str(uuid4()), 0, *job)) for job in jobs))
    assert sum(a.counts.created for a in applied) == 101
    assert await postgres.fetchval("SELECT count(*) FROM contacts WHERE last_name = $1", mark) == 100


async def test_the_same_batch_sent_twice_at_once_is_applied_once(imports: ImportServiceStub) -> None:
    mark, job = word(), str(uuid4())
    answers = await asyncio.gather(*(imports.ImportBatch(batch(job, 0, row(mark, 1))) for _ in range(8)))
    assert [a.counts.created for a in answers] == [2] * 8
    assert sorted(a.replayed for a in answers) == [False] + [True] * 7


async def test_rows_changed_by_plain_sql_are_found_and_deleted_ones_gone(
    imports: ImportServiceStub, postgres: asyncpg.Connection, api: httpx.AsyncClient
) -> None:
    mark = word()
    token = (await imports.ImportBatch(batch(str(uuid4()), 0, row(mark, 1), row(mark, 2)))).consistency_token
    first, second = await search(api, "contacts", named(mark, order_by=[{"order_by": "first_name"}]), token)
    new = word()
    await postgres.execute("UPDATE contacts SET last_name = $1 WHERE uuid = $2", new, first["uuid"])
    await until(lambda: is_count(api, new, 1))
    await postgres.execute("UPDATE contacts SET deleted_at = now() WHERE uuid = $1", first["uuid"])
    await postgres.execute("DELETE FROM contacts WHERE uuid = $1", second["uuid"])
    await until(lambda: is_count(api, new, 0))
    await until(lambda: is_count(api, mark, 0))
    assert (await api.get(f"/contacts/{first['uuid']}")).status_code == 404


async def test_a_company_that_changes_changes_for_its_contacts_too(
    imports: ImportServiceStub, postgres: asyncpg.Connection, api: httpx.AsyncClient
) -> None:
    mark, new = word(), word()
    await imports.ImportBatch(batch(str(uuid4()), 0, *(row(mark, n) for n in range(20))))

    def at(name: str) -> dict[str, Any]:
        return {**text_query(text_clause(name, "company_name", "exact")), "limit": 100}

    async def found(name: str, count: int) -> bool:
        return len(await search(api, "contacts", at(name))) == count

    await until(lambda: found(f"{mark} co", 20))
    await postgres.execute("UPDATE companies SET name = $1 WHERE name = $2", new, f"{mark} co")
    await until(lambda: found(new, 20))
    assert await found(f"{mark} co", 0)
    await postgres.execute("DELETE FROM companies WHERE name = $1", new)
    await until(lambda: found(new, 0))
    assert await is_count(api, mark, 20)


async def test_rows_carry_every_field_or_exactly_the_columns_asked_for(
    imports: ImportServiceStub, api: httpx.AsyncClient
) -> None:
    mark = word()
    token = (await imports.ImportBatch(batch(str(uuid4()), 0, row(mark, 1, city="München")))).consistency_token
    (contact,) = await search(api, "contacts", named(mark, company_config={"populate": True}), token)
    assert contact["departments"] == []
    assert contact["seniority"] is None
    assert contact["deleted_at"] is None
    assert contact["created_at"].endswith("Z")
    assert len(contact["created_at"]) == len("2026-01-01T00:00:00.000000Z")
    assert (contact["company"]["name"], contact["company"]["city"]) == (f"{mark} co", "münchen")
    some = named(mark, select_columns=["email", "uuid"], company_config={"populate": True, "select_columns": ["name"]})
    (row_,) = await search(api, "contacts", some)
    assert list(row_) == ["email", "uuid", "cursor", "company"]
    assert row_["company"] == {"name": f"{mark} co"}
    one = await api.get(f"/v1/contacts/{contact['uuid']}", params={"select_columns": "email, title"})
    assert one.json() == {"data": {"email": f"ann1@{mark}.com", "title": "Engineer"}, "success": True}
    assert one.headers["etag"].strip('"').isdecimal()


@pytest.mark.parametrize("order", ["company_employees_count", "created_at", "email", "first_name", "id", "uuid"])
async def test_pages_and_cursors_walk_over_everything_once(
    imports: ImportServiceStub, api: httpx.AsyncClient, order: str
) -> None:
    mark = word()
    rows = [row(mark, n, employees=n % 3) for n in range(23)]
    token = (await imports.ImportBatch(batch(str(uuid4()), 0, *rows))).consistency_token
    document = named(mark, order_by=[{"order_by": order, "order_direction": "desc"}], limit=5)
    walked = await search(api, "contacts", document, token)
    while page := await search(api, "contacts", {**document, "cursor": walked[-1]["cursor"]}):
        walked += page
    paged = [r for page in range(1, 6) for r in await search(api, "contacts", {**document, "page": page})]
    assert [r["uuid"] for r in walked] == [r["uuid"] for r in paged]
    assert len({r["uuid"] for r in walked}) == 23


async def test_text_ignores_case_and_accents_and_substrings_are_exact(
    imports: ImportServiceStub, api: httpx.AsyncClient
) -> None:
    mark = word()
    token = (
        await imports.ImportBatch(batch(str(uuid4()), 0, row(mark, 1, title=f"Jürgen {mark} Softwareentwicklung")))
    ).consistency_token

    async def hits(value: str, kind: str, **more: Any) -> int:
        return len(await search(api, "contacts", text_query(text_clause(value, "title", kind, **more)), token))

    assert await hits(f"jurgen {mark}", "exact") == 1
    assert await hits(f"{mark} JÜRGEN", "shuffle") == 1
    assert await hits(f"{mark} jurgen", "exact") == 0
    assert await hits(f"{mark[:-1]}x", "shuffle", fuzzy=True) == 1
    assert await hits(f"{mark} softwareent", "substring") == 1
    assert await hits(f"{mark} softwarehouse", "substring") == 0


async def test_both_doors_answer_alike(
    imports: ImportServiceStub, query: QueryServiceStub, api: httpx.AsyncClient
) -> None:
    mark = word()
    token = (await imports.ImportBatch(batch(str(uuid4()), 0, *(row(mark, n) for n in range(3))))).consistency_token
    document = named(mark, order_by=[{"order_by": "email"}], company_config={"populate": True})
    rest = await search(api, "contacts", document, token)
    request = query_pb.ListContactsRequest()
    text = request.query.where.text_matches.must.add(text_value=mark, filter_key="last_name")
    text.search_type = vql_pb2.SEARCH_TYPE_EXACT
    request.query.order_by.add(order_by="email")
    request.query.company_config.populate = True
    typed = (await query.ListContacts(request)).rows
    assert [r.contact.uuid for r in typed] == [r["uuid"] for r in rest]
    assert [r.company.name for r in typed] == [r["company"]["name"] for r in rest]
    assert [[v.string_value for v in r.cursor] for r in typed] == [r["cursor"] for r in rest]
    assert typed[0].contact.created_at.ToJsonString()[:19] == rest[0]["created_at"][:19]
    assert not typed[0].contact.HasField("seniority")

    request.query.where.text_matches.must[0].filter_key = "lastname"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await query.ListContacts(request)
    wrong = named(mark)
    wrong["where"]["text_matches"]["must"][0]["filter_key"] = "lastname"
    answer = await api.post("/contacts", json=wrong)
    assert answer.status_code == 400
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == answer.json()["message"]
    assert "did you mean 'last_name'?" in answer.json()["message"]


async def test_what_is_not_json_is_named_with_its_place(api: httpx.AsyncClient) -> None:
    answer = await api.post("/contacts", content=b'{"where":\n {,}}')
    assert answer.status_code == 400
    body = json.loads(answer.text)
    assert (body["error_code"], body["details"]["line"]) == ("VALIDATION_ERROR", 2)


async def test_unknown_members_of_a_query_are_named_in_warnings(api: httpx.AsyncClient) -> None:
    body = (await api.post("/companies", json={"limt": 3})).json()
    assert body["warnings"] == [{"field": "limt", "message": "unknown field 'limt'; did you mean 'limit'?"}]


async def test_a_token_of_no_write_is_refused_or_waited_for_in_vain(api: httpx.AsyncClient) -> None:
    answer = await api.post("/contacts", json={}, headers={"x-consistency-token": "soon"})
    assert answer.status_code == 400


async def test_the_state_of_the_dependencies_is_shown(api: httpx.AsyncClient) -> None:
    body = (await api.get("/health/db")).json()
    assert body["status"] == "ok"
    assert {name: check["status"] for name, check in body["checks"].items()} == {
        "postgres": "ok",
        "elasticsearch": "ok",
        "s3": "ok",
    }
