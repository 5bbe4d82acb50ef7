"""An adopted database serves: everything that can be indexed is found by search."""

from pathlib import Path

import asyncpg
import pytest

from tests.support.http import client
from tests.support.postgres import PREDECESSOR, drained
from tests.support.queries import text_clause, text_query
from tests.support.stack import connectra, isolated_environment, up

pytestmark = pytest.mark.long

# 100,000 ordinary people beside the odd ones.
MANY = """
    INSERT INTO contacts (id, uuid, first_name, email)
    SELECT n, gen_random_uuid()::text, 'many ' || n, n || '@many.example' FROM generate_series(100001, 200000) n"""


@pytest.mark.timeout(600)
async def test_search_finds_what_was_taken_over(tmp_path: Path) -> None:
    environment = isolated_environment(tmp_path)
    try:
        stores = up(environment, "--only", "postgres,elasticsearch")
        database = await asyncpg.connect(stores.postgres)
        await database.execute(PREDECESSOR)
        await database.execute(MANY)
        await database.close()
        adopted = connectra(environment | stores.stores(), "migrate", "--adopt")
        assert adopted.returncode == 0, adopted.stderr
        connectra(environment, "down")
        stack = up(environment)
        database = await asyncpg.connect(stack.postgres)
        for entity in ("company", "contact"):
            built = connectra(environment, "index", "reindex", entity, "--accept-other-answers")
            assert built.returncode == 0, built.stderr
        await drained(database, seconds=120, pause=0.2)
        live = await database.fetchrow(
            """SELECT (SELECT count(*) FROM companies WHERE deleted_at IS NULL),
                      (SELECT count(*) FROM contacts WHERE deleted_at IS NULL),
                      (SELECT count(*) FROM dead_letters JOIN companies USING (uuid) WHERE deleted_at IS NULL)"""
        )
        await database.close()
        assert live is not None
        async with client(stack.gateway, stack.api_key) as api:

            async def count(entity: str) -> int:
                return int((await api.post(f"/{entity}/count", json={})).json()["count"])

            assert (await count("companies"), await count("contacts")) == (live[0] - live[2], live[1])
            assert live[2] == 25  # the times of year 15000
            query = text_query(text_clause("person 1999", "first_name", "shuffle"))
            (hit,) = (await api.post("/contacts", json=query)).json()["data"]
            assert hit["id"] == 1999
            query = text_query(text_clause("many 123456", "first_name", "shuffle"))
            (hit,) = (await api.post("/contacts", json=query)).json()["data"]
            assert hit["id"] == 123456
    finally:
        connectra(environment, "down")
