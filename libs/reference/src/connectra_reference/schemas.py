"""The named schemas of the OpenAPI document: requests from the models that read them, records from the field catalogue.

A service says which models read its requests by the entry point group `connectra.request_models`, so that this package
does not depend on a service. Such a schema has the name of its model. States are declared alike, in `connectra.states`.
"""

import json
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from connectra_common.records.fields import COMPANY, CONTACT, Entity, Field, Rule, Type, csv_columns
from connectra_common.records.limits import MAX_LIST_ITEMS, MAX_TEXT_CHARS
from connectra_common.vql.model import Vql
from connectra_gateway.replies import replies
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from connectra_reference.answers import answers
from connectra_reference.shapes import (
    DECIMAL,
    FLAG,
    MOMENT,
    NULLABLE,
    NUMBER,
    OBJECT,
    TEXT,
    UUID,
    Json,
    array,
    enum,
    nullable,
    obj,
    ref,
    said,
    table_of,
)

GROUP = "connectra.request_models"
STATES_GROUP = "connectra.states"
# Codes of errors that only services raise.
SERVICE_CODES = {"VALIDATION_ERROR", "DATABASE_ERROR", "ELASTICSEARCH_ERROR", "STORAGE_ERROR"}


def schemas() -> Json:
    """All named schemas, sorted by name."""
    parts = (_requests(), _errors(), _FOUND, _INDEX, _KEYS, _FILTERS, _jobs(), _UPLOADS, _PREVIEW, _batches())
    found = {name: schema for part in parts for name, schema in part.items()}
    for entity in (COMPANY, CONTACT):
        found |= _record(entity)
    return dict(sorted({**found, **answers()}.items()))


def request_models() -> list[type[BaseModel]]:
    """The models that read requests: VQL, and those that the services declare.

    Raises:
        TypeError: a service declares something else.
    """
    declared = [point.load() for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)]
    for model in declared:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise TypeError(f"{GROUP}: {model!r} is not a pydantic model")
    return [Vql, *declared]


def states_of(name: str) -> Sequence[str]:
    """States of a thing, as its service declares them."""
    (point,) = entry_points(group=STATES_GROUP, name=name)
    states: Sequence[str] = point.load()
    return states


def _requests() -> Json:
    models = [(model, "validation") for model in request_models()]
    _, found = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return {name: _plain(schema) for name, schema in found["$defs"].items()}


def _plain(schema: Any, *, names_are_data: bool = False) -> Any:
    """A schema of pydantic without titles, which repeat names, and with defaults in words: a member with a `default` is one that is
    always there, as generators of typed clients read it.
    """
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if names_are_data:
        return {name: _plain(value) for name, value in schema.items()}
    found = {
        name: _plain(value, names_are_data=name == "properties")
        for name, value in schema.items()
        if name not in ("title", "default")
    }
    found = _nullable(found)
    if schema.get("default") is not None:
        found["description"] = f"{schema.get('description', '')} By default {json.dumps(schema['default'])}.".strip()
    return found


def _nullable(schema: Json) -> Json:
    """`anyOf` a plain type and null as one type with both; in any case with the description of the other alternative."""
    alternatives = schema.get("anyOf", [])
    if len(alternatives) != 2 or alternatives[1] != {"type": "null"}:
        return schema
    plain, around = alternatives[0], {name: value for name, value in schema.items() if name != "anyOf"}
    if "enum" in plain or not isinstance(plain.get("type"), str):
        return {**({"description": plain["description"]} if "description" in plain else {}), **schema}
    return {**plain, **around, "type": [plain["type"], "null"]}


_VIOLATION = obj(
    "",
    "What is wrong with one field, or was ignored.",
    field=said("Where it is in the request, such as `where.keyword_match.must.city`.", TEXT),
    message=said("What is wrong, and what is allowed.", TEXT),
)


