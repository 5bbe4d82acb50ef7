"""The REST contract as one table: what is sent, and what comes back. The contract test holds the gateway to it; docs/rest.md and the
examples of the OpenAPI document are made from it.

`{uuid}`, `{token}` and `{n}` in a request or an answer stand for what the row is `given` and for a number of the call's own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import quote

from connectra_common.records.fields import COMPANY, CONTACT, SERVICES, Entity, Type
from connectra_common.rights import OPEN
from connectra_gateway import descriptors, paths
from connectra_gateway.replies import Reply, replies

Json = dict[str, Any]
JSON, ERROR_JSON, EVENTS = "application/json; charset=utf-8", "application/json", "text/event-stream; charset=utf-8"
# Of the gateways that the rows go through.
MAX_REQUEST_BYTES = 20_000


class Like:
    """Equal to every value whose JSON text is like this; `example` is one for people."""

    def __init__(self, pattern: str, example: Any) -> None:
        self.pattern, self.example = pattern, example

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self.example) and re.fullmatch(self.pattern, str(other), re.DOTALL) is not None

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"<like {self.example!r}>"


NEW_UUID = Like("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "00c5752b-4b70-5e55-a027-63ae68753a52")
GIVEN_UUID = "{uuid}"
OTHER_UUID = "11111111-2222-4333-8444-555555555555"
TIME = Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", "2026-11-23T14:46:47.600000Z")
INTEGER = Like(r"\d+", 42)
CURSOR = [Like(r"\d+", "1795445207600"), GIVEN_UUID]
REQUEST_ID = Like(r"[A-Za-z0-9._-]{1,128}", "0f4c1a56-8f0e-4c8b-9a51-7a3a4f6f2f0d")
ETAG = Like(r'"\d+"', '"42"')
TOKEN = Like(r"\d+\.(company|contact|batch)\.[0-9a-f-]+", "57.contact.6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11")
JOB_CURSOR = Like(r".+Z_\d+", "2026-11-23T14:46:47.600000Z_42")
UPLOADED = Like("uploads/.+_people.csv", "uploads/6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11_people.csv")
URL = Like("http.+X-Amz-Signature=.+", "https://s3.example/connectra/uploads/…_people.csv?X-Amz-Signature=…")
# All of them; one for people.
EVERY_COLUMN = Like(
    r"\[\{'name': 'id', .+'name': 'deleted_at', .+\]",
    [
        {
            "name": "city",
            "type": "text",
            "display_name": "City",
            "read_only": False,
            "operators": ["eq", "ne", "in", "nin", "contains", "ncontains", "prefix", "exists", "nexists"],
            "order_by": True,
            "group_by": True,
            "csv_columns": ["city"],
        }
    ],
)

INDEX = Like(
    r"\{'pending': \d+, .+'indices': \[.+\]\}",
    {
        "pending": 0,
        "oldest_pending_seconds": 0.0,
        "dead_letters": 0,
        "indexers": 1,
        "indices": [
            {
                "entity": "company",
                "index_name": "companies-v2-20261123144647",
                "documents": 42,
                "previous": "",
                "rebuild": None,
                "check": {"compared": 42, "differing": 0, "oldest_seconds": 3600.0},
            }
        ],
    },
)

NEW_KEY = Like(r"ctra_\w{38}", "ctra_3kZpQ0…")
NO_CLIENT = "there is no client of this name"
API_KEY_IS_A_SETTING = "the key of the client 'default' is the setting API_KEY: change it there"
# Whoever there is; for people.
EVERY_CLIENT = Like(
    r"\[\{'name': 'default', .+\}\]",
    [
        {
            "name": "default",
            "rights": ["admin", "export", "import", "read", "write"],
            "requests_per_minute": None,
            "keys": [{"begins": "7f3a", "expires_at": None}],
            "fixed": True,
        },
        {
            "name": "crm",
            "rights": ["read", "write"],
            "requests_per_minute": 600,
            "keys": [{"begins": "ctra_3kZp", "expires_at": "2027-01-31T00:00:00.000000Z"}],
            "fixed": False,
        },
    ],
)

# What the placeholders are in examples.
EXAMPLES = {"n": "1", "uuid": NEW_UUID.example, "token": TOKEN.example, "etag": ETAG.example, "key": UPLOADED.example}


@dataclass(frozen=True)
class Row:
    """One call.

    Args:
        method: of the contracts.
        case: what is special about it.
        call: verb and path, without `/v1`; may have a query string.
        status: of the answer.
        answer: its JSON; what is only like a text: a text; None: it has no body.
        body: what is sent as JSON; bytes go as they are.
        headers: what else is sent.
        shows: headers of the answer, beside content-type and x-request-id, which every answer has.
        given: what is there before: `company`, `contact`, a `job` by its status, an `upload` by how far it is, or the `client` crm-{n}.
        through: which gateway: `open`, `away` (services down), `slow` (services that never
            answer), `spent` (limit used up).
        lacks: rights that the caller's key does not have, separated by commas; `key`: it has no key.
    """

    method: str
    case: str
    call: str
    status: int
    answer: Any
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    shows: dict[str, Any] = field(default_factory=dict)
    given: str = ""
    through: str = "open"
    lacks: str = ""

    @property
    def is_error(self) -> bool:
        """Whether it is answered by the error envelope."""
        return isinstance(self.answer, dict) and "error_code" in self.answer

    @property
    def content_type(self) -> str | None:
        """Of the answer."""
        if isinstance(self.answer, Like):
            return EVENTS
        return None if self.answer is None else ERROR_JSON if self.is_error else JSON

    @property
    def is_of_every_path(self) -> bool:
        """Whether the case says nothing about the method: the page shows it once for all."""
        return self.case in EVERY_PATH


def filled(value: Any, known: dict[str, Any], *, examples: bool = False) -> Any:
    """The value with `{name}` replaced by what is known; with `examples` also what is only `Like` something."""
    match value:
        case str():
            for name, text in known.items():
                value = value.replace(f"{{{name}}}", str(text))
            return value
        case dict():
            return {key: filled(item, known, examples=examples) for key, item in value.items()}
        case list():
            return [filled(item, known, examples=examples) for item in value]
        case Like() if examples:
            return value.example
    return value


def error(code: str, message: str, **details: Any) -> Json:
    """The envelope."""
    return {"success": False, "error": message, "error_code": code, "message": message, "details": details}


def invalid(field_name: str, message: str, *others: tuple[str, str], **details: Any) -> Json:
    """VALIDATION_ERROR with all violations; the message is the first's."""
    fields = [{"field": name, "message": text} for name, text in ((field_name, message), *others)]
    more = f" (and {len(others)} more)" if others else ""
    return error("VALIDATION_ERROR", f"{message}{more}", **details, fields=fields)


