"""The REST API: JSON bodies in and out as google.api.HttpBody."""

import json
import re
from typing import Any

import orjson
from google.api.httpbody_pb2 import HttpBody

from connectra_common.errors import BadRequest
from connectra_common.server import Context

JSON = "application/json; charset=utf-8"


def read_json(body: HttpBody, *, required: bool = False) -> Any:
    """The body's JSON value; an empty body is `{}` unless `required`.

    Raises:
        BadRequest: not JSON (with the position), a key twice in one object, NaN or Infinity, half a character, or empty when required.
    """
    try:
        text = body.data.decode()
        if not text.strip():
            if required:
                raise BadRequest("the request body is empty; a JSON document is required")
            return {}
        # Not the fastest parser, but one that shows us every key; others silently keep the last of two equal keys.
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
        if _SURROGATE.search(text):
            _check_characters(value)
        return value
    except UnicodeDecodeError as error:
        raise BadRequest(f"the request body is not UTF-8: byte {error.start}", details={"byte": error.start}) from None
    except json.JSONDecodeError as error:
        raise BadRequest(
            f"the request body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            details={"line": error.lineno, "column": error.colno},
        ) from None
    except RecursionError:
        raise BadRequest("the request body is nested too deeply") from None


# Escapes of lone surrogates, which no store accepts.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _check_characters(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise BadRequest(f"the request body has {half} alone, which is half of a character") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(
            f"the request body has the key {twice[:100]!r} twice in one object", details={"key": twice[:100]}
        )
    return found


def _no_constant(name: str) -> Any:
    raise BadRequest(f"the request body has {name}, which is not JSON")


def read_object(body: HttpBody, *, required: bool = False) -> dict[str, Any]:
    """As `read_json`, but the value must be an object.

    Raises:
        BadRequest: also if it is not an object.
    """
    value = read_json(body, required=required)
    if not isinstance(value, dict):
        raise BadRequest("the request body must be a JSON object")
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


async def send_headers(context: Context, *, status: int | None = None, **headers: str) -> None:
    """Sends response headers and, if not 200, the HTTP status. Call it last: an error after it can no longer change the status."""
    metadata = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if status:
        metadata.append(("x-http-code", str(status)))
    if metadata:
        await context.send_initial_metadata(metadata)
