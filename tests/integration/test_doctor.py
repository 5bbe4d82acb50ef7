"""`connectra doctor` on real parts: a healthy installation has no findings, and what is broken is named together with what to do."""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from connectra_common.records.fields import COMPANY, Entity
from connectra_common.search.mappings import index_body
from connectra_common.settings import ElasticsearchSettings
from connectra_ops.doctor import checks
from connectra_ops.doctor.cli import examine
from connectra_ops.doctor.finding import Finding, Level
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.postgres import drained
from tests.support.stack import Stack

Examine = Callable[..., Awaitable[dict[str, Finding]]]


@pytest.fixture
def doctor(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """`await doctor(NAME=value, …)`: what is found, by check, with the stack's own settings but for those given."""

    async def look(**changed: str) -> dict[str, Finding]:
        environment = {
            **stack.stores(),
            **stack.addresses(),
            "S3_ENDPOINT": stack.s3.endpoint.removeprefix("http://"),
            "S3_SSL": "false",
            "S3_BUCKET": stack.s3.bucket,
            "S3_ACCESS_KEY": stack.s3.access_key,
            "S3_SECRET_KEY": stack.s3.secret_key,
        }
        for name, value in (environment | changed).items():
            monkeypatch.setenv(name, value)
        return {finding.check: finding for finding in await examine()}

    return look


async def test_a_healthy_stack_is_well_and_found_by_itself(stack: Stack, postgres: asyncpg.Connection) -> None:
    await drained(postgres)
    done = stack.command("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert [check for check in report["checks"] if check["level"] != "ok"] == []
    assert report["status"] == "ok"
    assert {"migrations", "mapping of contacts_index", "contacts in both", "clock of s3", "service write"} <= {
        check["check"] for check in report["checks"]
    }


async def test_what_is_not_there_is_named_and_the_rest_is_still_looked_at(stack: Stack, doctor: Examine) -> None:
    found = await doctor(
        ELASTICSEARCH_CONNECTION="http://127.0.0.1:1", S3_BUCKET="nowhere", WRITE_ADDRESS="127.0.0.1:1"
    )
    broken = {name: finding.advice for name, finding in found.items() if finding.level is Level.FAIL}
    assert "ELASTICSEARCH_" in broken.pop("elasticsearch")
    assert "S3_" in broken.pop("s3")
    assert "WRITE_ADDRESS" in broken.pop("service write")
    assert broken == {}
    assert found["migrations"].level is Level.OK
    assert "contacts in both" not in found


async def test_a_setting_that_cannot_be_is_named_and_what_needs_it_is_left_out(doctor: Examine) -> None:
    found = await doctor(PG_DB_PORT="many", ELASTICSEARCH_SHARDS="0")
    assert found["settings"].level is Level.FAIL
    assert "postgres" not in found
    assert "elasticsearch" not in found
    assert found["s3"].level is Level.OK


async def test_a_database_that_is_empty_behind_or_ahead_is_told_apart(
    doctor: Examine, engine: AsyncEngine, database: asyncpg.Connection, empty_database: str
) -> None:
    async def migrations(revision: str) -> Finding:
        await database.execute("UPDATE alembic_version SET version_num = $1", revision)
        return (await doctor(PG_DB_CONNECTION=empty_database))["migrations"]

    behind = await migrations("0001")
    assert (behind.level, behind.advice) == (Level.FAIL, "run `connectra migrate`")
    ahead = await migrations("9999")
    assert ahead.level is Level.WARN
    assert "later release" in ahead.advice
    await database.execute("DROP TABLE alembic_version")
    empty = (await doctor(PG_DB_CONNECTION=empty_database))["migrations"]
    assert (empty.level, empty.message) == (Level.FAIL, "the database is empty")


async def test_what_waits_too_long_is_named_with_what_to_do(
    doctor: Examine, database: asyncpg.Connection, empty_database: str
) -> None:
    await database.execute("INSERT INTO dead_letters (entity, uuid, reason) VALUES ('contact', 'x', 'too long')")
    await database.execute(
        "INSERT INTO outbox (entity, uuid, marked_at) VALUES ('contact', 'y', now() - interval '1 hour')"
    )
    await database.execute(
        """INSERT INTO jobs (uuid, job_type, status, lease_owner, lease_until)
           VALUES ('z', 'insert_csv_file', 'processing', 'gone', now() - interval '1 hour')"""
    )
    # No indexer works on this database, and the index belongs to another one with other records.
    await database.execute(
        "INSERT INTO contacts (uuid, last_name) SELECT 'u' || n, 'x' FROM generate_series(1, 100000) n"
    )
    await database.execute("DELETE FROM outbox WHERE uuid <> 'y'")
    found = await doctor(PG_DB_CONNECTION=empty_database)
    assert found["outbox"].level is Level.FAIL
    assert "connectra-write-indexer" in found["outbox"].advice
    assert "connectra index dead-letters" in found["dead letters"].advice
    assert found["jobs"].level is Level.FAIL
    assert "connectra jobs first_time" in found["jobs"].advice
    assert "connectra index verify contact" in found["contacts in both"].advice


async def test_an_index_with_other_mappings_than_ours_is_named_with_what_to_do(
    doctor: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another(entity: Entity, settings: ElasticsearchSettings) -> dict[str, Any]:
        body = index_body(entity, settings)
        properties = body["mappings"]["properties"]
        changed = {"country": {"type": "long"}} if entity is COMPANY else {"shoe_size": {"type": "long"}}
        return {"mappings": {"properties": properties | changed}}

    monkeypatch.setattr(checks, "index_body", another)
    found = await doctor()
    companies, contacts = (found[f"mapping of {alias}"] for alias in ("companies_index", "contacts_index"))
    assert (companies.level, companies.advice) == (Level.WARN, "run `connectra index reindex company`")
    assert "country" in companies.message
    assert (contacts.level, contacts.advice) == (Level.FAIL, "run `connectra migrate`")
    assert "lacks shoe_size" in contacts.message


@pytest.mark.parametrize(("ahead", "level"), [(0.4, Level.OK), (-6, Level.WARN), (400, Level.FAIL)])
async def test_a_clock_that_is_off_is_named(
    doctor: Examine, monkeypatch: pytest.MonkeyPatch, ahead: float, level: Level
) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - ahead)
    found = await doctor()
    assert {found[f"clock of {store}"].level for store in ("postgres", "s3")} == {level}
