"""Create, update, delete, upsert and batches of records, through the gateway and the typed door of the running services."""

import json
from collections.abc import Callable
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
from connectra_common.records import ids
from connectra_common.records.fields import COMPANY, CONTACT
from google.protobuf.field_mask_pb2 import FieldMask

from tests.support.queries import keyword_query
from tests.support.wait import until
from tests.support.words import word

ENTITIES = ["companies", "contacts"]
TITLES = {"companies": "Company", "contacts": "Contact"}


def record(entity: str, mark: str, **more: Any) -> dict[str, Any]:
    if entity == "companies":
        return {"name": f"{mark} Co", "normalized_domain": f"{mark}.com", "industries": ["saas"], **more}
    return {"first_name": mark, "last_name": "lee", "email": f"{mark}@acme.com", "departments": ["sales"], **more}


async def create(api: httpx.AsyncClient, entity: str, **more: Any) -> dict[str, Any]:
    reply = await api.post(f"/{entity}/create", json=record(entity, word(), **more))
    assert reply.status_code == 201, reply.text
    return dict(reply.json()["data"])


async def found(api: httpx.AsyncClient, entity: str, uuid: str, token: str) -> list[Any]:
    return list(
        (await api.post(f"/{entity}", json=keyword_query(uuid=uuid), headers={"x-consistency-token": token})).json()[
            "data"
        ]
    )


def assert_error(reply: httpx.Response, status: int, code: str, message: str) -> dict[str, Any]:
    body = reply.json()
    assert (reply.status_code, body["error_code"]) == (status, code), reply.text
    assert message in body["message"]
    return dict(body["details"])


@pytest.mark.parametrize("entity", ENTITIES)
async def test_a_created_record_is_answered_whole_and_searchable(api: httpx.AsyncClient, entity: str) -> None:
    mark = word()
    reply = await api.post(f"/v1/{entity}/create/", json=record(entity, mark, city="Bonn"))
    assert reply.status_code == 201
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    body = reply.json()
    assert list(body) == ["data", "success"]
    stored = body["data"]
    assert tuple(stored) == (COMPANY if entity == "companies" else CONTACT).columns
    assert (stored["state"], stored["deleted_at"]) == (None, None)
    assert stored["created_at"] == stored["updated_at"]
    read = await api.get(f"/{entity}/{stored['uuid']}")
    assert (read.json()["data"], read.headers["etag"]) == (stored, reply.headers["etag"])
    (hit,) = await found(api, entity, stored["uuid"], reply.headers["x-consistency-token"])
    assert hit["uuid"] == stored["uuid"]
    for answer in (reply, read):
        assert answer.text == json.dumps(answer.json(), ensure_ascii=False, separators=(",", ":"))


async def test_the_uuid_of_a_new_record_is_the_clients_or_the_recipes(api: httpx.AsyncClient) -> None:
    mine, mark = str(uuid4()), word()
    assert (await create(api, "companies", uuid=mine))["uuid"] == mine
    company = await create(api, "companies", name=f"{mark} GmbH", linkedin_url=f"https://linkedin.com/company/{mark}")
    assert company["uuid"] == ids.company_uuid(f"{mark} gmbh", f"https://linkedin.com/company/{mark}")
    contact = await create(api, "contacts", first_name=mark, last_name="Lee", email=f"{mark}@x.com")
    assert contact["uuid"] == ids.contact_uuid(mark, "lee", None, f"{mark}@x.com")


@pytest.mark.parametrize("entity", ENTITIES)
async def test_creating_what_exists_is_a_conflict_that_names_it(api: httpx.AsyncClient, entity: str) -> None:
    stored = await create(api, entity)
    again = await api.post(f"/{entity}/create", json=record(entity, word(), uuid=stored["uuid"]))
    assert assert_error(again, 409, "CONFLICT", "already exists") == {"uuid": stored["uuid"]}


