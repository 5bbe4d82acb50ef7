"""Values, JSON bodies, messages and files that a service does not expect."""

import gzip
import json
from collections.abc import Callable
from importlib import resources
from random import Random
from typing import Any

from connectra_common.contracts import files, is_rest
from connectra_common.records.fields import ENTITIES
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

OPENAPI: dict[str, Any] = json.loads(resources.files("connectra_gateway").joinpath("openapi.json").read_text())

TEXTS = (
    *("", " ", "\0", "\ufeff", "\u202e", "e\u0301", "İ", "ß", "𝔘", "🏴", "ﷺ" * 100, "%", "\\", "*", '"', "'; --", "=1+1", "../..", "null"),
    *("a", "ab", "abc", "x" * 501, "x" * 40_000, "x " * 20_000, "," * 6_000, "1,234.5", "1e999", "-1", "5k", "NaN", "4.91E+11"),
    *("2026-02-30", "9999-12-31T23:59:60Z", "0001-01-01", "+49 (0) 30 1 ext 2", "a@b.de", "a@" + "b" * 300 + ".de", "n/a"),
    *("http://[::1", "linkedin.com/in/%ff", "s3://x/y", "00c5752b-4b70-5e55-a027-63ae68753a52", "no-uuid", "contacts"),
)  # fmt: skip
# Of what repeats; a caller who is busy making its body calls nobody.
MOST_BYTES = 8 * 1024 * 1024
NUMBERS = (0, 1, -1, 100, 101, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 0.1, -0.0, 1e308, 5e-324)
OPERATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "ncontains", "exists", "nexists", "like")
FIELDS = [
    name for entity in ENTITIES.values() for field in entity.fields for name in (field.name, f"company.{field.name}")
]