def beyond(message: str, reason: str, name: str, given: int, most: int, way: str = "") -> Json:
    """A refusal of what lies beyond a limit."""
    fields = [{"field": name, "message": f"{name}: {given} is more than {most}{way}"}]
    return error("VALIDATION_ERROR", message, **{name: given}, maximum=most, reason=reason, fields=fields)


def fixed(status: int) -> Json:
    """The envelope of an answer that the gateway words itself."""
    body: Json = _REPLIES[status].body
    return body


_REPLIES: dict[int, Reply] = {reply.status: reply for reply in replies(MAX_REQUEST_BYTES)}

PAGE_SIZE = (
    "ERR_PAGE_SIZE_EXCEEDED: the requested page size surpasses the maximum allowed limit; "
    "consider using pagination with smaller batches"
)
PAGE_RANGE = "ERR_PAGE_OUT_OF_RANGE: the requested page number is beyond the available range; verify total pages before requesting"
DEEPER = "to go deeper, send the `next_cursor` of the last answer as `cursor`"
EMPTY = "ERR_EMPTY_PAYLOAD: the 'data' array in the request body is empty; provide at least one record to process"
TOO_MANY = (
    "ERR_BATCH_TOO_LARGE: the number of records in the batch exceeds the allowed maximum; "
    "split the data into smaller chunks"
)
SERVICE = (
    "ERR_UNSUPPORTED_SERVICE: the specified service type is not supported for this operation; "
    "verify the endpoint and try again"
)
JOB_TYPE = (
    "ERR_MISSING_JOB_TYPE: the 'job_type' field is required; "
    "specify a valid job type such as 'insert_csv_file' or 'export_csv_file'"
)
JOB_DATA = "ERR_MISSING_JOB_DATA: the 'job_data' field is required; include the necessary payload for job execution"
RETRY_COUNT = (
    "ERR_INVALID_RETRY_COUNT: 'retry_count' must be a non-negative integer; "
    "use 0 for no retries or a positive number for retry attempts"
)
COLUMNS = (
    "ERR_MISSING_SELECT_COLUMNS: 'select_columns' is required for export operations; "
    "specify at least one column to include in the output"
)
LIMIT = "ERR_INVALID_LIMIT: 'limit' must be a non-negative integer; use 0 for default or specify a positive value"
LIMIT_HIGH = (
    "ERR_LIMIT_TOO_HIGH: 'limit' exceeds the maximum of 100 records per request; reduce the value or use pagination"
)


def job_type_unknown(job_type: str) -> str:
    return (
        f"ERR_INVALID_JOB_TYPE: job type '{job_type}' is not recognized; "
        "supported types are 'insert_csv_file' and 'export_csv_file'"
    )


# ---- records


def record(entity: Entity, **known: Any) -> Json:
    """A stored record, every field in table order; what is not known is empty."""
    always = {"id": INTEGER, "uuid": GIVEN_UUID, "created_at": TIME, "updated_at": TIME}
    return {f.name: (always | known).get(f.name, [] if f.type is Type.LIST else None) for f in entity.fields}


GIVEN: dict[Entity, Json] = {
    COMPANY: {
        "name": "Acme {n}",
        "website": "https://acme{n}.example",
        "employees_count": 120,
        "industries": ["software"],
    },
    CONTACT: {"first_name": "Jane", "last_name": "Doe", "email": "jane{n}@acme.example", "title": "VP of Sales"},
}
STORED: dict[Entity, Json] = {
    COMPANY: {**GIVEN[COMPANY], "normalized_domain": "acme{n}.example"},
    CONTACT: {**GIVEN[CONTACT], "first_name": "jane", "last_name": "doe"},
}
WRONG: dict[Entity, tuple[Json, Json]] = {
    COMPANY: (
        {"website": "acme"},
        invalid("name", "name is required", ("website", "invalid website URL format: acme")),
    ),
    CONTACT: (
        {"last_name": "Doe", "email": "jane"},
        invalid("first_name", "first_name is required", ("email", "invalid email format: jane")),
    ),
}
RENAMED = {COMPANY: ("city", "Berlin", "Berlin"), CONTACT: ("city", "Berlin", "berlin")}