@pytest.mark.parametrize("entity", ENTITIES)
async def test_creating_what_was_deleted_starts_afresh(api: httpx.AsyncClient, entity: str) -> None:
    stored = await create(api, entity, city="bonn")
    await api.delete(f"/{entity}/{stored['uuid']}")
    again = await api.post(f"/{entity}/create", json=record(entity, word(), uuid=stored["uuid"]))
    assert again.status_code == 201
    data = again.json()["data"]
    assert (data["id"], data["city"], data["deleted_at"]) == (stored["id"], None, None)
    assert data["created_at"] > stored["created_at"]


@pytest.mark.parametrize("entity", ENTITIES)
async def test_an_update_lays_fields_over_and_clears_empty_ones(api: httpx.AsyncClient, entity: str) -> None:
    items = "industries" if entity == "companies" else "departments"
    stored = await create(api, entity, city="bonn", state="nrw", country="germany")
    change: dict[str, Any] = {"city": None, "state": "", items: [], "linkedin_url": "https://linkedin.com/in/x"}
    reply = await api.put(f"/{entity}/{stored['uuid']}", json=change)
    assert reply.status_code == 200, reply.text
    data = reply.json()["data"]
    expected: dict[str, Any] = {"city": None, "state": None, items: [], "linkedin_url": "https://linkedin.com/in/x"}
    assert data == {**stored, **expected, "updated_at": data["updated_at"]}
    assert data["updated_at"] > stored["updated_at"]
    assert (await api.get(f"/{entity}/{stored['uuid']}")).json()["data"] == data


@pytest.mark.parametrize("entity", ENTITIES)
async def test_what_is_deleted_is_gone_everywhere_and_a_second_time_404(api: httpx.AsyncClient, entity: str) -> None:
    stored = await create(api, entity)
    path = f"/{entity}/{stored['uuid']}"
    reply = await api.delete(path)
    assert (reply.status_code, reply.json()) == (
        200,
        {"message": f"{TITLES[entity]} deleted successfully", "success": True},
    )
    assert await found(api, entity, stored["uuid"], reply.headers["x-consistency-token"]) == []
    gone = f"{TITLES[entity]} with identifier 'specified UUID' not found"
    for again in (await api.delete(path), await api.get(path), await api.put(path, json={"city": "x"})):
        assert_error(again, 404, "NOT_FOUND", gone)


@pytest.mark.parametrize("spelled", [str.upper, lambda uuid: uuid.replace("-", "")])
async def test_a_uuid_is_taken_in_any_usual_spelling(api: httpx.AsyncClient, spelled: Callable[[str], str]) -> None:
    uuid = str(uuid4())
    assert (await create(api, "companies", uuid=spelled(uuid)))["uuid"] == uuid
    assert (await create(api, "contacts", company_id=spelled(uuid)))["company_id"] == uuid
    path = f"/companies/{spelled(uuid)}"
    assert (await api.get(path)).json()["data"]["uuid"] == uuid
    assert (await api.put(path, json={"uuid": spelled(uuid), "city": "Bonn"})).json()["data"]["uuid"] == uuid
    again = await api.post("/companies/upsert", json={"uuid": spelled(uuid), "name": "other"})
    assert (again.status_code, again.json()["data"]["uuid"]) == (200, uuid)
    assert (await api.delete(path)).status_code == 200
    assert (await api.get(f"/companies/{uuid}")).status_code == 404


@pytest.mark.parametrize("entity", ENTITIES)
async def test_an_upsert_finds_by_uuid_else_by_key_else_creates(api: httpx.AsyncClient, entity: str) -> None:
    mark = word()
    first = await api.post(f"/{entity}/upsert", json=record(entity, mark, city="bonn"))
    assert (first.status_code, first.json()["is_new"]) == (201, True)
    stored = first.json()["data"]
    by_key = await api.post(f"/{entity}/upsert", json=record(entity, mark, country="germany", linkedin_url=None))
    assert (by_key.status_code, by_key.json()["is_new"]) == (200, False)
    assert by_key.json()["data"] == {**stored, "country": "germany", "updated_at": by_key.json()["data"]["updated_at"]}
    by_uuid = await api.post(f"/{entity}/upsert", json=record(entity, word(), uuid=stored["uuid"], city=None))
    data = by_uuid.json()["data"]
    assert (by_uuid.status_code, data["id"], data["city"], data["country"]) == (200, stored["id"], None, "germany")
    mine = str(uuid4())
    new = await api.post(f"/{entity}/upsert", json=record(entity, mark, uuid=mine))
    assert (new.status_code, new.json()["data"]["uuid"]) == (201, mine)


