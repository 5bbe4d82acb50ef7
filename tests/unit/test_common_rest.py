"""How the REST door reads bodies."""

import re

import pytest
from connectra_common.errors import BadRequest
from connectra_common.server.rest import read_json, read_object
from google.api.httpbody_pb2 import HttpBody


def body(data: bytes) -> HttpBody:
    return HttpBody(data=data)


def test_an_empty_body_is_an_empty_object_unless_one_is_required() -> None:
    assert read_json(body(b" \n")) == {}
    with pytest.raises(BadRequest, match="empty"):
        read_json(body(b""), required=True)


def test_whole_numbers_keep_every_digit() -> None:
    assert read_json(body(b"[9223372036854775808, 1.5]")) == [9223372036854775808, 1.5]


def test_a_character_of_two_escapes_is_one() -> None:
    assert read_json(body(rb'["\ud83d\ude00"]')) == ["\U0001f600"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a": 1,\n "b" 2}', "Expecting ':' delimiter at line 2, column 6"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' twice in one object"),
        (b'{"a": NaN}', "NaN, which is not JSON"),
        (b"[-Infinity]", "-Infinity, which is not JSON"),
        (b'{"a": "\xff"}', "not UTF-8: byte 7"),
        (b"[" * 100_000, "nested too deeply"),
        (rb'{"a": ["\ud83d\ude00", "x\uDE00"]}', r"has \ude00 alone, which is half of a character"),
        (b"{} x", "Extra data at line 1, column 4"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(data: bytes, problem: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(problem)):
        read_json(body(data))


def test_an_object_is_not_an_array() -> None:
    with pytest.raises(BadRequest, match="must be a JSON object"):
        read_object(body(b"[]"))