def one_record(entity: Entity) -> Iterator[Row]:
    title, path = entity.title, f"/{entity.table}/{{uuid}}"
    name = entity.name
    missing = error("NOT_FOUND", f"{title} with identifier 'specified UUID' not found", uuid=OTHER_UUID)
    wrong = invalid("uuid", "invalid UUID format: acme")
    stored = record(entity, **STORED[entity])
    ok, field_name = {"data": stored, "success": True}, RENAMED[entity][0]
    changed = {**stored, field_name: RENAMED[entity][2]}

    get = f"Get{title}"
    yield Row(get, "stored", f"GET {path}", 200, ok, given=name, shows={"etag": ETAG})
    known, changed_since = {"if-none-match": "{etag}"}, {"if-none-match": '"1"'}
    yield Row(get, "unchanged", f"GET {path}", 304, None, None, known, given=name, shows={"etag": ETAG})
    yield Row(get, "changed", f"GET {path}", 200, ok, None, changed_since, given=name, shows={"etag": ETAG})
    chosen = {"data": {key: stored[key] for key in ("created_at", "uuid")}, "success": True}
    yield Row(get, "some columns", f"GET {path}?select_columns=created_at,uuid", 200, chosen, given=name)
    unknown = invalid("select_columns[0]", "select_columns[0]: unknown field 'citi'; did you mean 'city'?")
    yield Row(get, "unknown column", f"GET {path}?select_columns=citi", 400, unknown, given=name)
    yield Row(get, "no uuid", f"GET /{entity.table}/acme", 400, wrong)
    yield Row(get, "not stored", f"GET /{entity.table}/{OTHER_UUID}", 404, missing)

    history, call = f"List{title}History", f"GET {path}/history"
    created = {"time": TIME, "action": "create", "actor": "client:default", "request_id": REQUEST_ID, "job_uuid": None}
    entries = [{**created, "row_version": INTEGER, "changes": {}}]
    yield Row(history, "stored", call, 200, {"data": entries, "success": True}, given=name)
    yield Row(history, "a page", f"{call}?limit=1", 200, {"data": entries, "success": True}, given=name)
    high = beyond(PAGE_SIZE, "PAGE_SIZE_EXCEEDED", "limit", 101, 100)
    yield Row(history, "limit over 100", f"{call}?limit=101", 400, high, given=name)
    cursor = invalid("cursor", "cursor: is not the next_cursor of an earlier page")
    yield Row(history, "no cursor of a page", f"{call}?cursor=x", 400, cursor, given=name)
    yield Row(history, "no uuid", f"GET /{entity.table}/acme/history", 400, wrong)
    yield Row(history, "not stored", f"GET /{entity.table}/{OTHER_UUID}/history", 404, missing)

    explain, call = f"Explain{title}", f"POST {path}/explain"
    asked = {"filters": {"field": "uuid", "operator": "eq", "value": GIVEN_UUID}}
    judged = {"path": "filters", "condition": {"field": "uuid", "in": [GIVEN_UUID]}, "met": True, "excluded": False}
    verdict = {"matches": True, "conditions": [{**judged, "values": [GIVEN_UUID]}]}
    yield Row(explain, "found", call, 200, {"data": verdict, "success": True}, asked, given=name)
    others = {"filters": {"not": asked["filters"]}}
    judged |= {"path": "filters.not", "excluded": True}
    verdict = {"matches": False, "conditions": [{**judged, "values": [GIVEN_UUID]}]}
    yield Row(explain, "not found", call, 200, {"data": verdict, "success": True}, others, given=name)
    at = "where.keyword_match.must.contry"
    unknown = invalid(at, f"{at}: unknown field 'contry'; did you mean 'country'?")
    misspelt = {"where": {"keyword_match": {"must": {"contry": "x"}}}}
    yield Row(explain, "unknown field", call, 400, unknown, misspelt, given=name)
    yield Row(explain, "no uuid", f"POST /{entity.table}/acme/explain", 400, wrong, asked)
    yield Row(explain, "not stored", f"POST /{entity.table}/{OTHER_UUID}/explain", 404, missing, asked)

    update, body = f"Update{title}", {field_name: RENAMED[entity][1]}
    shows = {"etag": ETAG, "x-consistency-token": TOKEN}
    done = {"data": changed, "success": True}
    yield Row(update, "stored", f"PUT {path}", 200, done, body, given=name, shows=shows)
    again = {"if-match": "{etag}"}
    yield Row(update, "unchanged since read", f"PUT {path}", 200, done, body, again, given=name, shows=shows)
    stale = error("CONFLICT", f"{title} has changed since it was read", uuid=GIVEN_UUID, row_version=INTEGER)
    yield Row(update, "changed since read", f"PUT {path}", 412, stale, body, {"if-match": '"1"'}, given=name)
    number = invalid("city", "city must be a text")
    yield Row(update, "wrong value", f"PUT {path}", 400, number, {"city": 5}, given=name)
    yield Row(update, "no uuid", f"PUT /{entity.table}/acme", 400, wrong, body)
    yield Row(update, "not stored", f"PUT /{entity.table}/{OTHER_UUID}", 404, missing, body)

    delete = f"Delete{title}"
    gone = {"message": f"{title} deleted successfully", "success": True}
    token = {"x-consistency-token": TOKEN}
    yield Row(delete, "stored", f"DELETE {path}", 200, gone, given=name, shows=token)
    yield Row(delete, "changed since read", f"DELETE {path}", 412, stale, None, {"if-match": '"1"'}, given=name)
    yield Row(delete, "no uuid", f"DELETE /{entity.table}/acme", 400, wrong)
    yield Row(delete, "not stored", f"DELETE /{entity.table}/{OTHER_UUID}", 404, missing)


def new_record(entity: Entity) -> Iterator[Row]:
    title, given, name = entity.title, GIVEN[entity], entity.name
    stored = record(entity, **STORED[entity])
    shows = {"etag": ETAG, "x-consistency-token": TOKEN}
    made = {**stored, "uuid": NEW_UUID}
    created = shows | {"location": at(f"/{entity.table}/{{}}")}

    create, call = f"Create{title}", f"POST /{entity.table}/create"
    yield Row(create, "new", call, 201, {"data": made, "success": True}, given, shows=created)
    warned = [{"field": "citi", "message": "unknown field 'citi'; did you mean 'city'?"}]
    answer = {"data": made, "warnings": warned, "success": True}
    yield Row(create, "unknown field", call, 201, answer, {**given, "citi": "Bonn"}, shows=created)
    key = {"idempotency-key": "key-{n}"}
    yield Row(create, "with a key", call, 201, {"data": made, "success": True}, given, key, shows=created)
    yield Row(create, "wrong fields", call, 400, WRONG[entity][1], WRONG[entity][0])
    exists = error("CONFLICT", f"{title} with uuid '{{uuid}}' already exists", uuid=GIVEN_UUID)
    yield Row(create, "exists", call, 409, exists, {**given, "uuid": GIVEN_UUID}, given=name)

    upsert, call = f"Upsert{title}", f"POST /{entity.table}/upsert"
    yield Row(upsert, "new", call, 201, {"data": made, "is_new": True, "success": True}, given, shows=created)
    known = {"data": stored, "is_new": False, "success": True}
    yield Row(upsert, "stored", call, 200, known, given, given=name, shows=shows)

    if entity is CONTACT:
        homeless = error("NOT_FOUND", "Company with identifier 'specified UUID' not found", uuid=OTHER_UUID)
        body = {**given, "company_id": OTHER_UUID}
        yield Row(create, "unknown company", f"POST /{entity.table}/create", 404, homeless, body)
        yield Row(upsert, "unknown company", call, 404, homeless, body)
        nobody = invalid("email", "either email or UUID is required for upsert")
        yield Row(upsert, "nobody", call, 400, nobody, {"first_name": "Jane"})
    else:
        yield Row(upsert, "wrong fields", call, 400, WRONG[entity][1], WRONG[entity][0])


def many_records(entity: Entity) -> Iterator[Row]:
    many, given, token = f"{entity.table.capitalize()}", GIVEN[entity], {"x-consistency-token": TOKEN}
    method, wrong = f"BatchUpsert{many}", WRONG[entity]
    failure = {"index": 1, "error": wrong[1]["message"], "fields": wrong[1]["details"]["fields"]}
    if entity is CONTACT:
        failure = {"index": 1, "error": "invalid email format: jane"}
        failure["fields"] = [{"field": "email", "message": failure["error"]}]
    for name in ("bulk", "batch-upsert"):
        call = f"POST /{entity.table}/{name}"
        for case, body in (("new", {entity.table: [given]}), ("as data", {"data": [given]}), ("bare array", [given])):
            yield Row(method, case, call, 200, {"data": counts(created=1), "success": True}, body, shows=token)
        some = {"data": counts(created=1, errors=[failure]), "success": False}
        yield Row(method, "some wrong", call, 207, some, {entity.table: [given, wrong[0]]}, shows=token)
        empty = error("VALIDATION_ERROR", EMPTY, reason="EMPTY_PAYLOAD")
        yield Row(method, "no records", call, 400, empty, {entity.table: []})
        large = error("VALIDATION_ERROR", TOO_MANY, count=2001, maximum=2000, reason="BATCH_TOO_LARGE")
        yield Row(method, "too many", call, 400, large, [{}] * 2001)
        shape = invalid(
            entity.table, f"the body must be an array, or an object with one array '{entity.table}' or 'data'"
        )
        yield Row(method, "no array", call, 400, shape, {"records": [given]})


