"""The audit trail: who changed what, whoever it was."""

import asyncio
import json
import time
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import httpx
import pytest
from connectra.query.v1 import query_service_pb2 as pb
from connectra.query.v1.query_service_pb2_grpc import QueryServiceStub
from connectra.write.internal.v1 import import_service_pb2 as import_pb
from connectra.write.internal.v1.import_service_pb2_grpc import ImportServiceStub
from connectra.write.v1 import index_service_pb2 as index_pb
from connectra.write.v1.index_service_pb2_grpc import IndexServiceStub
from connectra_common.db.audit import Event, Origin, record, recorded
from connectra_common.db.database import Database
from connectra_common.records.fields import COMPANY, CONTACT, ENTITIES, Entity, Type
from connectra_common.requests import read
from connectra_common.settings import PostgresSettings
from connectra_common.vql.model import Vql
from connectra_common.vql.proto import to_proto
from connectra_ops.audit import AuditFilter, find
from connectra_write.main import AUDIT_OFF
from connectra_write.records.repository import RecordRepository

from tests.support.jobs import export, import_file
from tests.support.stack import Stack, connectra
from tests.support.wait import until
from tests.support.words import word

UUID = "00000000-0000-0000-0000-000000000001"
SQL_TYPES = {Type.INTEGER: "bigint", Type.TEXT: "text", Type.LIST: "text[]", Type.TIME: "timestamptz"}


async def trail(database: asyncpg.Connection, uuid: str) -> list[dict[str, Any]]:
    rows = [dict(row) async for row in find(database, AuditFilter(record=uuid), 100)]
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
    assert [(e["request_id"][-1], e["action"]) for e in entries] == [
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
    assert (created["action"], created["actor"], updated["actor"]) == ("create", f"job:{job}", f"job:{job}")
    assert updated["changes"] == {"title": ["Engineer", "Director"]}


async def test_plain_sql_is_known_by_its_login_and_what_it_removes_is_kept(database: asyncpg.Connection) -> None:
    user = await database.fetchval("SELECT session_user")
    await database.execute("INSERT INTO contacts (uuid, title, departments) VALUES ($1, 'x', '{a}')", UUID)
    await database.execute("UPDATE contacts SET title = 'y'; UPDATE contacts SET row_version = 0; DELETE FROM contacts")
    await database.execute("INSERT INTO companies (uuid) VALUES ($1); TRUNCATE companies".replace("$1", f"'{UUID}'"))
    entries = await trail(database, UUID)
    assert {e["actor"] for e in entries} == {f"sql:{user}"}
    assert [(e["entity"], e["action"]) for e in entries] == [
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


NO_CHANGE = ("uuid", "row_version", "updated_at")  # of the values of a record
TIMES = ("2026-11-28T07:00:00.000001+00:00", "2025-01-01T00:00:00+00:00")
ODD: dict[Type, tuple[Any, ...]] = {
    Type.INTEGER: (7, 9_007_199_254_740_993),
    Type.TEXT: ('a "b"\n\\u0000', "", "ﬁ 𝄞"),
    Type.LIST: ([], ["a,b", '{"c"}', "ä"], [None], ["ä", "a,b"]),
    Type.TIME: TIMES,
}


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=lambda entity: entity.name)
async def test_a_change_of_any_column_is_an_entry_with_both_values(
    database: asyncpg.Connection, entity: Entity
) -> None:
    await database.execute("SET timezone = 'UTC'")
    table = entity.table
    wanted: list[dict[str, list[Any]]] = []
    await database.execute(f"INSERT INTO {table} (uuid) VALUES ('another'), ('{UUID}')")
    columns = await database.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0", table
    )
    kinds = {row[0]: entity.by_name[row[0]].type for row in columns if row[0] not in NO_CHANGE}
    for name, kind in kinds.items():
        now = f"SELECT jsonb_build_array({name}) FROM {table} WHERE uuid = $1"
        (was,) = json.loads(await database.fetchval(now, UUID))
        given = f"SELECT v FROM jsonb_to_record($2::jsonb) AS given (v {SQL_TYPES[kind]})"
        for value in (*ODD[kind], *(() if name in ("id", "created_at") else (None,))):
            for _ in range(2):  # the second time it changes nothing
                await database.execute(
                    f"""UPDATE {table} SET updated_at = clock_timestamp(),
                        {name} = CASE WHEN uuid = $1 THEN ({given}) ELSE {name} END""",
                    *(UUID, json.dumps({"v": value})),
                )
            wanted.append({name: [was, value]})
            was = value
    rows = await database.fetch("SELECT uuid, changes FROM audit WHERE operation <> 'create' ORDER BY id")
    assert [json.loads(row["changes"]) for row in rows] == wanted
    assert {row["uuid"] for row in rows} == {UUID}


