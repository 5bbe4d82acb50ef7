"""The command line behind the default rate limit."""

from pathlib import Path

from connectra_client.exit_codes import ExitCode

from tests.support.gateway import Gateway, RunGateway
from tests.support.http import client
from tests.support.jobs import import_file
from tests.support.stack import Stack, connectra

DATA = b"first_name,email\n"


async def use_up(gateway: Gateway) -> None:
    """Calls until the limit is used up."""
    async with client(gateway.url, gateway.api_key) as api:
        while (await api.get("/common/jobs/nothing")).status_code != 429:
            pass


async def test_a_used_up_limit_is_waited_for(stack: Stack, run_gateway: RunGateway, tmp_path: Path) -> None:
    gateway = run_gateway(**stack.addresses(), MAX_REQUESTS_PER_MINUTE="60")
    async with client(gateway.url, gateway.api_key) as api:
        job = await import_file(api, DATA, "mine.csv")
    there = ("--url", gateway.url, "--api-key", gateway.api_key)
    await use_up(gateway)
    watched = connectra(stack.environment, "jobs", "watch", job["uuid"], *there)
    assert watched.returncode == (ExitCode.DONE if job["status"] == "completed" else ExitCode.JOB_FAILED), (
        watched.stderr
    )
    assert job["uuid"] in watched.stdout
    await use_up(gateway)
    fetched = connectra(stack.environment, "jobs", "fetch", job["uuid"], "--source", "-o", str(tmp_path), *there)
    assert fetched.returncode == 0, fetched.stderr
    assert (tmp_path / "mine.csv").read_bytes() == DATA
    await use_up(gateway)
    found = connectra(stack.environment, "search", "contacts", "--json", *there)
    assert found.returncode == 0, found.stderr