def counts(created: int = 0, updated: int = 0, errors: list[Any] | None = None, good: int = 1) -> Json:
    failed = errors or []
    lost = {failure["index"] for failure in failed}
    return {
        "total_count": good + len(failed),
        "success_count": good,
        "error_count": len(failed),
        "created": created,
        "updated": updated,
        "uuids": [None if index in lost else NEW_UUID for index in range(good + len(failed))],
        "errors": failed,
    }


def csv_rows() -> Iterator[Row]:
    method, call, token = "BatchUpsertRows", "POST /common/batch-upsert", {"x-consistency-token": TOKEN}
    cells = {"company": "Acme {n}", "first_name": "Jane", "last_name": "Doe", "email": "jane@acme{n}.example"}
    done = {"message": "Batch upsert successful", "data": counts(created=2), "success": True}
    yield Row(method, "new", call, 200, done, {"data": [cells]}, shows=token)
    failure = {"index": 1, "error": "a row must be a JSON object of CSV columns and texts"}
    some = {
        "message": "Batch upsert completed with errors",
        "data": counts(created=2, errors=[failure]),
        "success": False,
    }
    yield Row(method, "some wrong", call, 207, some, {"data": [cells, 5]}, shows=token)
    yield Row(method, "no rows", call, 400, error("VALIDATION_ERROR", EMPTY, reason="EMPTY_PAYLOAD"), {"data": []})
    large = error("VALIDATION_ERROR", TOO_MANY, count=101, maximum=100, reason="BATCH_TOO_LARGE")
    yield Row(method, "too many", call, 400, large, {"data": [{}] * 101})


def index() -> Iterator[Row]:
    yield Row("GetIndexStatus", "now", "GET /common/index", 200, {"data": INDEX, "success": True})


def keys() -> Iterator[Row]:
    """In the order in which they work on any file: each is given a client of its own."""
    stub = {"begins": Like(r"ctra_\w{4}", "ctra_3kZp"), "expires_at": None}
    client = {
        "name": "crm-{n}",
        "rights": ["read", "write"],
        "requests_per_minute": 600,
        "keys": [stub],
        "fixed": False,
    }
    sent = {"name": "crm-{n}", "rights": ["read", "write"], "requests_per_minute": 600}
    yield Row("ListKeys", "all", "GET /common/keys", 200, {"data": EVERY_CLIENT, "writable": True, "success": True})
    call = "POST /common/keys"
    new = {"data": {**client, "key": NEW_KEY}, "success": True}
    yield Row("CreateKey", "new", call, 201, new, sent)
    until = {**sent, "expires_at": "2999-01-31"}
    ends = {**client, "keys": [{**stub, "expires_at": "2999-01-31T00:00:00.000000Z"}], "key": NEW_KEY}
    yield Row("CreateKey", "with an end", call, 201, {"data": ends, "success": True}, until)
    taken = error("CONFLICT", "there is already a client 'crm-{n}'")
    yield Row("CreateKey", "name taken", call, 409, taken, sent, given="client")
    right = invalid("rights[0]", "rights[0]: input should be 'read', 'export', 'write', 'import' or 'admin'")
    yield Row("CreateKey", "unknown right", call, 400, right, {**sent, "rights": ["fly"]})
    past = invalid("expires_at", "expires_at: must be in the future")
    yield Row("CreateKey", "ended already", call, 400, past, {**sent, "expires_at": "2020-01-31"})
    call = "PATCH /common/keys/crm-{n}"
    other = {"data": {**client, "rights": ["read"]}, "success": True}
    yield Row("UpdateKey", "other rights", call, 200, other, {"rights": ["read"]}, given="client")
    no_limit = {"data": {**client, "requests_per_minute": None}, "success": True}
    yield Row("UpdateKey", "the limit of all", call, 200, no_limit, {"requests_per_minute": None}, given="client")
    none = invalid("rights", "rights: at least one is required; whoever may do nothing is revoked")
    yield Row("UpdateKey", "none left", call, 400, none, {"rights": []}, given="client")
    yield Row("UpdateKey", "nobody", call, 404, error("NOT_FOUND", NO_CLIENT), {"rights": ["read"]})
    all_rights = "the client 'default', whose key is the setting API_KEY, always has all rights"
    fixed_rights = error("CONFLICT", all_rights, reason="KEYS_READ_ONLY")
    yield Row("UpdateKey", "that of API_KEY", "PATCH /common/keys/default", 409, fixed_rights, {"rights": ["read"]})
    call = "POST /common/keys/crm-{n}/rotate"
    former = {**stub, "expires_at": TIME}
    rotated = {**client, "keys": [former, stub], "key": NEW_KEY}
    done = {"data": rotated, "success": True}
    yield Row("RotateKey", "another key", call, 200, done, {"overlap_seconds": 3600}, given="client")
    at_once = {"data": {**client, "key": NEW_KEY}, "success": True}
    yield Row("RotateKey", "at once", call, 200, at_once, {"overlap_seconds": 0}, given="client")
    yield Row("RotateKey", "nobody", call, 404, error("NOT_FOUND", NO_CLIENT))
    fixed_key = error("CONFLICT", API_KEY_IS_A_SETTING, reason="KEYS_READ_ONLY")
    yield Row("RotateKey", "that of API_KEY", "POST /common/keys/default/rotate", 409, fixed_key)
    call = "DELETE /common/keys/crm-{n}"
    yield Row(
        "RevokeKey", "a client", call, 200, {"message": "Client and keys revoked", "success": True}, given="client"
    )
    yield Row("RevokeKey", "nobody", call, 404, error("NOT_FOUND", NO_CLIENT))
    itself = "client 'default' cannot revoke itself: another administrator can, or `connectra keys revoke default`"
    own = error("CONFLICT", itself, reason="OWN_KEY")
    yield Row("RevokeKey", "the caller itself", "DELETE /common/keys/default", 409, own)


# ---- queries


