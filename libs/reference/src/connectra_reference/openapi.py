"""The OpenAPI 3.1 document of the REST door.

Nothing of it is written by hand: paths and descriptions come from the contracts, records from the field catalogue, requests from the
models that read them, statuses and examples from the table that the contract test holds the gateway to.
"""

from typing import Any

from connectra_reference.contracts import Method, methods
from connectra_reference.operations import Operation, operations
from connectra_reference.schemas import schemas
from connectra_reference.shapes import TEXT, Json, ref
from connectra_reference.table import BODY_OPTIONAL, ETAG, EXAMPLES, KEYLESS, NEW_UUID, TOKEN, Row, filled, rows

_QUERY_OF = {
    "GetCompany": ["select_columns"],
    "GetContact": ["select_columns"],
    "ListCompanyHistory": ["limit", "cursor"],
    "ListContactHistory": ["limit", "cursor"],
    "CreateUploadUrl": ["filename"],
}
# By place and name: what a parameter says, and an example of it.
_PARAMETERS = {
    ("path", "uuid"): (
        "Answered in lower case, 8-4-4-4-12; taken in capitals and without dashes too.",
        NEW_UUID.example,
    ),
    ("path", "upload_id"): ("As returned when the upload was begun; also in its key.", NEW_UUID.example),
    ("path", "service"): ("company, companies, contact or contacts.", "company"),
    ("query", "select_columns"): ("Columns, joined by commas; absent: all.", "uuid,created_at"),
    ("query", "limit"): ("1 to 100; absent: 25.", "100"),
    ("query", "cursor"): ("`next_cursor` of the previous page; absent: the first page.", "4711"),
    ("query", "filename"): ("Name of the file, without a path.", "people.csv"),
    ("header", "Idempotency-Key"): (
        "The same key with the same body gives the first answer again, for a day.",
        "people-2026-11-23",
    ),
    ("header", "If-Match"): ("The ETag of the record as it was read; 412 when it has changed since.", ETAG.example),
    ("header", "X-Consistency-Token"): (
        "Of an earlier write, or of several, divided by commas: the answer sees them.",
        TOKEN.example,
    ),
}
_SHOWN = {
    "etag": "Version of the record, for If-Match.",
    "x-consistency-token": "Sent back with a query, lets it see this write.",
    "retry-after": "Seconds.",
    "x-ratelimit-remaining": "Calls left.",
}


def document() -> Json:
    """The OpenAPI document."""
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
        "paths": _paths(),
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
            "headers": {name: {"description": text, "schema": TEXT} for name, text in _SHOWN.items()},
            "schemas": schemas(),
        },
    }


def _paths() -> Json:
    about = operations()
    paths: Json = {}
    for method in methods():
        for verb, template in method.bindings:
            paths.setdefault(template, {})[verb.lower()] = _operation(method, about[method.name], template)
    return dict(sorted(paths.items()))


def _operation(method: Method, about: Operation, template: str) -> Json:
    calls = [row for row in rows() if row.method == method.name and row.case != "wrong method"]
    operation: Json = {
        "operationId": f"{method.name}__{_alias(template)}",
        "tags": [method.service],
        "summary": method.words.split(". ")[0].rstrip(".") or method.name,
        "description": method.words,
        "responses": _responses(about, calls),
    }
    if parameters := _parameters(method, about, template):
        operation["parameters"] = parameters
    if about.body:
        sent = next(row.body for row in calls if row.status < 300 and row.body is not None)
        operation["requestBody"] = {"required": method.name not in BODY_OPTIONAL, **_json(about.body, sent)}
    if method.name in KEYLESS:
        operation["security"] = []
    elif method.rights:
        operation["security"] = [{"key": [right]} for right in method.rights]
    return operation


def _alias(template: str) -> str:
    """A path as a part of a name: `companies_uuid`."""
    return template.strip("/").replace("/", "_").replace("{", "").replace("}", "").replace("-", "_")


def _parameters(method: Method, about: Operation, template: str) -> list[Json]:
    names = [part[1:-1] for part in template.split("/") if part.startswith("{")]
    return [
        *(_parameter("path", name, {"required": True}) for name in names),
        *(_parameter("query", name, {"required": name == "filename"}) for name in _QUERY_OF.get(method.name, [])),
        *(_parameter("header", name, {}) for name in about.headers),
    ]


def _parameter(place: str, name: str, required: Json) -> Json:
    description, example = _PARAMETERS[place, name]
    return {"name": name, "in": place, **required, "schema": TEXT, "description": description, "example": example}


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


def _sentence(row: Row) -> str:
    text = str(filled(row.answer, EXAMPLES)["message"])
    return text[:1].upper() + text[1:]


def _json(schema: Json, example: Any = None) -> Json:
    shown = {} if example is None else {"example": filled(example, EXAMPLES, examples=True)}
    return {"content": {"application/json": {"schema": schema, **shown}}}
