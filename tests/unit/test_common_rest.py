"""How the REST door reads bodies."""

import re
import time
from contextlib import nullcontext

import pytest
from connectra_common.errors import PayloadTooLarge, ValidationFailed
from connectra_common.server.limits import BODY, BULK_BODY, MIB, MessageLimits
from connectra_common.server.rest import read_json, read_object
from google.api.httpbody_pb2 import HttpBody


def body(data: bytes) -> HttpBody:
    return HttpBody(data=data)


async def test_an_empty_body_is_an_empty_object_unless_one_is_required() -> None:
    assert await read_json(body(b" \n")) == {}
    with pytest.raises(ValidationFailed, match="empty"):
        await read_json(body(b""), required=True)


async def test_whole_numbers_keep_every_digit() -> None:
    assert await read_json(body(b"[9223372036854775808, 1.5]")) == [9223372036854775808, 1.5]


async def test_a_byte_order_mark_in_front_is_ignored() -> None:
    assert await read_json(body(b'\xef\xbb\xbf{"a": 1}')) == {"a": 1}
    with pytest.raises(ValidationFailed, match="byte 10"):
        await read_json(body(b'\xef\xbb\xbf{"a": "\xff"}'))


async def test_a_character_of_two_escapes_is_one() -> None:
    assert await read_json(body(rb'["\ud83d\ude00"]')) == ["\U0001f600"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a": 1,\n "b" 2}', "Expecting ':' delimiter at line 2, column 6"),
        (b'{"a": 1, "b": {"a}": 1,\n "c": 1, "\\u0063": 2}}', "the key 'c' twice in one object at line 2, column 10"),
        (b'{"a": "NaN, {", "b": NaN}', "NaN, which is not JSON at line 1, column 22"),
        (b"[-Infinity]", "-Infinity, which is not JSON at line 1, column 2"),
        (b'{"a": "\xff"}', "not UTF-8: byte 7"),
        (b"[" * 10_000, "nested deeper than 64 levels"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64 levels"),
        (b"[" + b"1" * 5_000 + b"]", "a number of more than 400 digits"),
        (b"[1e400]", "the number 1e400, which is too large"),
        (rb'{"a": ["\ud83d\ude00", "x\uDE00"]}', r"has \ude00 alone, which is half of a character"),
        (b"{} x", "Extra data at line 1, column 4"),
    ],
)
async def test_what_is_not_json_is_refused_with_its_place(data: bytes, problem: str) -> None:
    with pytest.raises(ValidationFailed, match=re.escape(problem)):
        await read_json(body(data))


async def test_values_are_counted_outside_of_strings_before_they_are_read() -> None:
    text = rb'"a,[{\",\\"'
    document = b"[" + b",".join([text] * 30_000) + b"]"
    assert len(await read_json(body(document))) == 30_000
    for value in (b"1", b"{}", b"[]", b'{"a":1}', text):
        with pytest.raises(PayloadTooLarge, match="more than 50,000 values"):
            await read_json(body(b"[" + b",".join([value] * 50_001) + b"]"))


async def test_a_body_has_a_largest_size_that_depends_on_its_method() -> None:
    document = b'["' + b"x" * BODY.bytes + b'"]'
    with pytest.raises(PayloadTooLarge) as refused:
        await read_json(body(document))
    assert (refused.value.http_status, refused.value.details) == (413, {"max_bytes": BODY.bytes})
    assert await read_json(body(document), limits=BULK_BODY)


async def test_a_key_twice_among_many_is_found_at_once() -> None:
    keys = ",".join(f'"k{n}":0' for n in range(40_000))
    began = time.process_time()
    with pytest.raises(ValidationFailed, match="the key 'k39999' twice"):
        await read_json(body(f'{{{keys},"k39999":0}}'.encode()))
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("method", "data", "allowed"),
    [
        ("/connectra.query.v1.QueryService/ListContacts", b"\x0a\x00" * (MIB // 2), True),
        ("/connectra.query.v1.QueryService/ListContacts", b"\x0a\x00" * (MIB // 2 + 1), False),
        ("/connectra.write.v1.WriteService/BatchUpsertContacts", b"\x0a\x00" * 10_000, True),
        ("/connectra.write.v1.WriteService/BatchUpsertContacts", b"\x0a\x00" * 10_001, False),
        ("/connectra.write.v1.WriteService/BatchUpsertContacts", b"\x08\x01\x0d1234\x09" + b"12345678" * 9_998, True),
        ("/connectra.write.v1.WriteService/BatchUpsertContacts", b"\x0a\x80\x80\x80\x01" + b"\x00" * (2 * MIB), True),
        ("/connectra.write.v1.WriteService/BatchUpsertContacts", b"\x0a\xff\xff\xff\x01" + b"\x00" * (4 * MIB), False),
        ("/connectra.write.v1.WriteRestService/BatchUpsertContacts", b"\x0a\x00" * 2 * MIB, True),
        ("/connectra.write.v1.WriteRestService/CreateContact", b"\x0a\x00" * MIB, False),
        ("/connectra.write.internal.v1.ImportService/ImportBatch", b"\x0a\x00" * 2 * MIB, True),
    ],
)
def test_a_message_is_measured_before_it_is_read(method: str, data: bytes, allowed: bool) -> None:
    with nullcontext() if allowed else pytest.raises(PayloadTooLarge):
        MessageLimits(method).check(data)


async def test_an_object_is_not_an_array() -> None:
    with pytest.raises(ValidationFailed, match="must be a JSON object"):
        await read_object(body(b"[]"))