def queries(entity: Entity) -> Iterator[Row]:
    many = entity.table.capitalize()
    where = {"keyword_match": {"must": {"uuid": GIVEN_UUID}}}
    fresh = {"x-consistency-token": "{token}"}
    rows = [{**record(entity, **STORED[entity]), "cursor": CURSOR}]
    for method, call, found in (
        (f"List{many}", f"POST /{entity.table}", {"data": rows, "success": True}),
        (f"Count{many}", f"POST /{entity.table}/count", {"count": 1, "success": True}),
    ):
        yield Row(method, "found", call, 200, found, {"where": where, "limit": 5}, fresh, given=entity.name)
        tree = {"filters": {"field": "uuid", "operator": "eq", "value": GIVEN_UUID}}
        yield Row(method, "filters instead of where", call, 200, found, tree, fresh, given=entity.name)
        nothing = {key: [] if key == "data" else 0 if key == "count" else value for key, value in found.items()}
        nobody = {"where": {"keyword_match": {"must": {"uuid": OTHER_UUID}}}}
        yield Row(method, "nothing found", call, 200, nothing, nobody)
        warned = [{"field": "limt", "message": "unknown field 'limt'; did you mean 'limit'?"}]
        with_warnings = {**{k: v for k, v in nothing.items() if k != "success"}, "warnings": warned, "success": True}
        yield Row(method, "unknown member", call, 200, with_warnings, {**nobody, "limt": 1})
        high = beyond(PAGE_SIZE, "PAGE_SIZE_EXCEEDED", "limit", 101, 100)
        yield Row(method, "limit over 100", call, 400, high, {"limit": 101})
        far = beyond(PAGE_RANGE, "PAGE_OUT_OF_RANGE", "page", 11, 10, f"; {DEEPER}")
        yield Row(method, "page over 10", call, 400, far, {"page": 11})
        at = "where.keyword_match.must.contry"
        unknown = invalid(at, f"{at}: unknown field 'contry'; did you mean 'country'?")
        yield Row(method, "unknown field", call, 400, unknown, {"where": {"keyword_match": {"must": {"contry": "x"}}}})
        at = "where.text_matches.must[0].search_type"
        kind = invalid(at, f"{at}: input should be 'exact', 'shuffle' or 'substring'")
        condition = {"filter_key": "city", "text_value": "bonn", "search_type": "fuzzy"}
        body = {"where": {"text_matches": {"must": [condition]}}}
        yield Row(method, "unknown search_type", call, 400, kind, body)


def aggregates(entity: Entity) -> Iterator[Row]:
    method, call = f"Aggregate{entity.table.capitalize()}", f"POST /{entity.table}/aggregate"
    mine = {"where": {"keyword_match": {"must": {"uuid": GIVEN_UUID}}}}
    fresh = {"x-consistency-token": "{token}"}
    field_name, value = ("industries", "software") if entity is COMPANY else ("title", "vp of sales")
    one: Json = {"value": value, "count": 1, "count_error": 0}
    levels = {"groups": [one], "other": 0, "missing": 0, "exact": True}
    answer = {"data": {"count": 1, **levels}, "success": True}
    yield Row(method, "groups", call, 200, answer, {**mine, "group_by": [field_name]}, fresh, given=entity.name)
    month = {"field": "created_at", "calendar_interval": "month"}
    period = {"value": Like(r"\d{4}-\d\d-01", "2026-11-01"), "count": 1, "count_error": 0, **levels}
    nested = {"data": {"count": 1, **levels, "groups": [period]}, "success": True}
    asked = {**mine, "group_by": [month, {"field": field_name, "size": 5}]}
    yield Row(method, "groups in groups", call, 200, nested, asked, fresh, given=entity.name)
    distinct = {"cardinality": [{"field": field_name, "value": 1, "relative_error": 0.0021}]}
    measured = {"data": {"count": 1, **distinct}, "success": True}
    yield Row(method, "of all", call, 200, measured, {**mine, "cardinality": [field_name]}, fresh, given=entity.name)
    hits = {"size": 1, "select_columns": ["uuid"]}
    shown = {"data": {"count": 1, "hits": [{"uuid": GIVEN_UUID}]}, "success": True}
    yield Row(method, "first records", call, 200, shown, {**mine, "top_hits": hits}, fresh, given=entity.name)
    at = "group_by[0].field"
    unknown = invalid(at, f"{at}: unknown field 'contry'; did you mean 'country'?")
    yield Row(method, "unknown field", call, 400, unknown, {"group_by": ["contry"]})
    size = invalid("group_by[0].size", "group_by[0].size: 1001; 1 to 1000 are allowed")
    yield Row(method, "size over 1,000", call, 400, size, {"group_by": [{"field": "country", "size": 1001}]})
    many = invalid("group_by", "group_by: 1,000,000 groups; at most 10,000 are allowed")
    both = [{"field": "country", "size": 1000}, {"field": "city", "size": 1000}]
    yield Row(method, "too many groups", call, 400, many, {"group_by": both})


def suggestions(entity: Entity) -> Iterator[Row]:
    method, call = f"Suggest{entity.table.capitalize()}", f"POST /{entity.table}/suggest"
    field_name, typed = ("name", "acme {n}") if entity is COMPANY else ("title", "sales v")
    shown = typed if entity is COMPANY else "vp of sales"
    one = {"field": field_name, "value": shown, "count": INTEGER}
    found = {"data": [one], "exact": True, "success": True}
    asked = {"text": typed, "fields": [field_name], "limit": 1}
    yield Row(method, "found", call, 200, found, asked, {"x-consistency-token": "{token}"}, given=entity.name)
    nothing = {"data": [], "exact": True, "success": True}
    yield Row(method, "nothing found", call, 200, nothing, {"text": "qxqxqx"})
    unknown = invalid("fields[0]", "fields[0]: unknown field 'citi'; did you mean 'city'?")
    yield Row(method, "unknown field", call, 400, unknown, {"text": "ber", "fields": ["citi"]})
    high = invalid("limit", "limit: 51; 1 to 50 are allowed")
    yield Row(method, "limit over 50", call, 400, high, {"text": "ber", "limit": 51})


def filters() -> Iterator[Row]:
    columns = {"data": EVERY_COLUMN, "success": True}
    for entity, method in ((COMPANY, "ListCompanyFilters"), (CONTACT, "ListContactFilters")):
        yield Row(f"List{entity.title}Columns", "all", f"GET /{entity.table}/columns", 200, columns)
        answer = {"data": filter_rows(entity), "success": True}
        yield Row(method, "all", f"GET /{entity.table}/filters", 200, answer)
        yield from values(f"List{entity.title}FilterValues", f"POST /{entity.table}/filters/data", entity)
    for service, entity in SERVICES.items():
        yield Row("ListColumns", "all", f"GET /common/{service}/columns", 200, columns)
        answer = {"data": filter_rows(entity), "success": True}
        yield Row("ListFilters", "all", f"GET /common/{service}/filters", 200, answer)
        yield from values("ListFilterValues", f"POST /common/{service}/filters/data", entity)
    unknown = error("VALIDATION_ERROR", SERVICE, service="people", allowed=list(SERVICES), reason="UNSUPPORTED_SERVICE")
    yield Row("ListColumns", "unknown service", "GET /common/people/columns", 400, unknown)
    yield Row("ListFilters", "unknown service", "GET /common/people/filters", 400, unknown)
    call = "POST /common/people/filters/data"
    yield Row("ListFilterValues", "unknown service", call, 400, unknown, {"filter_key": "city"})


def filter_rows(entity: Entity) -> list[Json]:
    kinds = {"long": "range", "text": "text"}
    return [
        {
            "id": f.filter.id,
            "key": f.name,
            "service": entity.name,
            "filter_type": kinds.get(f.index.value, "keyword"),
            "display_name": f.filter.label,
            "direct_derived": not f.filter.stored,
            "active": True,
            "deleted_at": None,
        }
        for f in sorted((f for f in entity.fields if f.filter), key=lambda f: f.filter.id if f.filter else 0)
        if f.filter
    ]


