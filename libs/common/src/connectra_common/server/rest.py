"""The REST API: JSON bodies in and out as google.api.HttpBody."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import orjson
from google.api.httpbody_pb2 import HttpBody

from connectra_common.errors import PayloadTooLarge, ValidationFailed
from connectra_common.server import Context
from connectra_common.server.bodies import parse
from connectra_common.server.limits import BODY, BodyLimits

JSON = "application/json; charset=utf-8"
# Larger bodies are read in a thread, one after another: however many there are, other calls go on.
INLINE_BYTES = 64 * 1024
_READER = ThreadPoolExecutor(1, "json")


async def read_json(body: HttpBody, *, required: bool = False, limits: BodyLimits = BODY) -> Any:
    """The body's JSON value; an empty body is `{}` unless `required`.

    Raises:
        PayloadTooLarge: beyond the limits.
        ValidationFailed: not JSON, see `bodies.parse`, or empty when required.
    """
    data = body.data
    if len(data) > limits.bytes:
        raise PayloadTooLarge("the request body is too large", details={"max_bytes": limits.bytes})
    if not data.strip():
        if required:
            raise ValidationFailed("the request body is empty; a JSON document is required")
        return {}
    if len(data) <= INLINE_BYTES:
        return parse(data, limits)
    return await asyncio.get_running_loop().run_in_executor(_READER, parse, data, limits)


async def read_object(body: HttpBody, *, required: bool = False) -> dict[str, Any]:
    """As `read_json`, but the value must be an object.

    Raises:
        ValidationFailed: also if it is not an object.
    """
    value = await read_json(body, required=required)
    if not isinstance(value, dict):
        raise ValidationFailed("the request body must be a JSON object")
    return value


def reply(value: object) -> HttpBody:
    """A JSON answer."""
    return HttpBody(content_type=JSON, data=orjson.dumps(value))


def envelope(**members: object) -> HttpBody:
    """An answer: its members in the order given. Members that are None are omitted; bytes are already JSON.

    `success` is true and comes last, unless it is given.
    """
    shown = {
        name: orjson.Fragment(value) if isinstance(value, bytes) else value
        for name, value in members.items()
        if value is not None
    }
    shown.setdefault("success", True)
    return reply(shown)


class Answered(Protocol):
    """An answer that may be that of an earlier request with the same idempotency key."""

    @property
    def replayed(self) -> bool:
        """Whether it is."""


def replayed(answer: Answered) -> dict[str, str]:
    """The header that marks an answer which was given before."""
    return {"idempotent_replayed": "true"} if answer.replayed else {}


async def send_headers(context: Context, *, status: int | None = None, **headers: str) -> None:
    """Sends response headers and, if not 200, the HTTP status. Call it last: an error after it can no longer change the status."""
    metadata = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if status:
        metadata.append(("x-http-code", str(status)))
    if metadata:
        await context.send_initial_metadata(metadata)
