"""A database that was taken over serves: everything that can be indexed is found by search."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest

pytestmark = pytest.mark.long

PREDECESSOR = (Path(__file__).parents[1] / "integration/predecessor.sql").read_text()


async def test_search_finds_what_was_taken_over(
    stack: Any, isolated: Any, run_connectra: Any, eventually: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(stack.postgres)
    await admin.execute(f"CREATE DATABASE {name}")
    dsn = urlsplit(stack.postgres)._replace(path=f"/{name}").geturl()
    database = await asyncpg.connect(dsn)
    await database.execute(PREDECESSOR)
    environment = isolated(tmp_path_factory.mktemp("adopted")) | {"PG_DB_CONNECTION": dsn}
    adopted = run_connectra({**environment, "ELASTICSEARCH_CONNECTION": stack.elasticsearch}, "migrate", "--adopt")
    assert adopted.returncode == 0, adopted.stderr
    assert run_connectra(environment, "up", "--detach", timeout=280).returncode == 0
    try:
        status = json.loads(run_connectra(environment, "status", "--json").stdout)
        while await database.fetchval("SELECT count(*) FROM outbox"):
            assert status["gateway"]
        live = await database.fetchrow(
            """SELECT (SELECT count(*) FROM companies WHERE deleted_at IS NULL),
                      (SELECT count(*) FROM contacts WHERE deleted_at IS NULL),
                      (SELECT count(*) FROM dead_letters JOIN companies USING (uuid) WHERE deleted_at IS NULL)"""
        )
        async with httpx.AsyncClient(base_url=status["gateway"], headers={"x-api-key": status["api_key"]}) as client:

            async def count(entity: str) -> int:
                return int((await client.post(f"/{entity}/count", json={})).json()["count"])

            assert (await count("companies"), await count("contacts")) == (live[0] - live[2], live[1])
            assert live[2] == 20  # the times of year 15000
            clause = {"filter_key": "first_name", "text_value": "person 1999", "search_type": "shuffle"}
            query = {"where": {"text_matches": {"must": [clause]}}}
            (hit,) = (await client.post("/contacts", json=query)).json()["data"]
            assert hit["id"] == 1999
    finally:
        run_connectra(environment, "down")
        await database.close()
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()
