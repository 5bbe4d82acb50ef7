"""The OpenAPI 3.1 document of the REST door.

Nothing of it is written by hand: paths and descriptions come from the contracts, records from the field catalogue, requests from the
models that read them, statuses and examples from the table that the contract test holds the gateway to.
"""

from typing import Any

from connectra_common.records.limits import MAX_BATCH_ROWS

from connectra_reference.contracts import Method, methods, needed
from connectra_reference.first_tries import body_of, uuid_of
from connectra_reference.operations import Operation, operations
from connectra_reference.schemas import schemas
from connectra_reference.shapes import TEXT, UUID, Json, array, enum, ref
from connectra_reference.table import BODY_OPTIONAL, EXAMPLES, KEYLESS, NEW_UUID, Row, filled, rows

_QUERY_OF = {
    "GetCompany": ["select_columns"],
    "GetContact": ["select_columns"],
    "ListCompanyHistory": ["limit", "cursor"],
    "ListContactHistory": ["limit", "cursor"],
    "CreateUploadUrl": ["filename"],
}
_PAGE: Json = {"type": "integer", "minimum": 1, "maximum": 100}
# By place and name. Optional ones have no example: pages that try calls would send it.
_PARAMETERS: dict[tuple[str, str], Json] = {
    ("path", "uuid"): {
        "description": "Answered in lower case, 8-4-4-4-12; taken in capitals and without dashes too.",
        "schema": UUID,
    },
    ("path", "upload_id"): {
        "description": "As returned when the upload was begun; also in its key.",
        "schema": UUID,
        "example": NEW_UUID.example,
    },
    ("path", "name"): {
        "description": "Of the client.",
        "schema": {**TEXT, "minLength": 1, "maxLength": 64},
        "example": "crm",
    },
    ("path", "service"): {
        "description": "Whose filters.",
        "schema": enum("company", "companies", "contact", "contacts"),
        "example": "company",
    },
    ("query", "select_columns"): {
        "description": "Columns, joined by commas, such as `uuid,created_at`; absent: all.",
        "schema": array(TEXT),
        "style": "form",
        "explode": False,
    },
    ("query", "limit"): {"description": "How many; absent: 25.", "schema": _PAGE},
    ("query", "cursor"): {
        "description": "`next_cursor` of the previous page; absent: the first page.",
        "schema": TEXT,
    },
    ("query", "filename"): {
        "description": "Name of the file, without a path.",
        "schema": {**TEXT, "minLength": 1, "maxLength": 200},
        "example": "people.csv",
    },
    ("header", "Idempotency-Key"): {
        "description": "Any text of your own, such as `people-2026-11-23`: the same key with the same body gives the first answer again, "
        "for a day.",
        "schema": {**TEXT, "minLength": 1, "maxLength": 255},
    },
    ("header", "If-Match"): {
        "description": 'The ETag of the record as it was read, such as `"42"`; 412 when it has changed since.',
        "schema": TEXT,
    },
    ("header", "If-None-Match"): {
        "description": "The ETag of an earlier answer; 304 when the record is still the same.",
        "schema": TEXT,
    },
    ("header", "X-Consistency-Token"): {
        "description": "Of an earlier write, or of several, divided by commas: the answer sees them.",
        "schema": TEXT,
    },
}
_SHOWN = {
    "etag": "Version of the record, for If-Match and If-None-Match.",
    "x-consistency-token": "Sent back with a query, lets it see this write.",
    "retry-after": "Seconds.",
    "x-ratelimit-remaining": "Calls left.",
    "location": "Where what was created can be read.",
    "www-authenticate": "What a key or a token is sent in.",
}
# By the beginning of a path; the first that fits.
_TAGS = {
    "/contacts": ("contacts", "People: search, count, read, change."),
    "/companies": ("companies", "Companies: search, count, read, change."),
    "/common/jobs": ("jobs", "Imports and exports of files, in the background."),
    "/common/upload": ("uploads", "Files to import."),
    "/common/imports": ("uploads", ""),
    "/common/batch-upsert": ("rows", "Rows of a file, a few at a time."),
    "/common/keys": ("keys", "Who may call."),
    "/common/index": ("index", "How the search index is."),
    "/common/{service}": ("filters", "Values that users can choose from."),
    "/health": ("health", "Whether it works."),
}


