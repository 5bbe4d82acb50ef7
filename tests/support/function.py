"""The API as a Lambda function: AWS's emulator runs the adapter and the API server, and requests reach them as the events of an HTTP API.

It needs `aws-lambda-rie` and `lambda-adapter` in PATH; `make lambda` builds both.
"""

import asyncio
import base64
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from tests.support.dockerfiles import LAMBDA, environment
from tests.support.gateway import API_KEY
from tests.support.http import client
from tests.support.ports import free_ports
from tests.support.stack import Stack, program
from tests.support.wait import until_now

EMULATOR, ADAPTER = (shutil.which(name) for name in ("aws-lambda-rie", "lambda-adapter"))
NEEDS_EMULATOR = pytest.mark.skipif(not (EMULATOR and ADAPTER), reason="no emulator of Lambda here: see `make lambda`")
INVOKE = "/2015-03-31/functions/function/invocations"
# An HTTP API passes these bodies as text, and all others as base64.
TEXT = ("application/json", "application/javascript", "application/xml", "text/")
# What Lambda takes of an event, and gives of an answer.
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
# Whom Lambda lets run a function: nobody in particular.
ANYBODY = 20_117


@dataclass(frozen=True)
class Function:
    """One that is running: as the process of the emulator, which has all others as its children."""

    process: "subprocess.Popen[bytes]"
    url: str
    grpc: str
    folder: Path
    api_key: str = API_KEY
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def keys_file(self) -> Path:
        """The file of its clients, in addition to the one whose key is `api_key`."""
        return self.folder / "keys.json"

    @property
    def log(self) -> Path:
        """What all its processes wrote."""
        return self.folder / "log"

    def client(self, key: str | None = None, *, timeout: float = 60) -> httpx.AsyncClient:
        """A client of the HTTP API in front of it."""
        return client("http://api.test", key, timeout=timeout, transport=HttpApi(self))

    def members(self) -> list[psutil.Process]:
        """Adapter, API server and Envoy: what Lambda freezes, and what it tells to end."""
        (emulator,) = psutil.Process(self.process.pid).children()
        return emulator.children(recursive=True)

    def addresses(self) -> dict[str, str]:
        """The settings that lead a process to its services."""
        return dict.fromkeys(("QUERY_ADDRESS", "WRITE_ADDRESS", "JOBS_ADDRESS"), self.grpc)

    def tell(self, number: signal.Signals) -> None:
        """Sends all of them a signal."""
        for member in self.members():
            member.send_signal(number)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """As between two calls."""
        self.tell(signal.SIGSTOP)
        try:
            yield
        finally:
            self.tell(signal.SIGCONT)

    def kill(self) -> None:
        """With all of its processes."""
        with suppress(psutil.NoSuchProcess):
            # The first process of its namespace, which all others end with. (A change of user takes --kill-child of `unshare` off.)
            for emulator in psutil.Process(self.process.pid).children():
                emulator.kill()
        self.process.kill()
        self.process.wait(15)


class HttpApi(httpx.AsyncBaseTransport):
    """What an HTTP API of API Gateway does: the event of a request (payload format 2.0), and the response of what the function returns."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._emulator = client(function.url, timeout=60)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One at a time, as an environment is called."""
        payload = json.dumps(event(request, await request.aread())).encode()
        if len(payload) > MAX_PAYLOAD_BYTES:
            return httpx.Response(413, json={"message": "Request Entity Too Large"})
        async with self._function.one_at_a_time:
            answer = (await self._emulator.post(INVOKE, content=payload)).json()
        if "statusCode" not in answer:
            return httpx.Response(500, json={"message": "Internal Server Error"}, extensions={"answer": answer})
        text = answer.get("body") or ""
        body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
        headers = [
            *((name, value) for name, value in answer.get("headers", {}).items()),
            *(("set-cookie", cookie) for cookie in answer.get("cookies", ())),
        ]
        return httpx.Response(answer["statusCode"], headers=headers, content=body)

    async def aclose(self) -> None:
        """Closes its own client."""
        await self._emulator.aclose()