def _errors() -> Json:
    details = {
        **obj(
            "-",
            "Facts about the error; which there are depends on it.",
            fields=said("Every violation.", array(ref("Violation"))),
            reason=said("The specific reason, where an `error_code` has several.", TEXT),
        ),
        "additionalProperties": True,
    }
    error = obj(
        "success error error_code message",
        "What every error answers with; 401 and 429 without `details`.",
        success={"type": "boolean", "const": False},
        error=said("In words.", TEXT),
        error_code=said("For programs.", enum(*sorted({reply.code for reply in replies(0)} | SERVICE_CODES))),
        message=said("In words.", TEXT),
        details=ref("ErrorDetails"),
    )
    return {
        "Violation": _VIOLATION,
        "Warning": {**_VIOLATION, "description": "What was ignored, or done otherwise than it seems."},
        "ErrorDetails": details,
        "Error": error,
    }


def _batches() -> Json:
    failure = obj(
        "index error",
        "Why a record of a batch was not stored.",
        index=said("Its place in the request, from 0.", NUMBER),
        uuid=said("If it had one.", TEXT),
        error=said("In words.", TEXT),
        fields=said("Every violation.", array(ref("Violation"))),
    )
    result = obj(
        "",
        "What became of the records of a batch.",
        total_count=NUMBER,
        success_count=NUMBER,
        error_count=NUMBER,
        created=NUMBER,
        updated=NUMBER,
        uuids=said("Of the records, in the order of the request; null for one that failed.", array(nullable(UUID))),
        errors=array(ref("BatchFailure")),
    )
    row = obj("-", "A row of a file: texts by CSV column.", **dict.fromkeys(sorted(csv_columns()), TEXT))
    return {"BatchFailure": failure, "BatchResult": result, "CsvRow": row | {"additionalProperties": True}}


# What queries find besides records.
_FOUND: Json = {
    "HistoryEntry": obj(
        "",
        "A change of a record.",
        time=MOMENT,
        action=enum("create", "update", "delete", "revive"),
        actor=said("Who did it; null if the caller may not know.", NULLABLE),
        request_id=NULLABLE,
        job_uuid=NULLABLE,
        row_version=NUMBER,
        changes=said("By field.", table_of(ref("Change"))),
    ),
    "Change": obj("", "A value before and after.", old={}, new={}),
    "JudgedCondition": obj(
        "path condition met excluded values",
        "A condition of a query, and what a record has there.",
        path=said("Where the condition is in the query.", TEXT),
        condition=OBJECT,
        met=FLAG,
        excluded=said("Whether records that meet it are left out.", FLAG),
        values=array({}),
        found=said("By field, the words that were found.", table_of(array(TEXT))),
        alike=array(ref("AlikeName")),
    ),
    "AlikeName": obj(
        "", "A name that stands for a word that was asked for.", word=TEXT, field=TEXT, name=TEXT, by=TEXT
    ),
    "Judgement": obj(
        "", "Whether a query finds a record, and why.", matches=FLAG, conditions=array(ref("JudgedCondition"))
    ),
    "Suggestion": obj("", "A value, and how many records have it.", field=TEXT, value=TEXT, count=NUMBER),
    "Total": obj(
        "",
        "How many records match.",
        value=NUMBER,
        relation=said("`eq`: exactly so many.", enum("eq", "gte")),
    ),
    "FacetCounts": obj(
        "field exact",
        "How often the values of a field occur among all matches.",
        field=TEXT,
        values=array(ref("ValueCount")),
        ranges=array(ref("RangeCount")),
        other=said("Occurrences of values that are not shown.", NUMBER),
        exact=FLAG,
    ),
    "ValueCount": obj("", "A value, and how often it occurs.", value={"type": ["string", "number"]}, count=NUMBER),
    "RangeCount": obj(
        "count",
        "A range, and how many records are in it.",
        gte={"type": ["string", "number", "null"]},
        lt={"type": ["string", "number", "null"]},
        count=NUMBER,
    ),
    "QueryExplanation": obj(
        "",
        "How a query was understood.",
        query=said("In the terms of VQL.", OBJECT),
        elasticsearch=said("What Elasticsearch was asked.", OBJECT),
        clauses=array(ref("ClauseCount")),
    ),
    "ClauseCount": obj(
        "", "How many records a condition matches on its own.", path=TEXT, condition=OBJECT, hits=NUMBER
    ),
    "DependencyCheck": obj("", "Whether a store answers.", status=enum("ok", "down"), latency_ms=nullable(DECIMAL)),
    "Cardinality": obj("", "How many distinct values a field has.", field=TEXT, value=NUMBER, relative_error=DECIMAL),
    "PercentileValues": obj(
        "", "Percentiles of a number.", field=TEXT, values=array(ref("PercentileValue")), exact=FLAG
    ),
    "PercentileValue": obj("", "The value below which so many percent are.", percent=DECIMAL, value=nullable(DECIMAL)),
}

