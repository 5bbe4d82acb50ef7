"""Stacks of real parts, started by the command line as users start them."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
from connectra_local.config import scripts_folder
from connectra_local.home import Home

# Variables that would point the stack at the developer's own servers, ports or keys.
# The deliberate way in is TEST_POSTGRES.
FOREIGN_PREFIXES = ("PG_", "ELASTICSEARCH_", "S3_", "CONNECTRA_", "GATEWAY_", "OTEL_", "API_KEY")
# URL of a database in which the shared stack keeps its data, instead of a server of its own; the tests create others next to it.
TEST_POSTGRES = "CONNECTRA_TEST_PG_DSN"
START_SECONDS = 280

Completed = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class S3:
    """How to reach the S3 server; `endpoint` is a URL."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class Stack:
    """A stack as `connectra status --json` describes it, and the command line to deal with it."""

    gateway: str
    api_key: str
    postgres: str
    elasticsearch: str
    s3: S3
    grpc: dict[str, str]
    home: Path
    environment: dict[str, str] = field(repr=False)

    @classmethod
    def described(cls, environment: dict[str, str]) -> "Stack":
        """The stack in the folder that this environment names."""
        status = status_of(environment)
        names = ("gateway", "api_key", "postgres", "elasticsearch", "grpc")
        known = {name: status[name] for name in names}
        home = Path(environment["CONNECTRA_HOME"])
        return cls(**known, s3=S3(**status["s3"]), home=home, environment=environment)

    def command(self, *arguments: str, timeout: float = 120) -> Completed:
        """Run `connectra ARGUMENTS` on this stack."""
        return connectra(self.environment, *arguments, timeout=timeout)

    def parts(self) -> dict[str, dict[str, Any]]:
        """The parts by name, as `status --json` has them now."""
        return {part["name"]: part for part in status_of(self.environment)["parts"]}

    def addresses(self) -> dict[str, str]:
        """The settings that lead a process to the services."""
        return {f"{name.upper()}_ADDRESS": address for name, address in self.grpc.items()}

    def stores(self) -> dict[str, str]:
        """The settings that lead a process to PostgreSQL and Elasticsearch."""
        return {"PG_DB_CONNECTION": self.postgres, "ELASTICSEARCH_CONNECTION": self.elasticsearch}

    def objects(self) -> dict[str, str]:
        """The settings that lead a process to the object store."""
        return {
            "S3_ENDPOINT": urlsplit(self.s3.endpoint).netloc,
            "S3_SSL": "false",
            "S3_BUCKET": self.s3.bucket,
            "S3_ACCESS_KEY": self.s3.access_key,
            "S3_SECRET_KEY": self.s3.secret_key,
        }


def program(name: str) -> str:
    """A console script of this environment."""
    return str(scripts_folder() / name)


def connectra(environment: Mapping[str, str], *arguments: str, timeout: float = 120) -> Completed:
    """Run the command line, to its end."""
    command = [program("connectra"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=timeout)


def status_of(environment: Mapping[str, str]) -> dict[str, Any]:
    """What `connectra status --json` says, running or not."""
    status: dict[str, Any] = json.loads(connectra(environment, "status", "--json", "--show-secrets").stdout)
    return status


def up(environment: dict[str, str], *arguments: str) -> Stack:
    """The stack of this environment, once it is up; fails with what the command said if it does not come up."""
    started = connectra(environment, "up", "--detach", *arguments, timeout=START_SECONDS)
    assert started.returncode == 0, f"the stack did not come up:\n{started.stdout}\n{started.stderr}"
    return Stack.described(environment)


@contextmanager
def running(name: str, *arguments: str, **settings: str) -> Iterator[Stack]:
    """A stack of its own on free ports, removed without a trace at the end.

    Args:
        name: part of the name of its folder.
        arguments: options of `connectra up`.
        settings: environment variables in addition to those of `isolated_environment`.
    """
    home = Path(tempfile.mkdtemp(prefix=f"connectra-{name}-"))
    environment = isolated_environment(home) | settings
    try:
        yield up(environment, *arguments)
    finally:
        connectra(environment, "down")
    assert processes_of(home) == []
    shutil.rmtree(home)


@contextmanager
def frozen(stack: Stack, part: str) -> Iterator[None]:
    """A part that does nothing meanwhile."""
    pid = stack.parts()[part]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def processes_of(home: Path) -> list[str]:
    """Every live process of the stack in this folder, known by its environment or command line."""
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
        **folder(home),
        "XDG_CONFIG_HOME": str(home / "config"),  # not the servers that the developer is logged in to
        "JOB_LEASE_SECONDS": "5",  # a test that kills a worker waits for its lease to run out
    }


def folder(home: Path) -> dict[str, str]:
    """The settings of a stack in `home`, on free ports, whose downloads are those of the project and whose `.env` is none."""
    return {
        "CONNECTRA_HOME": str(home),
        "CONNECTRA_DOWNLOADS": str(Home.find().downloads),
        "CONNECTRA_ENV_FILE": "",
        "CONNECTRA_FREE_PORTS": "1",
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
