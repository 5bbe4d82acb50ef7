"""Consistency tokens: a search waits for the write that its token names, and for nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import httpx
import pytest
from connectra_common.consistency import NEWEST, Kind, Token
from connectra_common.db import written
from connectra_common.db.database import Database
from connectra_common.settings import PostgresSettings
from connectra_write import marks
from connectra_write.consistency import ConsistencyTokens
from pydantic import SecretStr

from tests.support.words import word

TOKEN = "x-consistency-token"


@asynccontextmanager
async def stuck(postgres: asyncpg.Connection) -> AsyncIterator[None]:
    """A mark that no indexer takes, older than all that is written meanwhile."""
    uuid = str(uuid4())
    await postgres.execute(
        "INSERT INTO outbox (entity, uuid, claimed_until) VALUES ('contact', $1, now() + interval '1 hour')", uuid
    )
    try:
        yield
    finally:
        await postgres.execute("DELETE FROM outbox WHERE uuid = $1", uuid)


async def found(api: httpx.AsyncClient, name: str, token: str) -> int:
    """How many contacts of this last name a search with a token finds."""
    query = {"where": {"keyword_match": {"must": {"email": [f"{n}@{name}.example" for n in range(3)]}}}}
    answer = await api.post("/contacts/count", json=query, headers={TOKEN: token})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["count"])


async def test_the_stuck_change_of_another_record_keeps_no_search_waiting(
    api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    name = word()
    people = [{"first_name": "Ann", "last_name": name, "email": f"{n}@{name}.example"} for n in range(3)]
    async with stuck(postgres):
        one = await api.post("/contacts/create", json=people[0])
        assert await found(api, name, one.headers[TOKEN]) == 1
        many = await api.post("/contacts/bulk", json={"contacts": people}, headers={TOKEN: one.headers[TOKEN]})
        assert await found(api, name, many.headers[TOKEN]) == 3
        gone = await api.delete(f"/contacts/{one.json()['data']['uuid']}", headers={TOKEN: many.headers[TOKEN]})
        assert await found(api, name, gone.headers[TOKEN]) == 2


async def test_a_search_sees_the_new_name_of_a_company_on_its_contacts(
    api: httpx.AsyncClient, postgres: asyncpg.Connection
) -> None:
    name = word()
    company = (await api.post("/companies/create", json={"name": f"{name} one"})).json()["data"]["uuid"]
    people = [{"last_name": name, "email": f"{n}@{name}.example", "company_id": company} for n in range(30)]
    await api.post("/contacts/bulk", json={"contacts": people})
    async with stuck(postgres):
        for number in range(5):
            renamed = await api.put(f"/companies/{company}", json={"name": f"{name} {number}"})
            query = {"where": {"text_matches": {"must": [_exact("company_name", f"{name} {number}")]}}}
            answer = await api.post("/contacts/count", json=query, headers={TOKEN: renamed.headers[TOKEN]})
            assert answer.json() == {"count": 30, "success": True}


def _exact(field: str, text: str) -> dict[str, str]:
    return {"text_value": text, "filter_key": field, "search_type": "exact"}


@pytest.fixture
async def database_of_its_own(database: asyncpg.Connection, empty_database: str) -> AsyncIterator[Database]:
    """One whose marks no indexer takes away."""
    settings = PostgresSettings(connection=SecretStr(empty_database), _env_file=None)
    async with Database.open(settings, "write", connections=2) as opened:
        yield opened


async def mark(database: asyncpg.Connection, entity: str, uuid: str, company: str | None = None) -> int:
    """Marks a record; the number of its mark."""
    number: int = await database.fetchval(
        "INSERT INTO outbox (entity, uuid, copies_of) VALUES ($1, $2, $3) RETURNING first_seq", entity, uuid, company
    )
    return number


async def test_what_is_pending_is_told_by_record(database_of_its_own: Database, database: asyncpg.Connection) -> None:
    ann, bob, acme, bolt = (str(uuid4()) for _ in range(4))
    first = await mark(database, "contact", ann)
    last = await mark(database, "contact", bob, company=acme)
    async with database_of_its_own.connection() as connection:
        tokens = {
            Token(last, Kind.CONTACT, ann),
            # Only a later change of it is left.
            Token(first - 1, Kind.CONTACT, ann),
            Token(last, Kind.COMPANY, ann),
            # Its contacts have what they copy of it not yet.
            Token(last, Kind.COMPANY, acme),
            Token(last, Kind.COMPANY, bolt),
            Token(first),
            Token(first - 1),
            Token(NEWEST, Kind.BATCH, "1"),
        }
        expected = {Token(last, Kind.CONTACT, ann), Token(last, Kind.COMPANY, acme), Token(first)}
        assert await written.pending(connection, tokens) == expected


async def test_of_a_waiting_batch_the_companies_that_did_not_change_are_not_looked_up(
    database: asyncpg.Connection,
) -> None:
    ann = str(uuid4())
    last = await mark(database, "contact", ann)
    await marks.add_batch(database, last, [str(uuid4()) for _ in range(2_000)], [ann])
    plan = await database.fetchval(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT FROM written_batches b WHERE NOT ({written.BATCH_IS_PENDING})"
    )
    assert json.loads(plan)[0]["Plan"]["Shared Hit Blocks"] < 100


async def test_batches_are_forgotten_once_they_are_indexed(
    database_of_its_own: Database, database: asyncpg.Connection
) -> None:
    ann, bob, acme, job = (str(uuid4()) for _ in range(4))
    last = [
        await mark(database, entity, uuid) for entity, uuid in (("contact", ann), ("contact", bob), ("company", acme))
    ][-1]
    async with database_of_its_own.connection() as connection:
        numbers = [
            await marks.add_batch(connection, last, [], [ann]),
            await marks.add_batch(connection, last, [acme], [], job),
            await marks.add_batch(connection, last, [], [bob], job),
        ]
        tokens = {Token(last, Kind.BATCH, str(number)) for number in numbers} | {Token(last, Kind.JOB, job)}
        assert await written.pending(connection, tokens) == tokens
        assert await marks.sweep_batches(connection) == 0
        await database.execute("DELETE FROM outbox WHERE uuid = ANY($1)", [ann, acme])
        left = {Token(last, Kind.BATCH, str(numbers[2])), Token(last, Kind.JOB, job)}
        assert await written.pending(connection, tokens) == left
        assert await marks.sweep_batches(connection) == 2
        assert await written.pending(connection, tokens) == left
        # Changed again since: a later write.
        await database.execute("UPDATE outbox SET first_seq = nextval('outbox_seq') WHERE uuid = $1", bob)
        assert await written.pending(connection, tokens) == set()
        assert await marks.sweep_batches(connection) == 1


async def test_a_write_that_is_stored_has_a_token_though_nobody_can_read_its_mark() -> None:
    settings = PostgresSettings(connection=SecretStr("postgresql://u:p@127.0.0.1:1/none"), _env_file=None)
    uuid = str(uuid4())
    async with Database.open(settings, "write", connections=1) as away:
        async with asyncio.timeout(5):
            assert await ConsistencyTokens(away).of(Kind.CONTACT, uuid) == f"{NEWEST}.contact.{uuid}"