_INDEX: Json = {
    "IndexStatus": obj(
        "",
        "How the search index is.",
        pending=said("Changes that it does not have yet.", NUMBER),
        oldest_pending_seconds=DECIMAL,
        dead_letters=said("Documents that it refused.", NUMBER),
        indexers=said("Processes that keep it up to date.", NUMBER),
        indices=array(ref("IndexOfRecords")),
    ),
    "IndexOfRecords": obj(
        "",
        "The index of companies, or that of contacts.",
        entity=enum("company", "contact"),
        index_name=TEXT,
        documents=NUMBER,
        previous=said("The index before it, which a rollback goes back to; empty: none.", TEXT),
        rebuild=said("A rebuild that runs.", nullable(OBJECT)),
        check=said("The comparison with the database that runs always.", nullable(OBJECT)),
    ),
}

_KEY_CLIENT = {
    "name": said("As logs and the audit trail have it.", TEXT),
    "rights": array(enum("admin", "export", "import", "read", "write")),
    "requests_per_minute": said("Its own limit; null: that of all.", nullable(NUMBER)),
    "keys": said("The newest last.", array(ref("KeyStub"))),
    "fixed": said("Whether its key is the setting `API_KEY`, and changed there only.", FLAG),
}
_KEYS: Json = {
    "KeyClient": obj("", "A client of the gateway.", **_KEY_CLIENT),
    "KeyStub": obj(
        "",
        "What may be shown of a key.",
        begins=said("Its first characters.", TEXT),
        expires_at=said("null: never.", nullable(MOMENT)),
    ),
    "NewKey": obj("", "A client and its new key.", **_KEY_CLIENT, key=said("Sent as `X-API-Key`.", TEXT)),
}

_FILTERS: Json = {
    "Column": obj(
        "",
        "A column of a record, and what can be asked of it.",
        name=TEXT,
        type=enum("integer", "text", "list", "time"),
        display_name=said("As people read it.", TEXT),
        read_only=FLAG,
        operators=said("Of `filters`, that it takes.", array(TEXT)),
        order_by=said("Whether there is an order by it.", FLAG),
        group_by=said("Whether records are counted by it.", FLAG),
        csv_columns=said("Headers that an import reads as it.", array(TEXT)),
    ),
    "Filter": obj(
        "",
        "A filter that users can be offered.",
        id=NUMBER,
        key=said("The field.", TEXT),
        service=TEXT,
        filter_type=enum("keyword", "range", "text"),
        display_name=TEXT,
        direct_derived=said("Whether values are read from the records.", FLAG),
        active=FLAG,
        deleted_at=NULLABLE,
    ),
    "FilterValue": obj("", "A value to choose.", value=TEXT, display_value=said("As people read it.", TEXT)),
}

_UPLOAD = {
    "upload_id": UUID,
    "s3_key": said("The key of the file, for an import.", TEXT),
    "part_size": said("Bytes of each part but the last.", nullable(NUMBER)),
    "part_count": said("If the size is known.", nullable(NUMBER)),
    "size_bytes": nullable(NUMBER),
    "expires": said("When an unfinished upload is removed.", nullable(MOMENT)),
}
_UPLOADS: Json = {
    "Upload": obj(
        "upload_id s3_key part_size success",
        "A file that is sent in parts.",
        **_UPLOAD,
        success={"type": "boolean", "const": True},
        warnings=array(ref("Warning")),
    ),
    "UploadState": obj(
        "upload_id s3_key completed parts success",
        "How far an upload is.",
        **_UPLOAD,
        completed=FLAG,
        parts=array(ref("UploadPart")),
        success={"type": "boolean", "const": True},
    ),
    "UploadPart": obj("", "A part that the store has.", part_number=NUMBER, size_bytes=NUMBER, etag=TEXT),
    "UploadPartUrl": obj("", "Where a part is sent, by HTTP PUT.", part_number=NUMBER, upload_url=TEXT),
}