def document() -> Json:
    """The OpenAPI document."""
    named = dict(sorted({**schemas(), "RowBatch": _row_batch()}.items()))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Connectra REST API",
            "version": "1",
            "description": "Companies and contacts: search, change, import, export. "
            "Every path exists under /v1 and with a trailing slash, too.",
            "contact": {"name": "Connectra", "url": "https://git.example.com/connectra/connectra/issues"},
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "Where this document is from."}],
        "security": _SECURITY,
        "tags": [{"name": name, "description": text} for name, text in sorted(_TAGS.values()) if text],
        "paths": _paths(named),
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "The key of a client. `make run` prints one.",
                },
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of the issuer that the gateway is set up for, if it is.",
                },
            },
            "headers": {name: {"description": text, "schema": TEXT} for name, text in _SHOWN.items()},
            "schemas": named,
        },
    }


_SECURITY: list[Json] = [{"key": []}, {"token": []}]


def _row_batch() -> Json:
    found = {"maxItems": MAX_BATCH_ROWS, **array(ref("CsvRow"))}
    data: Json = {"type": "object", "properties": {"data": found}, "required": ["data"]}
    return {"description": f'Up to {MAX_BATCH_ROWS} rows: `{{"data": […]}}` or a bare array.', "anyOf": [data, found]}


def _paths(named: Json) -> Json:
    about = operations()
    paths: Json = {}
    for method in methods():
        for verb, template in method.bindings:
            paths.setdefault(template, {})[verb.lower()] = _operation(method, about[method.name], template, named)
    return dict(sorted(paths.items()))


def operation_id(method: Method, template: str) -> str:
    """`listContacts`; of two paths of a method, `/bulk` has a name of its own."""
    name = method.name
    if len(method.bindings) > 1 and template.endswith("/bulk"):
        name = name.replace("BatchUpsert", "BulkUpsert")
    return f"{name[0].lower()}{name[1:]}"


def _operation(method: Method, about: Operation, template: str, named: Json) -> Json:
    calls = [row for row in rows() if row.method == method.name and row.case != "wrong method"]
    operation: Json = {
        "operationId": operation_id(method, template),
        "tags": [next(name for path, (name, _) in _TAGS.items() if template.startswith(path))],
        "summary": method.words.split(". ")[0].rstrip(".") or method.name,
        "description": method.words + needed(method),
        "responses": _responses(about, calls),
    }
    if parameters := _parameters(method, about, template):
        operation["parameters"] = parameters
    if about.body:
        sent = next(row.body for row in calls if row.status < 300 and row.body is not None)
        required = method.name not in BODY_OPTIONAL
        described = {"required": required, "description": named[about.body]["description"]}
        operation["requestBody"] = {**described, **_json(ref(about.body), body_of(method.name, sent))}
    if method.name in KEYLESS:
        operation["security"] = []
    return operation


def _parameters(method: Method, about: Operation, template: str) -> list[Json]:
    names = [part[1:-1] for part in template.split("/") if part.startswith("{")]
    found = [
        *(_parameter("path", name, {"required": True}) for name in names),
        *(_parameter("query", name, {"required": name == "filename"}) for name in _QUERY_OF.get(method.name, [])),
        *(_parameter("header", name, {}) for name in about.headers),
    ]
    if uuid := uuid_of(template):
        found = [{**one, "example": uuid} if one["name"] == "uuid" else one for one in found]
    return found


def _parameter(place: str, name: str, required: Json) -> Json:
    return {"name": name, "in": place, **required, **_PARAMETERS[place, name]}


def _responses(about: Operation, calls: list[Row]) -> Json:
    """By status, each with the first answer of the table as its example."""
    found: Json = {}
    for status in sorted({row.status for row in calls} | set(about.answers)):
        row = next((row for row in calls if row.status == status), None)
        described = "Success." if status < 300 else f"{_sentence(row)}." if row and row.answer else "See the body."
        if status == 304:
            found["304"] = {"description": "It is still the same."}
            continue
        media = about.media if status < 300 else "application/json"
        found[str(status)] = {
            "description": described,
            **_json(_schema(about, status), row.answer if row else None, media),
        }
        headers = {name for row in calls if row.status == status for name in row.shows if name in _SHOWN}
        if headers:
            found[str(status)]["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(headers)}
    return found


def _schema(about: Operation, status: int) -> Json:
    if not (name := about.answers.get(status)):
        return ref("Error")
    # A status that the gateway gives too.
    return ref(name) if status < 400 else {"anyOf": [ref(name), ref("Error")]}


def _sentence(row: Row) -> str:
    text = str(filled(row.answer, EXAMPLES)["message"])
    return text[:1].upper() + text[1:]


def _json(schema: Json, example: Any = None, media: str = "application/json") -> Json:
    shown = {} if example is None else {"example": filled(example, EXAMPLES, examples=True)}
    return {"content": {media: {"schema": schema, **shown}}}
