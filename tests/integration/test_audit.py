"""The audit trail: who changed what, whoever it was."""

import json
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from connectra.write.internal.v1 import import_service_pb2 as import_pb
from connectra.write.internal.v1.import_service_pb2_grpc import ImportServiceStub
from connectra_common.db import audit
from connectra_common.db.audit import Origin
from connectra_common.db.database import Database
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_common.settings import PostgresSettings
from connectra_ops.audit import AuditFilter, find
from connectra_write.main import AUDIT_OFF
from connectra_write.records.repository import RecordRepository

from tests.support.stack import Stack, connectra
from tests.support.words import word

UUID = "00000000-0000-0000-0000-000000000001"


async def trail(database: asyncpg.Connection, uuid: str) -> list[dict[str, Any]]:
    rows = [dict(row) async for row in find(database, AuditFilter(uuid=uuid), 100)]
    return [{**row, "changes": json.loads(row["changes"] or "null")} for row in reversed(rows)]


async def test_every_call_leaves_who_what_and_its_request(api: httpx.AsyncClient, postgres: asyncpg.Connection) -> None:
    uuid, path = str(uuid4()), "/companies"
    calls = [
        ("POST", f"{path}/create", {"uuid": uuid, "name": "Acme"}),
        ("PUT", f"{path}/{uuid}", {"city": "Bonn", "industries": ["saas"]}),
        ("PUT", f"{path}/{uuid}", {"city": "Bonn"}),
        ("DELETE", f"{path}/{uuid}", None),
        ("POST", f"{path}/upsert", {"uuid": uuid, "name": "Acme 2"}),
        ("POST", f"{path}/batch-upsert", [{"uuid": uuid, "city": None, "phone_number": "+1 22"}]),
    ]
    versions = []
    for number, (method, url, body) in enumerate(calls):
        reply = await api.request(method, url, json=body, headers={"x-request-id": f"{uuid[:8]}-{number}"})
        assert reply.is_success, reply.text
        versions.append(reply.headers.get("etag", "").strip('"'))
    entries = await trail(postgres, uuid)
    assert {(e["entity"], e["actor"]) for e in entries} == {("company", "client:default")}
    # The second PUT changed nothing.
    assert [(e["request_id"][-1], e["operation"]) for e in entries] == [
        *(("0", "create"), ("1", "update"), ("3", "delete"), ("4", "revive"), ("5", "update"))
    ]
    assert str(entries[1]["row_version"]) == versions[1]
    changes = [e["changes"] for e in entries]
    assert changes[0] is None
    assert changes[1] == {"city": [None, "Bonn"], "industries": [None, ["saas"]]}
    assert changes[2].keys() == {"deleted_at"}
    assert changes[3].keys() == {"deleted_at", "name"}
    assert changes[4] == {"city": ["Bonn", None], "phone_number": [None, "+122"]}


async def test_an_import_is_known_by_its_job(imports: ImportServiceStub, postgres: asyncpg.Connection) -> None:
    job, mark = str(uuid4()), word()
    for number, title in enumerate(("Engineer", "Director")):
        row = f"{mark},{mark}@x.com,{title}\n".encode()
        columns = ["first_name", "email", "title"]
        await imports.ImportBatch(
            import_pb.ImportBatchRequest(job_uuid=job, batch_number=number, records=row, columns=columns, first_line=2)
        )
    uuid = await postgres.fetchval("SELECT uuid FROM contacts WHERE email = $1", f"{mark}@x.com")
    created, updated = await trail(postgres, uuid)
    assert (created["operation"], created["actor"], updated["actor"]) == ("create", f"job:{job}", f"job:{job}")
    assert updated["changes"] == {"title": ["Engineer", "Director"]}


async def test_plain_sql_is_known_by_its_login_and_what_it_removes_is_kept(database: asyncpg.Connection) -> None:
    user = await database.fetchval("SELECT session_user")
    await database.execute("INSERT INTO contacts (uuid, title, departments) VALUES ($1, 'x', '{a}')", UUID)
    await database.execute("UPDATE contacts SET title = 'y'; UPDATE contacts SET row_version = 0; DELETE FROM contacts")
    await database.execute("INSERT INTO companies (uuid) VALUES ($1); TRUNCATE companies".replace("$1", f"'{UUID}'"))
    entries = await trail(database, UUID)
    assert {e["actor"] for e in entries} == {f"sql:{user}"}
    assert [(e["entity"], e["operation"]) for e in entries] == [
        *(
            ("contact", "create"),
            ("contact", "update"),
            ("contact", "delete"),
            ("company", "create"),
            ("company", "delete"),
        )
    ]
    assert entries[1]["changes"] == {"title": ["x", "y"]}
    assert entries[2]["changes"]["departments"] == [["a"], None]


async def test_a_connection_forgets_for_whom_it_worked(database: asyncpg.Connection) -> None:
    await RecordRepository(database, Origin("client:acme", "r1")).create(CONTACT, {"uuid": UUID}, ())
    await RecordRepository(database, Origin("client:acme", "r2")).delete(CONTACT, UUID, None)
    await database.execute("UPDATE contacts SET title = 'x'")
    entries = await trail(database, UUID)
    assert [(e["actor"], e["request_id"]) for e in entries[:2]] == [("client:acme", "r1"), ("client:acme", "r2")]
    assert (entries[2]["actor"][:4], entries[2]["request_id"]) == ("sql:", None)


async def test_a_process_may_do_without(database: asyncpg.Connection, empty_database: str) -> None:
    settings = PostgresSettings(connection=empty_database, _env_file=None)
    for audited in (False, True):
        session = {} if audited else AUDIT_OFF
        async with Database.open(settings, "write", session=session) as opened, opened.transaction() as connection:
            await RecordRepository(connection).merge(CONTACT, [{"uuid": UUID, "title": str(audited)}])
    assert [e["changes"] for e in await trail(database, UUID)] == [{"title": ["False", "True"]}]


async def test_entries_are_never_changed_and_go_by_age(database: asyncpg.Connection) -> None:
    await database.execute(
        """INSERT INTO audit (at, actor, entity, uuid, operation, row_version)
           SELECT now() - make_interval(days => age), 'x', 'contact', age::text, 'create', 1 FROM unnest('{31,30,29}'::int[]) age"""
    )
    await RecordRepository(database).create(COMPANY, {"uuid": UUID}, ())
    for statement in ("UPDATE audit SET actor = 'me'", "TRUNCATE audit", "DELETE FROM audit"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await database.execute(statement)
    assert await audit.sweep(database, 30) == 2
    assert [row["uuid"] for row in await database.fetch("SELECT uuid FROM audit ORDER BY id")] == ["29", UUID]


async def test_the_command_shows_it(stack: Stack, api: httpx.AsyncClient) -> None:
    made = (await api.post("/companies/create", json={"name": word()})).json()["data"]
    await api.put(f"/companies/{made['uuid']}", json={"city": "bonn"})
    environment = {**stack.environment, "PG_DB_CONNECTION": stack.postgres}
    shown = connectra(environment, "audit", made["uuid"], "--operation", "update", "--json")
    assert shown.returncode == 0, shown.stderr
    (entry,) = map(json.loads, shown.stdout.splitlines())
    assert (entry["actor"], entry["changes"]) == ("client:default", {"city": [None, "bonn"]})
    assert connectra(environment, "audit", made["uuid"]).stdout.count("client:default") == 2