@pytest.mark.parametrize("by", ["uuid", "key"])
@pytest.mark.parametrize("entity", ENTITIES)
async def test_an_upsert_revives_what_was_deleted(api: httpx.AsyncClient, entity: str, by: str) -> None:
    mark = word()
    stored = (await api.post(f"/{entity}/create", json=record(entity, mark, city="bonn"))).json()["data"]
    await api.delete(f"/{entity}/{stored['uuid']}")
    more = {"uuid": stored["uuid"]} if by == "uuid" else {}
    reply = await api.post(f"/{entity}/upsert", json=record(entity, mark, **more))
    assert (reply.status_code, reply.json()["is_new"]) == (201, True)
    data = reply.json()["data"]
    assert data == {**stored, "updated_at": data["updated_at"]}
    assert len(await found(api, entity, stored["uuid"], reply.headers["x-consistency-token"])) == 1


async def test_a_contact_without_email_is_upserted_by_uuid_and_names_are_optional(api: httpx.AsyncClient) -> None:
    mine, mark = str(uuid4()), word()
    reply = await api.post("/contacts/upsert", json={"uuid": mine, "title": "VP"})
    assert (reply.status_code, reply.json()["data"]["uuid"]) == (201, mine)
    one, two = [
        (await api.post("/contacts/upsert", json={"email": f"{mark}{n}@x.com"})).json()["data"]["uuid"] for n in (1, 2)
    ]
    assert one != two


@pytest.mark.parametrize("method", ["create", "upsert", "update"])
async def test_the_company_of_a_contact_must_be_there_if_only_deleted(api: httpx.AsyncClient, method: str) -> None:
    contact, company = await create(api, "contacts"), await create(api, "companies")
    await api.delete(f"/companies/{company['uuid']}")

    async def write(company_id: str) -> httpx.Response:
        if method == "update":
            return await api.put(f"/contacts/{contact['uuid']}", json={"company_id": company_id})
        return await api.post(f"/contacts/{method}", json=record("contacts", word(), company_id=company_id))

    unknown = str(uuid4())
    details = assert_error(await write(unknown), 404, "NOT_FOUND", "Company with identifier 'specified UUID' not found")
    assert details == {"uuid": unknown}
    reply = await write(company["uuid"])
    assert reply.status_code in (200, 201)
    assert reply.json()["data"]["company_id"] == company["uuid"]


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "/companies/create", {}, "name is required"),
        ("POST", "/companies/create", {"name": "x", "employees_count": -1}, "must be non-negative, got: -1"),
        ("POST", "/companies/upsert", {"name": "x", "website": "x"}, "invalid website URL format: x"),
        ("POST", "/contacts/create", {"email": "x"}, "first_name is required (and 2 more)"),
        ("POST", "/contacts/upsert", {"first_name": "x"}, "either email or UUID is required for upsert"),
        ("PUT", f"/contacts/{uuid4()}", {"email": "x"}, "invalid email format: x"),
        ("PUT", "/contacts/X", {"email": "a@b.de"}, "invalid UUID format: X"),
        ("DELETE", "/companies/1", None, "invalid UUID format: 1"),
        ("PUT", f"/companies/{uuid4()}", {"uuid": str(uuid4())}, "uuid cannot be changed"),
        ("POST", "/companies/bulk", [], "ERR_EMPTY_PAYLOAD"),
        ("POST", "/companies/bulk", {"companies": []}, "ERR_EMPTY_PAYLOAD"),
        ("POST", "/contacts/batch-upsert", [{}] * 2001, "ERR_BATCH_TOO_LARGE"),
        ("POST", "/contacts/bulk", {"companies": [{}]}, "one array 'contacts' or 'data'"),
        ("POST", "/contacts/bulk", {"data": {}}, "one array 'contacts' or 'data'"),
        ("POST", "/common/batch-upsert", {"data": []}, "ERR_EMPTY_PAYLOAD"),
        ("POST", "/common/batch-upsert", {"data": [{}] * 101}, "ERR_BATCH_TOO_LARGE"),
        ("POST", "/common/batch-upsert", {}, "one array 'data'"),
    ],
)
async def test_what_is_wrong_is_400(api: httpx.AsyncClient, method: str, path: str, body: Any, message: str) -> None:
    assert_error(await api.request(method, path, json=body), 400, "VALIDATION_ERROR", message)


