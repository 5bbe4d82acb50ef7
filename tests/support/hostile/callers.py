"""Each caller makes one call, or some that belong together, and tells how they were answered."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import grpc
import httpx

from tests.support.hostile import values
from tests.support.http import client

Answer = tuple[str, str]
"""What was called, and the answer: an HTTP status, a gRPC code, or `closed`."""

CLOSED = "closed"
# Nobody holds a call for longer.
SECONDS = 30
# What a transport may raise when the other side hangs up.
GONE = (OSError, EOFError, httpx.TransportError, asyncio.IncompleteReadError)


@dataclass(frozen=True)
class Target:
    """A gateway, `host:port`, and a key that opens all but administration."""

    address: str
    key: str

    @property
    def url(self) -> str:
        """For HTTP."""
        return f"http://{self.address}"

    @property
    def host(self) -> tuple[str, int]:
        """For sockets."""
        host, _, port = self.address.rpartition(":")
        return host, int(port)


def filled(random: Random, path: str) -> str:
    """A path of the documentation with something for its variables."""
    some_uuid = str(UUID(int=random.getrandbits(128)))
    name = random.choice(
        (some_uuid, some_uuid.upper(), "company", "contact", "x" * 3_000, "%00", "%ff", "%2e%2e", "a%2fb", "ü", "*")
    )
    for variable in ("{uuid}", "{upload_id}", "{service}"):
        path = path.replace(variable, name)
    return random.choice(("", "/v1", "/v1/v1", "/")) + path + random.choice(("", "", "/", "//", "/x"))


def headers(random: Random, key: str) -> list[tuple[str, str]]:
    """Headers, odd ones among them."""
    odd = (
        ("x-consistency-token", random.choice(("0", "-1", "1" * 30, "x", "9223372036854775807"))),
        ("idempotency-key", random.choice(("", "k", "k" * 300, "a b"))),
        ("if-match", random.choice(("*", '"1"', 'W/"1"', '"1", "2"', "x", '"' + "9" * 30 + '"'))),
        ("x-request-id", random.choice(("", "a" * 200, "<b>", "a b"))),
        ("content-encoding", random.choice(("gzip", "br", "identity", "gzip, gzip"))),
        (
            "content-type",
            random.choice(("text/plain", "application/grpc-web", "application/grpc+json", "multipart/form-data", "")),
        ),
        ("accept-encoding", random.choice(("gzip", "*;q=0", "br"))),
        ("x-client-id", "admin"),
        ("x-client-rights", "admin"),
        ("x-envoy-original-path", "/"),
        ("grpc-timeout", random.choice(("1n", "99999999H", "x"))),
        ("te", "trailers"),
        ("expect", "100-continue"),
        ("authorization", random.choice(("Bearer x", "Basic eDp5", "Bearer eyJhbGciOiJub25lIn0.e30."))),
        ("origin", random.choice(("null", "http://x"))),
        ("x-api-key", key),
    )
    return [("x-api-key", key), *random.sample(odd, random.choice((0, 0, 1, 1, 2, 5)))]


async def documented(target: Target, random: Random) -> list[Answer]:
    """A path of the documentation with a body that is almost its own."""
    verb, path, example = random.choice(values.OPERATIONS)
    if random.random() < 0.1:
        verb = random.choice(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"))
    called = f"{verb} {path}"
    sent = headers(random, target.key)
    content: bytes | None = values.body(random, example) if example is not None or random.random() < 0.1 else None
    if content and ("content-encoding", "gzip") in sent:
        content = gzip.compress(content, 1)
    return await _send(target, called, verb, filled(random, path), sent, content)


async def queried(target: Target, random: Random) -> list[Answer]:
    """A search of many conditions."""
    path = random.choice(("/companies", "/contacts")) + random.choice(("", "/count"))
    content = json.dumps(values.query(random)).encode()
    return await _send(target, f"POST {path} (query)", "POST", path, [("x-api-key", target.key)], content)


async def _send(
    target: Target, called: str, verb: str, path: str, sent: list[tuple[str, str]], content: bytes | None
) -> list[Answer]:
    async with client(target.url, timeout=SECONDS) as api:
        query = "?select_columns=uuid&x=%00" if len(path) % 7 == 0 else ""
        reply = await api.request(
            verb, path + query, content=content, headers=[(n.encode(), v.encode()) for n, v in sent]
        )
    return [(called, str(reply.status_code))]


async def typed(target: Target, random: Random) -> list[Answer]:
    """A method of the typed API with a message that may be none."""
    method = random.choice(values.METHODS)
    path = f"/{method.containing_service.full_name}/{method.name}"
    if random.random() < 0.05:
        path += "X"
    data = values.payload(random, method)
    metadata = [("x-api-key", target.key), *random.choice(_METADATA)]
    channel: Any  # whose type knows no calls of bytes
    async with grpc.aio.insecure_channel(target.address) as channel:
        try:
            if method.server_streaming:
                call = channel.unary_stream(path)(data, metadata=metadata, timeout=5)
                for _ in range(3):
                    if await call.read() is grpc.aio.EOF:
                        break
                call.cancel()
            else:
                await channel.unary_unary(path)(data, metadata=metadata, timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            return [(path, error.code().name)]
    return [(path, "OK")]


_METADATA: tuple[list[tuple[str, str | bytes]], ...] = (
    [], [], [("x-bin", b"\xff\0")], [("x-consistency-token", "1" * 30)], [("idempotency-key", "k")], [("grpc-accept-encoding", "x")],
    [("x-client-rights", "admin")], [(f"x-{number}", "y" * 90) for number in range(90)], [("x-api-key", "another-key-of-mine")],
)  # fmt: skip


async def unread(target: Target, random: Random) -> list[Answer]:
    """A stream of which one message is read."""
    method = random.choice([method for method in values.METHODS if method.server_streaming])
    path = f"/{method.containing_service.full_name}/{method.name}"
    small = [("grpc.http2.lookahead_bytes", 65536), ("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
    channel: Any
    async with grpc.aio.insecure_channel(target.address, options=small) as channel:
        call = channel.unary_stream(path)(b"", metadata=[("x-api-key", target.key)], timeout=SECONDS)
        try:
            await call.read()
            await asyncio.sleep(random.uniform(0, 5))
        except grpc.aio.AioRpcError as error:
            return [(f"{path} (unread)", error.code().name)]
        call.cancel()
    return [(f"{path} (unread)", "OK")]


async def file(target: Target, random: Random) -> list[Answer]:
    """A file that is no table, or hardly one, previewed and perhaps imported."""
    name, data = values.table(random)
    async with client(target.url, target.key, timeout=SECONDS) as api:
        upload = await api.get("/common/upload-url", params={"filename": name})
        answers = [("upload", str(upload.status_code))]
        if upload.status_code == 200:
            async with client(timeout=SECONDS) as store:
                (await store.put(upload.json()["upload_url"], content=data)).raise_for_status()
            wanted = {"s3_key": upload.json()["s3_key"]}
            preview = await api.post("/common/imports/preview", json=wanted)
            answers.append(("preview", str(preview.status_code)))
            if random.random() < 0.1:
                job = {"job_type": "insert_csv_file", "job_data": wanted}
                answers.append(("import", str((await api.post("/common/jobs/create", json=job)).status_code)))
    return answers


async def keys(target: Target, random: Random) -> list[Answer]:
    """A call with a key that opens nothing."""
    key = random.choice(
        ("", "x", target.key[:-1], target.key + "x", target.key.upper(), "y" * 5_000, "Bearer", f"Bearer  {target.key}")
    )
    async with client(target.url, timeout=SECONDS) as api:
        reply = await api.get("/companies/x", headers={"x-api-key": key} if key else {})
    assert reply.status_code not in (200, 404), "a wrong key opens the door"
    return [("wrong key", str(reply.status_code))]


async def lines(target: Target, random: Random) -> list[Answer]:
    """HTTP/1.1 as no client sends it: in broken lines, slowly, or not to its end."""
    key = f"host: x\r\nx-api-key: {target.key}\r\n"
    length = random.choice(("5", "99999999999", "-1", "5\r\ncontent-length: 6", "0x5", "5 5"))
    text = random.choice(
        (
            f"POST /contacts HTTP/1.1\r\n{key}content-length: {length}\r\n\r\n{{}}   ",
            f"POST /contacts HTTP/1.1\r\n{key}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{{}}\r\n0\r\n\r\n",
            f"POST /contacts HTTP/1.1\r\n{key}transfer-encoding: chunked\r\n\r\n2\r\n{{}}XX0\r\n\r\n",
            f"POST /contacts HTTP/1.1\r\n{key}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
            f"POST /contacts HTTP/1.1\r\n{key}transfer-encoding: xchunked\r\n\r\n{{}}",
            f"GET /contacts/\x01 HTTP/1.1\r\n{key}\r\n",
            f"GET /contacts/{'x' * 70_000} HTTP/1.1\r\n{key}\r\n",
            f"GET http://elsewhere/companies/x HTTP/1.1\r\n{key}\r\n",
            f"CONNECT elsewhere:443 HTTP/1.1\r\n{key}\r\n",
            f"PRI * HTTP/2.0\r\n{key}\r\n",
            f"GET /companies/x HTTP/0.9\r\n{key}\r\n",
            f"GET /companies/x HTTP/1.0\r\n{key}\r\n",
            f"GET /companies/x HTTP/1.1\r\n{key}x: {'y' * 50_000}\r\n\r\n",
            f"GET /companies/x HTTP/1.1\r\n{key}{''.join(f'x-{n}: y{chr(13)}{chr(10)}' for n in range(300))}\r\n",
            f"GET /companies/x HTTP/1.1\r\n{key} folded: x\r\n\r\n",
            f"GET /companies/x HTTP/1.1\r\n{key}upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\n\r\n",
            f"GET /companies/x HTTP/1.1\r\n{key}upgrade: websocket\r\nconnection: upgrade\r\n\r\n",
            f"OPTIONS * HTTP/1.1\r\n{key}\r\n",
            f"GET /health HTTP/1.1\r\n\r\nGET /companies/x HTTP/1.1\r\n{key}\r\n" * 30,
        )
    )
    data = text.encode("latin-1")
    if random.random() < 0.3:
        data = values.spoiled(random, data)
    reader, writer = await asyncio.open_connection(*target.host)
    try:
        pieces = random.choice((1, 1, 1, 20))
        step = len(data) // pieces + 1
        for at in range(0, len(data), step):
            writer.write(data[at : at + step])
            await writer.drain()
            await asyncio.sleep(0.05 if pieces > 1 else 0)
        if random.random() < 0.5:
            writer.write_eof()
        async with asyncio.timeout(random.choice((0.2, 2))):
            head = await reader.readuntil(b"\r\n")
    except TimeoutError:
        return [("HTTP/1.1", CLOSED)]  # by us
    finally:
        writer.close()
    return [("HTTP/1.1", head[9:12].decode(errors="replace") if head.startswith(b"HTTP/1.1 ") else CLOSED)]


def _frame(kind: int, flags: int, stream: int, data: bytes, *, length: int | None = None) -> bytes:
    size = len(data) if length is None else length
    return size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + data


def _block(named: Iterable[tuple[str, str]]) -> bytes:
    """Headers in HPACK, as literals."""

    def text(value: str) -> bytes:
        data = value.encode()
        return bytes([len(data)]) + data

    return b"".join(b"\x00" + text(name) + text(value) for name, value in named)


async def frames(target: Target, random: Random) -> list[Answer]:
    """HTTP/2 and gRPC in frames that are broken, endless or never end."""
    path = f"/connectra.query.v1.QueryService/{random.choice(('ListContacts', 'SearchContacts', 'Nothing'))}"
    block = _block(
        (
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
            ("content-type", random.choice(("application/grpc", "application/json"))), ("te", "trailers"), ("x-api-key", target.key),
            *random.choice(((), (("grpc-encoding", "gzip"),), (("Upper", "x"),), ((":late", "x"),), (("connection", "x"),))),
        )
    )  # fmt: skip
    message = random.choice(
        (
            b"\x00\x00\x00\x00\x00", b"\x00\xff\xff\xff\xff" + b"\x0a\x00" * 50, b"\x01\x00\x00\x00\x05abcde", b"\x02\x00\x00\x00\x00",
            b"\x00\x00\x00\x00\x05ab", b"\x01" + (len(bomb := gzip.compress(bytes(2**22), 9))).to_bytes(4, "big") + bomb,
        )
    )  # fmt: skip
    more = random.choice(
        (
            b"",
            _frame(0, 1, 1, message),
            _frame(0, 0, 1, message),
            _frame(0, 1, 1, b"", length=16_384),
            _frame(9, 0, 1, b"\x00\x01x\x01y") * 500,
            b"".join(_frame(1, 5, 3 + 2 * n, block) + _frame(3, 0, 3 + 2 * n, b"\0\0\0\x08") for n in range(300)),
            b"".join(_frame(1, 4, 3 + 2 * n, block) for n in range(150)),
            _frame(6, 0, 0, b"12345678") * 2_000,
            _frame(4, 0, 0, b"\0\4\xff\xff\xff\xff") + _frame(4, 0, 0, b"\0\5\0\0\0\0") * 200,
            _frame(8, 0, 0, b"\0\0\0\0") + _frame(8, 0, 1, b"\x7f\xff\xff\xff") * 3,
            _frame(2, 0, 1, b"\0\0\0\1\xff") * 500,
            _frame(
                random.randrange(256),
                random.randrange(256),
                random.randrange(2**32),
                random.randbytes(random.randrange(300)),
            )
            * 9,
            _frame(7, 0, 0, b"\0\0\0\0\0\0\0\0"),
        )
    )
    ends = random.choice((4, 4, 4, 5, 0))  # END_HEADERS, and END_STREAM or neither
    data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b"") + _frame(1, ends, 1, block) + more
    if random.random() < 0.2:
        data = data[:24] + values.spoiled(random, data[24:])
    _, writer = await asyncio.open_connection(*target.host)
    try:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(random.choice((0.01, 0.2, 3)))
    finally:
        writer.close()
    return [("HTTP/2", CLOSED)]


Caller = Callable[[Target, Random], Awaitable[list[Answer]]]
# Each as often as it stands here.
CALLERS: tuple[Caller, ...] = (
    documented,
    documented,
    documented,
    queried,
    typed,
    typed,
    typed,
    unread,
    file,
    keys,
    lines,
    lines,
    frames,
)


async def one(target: Target, random: Random) -> list[Answer]:
    """One call of any kind."""
    caller: Any = random.choice(CALLERS)
    try:
        return list(await caller(target, random))
    except httpx.TimeoutException:
        raise
    except GONE:
        return [(caller.__name__, CLOSED)]
