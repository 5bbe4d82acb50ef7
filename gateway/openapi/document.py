"""Writes the OpenAPI 3.1 document and docs/rest.md; `--check` only says whether the committed ones are up to date.

Nothing of it is written by hand: paths and words come from the contracts, records from the field catalogue, requests from the models that
read them. What only code knows, the shape of an answer, stands in one table below; a method that is missing there ends the run.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectra_common.records.fields import COMPANY, CONTACT, Entity, Type, csv_columns
from connectra_common.vql.model import Vql
from connectra_gateway import descriptors
from connectra_gateway.replies import Reply, replies
from connectra_jobs.models import CreateJobBody, ListJobsBody
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from pydantic.json_schema import models_json_schema

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "gateway/src/connectra_gateway/openapi.json"
PAGE = ROOT / "docs/rest.md"

Json = dict[str, Any]
MODELS = (Vql, CreateJobBody, ListJobsBody)
ACME: Json = {"name": "Acme", "website": "https://acme.example", "employees_count": 120, "industries": ["software"]}
JANE: Json = {"first_name": "Jane", "last_name": "Doe", "email": "jane.doe@acme.example", "title": "VP of Sales"}
SEARCH: Json = {"where": {"keyword_match": {"must": {"country": "germany"}}}, "limit": 5}


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
    """What a method takes and gives, beyond what its contract says."""

    answers: dict[int, Json]
    body: Json | None = None
    example: Any = None
    keyless: bool = False
    errors: tuple[int, ...] = ()
    headers: tuple[str, ...] = ()


def _operations() -> dict[str, Operation]:
    result = ref("BatchResult")
    one_of_job = {200: answer(data=ref("Job"))}
    filters = {200: answer(data=array(ref("Filter")))}
    values = {200: answer(data=array(ref("FilterValue")))}
    asked = ref("FilterValuesRequest")
    health = obj(status=TEXT, checks={"type": "object", "additionalProperties": {"type": "object"}})
    table = {
        "GetHealth": Operation({200: obj(status=TEXT)}, keyless=True),
        "GetDependencyHealth": Operation({200: health, 503: health}),
        "ListFilters": Operation(filters, errors=(400,)),
        "ListFilterValues": Operation(values, asked, {"filter_key": "country"}, errors=(400, 404)),
        "BatchUpsertRows": Operation(
            {200: answer(message=TEXT, data=result), 207: obj(message=TEXT, data=result, success={"const": False})},
            obj(data=array(ref("CsvRow"))),
            {"data": [{"company": "Acme", "first_name": "Jane", "last_name": "Doe", "email": "jane.doe@acme.example"}]},
            errors=(400,),
        ),
        "CreateUploadUrl": Operation(
            {200: obj(success=OK, upload_url=TEXT, s3_key=TEXT, expires_in=TEXT)}, errors=(400,)
        ),
        "CreateJob": Operation(
            {201: answer(message=TEXT, data=ref("Job"))},
            ref("CreateJobBody"),
            {"job_type": "insert_csv_file", "job_data": {"s3_key": "uploads/people.csv"}, "retry_count": 3},
            errors=(400, 409),
            headers=("Idempotency-Key",),
        ),
        "ListJobs": Operation({200: answer(data=array(ref("Job")))}, ref("ListJobsBody"), {"limit": 5}, errors=(400,)),
        "GetJob": Operation(one_of_job, errors=(400, 404)),
        "CancelJob": Operation(one_of_job, errors=(400, 404, 409)),
        "RetryJob": Operation(one_of_job, errors=(400, 404, 409)),
        "ListJobFiles": Operation({200: answer(data=array(ref("JobFile")))}, errors=(400, 404)),
    }
    for one, many, entity, example in (("Company", "Companies", COMPANY, ACME), ("Contact", "Contacts", CONTACT, JANE)):
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
            f"List{many}": Operation(
                {200: answer(data=array(ref(f"{one}Row")))}, ref("Vql"), SEARCH, errors=(400,), headers=consistent
            ),
            f"Count{many}": Operation(
                {200: answer(count=NUMBER)}, ref("Vql"), SEARCH, errors=(400,), headers=consistent
            ),
            f"Get{one}": Operation({200: answer(data=ref(one))}, errors=(400, 404)),
            f"List{one}Filters": Operation(filters),
            f"List{one}FilterValues": Operation(values, asked, {"filter_key": "country"}, errors=(400, 404)),
            f"Create{one}": Operation(
                {201: stored}, given, example, errors=(400, 404, 409), headers=("Idempotency-Key",)
            ),
            f"Update{one}": Operation(
                {200: stored}, given, {"city": "berlin"}, errors=(400, 404, 412), headers=("If-Match",)
            ),
            f"Delete{one}": Operation({200: answer(message=TEXT)}, errors=(400, 404, 412), headers=("If-Match",)),
            f"Upsert{one}": Operation(
                {200: upserted, 201: upserted}, given, example, errors=(400, 404, 409), headers=("Idempotency-Key",)
            ),
            f"BatchUpsert{many}": Operation(
                {200: answer(data=result), 207: obj(data=result, success={"const": False})},
                batch,
                {entity.table: [example]},
                errors=(400, 409),
                headers=("Idempotency-Key",),
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


def _methods() -> Iterator[tuple[str, Method]]:
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
    if not (typed := re.search(r"As (\w+Service\.\w+)\.", text)):
        return text
    return f"{words[f'{package}.{typed[1]}']} {text.replace(typed[0], '')}".strip()


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


def document() -> Json:
    """The OpenAPI document."""
    operations = _operations()
    paths: dict[str, Json] = {}
    errors = {reply.status: reply for reply in replies(0)}
    for service, method in _methods():
        about = operations[method.name]
        for verb, template in method.bindings:
            paths.setdefault(template, {})[verb.lower()] = _operation(service, method, about, template, errors)
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
            "headers": {
                "etag": {"description": "Version of the record, for If-Match.", **common},
                "token": {"description": "Sent back with a query, lets it see this write.", **common},
            },
            "schemas": schemas(),
        },
    }


def _operation(service: str, method: Method, about: Operation, template: str, errors: dict[int, Reply]) -> Json:
    names = [part[1:-1] for part in template.split("/") if part.startswith("{")]
    parameters = [{"name": n, "in": "path", "required": True, "schema": TEXT, "description": _PATH[n]} for n in names]
    parameters += [
        {"name": n, "in": "query", "required": n == "filename", "schema": TEXT, "description": _QUERY[n]}
        for n in _QUERY_OF.get(method.name, [])
    ]
    parameters += [{"name": n, "in": "header", "schema": TEXT, "description": _HEADERS[n]} for n in about.headers]
    responses = {
        str(status): {"description": "Success." if status < 300 else "See the body.", **_json(schema)}
        for status, schema in about.answers.items()
    }
    for status in sorted({*about.errors, 401, 429, 500, 503} - set(about.answers)) if not about.keyless else ():
        text = "the record has changed since it was read" if status == 412 else errors[status].text
        responses[str(status)] = {"description": text.capitalize() + ".", **_json(ref("Error"))}
    alias = template.strip("/").replace("/", "_").replace("{", "").replace("}", "").replace("-", "_")
    operation: Json = {
        "operationId": f"{method.name}__{alias}",
        "tags": [service],
        "summary": method.words.split(". ")[0].rstrip(".") or method.name,
        "description": method.words,
        "responses": dict(sorted(responses.items())),
    }
    if parameters:
        operation["parameters"] = parameters
    if about.body:
        body = _json(about.body)
        body["content"]["application/json"]["example"] = about.example
        operation["requestBody"] = {"required": method.name not in ("ListJobs",), **body}
    if about.keyless:
        operation["security"] = []
    return operation


def _json(schema: Json) -> Json:
    return {"content": {"application/json": {"schema": schema}}}


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
            error_code={"enum": sorted({reply.code for reply in replies(0)} | {"VALIDATION_ERROR"})},
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


def page(found: Json) -> str:
    """docs/rest.md: all paths in one table, the errors in another."""
    lines = [
        "# REST",
        "",
        "Made from the contracts by `make proto`; change those, not this page. Every path exists under `/v1` and with a",
        "trailing slash, too. All but `/health` need the header `X-API-Key`. The OpenAPI document is at `/openapi.json`.",
        "",
        "| method, path | answers | |",
        "|---|---|---|",
    ]
    for path, verbs in found["paths"].items():
        for verb, operation in verbs.items():
            statuses = ", ".join(status for status in operation["responses"] if status < "500")
            lines.append(f"| `{verb.upper()} {path}` | {statuses} | {operation['summary']} |")
    lines += [
        "",
        "## Errors",
        "",
        "Every error is one envelope with `success` (false), `error`, `error_code`, `message` and `details`; the list",
        "`details.fields` has every violation.",
        "",
        "| status | error_code | message |",
        "|---|---|---|",
        "| 400 | `VALIDATION_ERROR` | what is wrong with each field, and what is allowed |",
    ]
    lines += [f"| {r.status} | `{r.code}` | {r.text} |" for r in replies(0)]
    return "\n".join(lines) + "\n"


def main() -> None:
    found = document()
    wanted = {DOCUMENT: json.dumps(found, indent=1, ensure_ascii=False) + "\n", PAGE: page(found)}
    if sys.argv[1:] == ["--check"]:
        stale = [str(p.relative_to(ROOT)) for p, text in wanted.items() if not p.exists() or p.read_text() != text]
        if stale:
            sys.exit(f"not up to date, run `make proto`: {', '.join(stale)}")
        return
    for target, text in wanted.items():
        target.write_text(text)


if __name__ == "__main__":
    main()
