"""JSON documents of strangers: strict, in bounded time and memory."""

import json
import re
from math import isinf
from typing import Any

from connectra_common.errors import PayloadTooLarge, ValidationFailed
from connectra_common.server.limits import BodyLimits
from connectra_common.vql.limits import LIMITS

MAX_DIGITS = 400


def parse(data: bytes, limits: BodyLimits) -> Any:
    """The value of a document.

    Raises:
        PayloadTooLarge: more values than allowed.
        ValidationFailed: not JSON, a key twice in one object, NaN or Infinity (with the position), too many levels, half a character.
    """
    brackets = data.count(b"[") + data.count(b"{")
    if brackets + data.count(b",") > limits.values:
        _count_values(data, limits.values)
    try:
        # What .NET and PowerShell put in front of UTF-8 may be ignored (RFC 8259, 8.1).
        text = data.decode().removeprefix("\ufeff")
        # Not the fastest parser, but one that shows us every key; others silently keep the last of two equal keys.
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_integer, parse_float=_fraction
        )
        if brackets > limits.depth:
            _check_depth(value, limits.depth)
        if "\\" in text and _SURROGATE.search(text):
            _check_characters(value)
        return value
    except UnicodeDecodeError as error:
        message = f"the request body is not UTF-8: byte {error.start}"
        raise ValidationFailed(message, details={"byte": error.start}) from None
    except json.JSONDecodeError as error:
        raise _at(error.pos, text, f"is not valid JSON: {error.msg}") from None
    except _Twice:
        at, key = _second(text)
        raise _at(at, text, f"has the key {key[:100]!r} twice in one object", key=key[:100]) from None
    except _NoNumber as error:
        raise _at(_first_constant(text), text, f"has {error}, which is not JSON") from None
    except RecursionError:
        raise _too_deep(limits.depth) from None


# A call into C keeps all other threads waiting: where that may be long, it is given so much at a time.
_PIECE = 64 * 1024
_BACKSLASHES = re.compile(rb"\\*")


def _count_values(data: bytes, most: int) -> None:
    """Checks the number of values by what stands outside of strings."""
    values = start = inside = 0
    while start < len(data):
        end = start + _PIECE
        if data[end - 1 : end] == b"\\":
            # What is escaped must not be cut off.
            end = _BACKSLASHES.match(data, end).end() + 1  # type: ignore[union-attr]
        # Without the escaped ones, every quotation mark begins or ends a string.
        parts = data[start:end].replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[inside::2])
        values += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        if values > most:
            raise PayloadTooLarge(f"the request body has more than {most:,} values", details={"max_values": most})
        inside = (inside + len(parts) - 1) % 2
        start = end


def _at(position: int, text: str, problem: str, **details: object) -> ValidationFailed:
    line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    return ValidationFailed(
        f"the request body {problem} at line {line}, column {column}",
        details={**details, "line": line, "column": column},
    )


class _Twice(Exception):
    """Some object has a key twice."""


class _NoNumber(Exception):
    """NaN, Infinity or -Infinity, by its name."""


# A string, as a key with the colon behind it; a bracket of an object; what is no number. Possessive: no input makes it slow.
_TOKENS = re.compile(r'("(?:[^"\\]++|\\.)*+")(\s*+:)?|[{}]|NaN|-?Infinity', re.DOTALL)


def _second(text: str) -> tuple[int, str]:
    """Where a key is given for the second time, and the key; what is before that is JSON."""
    objects: list[set[str]] = []
    for token in _TOKENS.finditer(text):
        if token[0] == "{":
            objects.append(set())
        elif token[0] == "}":
            objects.pop()
        elif token[2]:
            key = json.loads(token[1])
            if key in objects[-1]:
                return token.start(), key
            objects[-1].add(key)
    raise AssertionError("the parser has seen one")


def _first_constant(text: str) -> int:
    return next(token.start() for token in _TOKENS.finditer(text) if token[0][-1] in "Ny")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice
    return found


def _integer(digits: str) -> int:
    return int(_short(digits))


def _fraction(digits: str) -> float:
    number = float(_short(digits))
    if isinf(number):
        raise ValidationFailed(f"the request body has the number {digits}, which is too large")
    return number


def _short(digits: str) -> str:
    if len(digits) > MAX_DIGITS:
        raise ValidationFailed(f"the request body has a number of more than {MAX_DIGITS} digits")
    return digits


def _no_constant(name: str) -> Any:
    raise _NoNumber(name)


def _check_depth(value: Any, most: int) -> None:
    level: list[Any] = [[value]]
    for _ in range(most + 1):
        inner: list[Any] = []
        for container in level:
            members = container.values() if type(container) is dict else container
            inner += [member for member in members if type(member) is dict or type(member) is list]
        if not inner:
            return
        level = inner
    raise _too_deep(most)


def _too_deep(most: int) -> ValidationFailed:
    return ValidationFailed(
        f"the request body is nested deeper than {most} levels; a tree of conditions may have {LIMITS.depth} levels"
    )


# Escapes of lone surrogates, which no store accepts.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _check_characters(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise ValidationFailed(f"the request body has {half} alone, which is half of a character") from None