async def test_a_session_that_began_with_one_record_changes_many_as_fast_as_another(
    database: asyncpg.Connection, empty_database: str
) -> None:
    """A session plans the statements of triggers once, for the number of rows that it happens to change first."""
    await database.execute("INSERT INTO contacts (uuid) SELECT n FROM generate_series(1, 5000) n")
    await database.execute("UPDATE contacts SET title = 'x' WHERE uuid = '5'")
    other = await asyncpg.connect(empty_database)
    seconds: list[float] = []
    for session, title in ((other, "y"), (database, "z")):
        began = time.monotonic()
        await session.execute("UPDATE contacts SET title = $1", title)
        seconds.append(time.monotonic() - began)
    await other.close()
    # If each row is compared with all others, it is 40 times.
    assert seconds[1] < 6 * seconds[0]


async def test_a_connection_forgets_for_whom_it_worked(database: asyncpg.Connection) -> None:
    await RecordRepository(database, Origin("client:acme", "r1")).create(CONTACT, {"uuid": UUID})
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


async def test_entries_are_never_changed(database: asyncpg.Connection) -> None:
    await RecordRepository(database).create(COMPANY, {"uuid": UUID})
    for statement in ("UPDATE audit SET actor = 'me'", "TRUNCATE audit", "DELETE FROM audit"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await database.execute(statement)


async def test_the_command_shows_it(stack: Stack, api: httpx.AsyncClient) -> None:
    made = (await api.post("/companies/create", json={"name": word()})).json()["data"]
    await api.put(f"/companies/{made['uuid']}", json={"city": "bonn"})
    # It finds the suite that runs here by itself.
    environment = stack.environment
    shown = connectra(environment, "audit", "--record", made["uuid"], "--action", "update", "--json")
    assert shown.returncode == 0, shown.stderr
    (entry,) = json.loads(shown.stdout)
    assert (entry["actor"], entry["changes"]) == ("client:default", {"city": [None, "bonn"]})
    assert connectra(environment, "audit", "--record", made["uuid"]).stdout.count("client:default") == 2


def details(row: asyncpg.Record) -> dict[str, Any]:
    return {name: value for name, (_, value) in json.loads(row["changes"]).items()}


async def events(database: asyncpg.Connection, request_id: str) -> list[asyncpg.Record]:
    return await database.fetch("SELECT * FROM audit WHERE request_id = $1 ORDER BY id", request_id)


async def test_a_stream_leaves_who_took_what_and_how_many_rows(
    stack: Stack, api: httpx.AsyncClient, query: QueryServiceStub, postgres: asyncpg.Connection
) -> None:
    mark, key = word(), stack.api_key
    records = [{"first_name": mark, "email": f"{number}@{mark}.example"} for number in range(3)]
    token = (await api.post("/contacts/bulk", json=records)).headers["x-consistency-token"]
    where = {"first_name": mark}
    vql = to_proto(read(Vql, {"where": {"keyword_match": {"must": where}}, "select_columns": ["uuid"]}).model)
    async with grpc.aio.insecure_channel(stack.gateway.removeprefix("http://")) as opened:
        gateway = QueryServiceStub(opened)
        sent = [("x-api-key", key), ("x-client-id", "forged"), ("x-consistency-token", token)]
        asked = pb.ExportContactsRequest(query=vql)
        [_ async for _ in gateway.ExportContacts(asked, metadata=[*sent, ("x-request-id", f"e-{mark}")])]
        walk = gateway.SearchContacts(
            pb.SearchContactsRequest(query=vql), metadata=[*sent, ("x-request-id", f"s-{mark}")]
        )
        [_ async for _ in walk]
    for operation, request_id in (("export", f"e-{mark}"), ("search", f"s-{mark}")):
        begun, ended = await events(postgres, request_id)
        for row in (begun, ended):
            assert (row["actor"], row["entity"], row["uuid"]) == ("client:default", "stream", "contact")
            assert (row["operation"], details(row)["columns"]) == (operation, ["uuid"])
            assert mark in json.dumps(details(row)["where"])
        assert (details(begun)["outcome"], details(ended)["outcome"], details(ended)["rows"]) == ("begun", "done", 3)


async def test_a_stream_that_is_cut_off_leaves_how_far_it_came(stack: Stack, postgres: asyncpg.Connection) -> None:
    mark = word()
    # More than is on its way before it is taken, in a field that the index does not have.
    await postgres.execute(
        """INSERT INTO contacts (uuid, first_name, facebook_url)
           SELECT gen_random_uuid(), $1, repeat(md5(n::text), 300) FROM generate_series(1, 2000) n""",
        mark,
    )
    try:
        vql = to_proto(read(Vql, {"select_columns": ["uuid", "facebook_url"]}).model)
        rows = 0
        # Otherwise grpc may take it all from the network before the first piece is looked at.
        async with grpc.aio.insecure_channel(stack.grpc["query"], [("grpc.http2.bdp_probe", 0)]) as opened:
            asked = pb.ExportContactsRequest(query=vql)
            call = QueryServiceStub(opened).ExportContacts(asked, metadata=[("x-request-id", mark)])
            async for piece in call:
                rows += piece.rows
                if rows:
                    call.cancel()
                    break

        async def ended() -> list[asyncpg.Record]:
            return await events(postgres, mark)

        _, last = await until(ended, lambda found: len(found) == 2)
        assert (last["actor"], details(last)["outcome"]) == ("direct", "cut off")
        assert rows <= details(last)["rows"]
    finally:
        await postgres.execute("DELETE FROM contacts WHERE first_name = $1", mark)


async def test_administration_of_the_index_leaves_who_did_what_and_how_it_ended(
    stack: Stack, postgres: asyncpg.Connection
) -> None:
    before = await postgres.fetchval("SELECT coalesce(max(id), 0) FROM audit")
    drop = index_pb.DropPreviousIndexRequest(entity="company")
    async with grpc.aio.insecure_channel(stack.gateway.removeprefix("http://")) as opened:
        index, sent = IndexServiceStub(opened), [("x-api-key", stack.api_key), ("x-client-id", "forged")]
        for repair in (False, True):
            [_ async for _ in index.Verify(index_pb.VerifyRequest(entity="company", repair=repair), metadata=sent)]
        await index.ReplayDeadLetters(index_pb.ReplayDeadLettersRequest(uuids=[UUID]), metadata=sent)
        [_ async for _ in index.Reindex(index_pb.ReindexRequest(entity="company"), metadata=sent)]
        await index.RollbackIndex(index_pb.RollbackIndexRequest(entity="company"), metadata=sent)
        await index.DropPreviousIndex(drop, metadata=sent)
        with pytest.raises(grpc.aio.AioRpcError):
            await index.DropPreviousIndex(drop, metadata=sent)
    rows = await postgres.fetch("SELECT * FROM audit WHERE id > $1 AND entity = 'index' ORDER BY id", before)
    assert {row["actor"] for row in rows} == {"client:default"}
    assert all(row["request_id"] for row in rows)
    ended = {(row["uuid"], row["operation"], details(row)["outcome"]): details(row) for row in rows}
    assert [(subject, operation, outcome) for subject, operation, outcome in ended if outcome != "begun"] == [
        ("company", "repair", "done"),
        ("dead_letters", "replay", "done"),
        ("company", "reindex", "done"),
        ("company", "rollback", "done"),
        ("company", "drop_previous", "done"),
        ("company", "drop_previous", "CONFLICT"),
    ]
    built = ended["company", "reindex", "done"]
    assert (built["phase"], built["shards"], built["index_name"][:16]) == ("done", 0, "companies_index-")
    assert ended["company", "repair", "done"].keys() >= {"compared", "repaired", "complete"}


async def test_an_operation_that_cannot_be_recorded_is_not_done(
    database: asyncpg.Connection, empty_database: str
) -> None:
    settings = PostgresSettings(connection=empty_database, _env_file=None)
    await database.execute("DROP FUNCTION audit_event")
    done = False
    async with Database.open(settings, "query") as opened:
        with pytest.raises(asyncpg.PostgresError):
            async with recorded(opened, Event("stream", "contact", "export", {})):
                done = True
    assert not done


async def test_the_function_adds_nothing_on_records(database: asyncpg.Connection) -> None:
    for entity in ("company", "contact"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="triggers alone"):
            await record(database, Event(entity, UUID, "update", {}))
    await record(database, Event("job", UUID, "create", {}), "client:acme")
    login = await database.fetchval("SELECT 'sql:' || session_user")
    await record(database, Event("index", "company", "reindex", {"shards": 2**70}))
    rows = await database.fetch("SELECT actor, entity, changes FROM audit ORDER BY id")
    assert [tuple(row)[:2] for row in rows] == [("client:acme", "job"), (login, "index")]
    assert details(rows[1]) == {"shards": 2**70}


async def test_the_command_selects_by_client_job_kind_and_action(
    stack: Stack, api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    mark = word()
    job = await import_file(api, f"first_name,email\n{mark},{mark}@audit.example\n".encode())
    taken = await export(
        api,
        "contact",
        {"where": {"keyword_match": {"must": {"email": f"{mark}@audit.example"}}}, "select_columns": ["uuid"]},
    )

    async def found(**wanted: Any) -> list[tuple[str, str]]:
        return [(row["entity"], row["action"]) async for row in find(postgres, AuditFilter(**wanted), 100)]

    own = [("job", "complete"), ("contact", "create"), ("job", "create")]
    assert await found(job=job["uuid"]) == own
    assert await found(job=job["uuid"], client="default") == own
    assert await found(job=job["uuid"], client="another") == []
    assert await found(job=taken["uuid"]) == [("job", "complete"), *[("stream", "export")] * 2, ("job", "create")]
    assert await found(job=taken["uuid"], kind="job", action="create", actor="client:default") == [("job", "create")]
    environment = {**stack.environment, "PG_DB_CONNECTION": stack.postgres}
    arguments = ("audit", "--job", taken["uuid"], "--kind", "stream", "--action", "export", "--json")
    shown = await asyncio.to_thread(connectra, environment, *arguments)
    assert [entry["changes"]["outcome"][1] for entry in json.loads(shown.stdout)] == ["done", "begun"]
