"""A database that was taken over serves: everything that can be indexed is found by search."""

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

pytestmark = pytest.mark.long

PREDECESSOR = (Path(__file__).parents[1] / "integration/predecessor.sql").read_text()


@pytest.mark.timeout(600)
async def test_search_finds_what_was_taken_over(isolated: Any, run_connectra: Any, tmp_path: Path) -> None:
    environment = isolated(tmp_path)

    def up(*arguments: str) -> Any:
        started = run_connectra(environment, "up", "--detach", *arguments, timeout=280)
        assert started.returncode == 0, started.stdout + started.stderr
        return json.loads(run_connectra(environment, "status", "--json").stdout)

    try:
        stores = up("--only", "postgres,elasticsearch")
        database = await asyncpg.connect(stores["postgres"])
        await database.execute(PREDECESSOR)
        await database.close()
        given = {"PG_DB_CONNECTION": stores["postgres"], "ELASTICSEARCH_CONNECTION": stores["elasticsearch"]}
        adopted = run_connectra(environment | given, "migrate", "--adopt")
        assert adopted.returncode == 0, adopted.stderr
        run_connectra(environment, "down")
        status = up()
        database = await asyncpg.connect(status["postgres"])
        async with asyncio.timeout(120):
            while await database.fetchval("SELECT count(*) FROM outbox"):  # noqa: ASYNC110 - the indexer works by itself
                await asyncio.sleep(0.2)
        live = await database.fetchrow(
            """SELECT (SELECT count(*) FROM companies WHERE deleted_at IS NULL),
                      (SELECT count(*) FROM contacts WHERE deleted_at IS NULL),
                      (SELECT count(*) FROM dead_letters JOIN companies USING (uuid) WHERE deleted_at IS NULL)"""
        )
        await database.close()
        async with httpx.AsyncClient(base_url=status["gateway"], headers={"x-api-key": status["api_key"]}) as client:

            async def count(entity: str) -> int:
                return int((await client.post(f"/{entity}/count", json={})).json()["count"])

            assert (await count("companies"), await count("contacts")) == (live[0] - live[2], live[1])
            assert live[2] == 25  # the times of year 15000
            clause = {"filter_key": "first_name", "text_value": "person 1999", "search_type": "shuffle"}
            query = {"where": {"text_matches": {"must": [clause]}}}
            (hit,) = (await client.post("/contacts", json=query)).json()["data"]
            assert hit["id"] == 1999
    finally:
        run_connectra(environment, "down")