def values(method: str, call: str, entity: Entity) -> Iterator[Row]:
    key, value = ("website", "https://acme{n}.example") if entity is COMPANY else ("email", "jane{n}@acme.example")
    one = {"data": [{"value": value, "display_value": value}], "success": True}
    asked = {"filter_key": key, "search_text": value, "limit": 5}
    fresh = {"x-consistency-token": "{token}"}
    yield Row(method, "found", call, 200, one, asked, fresh, given=entity.name)
    unknown = "unknown field 'contry'; did you mean 'country'?"
    missing = error("NOT_FOUND", f"{entity.name} has no filter 'contry'; {unknown}", filter_key="contry")
    yield Row(method, "unknown filter", call, 404, missing, {"filter_key": "contry"})
    high = beyond(PAGE_SIZE, "PAGE_SIZE_EXCEEDED", "limit", 101, 100)
    yield Row(method, "limit over 100", call, 400, high, {"filter_key": "city", "limit": 101})
    yield Row(method, "no filter", call, 400, invalid("filter_key", "filter_key: field required"), {})


# ---- jobs

IMPORT = {"job_type": "insert_csv_file", "job_data": {"s3_key": "uploads/people.csv"}, "retry_count": 3}
VQL = {"where": {"keyword_match": {"must": {"uuid": OTHER_UUID}}}, "select_columns": ["uuid", "email"]}
EXPORT = {"job_type": "export_csv_file", "job_data": {"vql": VQL, "service": "contact"}, "retry_count": 0}


def job(status: str, **known: Any) -> Json:
    """A job, every member always there."""
    return {
        "id": INTEGER,
        "uuid": GIVEN_UUID,
        "job_type": "insert_csv_file",
        "data": {"s3_key": "{key}"},
        "status": status,
        "job_response": {},
        "retry_count": 0,
        "retry_interval": 30,
        "run_after": None,
        "created_at": TIME,
        "updated_at": TIME,
        "attempts": 1,
        "progress": {},
        "client": "default",
    } | known


# What `GET /common/jobs/{uuid}/events` sends of a job that has ended.
WATCHED = Like(
    r'event: job\ndata: \{"id":.+"status":"completed".+\}\n\nevent: end\ndata: \{"status":"completed"\}\n\n',
    'event: job\ndata: {"id":42,"uuid":"00c5752b-4b70-5e55-a027-63ae68753a52","status":"completed",…}\n\n'
    'event: end\ndata: {"status":"completed"}\n\n',
)


def at(path: str) -> Like:
    """The path of something new, for a Location header; `{}` stands for its uuid."""
    return Like(path.format(NEW_UUID.pattern), path.format(NEW_UUID.example))


def jobs() -> Iterator[Row]:
    method, call = "CreateJob", "POST /common/jobs/create"
    for case, body in (("import", IMPORT), ("export", EXPORT)):
        known = {"uuid": NEW_UUID, "attempts": 0, "data": body["job_data"], "retry_count": body["retry_count"]}
        data = job("open", job_type=body["job_type"], **known)
        answer = {"message": "Job created successfully", "success": True, "data": data}
        yield Row(method, case, call, 201, answer, body, shows={"location": at("/common/jobs/{}")})
    both = invalid("job_type", JOB_TYPE, ("job_data", JOB_DATA), reason="MISSING_JOB_TYPE")
    yield Row(method, "nothing asked", call, 400, both, {})
    unknown = invalid("job_type", job_type_unknown("import"), reason="INVALID_JOB_TYPE")
    yield Row(method, "unknown type", call, 400, unknown, {**IMPORT, "job_type": "import"})
    below = invalid("retry_count", RETRY_COUNT, reason="INVALID_RETRY_COUNT")
    yield Row(method, "retries below 0", call, 400, below, {**IMPORT, "retry_count": -1})
    body = {"job_type": "export_csv_file", "job_data": {"service": "contact", "vql": {}}}
    columns = invalid("job_data.vql.select_columns", COLUMNS, reason="MISSING_SELECT_COLUMNS")
    yield Row(method, "export without columns", call, 400, columns, body)

    method, call = "ListJobs", "POST /common/jobs"
    asked = {"job_type": "insert_csv_file", "status": ["completed"], "limit": 1}
    page = {"data": [job("completed", uuid=NEW_UUID)], "success": True, "next_cursor": JOB_CURSOR}
    yield Row(method, "found", call, 200, page, asked, given="job completed")
    yield Row(
        method, "nothing found", call, 200, {"data": [], "success": True}, {"created_after": "2999-01-01T00:00:00Z"}
    )
    high = invalid("limit", LIMIT_HIGH, reason="LIMIT_TOO_HIGH")
    yield Row(method, "limit over 100", call, 400, high, {"limit": 101})
    yield Row(method, "limit below 0", call, 400, invalid("limit", LIMIT, reason="INVALID_LIMIT"), {"limit": -1})

    yield from previews()

    path = "/common/jobs/{uuid}"
    done = {"data": job("completed"), "success": True}
    yield Row("GetJob", "stored", f"GET {path}", 200, done, given="job completed")
    yield from lost("GetJob", "GET", "")
    yield Row("WatchJob", "ended", f"GET {path}/events", 200, WATCHED, given="job completed")
    yield from lost("WatchJob", "GET", "/events")
    file = {"kind": "source", "s3_key": "{key}", "size_bytes": INTEGER, "download_url": URL}
    files = {"data": [file], "success": True}
    yield Row("ListJobFiles", "stored", f"GET {path}/files", 200, files, given="job completed")
    yield from lost("ListJobFiles", "GET", "/files")
    again = {"data": job("open"), "success": True}
    yield Row("RetryJob", "failed", f"POST {path}/retry", 200, again, given="job failed")
    not_failed = error("CONFLICT", "only a failed job can be retried; this one is completed", status="completed")
    yield Row("RetryJob", "not failed", f"POST {path}/retry", 409, not_failed, given="job completed")
    yield from lost("RetryJob", "POST", "/retry")
    told = {"messages": "Cancelled by request"}
    ended = {"data": job("failed", job_response=told, retry_count=1), "success": True}
    yield Row("CancelJob", "waiting", f"POST {path}/cancel", 200, ended, given="job waiting")
    over = error("CONFLICT", "the job has ended already (completed)", status="completed")
    yield Row("CancelJob", "ended", f"POST {path}/cancel", 409, over, given="job completed")
    yield from lost("CancelJob", "POST", "/cancel")

    method, call = "CreateUploadUrl", "GET /common/upload-url"
    url = {"success": True, "upload_url": URL, "s3_key": UPLOADED, "expires_in": "24h0m0s"}
    yield Row(method, "new", f"{call}?filename=people.csv", 200, url)
    yield Row(method, "no filename", call, 400, invalid("filename", "filename query parameter is required"))
    slash = invalid("filename", "filename: a name without a path is expected; '/' and '\\' are not allowed")
    yield Row(method, "a path", f"{call}?filename=../people.csv", 400, slash)
    long = invalid("filename", "filename: has 240 bytes in UTF-8; at most 218 are allowed")
    yield Row(method, "too many bytes", f"{call}?filename={quote('連' * 80)}", 400, long)
    yield from uploads()


