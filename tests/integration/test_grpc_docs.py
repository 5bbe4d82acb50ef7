"""Every program of docs/grpc.md runs on the real suite, and says what it should."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from tests.support.paths import ROOT
from tests.support.stack import Stack

PROGRAMS = ROOT / "docs/examples/grpc"
SAID = {
    "typed_sync.py": "completed\nada Countess\nTrue True\nTrue\nINVALID_ARGUMENT VALIDATION_ERROR where.keyword_match.must.cuntry\n",
    "jobs.py": "completed True 2\ncompleted True\n['result']\n",
    "writes.py": "True\nProfessor False\n1\n",
}
# What the others say depends on what is stored; these words do not.
WORDS = {
    "typed_async.py": ("completed\n", "\nTrue\n"),
    "direct.py": ("\n",),
    "plain_sync.py": (" contacts\n",),
    "plain_async.py": (" contacts\n",),
    "errors.py": ("INVALID_ARGUMENT\n", "connectra VALIDATION_ERROR\n", "country"),
}


async def output_of(program: str, folder: Path, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAMS / program)),
        cwd=folder,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize("program", sorted({*SAID, *WORDS}))
async def test_a_program_does_what_the_page_says(stack: Stack, tmp_path: Path, program: str) -> None:
    said = await output_of(
        program,
        tmp_path,
        CONNECTRA_URL=stack.gateway,
        CONNECTRA_API_KEY=stack.api_key,
        QUERY_ADDRESS=stack.grpc["query"],
    )
    if program in SAID:
        assert said == SAID[program]
    for words in WORDS.get(program, ()):
        assert words in said


async def test_the_program_with_certificates_reaches_a_server_that_asks_for_one(stack: Stack, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    mine = authority.issue_cert("caller")
    mine.private_key_pem.write_to_path(tmp_path / "tls.key")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    async with secured(stack.grpc["query"], authority) as address:
        said = await output_of("certificates.py", tmp_path, QUERY_ADDRESS=address, CERTIFICATES=str(tmp_path))
    first, second = said.splitlines()
    assert int(first) == int(second)


@asynccontextmanager
async def secured(address: str, authority: trustme.CA) -> AsyncIterator[str]:
    """The address of a server that asks for a certificate, and passes every call with one answer on to another server."""
    async with grpc.aio.insecure_channel(address) as channel:

        def passing(details: Any) -> Any:
            async def call(request: bytes, context: Any) -> bytes:
                forwarded: Any = channel.unary_unary(details.method)
                return bytes(await forwarded(request))

            return grpc.unary_unary_rpc_method_handler(call)

        class Handler(grpc.GenericRpcHandler):
            def service(self, handler_call_details: Any) -> Any:
                return passing(handler_call_details)

        own, server = authority.issue_cert("127.0.0.1"), grpc.aio.server()
        server.add_generic_rpc_handlers((Handler(),))
        pair = (own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())
        credentials = grpc.ssl_server_credentials([pair], authority.cert_pem.bytes(), require_client_auth=True)
        port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        yield f"127.0.0.1:{port}"
        await server.stop(None)
