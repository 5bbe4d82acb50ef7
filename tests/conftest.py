"""Fixtures that every test may ask for. Nothing is started unless a test asks for it."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.support.http import client
from tests.support.stack import Stack, given_postgres, running


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole real stack, started once per run on free ports, removed without a trace at the end."""
    with running("test", S3_OTHER_BUCKETS="partner", **given_postgres()) as started:
        yield started


@pytest.fixture
async def api(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway that has the API key."""
    async with client(stack.gateway, stack.api_key) as opened:
        yield opened