def previews() -> Iterator[Row]:
    method, call = "PreviewImport", "POST /common/imports/preview"
    column = {"header": "company", "target": "company", "confidence": "exact", "samples": ["Acme"], "instead": None}
    found = {
        "shape": {"format": "csv", "gzip": False, "encoding": "utf-8", "delimiter": ",", "header_line": 1},
        "columns": [column],
        "rows": [{"line": 2, "company": {"name": "Acme"}, "contact": None}],
        "problems": {"rejected_rows": [], "left_out_cells": [], "unknown_columns": []},
        "sample": {"rows": 1, "rejected": 0, "left_out": 0, "whole_file": True},
    }
    yield Row(method, "a file", call, 200, {"data": found, "success": True}, {"s3_key": "{key}"})
    target = "columns: unknown target 'compny'; did you mean 'company'?"
    wanted = {"s3_key": "{key}", "columns": {"company": "compny"}}
    yield Row(method, "unknown target", call, 400, invalid("columns", target), wanted)
    absent = error("NOT_FOUND", "there is no object 'absent.csv' in the bucket 'connectra'")
    yield Row(method, "no such file", call, 404, absent, {"s3_key": "absent.csv"})


def uploads() -> Iterator[Row]:
    size, usual = 20_000_000, 16 * 1024**2
    upload = {"upload_id": NEW_UUID, "s3_key": UPLOADED, "part_size": usual, "part_count": 2, "size_bytes": size}
    upload |= {"expires": TIME}
    method, call = "CreateUpload", "POST /common/uploads"
    wanted = {"filename": "people.csv", "size_bytes": size}
    made = {"location": at("/common/uploads/{}/parts")}
    yield Row(method, "new", call, 201, {**upload, "success": True}, wanted, shows=made)
    slash = invalid("filename", "filename: a name without a path is expected; '/' and '\\' are not allowed")
    yield Row(method, "a path", call, 400, slash, {"filename": "../people.csv"})
    yield Row(method, "no filename", call, 400, invalid("filename", "filename: field required"), {"size_bytes": size})
    low = invalid("part_size", "part_size: input should be greater than or equal to 5242880")
    yield Row(method, "parts too small", call, 400, low, {"filename": "people.csv", "part_size": 1024})

    path = "/common/uploads/{uuid}"
    method, call = "CreateUploadPartUrls", f"POST {path}/parts"
    part = Like(
        "http.+partNumber=.+X-Amz-Signature=.+", "https://s3.example/connectra/uploads/…?partNumber=1&X-Amz-Signature=…"
    )
    urls = [{"part_number": number, "upload_url": part} for number in (1, 2)]
    given = "upload begun"
    answer = {"parts": urls, "expires_in": "24h0m0s", "success": True}
    yield Row(method, "begun", call, 200, answer, {"part_numbers": [1, 2]}, given=given)
    beyond = "part_numbers: part 3 is beyond the end of the file, which has 2 parts of 16,777,216 bytes"
    yield Row(method, "beyond the end", call, 400, invalid("part_numbers", beyond), {"part_numbers": [3]}, given=given)
    complete = error("CONFLICT", "the upload is complete")
    yield Row(method, "complete", call, 409, complete, {"part_numbers": [1]}, given="upload complete")
    yield from lost_upload(method, "POST", "/parts", {"part_numbers": [1]})

    method, call = "ListUploadParts", f"GET {path}/parts"
    upload |= {"upload_id": GIVEN_UUID}
    yield Row(method, "begun", call, 200, {**upload, "completed": False, "parts": [], "success": True}, given=given)
    sent = {"part_number": 1, "size_bytes": 4, "etag": Like('".+"', '"5d41402abc4b2a76b9719d911017c592"')}
    small = {**upload, "part_count": 1, "size_bytes": 4}
    one = {**small, "completed": False, "parts": [sent], "success": True}
    yield Row(method, "a part is there", call, 200, one, given="upload sent")
    del small["expires"]
    whole = {**small, "completed": True, "parts": [], "success": True}
    yield Row(method, "complete", call, 200, whole, given="upload complete")
    yield from lost_upload(method, "GET", "/parts")

    method, call = "CompleteUpload", f"POST {path}/complete"
    done = {"s3_key": UPLOADED, "size_bytes": 4, "success": True}
    yield Row(method, "all parts are there", call, 200, done, given="upload sent")
    yield Row(method, "again", call, 200, done, given="upload complete")
    missing = error("CONFLICT", "the upload is not complete: parts 1, 2 are missing", missing=[1, 2])
    yield Row(method, "parts are missing", call, 409, missing, given=given)
    yield from lost_upload(method, "POST", "/complete")

    method, call = "AbortUpload", f"DELETE {path}"
    yield Row(method, "begun", call, 200, {"message": "Upload aborted", "success": True}, given=given)
    yield Row(method, "complete", call, 409, complete, given="upload complete")
    yield from lost_upload(method, "DELETE", "")


def lost_upload(method: str, verb: str, tail: str, body: Json | None = None) -> Iterator[Row]:
    missing = error("NOT_FOUND", f"Upload with identifier '{OTHER_UUID}' not found")
    yield Row(method, "not begun", f"{verb} /common/uploads/{OTHER_UUID}{tail}", 404, missing, body)
    wrong = invalid("upload_id", "invalid UUID format: acme")
    yield Row(method, "no uuid", f"{verb} /common/uploads/acme{tail}", 400, wrong, body)


def lost(method: str, verb: str, tail: str) -> Iterator[Row]:
    missing = error("NOT_FOUND", f"Job with identifier '{OTHER_UUID}' not found")
    yield Row(method, "not stored", f"{verb} /common/jobs/{OTHER_UUID}{tail}", 404, missing)
    yield Row(method, "no uuid", f"{verb} /common/jobs/acme{tail}", 400, invalid("uuid", "invalid UUID format: acme"))


# ---- health, and what every path answers


def health() -> Iterator[Row]:
    yield Row("GetHealth", "alive", "GET /health", 200, {"status": "ok"}, lacks="key")
    up = {"status": "ok", "latency_ms": Like(r"[\d.]+", 1.2)}
    checks = {"postgres": up, "elasticsearch": up, "s3": up}
    yield Row("GetDependencyHealth", "all up", "GET /health/db", 200, {"status": "ok", "checks": checks})


