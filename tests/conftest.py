"""Fixtures that every test may ask for. Nothing is started unless a test asks for it."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import psutil
import pytest
from connectra_local.config import scripts_folder
from connectra_local.home import Home

# What would point the stack at servers, ports or keys of the developer's own.
# The deliberate way in is TEST_POSTGRES.
FOREIGN_PREFIXES = ("PG_", "ELASTICSEARCH_", "S3_", "CONNECTRA_", "GATEWAY_", "OTEL_", "API_KEY")
# URL of a database in which the shared stack is to keep its data, instead of a server of its own; the tests make others beside it.
TEST_POSTGRES = "CONNECTRA_TEST_PG_DSN"


@dataclass(frozen=True)
class S3:
    """How to reach the S3 server; `endpoint` is a URL."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class Stack:
    """A running stack, as `connectra status --json` describes it, and the command line to deal with it."""

    gateway: str
    api_key: str
    postgres: str
    elasticsearch: str
    s3: S3
    grpc: dict[str, str]
    home: Path
    environment: dict[str, str] = field(repr=False)

    def command(self, *arguments: str, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
        """Run `connectra ARGUMENTS` on this stack."""
        return connectra(self.environment, *arguments, timeout=timeout)

    def parts(self) -> dict[str, dict[str, Any]]:
        """The parts by name, as `status --json` has them now."""
        return {part["name"]: part for part in json.loads(self.command("status", "--json").stdout)["parts"]}


def connectra(environment: dict[str, str], *arguments: str, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
    command = [str(scripts_folder() / "connectra"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=timeout)


def processes_of(home: Path) -> list[str]:
    """Every living process of the stack in this folder, known by its environment or command line."""
    found = []
    for process in psutil.process_iter(["pid", "status", "cmdline", "environ"]):
        if process.info["status"] == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
            continue
        command = " ".join(process.info["cmdline"] or [])
        if (process.info["environ"] or {}).get("CONNECTRA_HOME") == str(home) or str(home) in command:
            found.append(f"{process.pid} {command}")
    return found


def isolated_environment(home: Path) -> dict[str, str]:
    """The environment of a stack of its own in `home`, which shares only the downloads of the project."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_PREFIXES)}
    return {
        **kept,
        "CONNECTRA_HOME": str(home),
        "CONNECTRA_DOWNLOADS": str(Home.find().downloads),
        "CONNECTRA_ENV_FILE": "",
        "CONNECTRA_FREE_PORTS": "1",
        "JOB_LEASE_SECONDS": "5",  # a test that kills a worker waits for its lease to run out
    }


def given_postgres() -> dict[str, str]:
    """The documented variables for the server of TEST_POSTGRES; none when it is not set."""
    if not (dsn := os.environ.get(TEST_POSTGRES)):
        return {}
    url = urlsplit(dsn)
    return {
        "PG_DB_HOST": url.hostname or "",
        "PG_DB_PORT": str(url.port or 5432),
        "PG_DB_DATABASE": url.path.lstrip("/"),
        "PG_DB_USERNAME": unquote(url.username or ""),
        "PG_DB_PASSWORD": unquote(url.password or ""),
    }


@pytest.fixture(scope="session")
def isolated() -> Callable[[Path], dict[str, str]]:
    """`isolated(home)`: the environment for a stack of the test's own in that folder."""
    return isolated_environment


@pytest.fixture(scope="session")
def run_connectra() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`run_connectra(environment, *arguments)`: the command line, to its end."""
    return connectra


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole real stack, started once per run on free ports, gone without a trace at the end."""
    home = Path(tempfile.mkdtemp(prefix="connectra-test-"))
    environment = isolated_environment(home) | given_postgres()
    started = connectra(environment, "up", "--detach", timeout=280)
    if started.returncode != 0:
        pytest.fail(f"the stack did not come up:\n{started.stdout}\n{started.stderr}", pytrace=False)
    try:
        status = json.loads(connectra(environment, "status", "--json").stdout)
        names = ("gateway", "api_key", "postgres", "elasticsearch", "grpc")
        described = {name: status[name] for name in names}
        yield Stack(**described, s3=S3(**status["s3"]), home=home, environment=environment)
    finally:
        connectra(environment, "down")
    assert processes_of(home) == []
    shutil.rmtree(home)


@pytest.fixture
async def api(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway that has the API key."""
    headers = {"x-api-key": stack.api_key}
    async with httpx.AsyncClient(base_url=stack.gateway, headers=headers, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`eventually(check, timeout=30)` waits until `check()` is true and returns its result, or fails."""
    return wait_until


def wait_until(check: Callable[[], Any], timeout: float = 30) -> Any:
    deadline = time.monotonic() + timeout
    while not (result := check()):
        if time.monotonic() > deadline:
            pytest.fail(f"not so within {timeout} s: {check}")
        time.sleep(0.1)
    return result