_ANY_RECORD: Json = {"type": ["object", "null"], "additionalProperties": True}
_PREVIEW: Json = {
    "ImportPreview": obj(
        "",
        "What an import would make of a file.",
        shape=ref("FileShape"),
        columns=array(ref("PreviewColumn")),
        rows=said("The first ones, as they would be stored.", array(ref("PreviewRow"))),
        problems=ref("PreviewProblems"),
        sample=ref("PreviewSample"),
    ),
    "FileShape": obj(
        "", "How a file is read.", format=TEXT, gzip=FLAG, encoding=TEXT, delimiter=TEXT, header_line=NUMBER
    ),
    "PreviewColumn": obj(
        "",
        "What a column means.",
        header=TEXT,
        target=said("The CSV column of the field catalogue; null: left out.", NULLABLE),
        confidence=NULLABLE,
        samples=array(TEXT),
        instead=NULLABLE,
    ),
    "PreviewRow": obj("", "A row as records.", line=NUMBER, company=_ANY_RECORD, contact=_ANY_RECORD),
    "PreviewProblems": obj(
        "",
        "What would not be stored.",
        rejected_rows=array(ref("RejectedRow")),
        left_out_cells=array(ref("LeftOutCell")),
        unknown_columns=array(TEXT),
    ),
    "RejectedRow": obj("", "A row that would be skipped.", line=NUMBER, reason=TEXT, cells=array(TEXT)),
    "LeftOutCell": obj("", "A cell that would be left out.", line=NUMBER, column=TEXT, value=TEXT, reason=TEXT),
    "PreviewSample": obj("", "What was looked at.", rows=NUMBER, rejected=NUMBER, left_out=NUMBER, whole_file=FLAG),
}


def _jobs() -> Json:
    progress = obj(
        "-",
        "How far the present run is.",
        rows=said("Done so far.", NUMBER),
        total_rows=NUMBER,
        bytes=NUMBER,
        total_bytes=NUMBER,
    )
    result = obj(
        "-",
        "What came of it, once there is something to say; docs/jobs.md lists the members of imports and exports.",
        messages=said("In words.", TEXT),
        rows=NUMBER,
        s3_key=said("Of an export: its file.", TEXT),
        rejected_s3_key=said("Of an import: the rows that were skipped.", TEXT),
    )
    job = obj(
        "",
        "An import or an export.",
        id=NUMBER,
        uuid=UUID,
        job_type=said("`insert_csv_file` or `export_csv_file`.", TEXT),
        data=said("`job_data` as it was given.", OBJECT),
        status=enum(*states_of("Job")),
        job_response=ref("JobResult"),
        retry_count=said("Retries that are left.", NUMBER),
        retry_interval=said("Seconds to the first retry.", NUMBER),
        run_after=said("When it is tried again.", nullable(MOMENT)),
        created_at=MOMENT,
        updated_at=MOMENT,
        attempts=said("Runs so far.", NUMBER),
        progress=ref("JobProgress"),
        client=said("Who made it.", NULLABLE),
    )
    file = obj(
        "",
        "A file of a job.",
        kind=enum("source", "result", "rejected", "left_out"),
        s3_key=TEXT,
        size_bytes=NUMBER,
        download_url=said("Where it can be fetched for a while, without a key.", TEXT),
    )
    open_ended = {"additionalProperties": True}
    return {"Job": job, "JobProgress": progress | open_ended, "JobResult": result | open_ended, "JobFile": file}