def event(request: httpx.Request, body: bytes) -> dict[str, Any]:
    """As https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html has it."""
    headers: dict[str, str] = {}
    for name, value in request.headers.multi_items():
        headers[name.lower()] = f"{headers[name.lower()]},{value}" if name.lower() in headers else value
    kind = headers.get("content-type", "")
    is_text = kind.startswith(TEXT) and "content-encoding" not in headers and _is_utf8(body)
    path, _, query = request.url.raw_path.decode().partition("?")
    domain, now = "a1b2c3.execute-api.eu-central-1.amazonaws.com", datetime.now(UTC)
    headers |= {
        "host": domain,
        "x-forwarded-for": ", ".join(filter(None, (headers.get("x-forwarded-for"), "203.0.113.7"))),
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
        "x-amzn-trace-id": "Root=1-67891233-abcdef012345678912345678",
    }
    http = {"method": request.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7"}
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3",
            "domainName": domain,
            "domainPrefix": "a1b2c3",
            "http": {**http, "userAgent": headers.get("user-agent", "")},
            "requestId": uuid4().hex,
            "routeKey": "$default",
            "stage": "$default",
            "time": f"{now:%d/%b/%Y:%H:%M:%S +0000}",
            "timeEpoch": int(1000 * now.timestamp()),
        },
        "isBase64Encoded": bool(body) and not is_text,
    }
    if query:
        given: dict[str, list[str]] = {}
        for name, value in request.url.params.multi_items():
            given.setdefault(name, []).append(value)
        made["queryStringParameters"] = {name: ",".join(values) for name, values in given.items()}
    if body:
        made["body"] = body.decode() if is_text else base64.b64encode(body).decode()
    return made


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


RunFunction = Callable[..., Function]
"""`run_function(GATEWAY_TIMEOUT_SECONDS=…)`: a function with these settings."""


def start(stack: Stack, folder: Path, *, user: int = 0, before: tuple[str, ...] = (), **settings: str) -> Function:
    """Starts the emulator, which starts the function with its first call.

    Args:
        folder: for its files, empty; not below /tmp, which the function has for itself.
        user: whom its processes belong to.
        before: a command that starts the rest, such as `taskset`.
    """
    port, api, listen, admin, grpc, internal = free_ports(6)
    own = {
        **environment("single"),
        **environment(LAMBDA),
        **stack.stores(),
        **stack.objects(),
        "PATH": os.environ["PATH"],
        "API_KEY": API_KEY,
        "GATEWAY_LISTEN": f"127.0.0.1:{listen}",
        "AWS_LWA_PORT": str(listen),
        "GATEWAY_ADMIN_LISTEN": f"127.0.0.1:{admin}",
        "GRPC_LISTEN": f"127.0.0.1:{grpc}",
        "GRPC_INTERNAL_LISTEN": f"127.0.0.1:{internal}",
        "GATEWAY_KEYS_FILE": str(folder / "keys.json"),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "29",
    }
    # The Envoy of this machine stands for that of the image.
    del own["ENVOY_BIN"]
    addresses = (
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{port}",
        "--runtime-api-address",
        f"127.0.0.1:{api}",
    )
    command = (*before, str(EMULATOR), *addresses, program("connectra-single"))
    folder.chmod(0o755)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(sandboxed(command, user, own | settings), stdout=log, stderr=subprocess.STDOUT)
    function = Function(process, f"http://127.0.0.1:{port}", f"127.0.0.1:{grpc}", folder)

    def listens() -> bool:
        assert process.poll() is None, f"the emulator did not start:\n{function.log.read_text()}"
        return httpx.get(function.url, trust_env=False).status_code == 404

    until_now(listens, pause=0.05, away=(httpx.TransportError,))
    return function


def sandboxed(command: tuple[str, ...], user: int, variables: Mapping[str, str]) -> list[str]:
    """A command line that runs `command` as Lambda runs an image: on a read-only root with a /tmp of its own, without any right, as `user`,
    and with the adapter as an extension."""
    steps = [
        "mount -t proc proc /proc",
        "mount -t tmpfs -o mode=1777 tmpfs /tmp",
        "mount -t tmpfs tmpfs /opt",
        "mkdir /opt/extensions",
        f"cp {ADAPTER} /opt/extensions/lambda-adapter",
        *_everybodys_python(),
        "mount -o remount,bind,ro /",
        "cd /",
    ]
    rights = f"setpriv --reuid {user} --regid {user} --clear-groups --bounding-set=-all --no-new-privs"
    pairs = [f"{name}={value}" for name, value in variables.items()]
    steps.append(f"exec {rights} env -i {shlex.join([*pairs, *command])}")
    return ["unshare", "--mount", "--pid", "--fork", "sh", "-c", " && ".join(steps)]


def _everybodys_python() -> list[str]:
    """Steps that let others than root read an interpreter in root's home."""
    base, home = sys.base_prefix, Path("/root")
    if not Path(base).is_relative_to(home):
        return []
    aside = "/tmp/python"
    return [
        *(f"mkdir {aside}", f"mount --bind {base} {aside}", f"mount -t tmpfs -o mode=755 tmpfs {home}"),
        *(f"mkdir -p {base}", f"mount --bind {aside} {base}", f"umount {aside}", f"rmdir {aside}"),
    ]
