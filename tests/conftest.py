"""Fixtures that every test may ask for. Nothing is started unless a test asks for it."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.http import client
from tests.support.stack import Completed, Stack, connectra, given_postgres, isolated_environment, running
from tests.support.wait import until_now


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole real stack, started once per run on free ports, removed without a trace at the end."""
    with running("test", **given_postgres()) as started:
        yield started


@pytest.fixture
async def api(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway that has the API key."""
    async with client(stack.gateway, stack.api_key) as opened:
        yield opened


@pytest.fixture(scope="session")
def isolated() -> Callable[[Path], dict[str, str]]:
    """`isolated(home)`: the environment for a stack of the test's own in that folder."""
    return isolated_environment


@pytest.fixture(scope="session")
def run_connectra() -> Callable[..., Completed]:
    """`run_connectra(environment, *arguments)`: the command line, to its end."""
    return connectra


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`eventually(check, timeout=30)` waits until `check()` is true and returns its result, or fails."""
    return lambda check, timeout=30: until_now(check, seconds=timeout)
