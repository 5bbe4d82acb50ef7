"""The named schemas of the OpenAPI document: requests from the models that read them, records from the field catalogue.

A service says which models read its requests by the entry point group `connectra.request_models`, so that this package
does not depend on a service. Such a schema has the name of its model. States are declared alike, in `connectra.states`.
"""

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from connectra_common.records.fields import COMPANY, CONTACT, Entity, Type, csv_columns
from connectra_common.vql.model import Vql
from connectra_gateway.replies import replies
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from connectra_reference.shapes import FLAG, NULLABLE, NUMBER, OBJECT, TEXT, Json, array, enum, obj, ref

GROUP = "connectra.request_models"
STATES_GROUP = "connectra.states"
# Codes of errors that only services raise.
SERVICE_CODES = {"VALIDATION_ERROR", "DATABASE_ERROR", "ELASTICSEARCH_ERROR", "STORAGE_ERROR"}
_VIOLATION = obj(field=TEXT, message=TEXT)


def schemas() -> Json:
    """All named schemas, sorted by name."""
    found = {
        **_requests(),
        **_errors(),
        **_FILTERS,
        **_jobs(),
        "BatchResult": _batch_result(),
        "CsvRow": _csv_row(),
        "HistoryEntry": _history_entry(),
        "JudgedCondition": obj(
            "path condition met excluded values",
            path=TEXT,
            condition=OBJECT,
            met=FLAG,
            excluded=FLAG,
            values=array({}),
            found={"type": "object", "additionalProperties": array(TEXT)},
            alike=array(obj("word field name by", word=TEXT, field=TEXT, name=TEXT, by=TEXT)),
        ),
        "Suggestion": obj(field=TEXT, value=TEXT, count=NUMBER),
    }
    for entity in (COMPANY, CONTACT):
        found |= _record(entity)
    return dict(sorted(found.items()))


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
    schemas: Json = found["$defs"]
    return schemas


def _errors() -> Json:
    error = obj(
        "success error error_code message",
        success={"const": False},
        error=TEXT,
        error_code=enum(*sorted({reply.code for reply in replies(0)} | SERVICE_CODES)),
        message=TEXT,
        details={"type": "object", "properties": {"fields": array(_VIOLATION), "reason": TEXT}},
    )
    return {"Warning": _VIOLATION, "Error": error}


def _batch_result() -> Json:
    error = obj("index error", index=NUMBER, uuid=TEXT, error=TEXT, fields=array(_VIOLATION))
    return obj(
        total_count=NUMBER,
        success_count=NUMBER,
        error_count=NUMBER,
        created=NUMBER,
        updated=NUMBER,
        uuids=array({"type": ["string", "null"]}),
        errors=array(error),
    )


def _csv_row() -> Json:
    return {"type": "object", "properties": dict.fromkeys(sorted(csv_columns()), TEXT)}


def _history_entry() -> Json:
    return obj(
        time={**TEXT, "format": "date-time"},
        action=enum("create", "update", "delete", "revive"),
        actor=NULLABLE,
        request_id=NULLABLE,
        job_uuid=NULLABLE,
        row_version=NUMBER,
        changes={"type": "object", "additionalProperties": obj(old={}, new={})},
    )


_FILTERS: Json = {
    "Filter": obj(
        id=NUMBER,
        key=TEXT,
        service=TEXT,
        filter_type=enum("keyword", "range", "text"),
        display_name=TEXT,
        direct_derived=FLAG,
        active=FLAG,
        deleted_at=NULLABLE,
    ),
    "FilterValue": obj(value=TEXT, display_value=TEXT),
    "FilterValuesRequest": obj(
        "filter_key",
        filter_key=TEXT,
        search_text=TEXT,
        page=NUMBER,
        limit={**NUMBER, "maximum": 100},
    ),
}


def _jobs() -> Json:
    job = obj(
        id=NUMBER,
        uuid=TEXT,
        job_type=TEXT,
        data=OBJECT,
        status=enum(*states_of("Job")),
        job_response=OBJECT,
        retry_count=NUMBER,
        retry_interval=NUMBER,
        run_after=NULLABLE,
        created_at=TEXT,
        updated_at=TEXT,
        attempts=NUMBER,
        progress=OBJECT,
        client=NULLABLE,
    )
    file = obj(kind=enum("source", "result", "rejected", "left_out"), s3_key=TEXT, size_bytes=NUMBER, download_url=TEXT)
    return {"Job": job, "JobFile": file}


_STORED: dict[Type, Json] = {
    Type.INTEGER: {"type": ["integer", "null"]},
    Type.TEXT: NULLABLE,
    Type.LIST: array(TEXT),
    Type.TIME: {"type": ["string", "null"], "format": "date-time"},
}
_GIVEN: dict[Type, Json] = {
    Type.INTEGER: {"type": ["integer", "null"], "minimum": 0},
    Type.TEXT: NULLABLE,
    Type.LIST: {"type": ["array", "null"], "items": TEXT},
    Type.TIME: NULLABLE,
}


def _group(entity: Entity) -> Json:
    """A group of an aggregation. Which members it has depends on what was asked."""
    value: Json = {"type": ["number", "null"]}
    percentiles = obj(field=TEXT, values=array(obj(percent={"type": "number"}, value=value)), exact=FLAG)
    return obj(
        "count",
        value={"type": ["string", "integer"]},
        count=NUMBER,
        count_error=NUMBER,
        groups=array(ref(f"{entity.title}Group")),
        other=NUMBER,
        missing=NUMBER,
        exact=FLAG,
        cardinality=array(obj(field=TEXT, value=NUMBER, relative_error={"type": "number"})),
        percentiles=array(percentiles),
        hits=array(ref(entity.title)),
    )


def _record(entity: Entity) -> dict[str, Any]:
    """Schemas of an entity: stored, in a list, and as given. With select_columns only the requested members are there."""
    stored = {f.name: _STORED[f.type] for f in entity.fields}
    more = {"cursor": array(NULLABLE)}
    if entity is CONTACT:
        more["company"] = ref(COMPANY.title)
    given = {f.name: _GIVEN[f.type] for f in entity.writable}
    return {
        entity.title: {"type": "object", "properties": stored},
        f"{entity.title}Row": {"type": "object", "properties": {**stored, **more}},
        f"{entity.title}Group": _group(entity),
        f"{entity.title}Input": {"type": "object", "properties": given},
    }