_STORED: dict[Type, Json] = {
    Type.INTEGER: {"type": ["integer", "null"]},
    Type.TEXT: NULLABLE,
    Type.LIST: array(TEXT),
    Type.TIME: nullable(MOMENT),
}
_GIVEN: dict[Type, Json] = {
    Type.INTEGER: {"type": ["integer", "null"], "minimum": 0},
    Type.TEXT: {**NULLABLE, "maxLength": MAX_TEXT_CHARS},
    Type.LIST: {"type": ["array", "null"], "items": TEXT, "maxItems": MAX_LIST_ITEMS},
    Type.TIME: NULLABLE,
}
# What a value is; docs/fields.md has the rules in full.
_WORDS = {
    Rule.TEXT: "Text.",
    Rule.LOWER: "Text, kept in lower case.",
    Rule.INTEGER: "Whole number.",
    Rule.LIST: "Texts.",
    Rule.UUID: "UUID; 32 hexadecimal digits are taken too.",
    Rule.PHONE: "Phone number: digits, after a + if its country is known.",
    Rule.EMAIL: "E-mail address, kept in lower case.",
    Rule.DOMAIN: "Domain, such as example.com.",
    Rule.URL: "Address of a web page.",
    Rule.LINKEDIN: "Address of a page of linkedin.com.",
    Rule.LINKEDIN_LOWER: "Address of a page of linkedin.com, kept in lower case.",
}
# Without which a record is not created.
REQUIRED = {COMPANY: ("name",), CONTACT: ("first_name", "last_name", "email")}


def _about(field: Field) -> str:
    if field.name == "id":
        return "Number, given by the server."
    return "Given by the server." if field.read_only else _WORDS[field.rule]


def _stored(field: Field) -> Json:
    if field.name == "uuid":
        return said("Identifies the record.", UUID)
    return said(_about(field), {"type": "integer"} if field.name == "id" else _STORED[field.type])


def _record(entity: Entity) -> dict[str, Any]:
    """Schemas of an entity: stored, in a list, and as given. With select_columns only the requested members are there."""
    title = entity.title
    stored = {field.name: _stored(field) for field in entity.fields}
    highlight = said("Texts that matched, by field, as HTML, if they were asked for.", table_of(array(TEXT)))
    more = {"cursor": said("Where the next page begins after this row.", array(NULLABLE)), "highlight": highlight}
    if entity is CONTACT:
        more["company"] = said("If it was asked for.", ref(COMPANY.title))
    given = {field.name: said(_about(field), _GIVEN[field.type]) for field in entity.writable}
    required = {name: {**given[name], "type": "string", "minLength": 1} for name in REQUIRED[entity]}
    chosen = "only the chosen members are there, if columns were chosen."
    return {
        title: obj("-", f"A stored {entity.name}; {chosen}", **stored),
        f"{title}Row": obj("cursor", f"A {entity.name} of a list; {chosen}", **stored, **more),
        f"{title}Group": _group(entity),
        f"{title}Input": obj("-", f"Fields of a {entity.name}; those that are not given stay as they are.", **given),
        f"New{title}": obj(" ".join(REQUIRED[entity]), f"A {entity.name} to be created.", **{**given, **required}),
        f"{title}Batch": _batch(entity),
    }


def _batch(entity: Entity) -> Json:
    records = {"maxItems": 2000, **array(ref(f"{entity.title}Input"))}
    named: Json = {"type": "object", "properties": {entity.table: records}, "required": [entity.table]}
    data: Json = {"type": "object", "properties": {"data": records}, "required": ["data"]}
    about = f"Up to 2,000 {entity.table}: `{{{entity.table!r}: […]}}`, `{{'data': […]}}` or a bare array.".replace(
        "'", '"'
    )
    return {"description": about, "anyOf": [named, data, records]}


def _group(entity: Entity) -> Json:
    return obj(
        "count",
        "A group of an aggregation, or all of it. Which members it has depends on what was asked.",
        value={"type": ["string", "integer"]},
        count=NUMBER,
        count_error=said("By how much `count` may be too low.", NUMBER),
        groups=array(ref(f"{entity.title}Group")),
        other=said("Records in groups that are not shown.", NUMBER),
        missing=said("Records without a value.", NUMBER),
        exact=FLAG,
        cardinality=array(ref("Cardinality")),
        percentiles=array(ref("PercentileValues")),
        hits=array(ref(entity.title)),
    )
