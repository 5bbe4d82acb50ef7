"""`connectra up --single`: one process in the place of the gateway and three services."""

import os
import signal

import pytest

from tests.support.http import client
from tests.support.jobs import create_job, ended, upload
from tests.support.stack import Stack, running
from tests.support.wait import until_now


async def test_one_process_answers_is_repaired_and_leaves_nothing(stack: Stack) -> None:
    """On the stores of another stack; that no process is left is what `running` makes sure of."""
    with running("single", "--single", "--only", "migrate,api", **stack.stores(), **stack.objects()) as single:
        assert {name: part["state"] for name, part in single.parts().items()} == {"api": "running"}
        assert len({single.grpc[name] for name in ("query", "write", "jobs")}) == 1
        async with client(single.gateway, single.api_key) as http:
            assert (await http.get("/health/db")).json()["status"] == "ok"

        os.kill(single.parts()["api"]["pid"], signal.SIGKILL)
        until_now(lambda: single.parts()["api"]["restarts"] == 1 and single.parts()["api"]["state"] == "running")
        async with client(single.gateway, single.api_key) as http:
            assert (await http.get("/health/db")).json()["status"] == "ok"


@pytest.mark.long
async def test_a_file_is_imported_and_found() -> None:
    """The whole suite: indexer and worker pools work with the one process as with three."""
    with running("single", "--single") as single:
        assert "query" not in single.parts()
        async with client(single.gateway, single.api_key) as http:
            key = await upload(http, b"first_name,last_name,email\nAda,Lovelace,ada@example.com\n")
            job = await create_job(http, "insert_csv_file", {"s3_key": key})
            assert (await ended(http, job["uuid"]))["status"] == "completed"
            found = (await http.post("/contacts", json={"q": "lovelace"})).json()["data"]
    assert [one["email"] for one in found] == ["ada@example.com"]
