"""The whole stack on real parts: it describes itself, repairs itself, and keeps its data."""

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import pytest
from connectra_local.parts import NAMES

from tests.support.http import client
from tests.support.stack import Completed, Stack, connectra, isolated_environment
from tests.support.wait import until_now

Command = Callable[..., Completed]


def test_status_names_every_part_and_all_run(stack: Stack) -> None:
    parts = stack.parts()
    assert tuple(parts) == NAMES
    assert {part["state"] for part in parts.values()} == {"running"}
    assert all({"name", "pid", "state", "address", "restarts"} <= part.keys() for part in parts.values())


def test_status_keeps_the_key_to_itself_unless_it_is_asked(stack: Stack) -> None:
    for options in ((), ("-o", "json"), ("-o", "csv")):
        assert stack.api_key not in stack.command("status", *options).stdout
    assert stack.api_key in stack.command("status", "--show-secrets").stdout
    assert stack.command("status", "-o", "name").stdout.split() == [*NAMES]


async def test_the_gateway_answers_and_wants_the_key(stack: Stack, api: httpx.AsyncClient) -> None:
    assert (await api.get("/health")).status_code == 200
    async with client(stack.gateway) as stranger:
        assert (await stranger.post("/contacts", json={})).status_code == 401


def test_a_second_up_says_that_it_runs(stack: Stack) -> None:
    again = stack.command("up", "--detach")
    assert again.returncode == 0
    assert stack.gateway in again.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_part_is_repaired_and_status_says_what_happened(stack: Stack, name: str) -> None:
    before = stack.parts()[name]
    os.kill(before["pid"], signal.SIGKILL)

    def repaired() -> bool:
        part = stack.parts()[name]
        return bool(part["state"] == "running" and part["restarts"] > before["restarts"])

    until_now(repaired, seconds=90)
    after = stack.parts()[name]
    assert after["pid"] != before["pid"]
    assert after["last_exit"]["reason"] == "signal SIGKILL"


def test_after_all_the_repairs_everything_answers_again(stack: Stack) -> None:
    until_now(lambda: httpx.get(f"{stack.gateway}/health", trust_env=False).status_code == 200, seconds=60)


@pytest.fixture
def stores() -> Iterator[Command]:
    """The command line on a folder of its own, for what must not happen to the shared stack."""
    home = Path(tempfile.mkdtemp(prefix="connectra-stores-"))
    command = partial(connectra, isolated_environment(home))
    yield command
    command("down")
    shutil.rmtree(home)


async def test_a_restart_keeps_data_and_reset_deletes_it(stores: Command) -> None:
    async def run_sql(statement: str) -> Any:
        connection = await asyncpg.connect(json.loads(stores("status", "--json", "--show-secrets").stdout)["postgres"])
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    def up() -> None:
        done = stores("up", "--detach", "--only", "postgres,s3")
        assert done.returncode == 0, done.stderr

    up()
    await run_sql("CREATE TABLE kept AS SELECT 42 AS answer")
    assert stores("down").returncode == 0
    assert stores("status").returncode == 1
    up()
    assert await run_sql("SELECT answer FROM kept") == 42
    assert stores("reset", "--yes").returncode == 0
    up()
    assert await run_sql("SELECT to_regclass('kept')") is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start, down or reset ends them")
def test_real_servers_end_with_a_killed_supervisor(stores: Command) -> None:
    assert stores("up", "--detach", "--only", "postgres,s3").returncode == 0
    parts = json.loads(stores("status", "--json").stdout)["parts"]
    supervisor = psutil.Process(parts[0]["pid"]).parent()
    assert supervisor is not None
    supervisor.kill()
    until_now(lambda: not any(psutil.pid_exists(part["pid"]) for part in parts), seconds=10)
    assert stores("up", "--detach", "--only", "postgres,s3").returncode == 0


def test_an_external_postgres_is_used_and_not_started(stack: Stack, tmp_path: Path) -> None:
    environment = {**isolated_environment(tmp_path), "PG_DB_CONNECTION": stack.postgres}
    try:
        up = connectra(environment, "up", "--detach", "--only", "postgres")
        assert up.returncode == 0, up.stderr
        (part,) = json.loads(connectra(environment, "status", "--json").stdout)["parts"]
        assert (part["state"], part["pid"]) == ("running", None)
    finally:
        connectra(environment, "down")
