"""The OpenAPI 3.1 document of the REST door.

Nothing of it is written by hand: paths and words come from the contracts, records from the field catalogue, requests from the models that
read them, statuses and examples from the table that the contract test holds the gateway to. What only code knows, the shape of an answer,
stands in one table below; a method that is missing there ends the run.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectra_common.errors import ConnectraError
from connectra_common.records.fields import COMPANY, CONTACT, Entity, Type, csv_columns
from connectra_common.vql.model import Vql
from connectra_gateway import descriptors
from connectra_gateway.replies import replies
from connectra_jobs.models import CreateJobBody, ListJobsBody
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from pydantic.json_schema import models_json_schema

from tests.contract.table import BODY_OPTIONAL, ETAG, KEYLESS, NEW_UUID, TOKEN, UPLOADED, Row, filled, rows

ROOT = Path(__file__).resolve().parents[2]
# Codes of errors that only services raise.
SERVICE_CODES = {"VALIDATION_ERROR", "DATABASE_ERROR", "ELASTICSEARCH_ERROR", "STORAGE_ERROR"}
# What the placeholders of the table are in examples.
EXAMPLES = {"n": "1", "uuid": NEW_UUID.example, "token": TOKEN.example, "etag": ETAG.example, "key": UPLOADED.example}

Json = dict[str, Any]
MODELS = (Vql, CreateJobBody, ListJobsBody)


def ref(name: str) -> Json:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def obj(required: str = "", **properties: Any) -> Json:
    """An object; all members are there unless `required` names those that are, by blanks."""
    return {"type": "object", "properties": properties, "required": required.split() if required else [*properties]}


def array(items: Json) -> Json:
    return {"type": "array", "items": items}


TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer"}
OK: Json = {"type": "boolean", "const": True}
WARNINGS = array(ref("Warning"))


def answer(**members: Any) -> Json:
    """A success envelope; `warnings` only where something was ignored."""
    names = " ".join([*members, "success"])
    return obj(names, **members, success=OK, warnings=WARNINGS)


@dataclass(frozen=True)
class Operation:
    """What a method takes and gives, beyond what its contract and the table of calls say."""

    answers: dict[int, Json]
    body: Json | None = None
    headers: tuple[str, ...] = ()


def _operations() -> dict[str, Operation]:
    result = ref("BatchResult")
    job = {200: answer(data=ref("Job"))}
    filters = {200: answer(data=array(ref("Filter")))}
    values = Operation({200: answer(data=array(ref("FilterValue")))}, ref("FilterValuesRequest"))
    health = obj(status=TEXT, checks={"type": "object", "additionalProperties": {"type": "object"}})
    some = {"const": False}
    key, match = ("Idempotency-Key",), ("If-Match",)
    table = {
        "GetHealth": Operation({200: obj(status=TEXT)}),
        "GetDependencyHealth": Operation({200: health, 503: {"anyOf": [health, ref("Error")]}}),
        "ListFilters": Operation(filters),
        "ListFilterValues": values,
        "BatchUpsertRows": Operation(
            {200: answer(message=TEXT, data=result), 207: obj(message=TEXT, data=result, success=some)},
            {"anyOf": [array(ref("CsvRow")), obj(data=array(ref("CsvRow")))]},
            key,
        ),
        "CreateUploadUrl": Operation({200: obj(success=OK, upload_url=TEXT, s3_key=TEXT, expires_in=TEXT)}),
        "CreateJob": Operation({201: answer(message=TEXT, data=ref("Job"))}, ref("CreateJobBody"), key),
        "ListJobs": Operation({200: answer(data=array(ref("Job")))}, ref("ListJobsBody")),
        "GetJob": Operation(job),
        "CancelJob": Operation(job),
        "RetryJob": Operation(job),
        "ListJobFiles": Operation({200: answer(data=array(ref("JobFile")))}),
    }
    for one, many, entity in (("Company", "Companies", COMPANY), ("Contact", "Contacts", CONTACT)):
        stored, given = answer(data=ref(one)), ref(f"{one}Input")
        upserted = answer(data=ref(one), is_new={"type": "boolean"})
        records = {"maxItems": 2000, **array(given)}
        batch = {
            "anyOf": [
                records,
                {"type": "object", "properties": {entity.table: records}, "required": [entity.table]},
                obj(data=records),
            ]
        }
        consistent = ("X-Consistency-Token",)
        table |= {
            f"List{many}": Operation({200: answer(data=array(ref(f"{one}Row")))}, ref("Vql"), consistent),
            f"Count{many}": Operation({200: answer(count=NUMBER)}, ref("Vql"), consistent),
            f"Get{one}": Operation({200: stored}),
            f"List{one}Filters": Operation(filters),
            f"List{one}FilterValues": values,
            f"Create{one}": Operation({201: stored}, given, key),
            f"Update{one}": Operation({200: stored}, given, match),
            f"Delete{one}": Operation({200: answer(message=TEXT)}, headers=match),
            f"Upsert{one}": Operation({200: upserted, 201: upserted}, given, key),
            f"BatchUpsert{many}": Operation(
                {200: answer(data=result), 207: obj(data=result, success=some)}, batch, key
            ),
        }
    return table


@dataclass
class Method:
    """A REST method of the contracts."""

    name: str
    words: str
    bindings: list[tuple[str, str]] = field(default_factory=list)
    query: list[str] = field(default_factory=list)


def methods() -> Iterator[tuple[str, Method]]:
    """(service, method) in the order of the contracts; bindings without their /v1 twins."""
    built = subprocess.run(
        [ROOT / ".venv/bin/buf", "build", "-o", "-#format=binpb"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    words = {}
    for file in FileDescriptorSet.FromString(built).file:
        comments = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}
        for s, service in enumerate(file.service):
            for m, rpc in enumerate(service.method):
                text = " ".join(comments.get((6, s, 2, m), "").split())
                words[f"{file.package}.{service.name}.{rpc.name}"] = text
    for service in descriptors.services():
        methods: dict[str, Method] = {}
        for binding in service.bindings:
            name = binding.method.rpartition(".")[2]
            said = _spelled_out(words, service.name.rpartition(".")[0], words[binding.method])
            method = methods.setdefault(name, Method(name, said))
            if not binding.template.startswith("/v1/"):
                method.bindings.append((binding.verb, binding.template))
        for method in methods.values():
            yield service.cluster, method


def _spelled_out(words: dict[str, str], package: str, text: str) -> str:
    """Words of a REST method: where it says "As QueryService.ListContacts.", those of the typed door, and then its own."""
    if typed := re.search(r"As (\w+Service\.\w+)\.", text):
        text = f"{words[f'{package}.{typed[1]}']} {text.replace(typed[0], '')}".strip()
    for typed_words, rest_words in _TRANSLATED.items():
        text = re.sub(rf"\b{typed_words}\b", rest_words, text)
    return text


# The typed door's words, and what they are at this one.
_TRANSLATED = {
    **{error.grpc_code.name: str(error.http_status) for error in ConnectraError.__subclasses__()},
    "in the metadata": "in the details",
    "the metadata": "the header",
    "as List(Companies|Contacts)": "as for the list",
}


_QUERY = {
    "select_columns": "Columns, joined by commas; absent: all.",
    "filename": "Name of the file, without a path.",
}
_QUERY_OF = {"GetCompany": ["select_columns"], "GetContact": ["select_columns"], "CreateUploadUrl": ["filename"]}
_PATH = {"uuid": "Lower-case 8-4-4-4-12.", "service": "company, companies, contact or contacts."}
_HEADERS = {
    "Idempotency-Key": "The same key with the same body gives the first answer again, for a day.",
    "If-Match": "The ETag of the record as it was read; 412 when it has changed since.",
    "X-Consistency-Token": "Of an earlier write: the answer sees it.",
}
_PATH_EXAMPLE = {"uuid": NEW_UUID.example, "service": "company"}
_HEADER_EXAMPLE = {
    "Idempotency-Key": "people-2026-11-23",
    "If-Match": ETAG.example,
    "X-Consistency-Token": TOKEN.example,
}
_QUERY_EXAMPLE = {"select_columns": "uuid,created_at", "filename": "people.csv"}
_SHOWN = {
    "etag": "Version of the record, for If-Match.",
    "x-consistency-token": "Sent back with a query, lets it see this write.",
    "retry-after": "Seconds.",
    "x-ratelimit-remaining": "Calls left.",
}


def document() -> Json:
    """The OpenAPI document."""
    operations = _operations()
    paths: dict[str, Json] = {}
    for service, method in methods():
        for verb, template in method.bindings:
            operation = _operation(service, method, operations[method.name], template)
            paths.setdefault(template, {})[verb.lower()] = operation
    common = {"schema": TEXT}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Connectra",
            "version": "1",
            "description": "Companies and contacts: search, change, import, export. "
            "Every path exists under /v1 and with a trailing slash, too.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": name} for name in ("query", "write", "jobs")],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
            "headers": {name: {"description": text, **common} for name, text in _SHOWN.items()},
            "schemas": schemas(),
        },
    }


def _operation(service: str, method: Method, about: Operation, template: str) -> Json:
    names = [part[1:-1] for part in template.split("/") if part.startswith("{")]
    parameters = [
        {
            "name": n,
            "in": "path",
            "required": True,
            "schema": TEXT,
            "description": _PATH[n],
            "example": _PATH_EXAMPLE[n],
        }
        for n in names
    ]
    parameters += [
        {
            "name": n,
            "in": "query",
            "required": n == "filename",
            "schema": TEXT,
            "description": _QUERY[n],
            "example": _QUERY_EXAMPLE[n],
        }
        for n in _QUERY_OF.get(method.name, [])
    ]
    parameters += [
        {"name": n, "in": "header", "schema": TEXT, "description": _HEADERS[n], "example": _HEADER_EXAMPLE[n]}
        for n in about.headers
    ]
    calls = [row for row in rows() if row.method == method.name and row.case != "wrong method"]
    alias = template.strip("/").replace("/", "_").replace("{", "").replace("}", "").replace("-", "_")
    operation: Json = {
        "operationId": f"{method.name}__{alias}",
        "tags": [service],
        "summary": method.words.split(". ")[0].rstrip(".") or method.name,
        "description": method.words,
        "responses": _responses(about, calls),
    }
    if parameters:
        operation["parameters"] = parameters
    if about.body:
        sent = next(row.body for row in calls if row.status < 300 and row.body is not None)
        body = _json(about.body, sent)
        operation["requestBody"] = {"required": method.name not in BODY_OPTIONAL, **body}
    if method.name in KEYLESS:
        operation["security"] = []
    return operation


def _responses(about: Operation, calls: list[Row]) -> Json:
    """By status, each with the first answer of the table as its example."""
    found: Json = {}
    for status in sorted({row.status for row in calls} | set(about.answers)):
        row = next((row for row in calls if row.status == status), None)
        schema = about.answers.get(status, ref("Error"))
        described = "Success." if status < 300 else f"{_sentence(row)}." if row else "See the body."
        found[str(status)] = {"description": described, **_json(schema, row.answer if row else None)}
        headers = {name for row in calls if row.status == status for name in row.shows}
        if headers:
            found[str(status)]["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(headers)}
    return found


def _sentence(row: Row | None) -> str:
    text = str(filled(row.answer, EXAMPLES)["message"]) if row else ""
    return text[:1].upper() + text[1:]


def _json(schema: Json, example: Any = None) -> Json:
    shown = {} if example is None else {"example": filled(example, EXAMPLES, examples=True)}
    return {"content": {"application/json": {"schema": schema, **shown}}}


def schemas() -> Json:
    """All named schemas."""
    found: Json = models_json_schema([(m, "validation") for m in MODELS], ref_template="#/components/schemas/{model}")[
        1
    ]["$defs"]
    nullable = {"type": ["string", "null"]}
    violation = obj(field=TEXT, message=TEXT)
    found |= {
        "Warning": violation,
        "Error": obj(
            "success error error_code message",
            success={"const": False},
            error=TEXT,
            error_code={"enum": sorted({reply.code for reply in replies(0)} | SERVICE_CODES)},
            message=TEXT,
            details={"type": "object", "properties": {"fields": array(violation), "reason": TEXT}},
        ),
        "BatchResult": obj(
            total_count=NUMBER,
            success_count=NUMBER,
            error_count=NUMBER,
            created=NUMBER,
            updated=NUMBER,
            errors=array(obj("index error", index=NUMBER, uuid=TEXT, error=TEXT, fields=array(violation))),
        ),
        "CsvRow": {"type": "object", "properties": dict.fromkeys(sorted(csv_columns()), TEXT)},
        "Filter": obj(
            id=NUMBER,
            key=TEXT,
            service=TEXT,
            filter_type={"enum": ["keyword", "range", "text"]},
            display_name=TEXT,
            direct_derived={"type": "boolean"},
            active={"type": "boolean"},
            deleted_at=nullable,
        ),
        "FilterValue": obj(value=TEXT, display_value=TEXT),
        "FilterValuesRequest": obj(
            "filter_key",
            filter_key=TEXT,
            search_text=TEXT,
            page={"type": "integer"},
            limit={"type": "integer", "maximum": 100},
        ),
        "Job": obj(
            id=NUMBER,
            uuid=TEXT,
            job_type=TEXT,
            data={"type": "object"},
            status={"enum": ["open", "in_queue", "processing", "completed", "failed", "retry_in_queued", "retrying"]},
            job_response={"type": "object"},
            retry_count=NUMBER,
            retry_interval=NUMBER,
            run_after=nullable,
            created_at=TEXT,
            updated_at=TEXT,
            attempts=NUMBER,
            progress={"type": "object"},
        ),
        "JobFile": obj(
            kind={"enum": ["source", "result", "rejected"]}, s3_key=TEXT, size_bytes=NUMBER, download_url=TEXT
        ),
    }
    for entity in (COMPANY, CONTACT):
        found |= _record(entity)
    return dict(sorted(found.items()))


_TYPES: dict[Type, Json] = {
    Type.INTEGER: {"type": ["integer", "null"]},
    Type.TEXT: {"type": ["string", "null"]},
    Type.LIST: {"type": "array", "items": {"type": "string"}},
    Type.TIME: {"type": ["string", "null"], "format": "date-time"},
}


def _record(entity: Entity) -> Json:
    """Schemas of an entity: stored, in a list, and as given. With select_columns only the asked members are there."""
    stored = {f.name: _TYPES[f.type] for f in entity.fields}
    cursor = {"type": "array", "items": {"type": ["string", "null"]}}
    more = {"cursor": cursor} if entity is COMPANY else {"cursor": cursor, "company": ref(COMPANY.title)}
    given = {f.name: {"type": [*_list(_TYPES[f.type]["type"]), "null"], **_items(f.type)} for f in entity.writable}
    return {
        entity.title: {"type": "object", "properties": stored},
        f"{entity.title}Row": {"type": "object", "properties": {**stored, **more}},
        f"{entity.title}Input": {"type": "object", "properties": given},
    }


def _list(kind: str | list[str]) -> list[str]:
    return [kind] if isinstance(kind, str) else [k for k in kind if k != "null"]


def _items(kind: Type) -> Json:
    return {"items": {"type": "string"}} if kind is Type.LIST else {"minimum": 0} if kind is Type.INTEGER else {}