OPERATIONS = [
    (verb.upper(), path, operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example"))
    for path, verbs in OPENAPI["paths"].items()
    for verb, operation in verbs.items()
]
METHODS = [
    method
    for file in files()
    for service in file.services_by_name.values()
    for method in service.methods
    if not is_rest(service.name)
]


def value(random: Random, depth: int = 3) -> Any:
    """Any JSON value."""
    match random.randrange(7 if depth else 5):
        case 0 | 1:
            return random.choice(TEXTS)
        case 2:
            return random.choice(NUMBERS)
        case 3:
            return random.choice((True, False, None))
        case 4:
            return random.choice(FIELDS)
        case 5:
            return [value(random, depth - 1) for _ in range(random.choice((0, 1, 3, 200 if depth == 1 else 3)))]
        case _:
            return {random.choice((*TEXTS, *FIELDS)): value(random, depth - 1) for _ in range(random.randrange(5))}


def changed(random: Random, document: Any) -> Any:
    """A document of which something is missing, renamed, added, repeated or replaced."""
    if isinstance(document, dict) and document and random.random() < 0.9:
        name = random.choice(list(document))
        rest = {key: inner for key, inner in document.items() if key != name}
        match random.randrange(6):
            case 0:
                return rest
            case 1:
                return {**rest, random.choice(TEXTS): document[name]}
            case 2:
                return {**document, random.choice((*TEXTS, *FIELDS)): value(random)}
            case _:
                return {**document, name: changed(random, document[name])}
    if isinstance(document, list) and document and random.random() < 0.8:
        if random.random() < 0.3 and len(document) < 10:
            return document * min(random.choice((0, 2, 101, 2_001)), MOST_BYTES // len(json.dumps(document)))
        at = random.randrange(len(document))
        return [*document[:at], changed(random, document[at]), *document[at + 1 :]]
    return value(random)


def tree(random: Random, depth: int) -> Any:
    """Conditions within each other, few or many."""
    if depth == 0 or random.random() < 0.3:
        given = random.choice((value, lambda random: random.choice(TEXTS)))(random)
        return {"field": random.choice(FIELDS), "operator": random.choice(OPERATORS), "value": given}
    if random.random() < 0.2:
        return {"not": tree(random, depth - 1)}
    inner = [
        tree(random, depth - 1)
        for _ in range(random.choice((1, 2, 3, 60 if depth == 2 else 9) if depth < 3 else (1, 2)))
    ]
    return {random.choice(("and", "or")): inner}


def query(random: Random) -> Any:
    """A query as the documentation spells it; most of its parts are sound."""
    made: dict[str, Any] = {"limit": random.choice((1, 25, 100, 101)), "filters": tree(random, random.randrange(10))}
    if random.random() < 0.3:
        made["order_by"] = [{"order_by": random.choice(FIELDS), "order_direction": random.choice(("asc", "desc"))}]
    if random.random() < 0.3:
        made["facets"] = random.sample(FIELDS, 3)
    if random.random() < 0.3:
        made["select_columns"] = random.sample(FIELDS, random.randrange(1, 20))
    if random.random() < 0.3:
        made["cursor"] = value(random)
    return changed(random, made) if random.random() < 0.3 else made


def spoiled(random: Random, data: bytes) -> bytes:
    """Bytes of which some are missing, changed, repeated or put in."""
    at = random.randrange(len(data) + 1)
    match random.randrange(5):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + random.randbytes(random.choice((1, 4, 100))) + data[at + 1 :]
        case 2:
            return data[:at] + data[max(0, at - 100) : at] * random.choice((2, 50)) + data[at:]
        case 3:
            bomb = random.choice(
                (b"[", b'{"a":', b'"', b"\\", b"1", b"NaN", b",", b"\x0b", b"\xff", b"\x0a\x00", b"\0")
            )
            return data[:at] + bomb * random.choice((1, 70, 5_000, 200_000)) + data[at:]
        case _:
            return data[:at] + data[at + random.randrange(1, 20) :]


def body(random: Random, example: Any) -> bytes:
    """What is sent where the documentation has this example."""
    made = example
    for _ in range(random.choice((0, 1, 1, 2, 5))):
        made = changed(random, made)
    data = json.dumps(made, ensure_ascii=random.random() < 0.5).encode()
    return spoiled(random, data) if random.random() < 0.3 else data


def message(random: Random, descriptor: Descriptor, depth: int = 5) -> Message:
    """A message of this type, some of its fields set."""
    made = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if random.random() < 0.5 or (field.message_type and not depth):
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            entry = field.message_type.fields_by_name["value"]
            if not entry.message_type:
                for _ in range(random.choice((1, 3, 600))):
                    getattr(made, field.name)[random.choice(TEXTS)] = _scalar(random, entry)
            continue
        for _ in range(random.choice((1, 2, 2, 40)) if field.is_repeated else 1):
            if field.message_type:
                inner = message(random, field.message_type, depth - 1)
                if field.is_repeated:
                    getattr(made, field.name).append(inner)
                else:
                    getattr(made, field.name).CopyFrom(inner)
            elif field.is_repeated:
                getattr(made, field.name).append(_scalar(random, field))
            else:
                setattr(made, field.name, _scalar(random, field))
    return made


def _scalar(random: Random, field: FieldDescriptor) -> Any:
    bits = 31 if "32" in _TYPES[field.type] else 63
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            text = random.choice((*TEXTS, *FIELDS))
            return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
        case FieldDescriptor.CPPTYPE_BOOL:
            return random.random() < 0.5
        case FieldDescriptor.CPPTYPE_ENUM:
            return random.choice((0, 1, 2, 77))
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return random.choice((0.0, -1.5, 1e30, float("inf"), float("nan")))
        case FieldDescriptor.CPPTYPE_UINT32 | FieldDescriptor.CPPTYPE_UINT64:
            return random.choice((0, 1, 2**bits))
    return random.choice((0, 1, 25, -1, 2**bits - 1, -(2**bits)))


_TYPES = {number: name for name, number in vars(FieldDescriptor).items() if name.startswith("TYPE_")}


def payload(random: Random, method: MethodDescriptor) -> bytes:
    """What is sent to a method of the typed API."""
    data = message(random, method.input_type).SerializeToString()
    return spoiled(random, data) if random.random() < 0.4 else data


_FILE_BYTES = 4 * 1024 * 1024
HEADERS = (
    "first_name,last_name,email,company,phone",
    "Name;E-Mail;Firma",
    "first name\temail",
    "Company,Website,Employees,Keywords",
    "a,b",
    "",
)


def table(random: Random) -> tuple[str, bytes]:
    """Name and content of a file for an import."""
    header = random.choice(HEADERS)
    delimiter = next((sign for sign in ",;\t" if sign in header), ",")
    ending = random.choice(("\n", "\r\n", "\r"))

    def cell() -> str:
        text = random.choice(TEXTS)
        return '"' + text.replace('"', '""') + '"' if random.random() < 0.5 else text

    lines = [
        delimiter.join(cell() for _ in range(random.choice((1, 2, 3, 5, 600))))
        for _ in range(random.choice((0, 1, 5, 50)))
    ]
    encoding: str = random.choice(("utf-8", "utf-8-sig", "utf-16", "utf-32"))
    data = ending.join([header, *lines]).encode(encoding)
    for _ in range(random.randrange(3)):
        data = spoiled(random, data)
    packers: tuple[Callable[[bytes], bytes], ...] = (
        lambda data: data,
        lambda data: data,
        gzip.compress,
        lambda data: gzip.compress(data) + random.randbytes(20),
        lambda data: gzip.compress(header.encode() + b"\n" + b"x" * random.choice((2**20, 2**25)), 1),
        lambda data: b"PK\x03\x04" + data,
    )
    return random.choice(("a.csv", "a.csv.gz", "a.xlsx", "a.txt", "a")), random.choice(packers)(data[:_FILE_BYTES])