UNKNOWN_PATHS = ("/nothing", "/v2/companies", "/companies/a/b", "/common/jobs/a/b", "/robots.txt", "/admin/")
# The case in which a key for repeating a request is one of another request.
USED_KEY = error("CONFLICT", "this Idempotency-Key was used with another request")


def with_used_keys(found: list[Row]) -> Iterator[Row]:
    """For each path that takes an Idempotency-Key: its success, with the key of another request."""
    seen = set()
    for row in found:
        if (
            row.method.startswith(("Create", "Upsert", "BatchUpsert"))
            and not row.method.startswith(("CreateUpload", "CreateKey"))
            and row.body
            and row.status < 300
            and row.call not in seen
        ):
            seen.add(row.call)
            headers = {"idempotency-key": "used-{n}"}
            yield replace(
                row, case="key of another request", status=409, answer=USED_KEY, headers=headers, shows={}, given="key"
            )


# The body may be absent there, and is `{}` then.
BODY_OPTIONAL = (
    *("ListCompanies", "ListContacts", "CountCompanies", "CountContacts", "AggregateCompanies", "AggregateContacts"),
    *("ExplainCompany", "ExplainContact"),
    "ListJobs",
    "RotateKey",
)
# No JSON of a body is read there.
BODY_UNREAD = ("CancelJob", "RetryJob", "CompleteUpload")
KEYLESS = ("GetHealth",)
# The gateway itself serves them: no service is away or too slow.
OWN = ("ListKeys", "CreateKey", "UpdateKey", "RotateKey", "RevokeKey")
# They last as long as there is something to tell.
STREAMED = ("WatchJob",)
CHALLENGE = 'ApiKey realm="connectra", header="X-API-Key"'
_VARIABLE = re.compile(r"\{\w+\}")
EVERY_PATH = (
    "no key", "no right", "limit used up", "wrong method", "escaped slash", "parameter twice", "not JSON", "wrong type", "empty body",
    "too large", "service away", "service too slow",
)  # fmt: skip


def of_every_path() -> Iterator[Row]:
    """What is answered alike everywhere, for each path of the contracts."""
    verbs: dict[str, set[str]] = {}
    for service in descriptors.services():
        for binding in service.bindings:
            # HEAD is answered where GET is.
            verbs.setdefault(binding.template, set()).update(
                {"GET", "HEAD"} if binding.verb == "GET" else {binding.verb}
            )
    for service in descriptors.services():
        openers = {method.name: method.openers for method in service.methods}
        for binding in service.bindings:
            if not binding.template.startswith("/v1/"):
                yield from _common(binding, openers[binding.method], sorted(verbs[binding.template]))
    for path in UNKNOWN_PATHS:
        yield Row("", "unknown path", f"GET {path}", 404, fixed(404))


def _common(binding: descriptors.Binding, openers: frozenset[str], verbs: list[str]) -> Iterator[Row]:
    method = binding.method.rpartition(".")[2]
    path = (
        binding.template.replace("{service}", "company")
        .replace("{uuid}", OTHER_UUID)
        .replace("{upload_id}", OTHER_UUID)
        .replace("{name}", "crm")
    )
    call = f"{binding.verb} {path}"
    body = {"x": 1} if binding.verb in ("POST", "PUT", "PATCH") else None
    if method not in KEYLESS:
        yield Row(method, "no key", call, 401, fixed(401), body, lacks="key", shows={"www-authenticate": CHALLENGE})
        limited = {"retry-after": Like(r"\d+", "1"), "x-ratelimit-remaining": "0"}
        yield Row(method, "limit used up", call, 429, fixed(429), body, through="spent", shows=limited)
    if OPEN not in openers:
        yield Row(method, "no right", call, 403, fixed(403), body, lacks=",".join(sorted(openers)))
    other = next(verb for verb in ("PATCH", "GET") if verb not in verbs)
    yield Row(method, "wrong method", f"{other} {path}", 405, fixed(405), shows={"allow": ", ".join(verbs)})
    if "{" in binding.template:
        escaped = _VARIABLE.sub("a%5Cb", binding.template)
        yield Row(method, "escaped slash", f"{binding.verb} {escaped}", 404, fixed(404), body)
    yield Row(method, "parameter twice", f"{call}?x=1&x=2", 400, fixed(400), body)
    if method not in KEYLESS + OWN:  # which the gateway answers itself
        yield Row(method, "service away", call, 503, fixed(503), body, through="away")
    if method not in KEYLESS + STREAMED + OWN:
        yield Row(method, "service too slow", call, 504, fixed(504), body, through="slow")
    if body is None:
        return
    yield Row(method, "too large", call, 413, fixed(413), b" " * (MAX_REQUEST_BYTES + 1))
    if method in BODY_UNREAD:
        return
    yield Row(
        method, "not JSON", call, 400,
        error("VALIDATION_ERROR", "the request body is not valid JSON: Expecting value at line 1, column 7", line=1, column=7),
        b'{"a": ',
    )  # fmt: skip
    yield Row(method, "wrong type", call, 400, _wrong_type(method), 5)
    if method not in BODY_OPTIONAL:
        yield Row(method, "empty body", call, 400, _empty(method), b"")


def _wrong_type(method: str) -> Json:
    if not method.startswith("BatchUpsert"):
        return error("VALIDATION_ERROR", "the request body must be a JSON object")
    name = {"BatchUpsertCompanies": "companies", "BatchUpsertContacts": "contacts"}.get(method)
    allowed = f"'{name}' or 'data'" if name else "'data'"
    return invalid(name or "data", f"the body must be an array, or an object with one array {allowed}")


def _empty(method: str) -> Json:
    if method.startswith("Suggest"):
        return invalid("text", "text: field required")
    if method.endswith("FilterValues"):
        return invalid("filter_key", "filter_key: field required")
    return error("VALIDATION_ERROR", "the request body is empty; a JSON document is required")


@cache
def rows() -> list[Row]:
    """The table, in the order of the page."""
    found = [*health()]
    for entity in (COMPANY, CONTACT):
        found += [
            *queries(entity),
            *aggregates(entity),
            *suggestions(entity),
            *one_record(entity),
            *new_record(entity),
            *many_records(entity),
        ]
    found += [*filters(), *csv_rows(), *jobs(), *index(), *keys()]
    return [*found, *with_used_keys(found), *of_every_path()]


def template(call: str) -> str:
    """`GET /companies/{uuid}` of `GET /companies/acme?x=1`: the path of the contracts that a call takes; "" for none."""
    verb, _, path = call.partition(" ")
    bindings = [b for s in descriptors.services() for b in s.bindings if not b.template.startswith("/v1/")]
    found = [b.template for b in bindings if re.fullmatch(paths.expression(b.template), path.partition("?")[0])]
    best = min(found, key=lambda text: text.count("{"), default="")
    return f"{verb} {best}" if best else ""