async def test_all_violations_are_in_the_details(api: httpx.AsyncClient) -> None:
    reply = await api.post("/contacts/create", json={"email": "x", "departments": 5})
    fields = assert_error(reply, 400, "VALIDATION_ERROR", "(and 3 more)")["fields"]
    assert {f["field"] for f in fields} == {"first_name", "last_name", "email", "departments"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"'])
async def test_a_body_that_is_no_record_is_400(api: httpx.AsyncClient, body: bytes) -> None:
    for path in ("/companies/create", "/companies/upsert"):
        assert_error(await api.post(path, content=body), 400, "VALIDATION_ERROR", "body")


async def test_unknown_fields_are_named_in_warnings(api: httpx.AsyncClient) -> None:
    body = (await api.post("/companies/create", json={"name": word(), "indstries": []})).json()
    assert body["warnings"] == [
        {"field": "indstries", "message": "unknown field 'indstries'; did you mean 'industries'?"}
    ]
    batch = (
        await api.post("/contacts/bulk", json={"contacts": [{"email": f"{word()}@x.de", "nmae": 1}], "x": 1})
    ).json()
    assert [w["field"] for w in batch["warnings"]] == ["x", "contacts[0].nmae"]
    rows = (await api.post("/common/batch-upsert", json=[{"company": word(), "compny": 1}])).json()
    assert [w["field"] for w in rows["warnings"]] == ["[0].compny"]
    unknown = dict.fromkeys(("a1", "b2", "c3"), 1)
    people = [{"email": f"{word()}@x.de, y@x.de", **unknown} for _ in range(40)]
    many = (await api.post("/contacts/bulk", json={"contacts": people})).json()["warnings"]
    assert (len(many), many[-1]) == (101, {"field": "", "message": "60 more warnings"})


@pytest.mark.parametrize("path", ["bulk", "batch-upsert"])
@pytest.mark.parametrize("wrap", ["entity", "data", None])
@pytest.mark.parametrize("entity", ENTITIES)
async def test_batches_take_every_documented_body(
    api: httpx.AsyncClient, entity: str, wrap: str | None, path: str
) -> None:
    records = [record(entity, word()) for _ in range(3)]
    name = entity if wrap == "entity" else wrap
    reply = await api.post(f"/{entity}/{path}", json={name: records} if name else records)
    body = reply.json()
    uuids = body["data"].pop("uuids")
    assert (reply.status_code, body) == (
        200,
        {
            "data": {
                "total_count": 3,
                "success_count": 3,
                "error_count": 0,
                "created": 3,
                "updated": 0,
                "errors": [],
            },
            "success": True,
        },
    )
    uuid = (await api.post(f"/{entity}/upsert", json=records[2])).json()["data"]["uuid"]
    assert (uuids[2], len(set(uuids))) == (uuid, 3)
    assert len(await found(api, entity, uuid, reply.headers["x-consistency-token"])) == 1


async def test_good_records_of_a_batch_are_stored_and_bad_ones_reported(
    api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    mark, missing, mine = word(), str(uuid4()), str(uuid4())
    records = [
        {"email": f"{mark}1@x.de", "city": "Bonn"},
        {"first_name": "nobody"},
        {"email": f"{mark}2@x.de", "company_id": missing},
        {"uuid": mine, "email": "x", "website": "y"},
        "Ann",
        {"email": f"{mark}3@x.de"},
    ]
    reply = await api.post("/contacts/bulk", json={"contacts": records})
    body = reply.json()
    assert (reply.status_code, body["success"]) == (207, False)
    errors = body["data"].pop("errors")
    assert [uuid is None for uuid in body["data"].pop("uuids")] == [False, True, True, True, True, False]
    assert body["data"] == {"total_count": 6, "success_count": 2, "error_count": 4, "created": 2, "updated": 0}
    assert [error["index"] for error in errors] == [1, 2, 3, 4]
    assert errors[1]["error"] == f"Company with identifier '{missing}' not found"
    assert errors[2] == {
        "index": 3,
        "uuid": mine,
        "error": "invalid email format: x (and 1 more)",
        "fields": [
            {"field": "email", "message": "invalid email format: x"},
            {"field": "website", "message": "invalid website URL format: y"},
        ],
    }
    assert errors[3]["error"] == "a record must be a JSON object"
    stored = await postgres.fetch("SELECT email FROM contacts WHERE email LIKE $1 ORDER BY 1", f"{mark}%")
    assert [row[0] for row in stored] == [f"{mark}1@x.de", f"{mark}3@x.de"]


async def test_records_of_a_batch_are_taken_in_order(api: httpx.AsyncClient, postgres: asyncpg.Connection) -> None:
    mark, mine = word(), str(uuid4())
    await api.post("/contacts/create", json=record("contacts", mark, city="bonn", state="nrw"))
    batch = [
        {"email": f"{mark}@acme.com", "city": None, "title": "A"},  # the stored one, found by its address
        {"uuid": mine, "email": f"{mark}2@acme.com", "title": "B"},  # a new one
        {"email": f"{mark}2@acme.com", "title": "C"},  # the new one, found by its address
        {"uuid": mine, "email": f"{mark}3@acme.com"},  # it gets another address
        {"email": f"{mark}2@acme.com", "title": "D"},  # so this is another new one
    ]
    body = (await api.post("/contacts/bulk", json=batch)).json()
    assert (body["data"]["created"], body["data"]["updated"]) == (2, 3)
    rows = await postgres.fetch(
        "SELECT email, title, city, state FROM contacts WHERE email LIKE $1 ORDER BY title", f"{mark}%"
    )
    assert [tuple(row) for row in rows] == [
        (f"{mark}@acme.com", "A", None, "nrw"),
        (f"{mark}3@acme.com", "C", None, None),
        (f"{mark}2@acme.com", "D", None, None),
    ]


async def test_a_batch_changes_companies_by_uuid_without_their_name_and_revives_them(api: httpx.AsyncClient) -> None:
    one, two = await create(api, "companies"), await create(api, "companies")
    await api.delete(f"/companies/{two['uuid']}")
    batch = [{"uuid": c["uuid"], "city": "Rome"} for c in (one, two)] + [{"uuid": str(uuid4()), "city": "Rome"}]
    reply = await api.post("/companies/bulk", json=batch)
    data = reply.json()["data"]
    assert (reply.status_code, data["created"], data["updated"]) == (207, 1, 1)
    assert [(e["index"], e["error"]) for e in data["errors"]] == [(2, "name is required")]
    for company in (one, two):
        now = (await api.get(f"/companies/{company['uuid']}")).json()["data"]
        assert (now["city"], now["name"]) == ("Rome", company["name"])


async def test_csv_like_rows_are_read_as_an_import_reads_them(api: httpx.AsyncClient) -> None:
    mark = word()
    rows: list[Any] = [
        {"company": f"{mark}, Inc.", "Employees": "1,200", "first_name": "Ann", "email": f"ann@{mark}.com"},
        {"company": f"{mark}, Inc.", "company_city": "Bonn", "employees": ""},
        {"company": f"{mark} x", "employees": "-5", "email": "a@x.de; b@x.de"},
        {"title": "VP"},
        {"nothing": "known"},
        [],
    ]
    reply = await api.post("/common/batch-upsert", json={"data": rows})
    body = reply.json()
    assert (reply.status_code, body["success"], body["message"]) == (207, False, "Batch upsert completed with errors")
    assert [error["index"] for error in body["data"]["errors"]] == [3, 4, 5]
    assert (body["data"]["created"], body["data"]["updated"]) == (4, 0)
    assert [w for w in body["warnings"] if w["field"].startswith("data[2]")] == [
        {"field": "data[2].email", "message": "has 2 addresses; the first one, a@x.de, is stored"},
        {"field": "data[2].employees", "message": "'-5' is negative; allowed are numbers from 0"},
    ]
    company = (await api.get(f"/companies/{ids.company_uuid(f'{mark}, inc', None)}")).json()["data"]
    assert (company["employees_count"], company["city"], company["normalized_domain"]) == (1200, "bonn", f"{mark}.com")
    good = await api.post("/common/batch-upsert", json={"data": rows[:2]})
    assert (good.status_code, good.json()["message"]) == (200, "Batch upsert successful")
    assert (good.json()["success"], good.json()["data"]["updated"]) == (True, 2)


async def filter_values(postgres: asyncpg.Connection, *values: str, of: set[tuple[str, str, str, str]]) -> None:
    """Waits until these are the values that are stored."""

    async def stored() -> set[tuple[str, str, str, str]]:
        rows = await postgres.fetch(
            "SELECT service, filter_key, value, display_value, uuid FROM filters_data WHERE value = ANY($1)",
            list(values),
        )
        for row in rows:
            assert row["uuid"] == ids.filter_value_uuid(row["filter_key"], row["service"], row["value"])
        return {tuple(row)[:4] for row in rows}

    await until(stored, lambda found: found == of, seconds=20)


async def test_every_write_counts_in_the_filter_values(api: httpx.AsyncClient, postgres: asyncpg.Connection) -> None:
    m = word()
    company = await create(api, "companies", name=m, city=f"{m}1", industries=[f"{m}2", f"{m}3"])
    uuid = company["uuid"]
    await filter_values(
        postgres,
        *(uuid, *(f"{m}{n}" for n in range(1, 4))),
        of={
            ("company", "uuid", uuid, m),
            ("company", "city", f"{m}1", f"{m}1"),
            ("company", "industries", f"{m}2", f"{m}2"),
            ("company", "industries", f"{m}3", f"{m}3"),
        },
    )
    await api.put(f"/companies/{uuid}", json={"name": f"{m} new", "country": f"{m}4", "industries": [f"{m}2"]})
    await filter_values(
        postgres,
        *(uuid, f"{m}3", f"{m}4"),
        of={("company", "uuid", uuid, f"{m} new"), ("company", "country", f"{m}4", f"{m}4")},
    )
    await api.post("/companies/bulk", json=[{"uuid": uuid, "name": f"{m} newer", "keywords": [f"{m}5"]}])
    await api.post("/contacts/bulk", json=[{"email": f"{m}@x.de", "title": f"{m}6", "departments": [f"{m}7"]}])
    await api.post("/contacts/upsert", json={"email": f"{m}@x.de", "title": f"{m}8", "email_status": "x" * 501})
    await api.post("/common/batch-upsert", json=[{"company": f"{m} other", "company_state": f"{m}9"}])
    await filter_values(
        postgres,
        *(uuid, *(f"{m}{n}" for n in range(5, 10)), "x" * 501),
        of={
            ("company", "uuid", uuid, f"{m} newer"),
            ("company", "keywords", f"{m}5", f"{m}5"),
            ("contact", "departments", f"{m}7", f"{m}7"),
            ("contact", "title", f"{m}8", f"{m}8"),
            ("company", "state", f"{m}9", f"{m}9"),
        },
    )


async def test_an_import_counts_in_the_filter_values(imports: ImportServiceStub, postgres: asyncpg.Connection) -> None:
    m = word()

    async def load(row: str) -> None:
        columns = ("company", "company_city", "email", "title")
        await imports.ImportBatch(
            import_pb.ImportBatchRequest(
                job_uuid=str(uuid4()), records=f"{row}\n".encode(), columns=columns, first_line=2
            )
        )

    uuid = ids.company_uuid(m, None)
    await load(f"{m},{m}1,a@{m}.com,{m}2")
    await filter_values(
        postgres,
        *(uuid, f"{m}1", f"{m}2"),
        of={
            ("company", "uuid", uuid, m),
            ("company", "city", f"{m}1", f"{m}1"),
            ("contact", "title", f"{m}2", f"{m}2"),
        },
    )
    await load(f"{m.upper()},,,")
    await filter_values(postgres, uuid, of={("company", "uuid", uuid, m.upper())})


async def test_both_doors_do_the_same(write: WriteServiceStub, api: httpx.AsyncClient) -> None:
    mark = word()
    made = await write.CreateContact(
        pb.CreateContactRequest(contact=records_pb2.Contact(first_name="Ann", last_name=mark, email=f"{mark}@x.de"))
    )
    uuid = made.contact.uuid
    read = await api.get(f"/contacts/{uuid}")
    assert (read.json()["data"]["last_name"], read.headers["etag"]) == (mark, f'"{made.contact.row_version}"')
    changed = await write.UpdateContact(
        pb.UpdateContactRequest(
            contact=records_pb2.Contact(uuid=uuid, title="VP", city="Bonn"),
            update_mask=FieldMask(paths=["title", "first_name"]),
        )
    )
    assert (changed.contact.title, changed.contact.city) == ("VP", "")
    assert not changed.contact.HasField("first_name")
    upserted = await write.UpsertContact(
        pb.UpsertContactRequest(contact=records_pb2.Contact(email=f"{mark}@x.de", departments=["a"]))
    )
    assert (upserted.is_new, upserted.contact.uuid, list(upserted.contact.departments)) == (False, uuid, ["a"])
    batch = await write.BatchUpsertContacts(
        pb.BatchUpsertContactsRequest(contacts=[upserted.contact, records_pb2.Contact(email="x")])
    )
    assert (batch.result.updated, batch.result.errors[0].index) == (1, 1)
    assert batch.result.errors[0].fields[0].message == "invalid email format: x"
    assert (await write.DeleteContact(pb.DeleteContactRequest(uuid=uuid))).consistency_token
    rows = await write.BatchUpsertRows(pb.BatchUpsertRowsRequest(rows=[pb.CsvRow(values={"company": mark})]))
    assert rows.result.created == 1
    company = await write.UpsertCompany(pb.UpsertCompanyRequest(company=records_pb2.Company(name=mark)))
    assert not company.is_new
    companies = await write.BatchUpsertCompanies(pb.BatchUpsertCompaniesRequest(companies=[company.company]))
    assert companies.result.updated == 1
    await write.UpdateCompany(pb.UpdateCompanyRequest(company=records_pb2.Company(uuid=company.company.uuid, city="x")))
    await write.DeleteCompany(pb.DeleteCompanyRequest(uuid=company.company.uuid))


@pytest.mark.parametrize(
    ("method", "request_", "code", "message"),
    [
        ("CreateCompany", pb.CreateCompanyRequest(), "INVALID_ARGUMENT", "name is required"),
        ("DeleteContact", pb.DeleteContactRequest(uuid=str(uuid4())), "NOT_FOUND", "Contact with identifier"),
        ("BatchUpsertContacts", pb.BatchUpsertContactsRequest(), "INVALID_ARGUMENT", "ERR_EMPTY_PAYLOAD"),
        (
            "UpdateCompany",
            pb.UpdateCompanyRequest(
                company=records_pb2.Company(uuid=str(uuid4())), update_mask=FieldMask(paths=["nmae"])
            ),
            "INVALID_ARGUMENT",
            "did you mean 'name'?",
        ),
        (
            "UpdateCompany",
            pb.UpdateCompanyRequest(
                company=records_pb2.Company(uuid=str(uuid4())), update_mask=FieldMask(paths=["nmae"] * 200)
            ),
            "INVALID_ARGUMENT",
            "update_mask: 200 paths; at most 100 are allowed",
        ),
    ],
)
async def test_errors_of_the_typed_door(
    write: WriteServiceStub, method: str, request_: Any, code: str, message: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match=code) as refused:
        await getattr(write, method)(request_)
    assert message in str(refused.value.details())
