"""What each REST method takes and gives, beyond what its contract and the table of calls say: only code knows the shape of an answer.

A method that is missing here ends the run.
"""

from dataclasses import dataclass

from connectra_common.records.fields import COMPANY, CONTACT, Entity

from connectra_reference.shapes import FLAG, NULLABLE, NUMBER, OBJECT, TEXT, Json, array, obj, ref

KEY, MATCH, CONSISTENT = ("Idempotency-Key",), ("If-Match",), ("X-Consistency-Token",)
OK: Json = {"type": "boolean", "const": True}
SOME_FAILED: Json = {"const": False}


@dataclass(frozen=True)
class Operation:
    """One method.

    Args:
        answers: schema by status, errors left out.
        body: schema of the request's JSON; None: it has none.
        headers: that it takes, beside those that every method takes.
    """

    answers: dict[int, Json]
    body: Json | None = None
    headers: tuple[str, ...] = ()


def operations() -> dict[str, Operation]:
    """Every REST method by its name in the contracts."""
    return {**_HEALTH, **_FILTERS, **_IMPORTS, **_jobs(), **_records("Company", "Companies", COMPANY),
            **_records("Contact", "Contacts", CONTACT)}  # fmt: skip


def _answer(**members: Json) -> Json:
    """A success envelope; `warnings` only where something was ignored."""
    required = " ".join([*members, "success"])
    return obj(required, **members, success=OK, warnings=array(ref("Warning")))


def _forgiving(answer: Json) -> Json:
    """What `q` found; `did_you_mean` only where words were typed wrong."""
    answer["properties"]["did_you_mean"] = TEXT
    return answer


_HISTORY = obj("data success", data=array(ref("HistoryEntry")), success=OK, next_cursor=TEXT)
_DEPENDENCIES = obj(status=TEXT, checks={"type": "object", "additionalProperties": OBJECT})
_HEALTH = {
    "GetHealth": Operation({200: obj(status=TEXT)}),
    "GetDependencyHealth": Operation({200: _DEPENDENCIES, 503: {"anyOf": [_DEPENDENCIES, ref("Error")]}}),
}

_LIST_FILTERS = Operation({200: _answer(data=array(ref("Filter")))})
_LIST_FILTER_VALUES = Operation({200: _answer(data=array(ref("FilterValue")))}, ref("FilterValuesRequest"))
_FILTERS = {"ListFilters": _LIST_FILTERS, "ListFilterValues": _LIST_FILTER_VALUES}

_RESULT = ref("BatchResult")
_IMPORTS = {
    "BatchUpsertRows": Operation(
        {200: _answer(message=TEXT, data=_RESULT), 207: obj(message=TEXT, data=_RESULT, success=SOME_FAILED)},
        {"anyOf": [array(ref("CsvRow")), obj(data=array(ref("CsvRow")))]},
        KEY,
    ),
}


_UPLOAD = {
    "upload_id": TEXT,
    "s3_key": TEXT,
    "part_size": NUMBER,
    "part_count": NUMBER,
    "size_bytes": NUMBER,
    "expires": TEXT,
}
_PART_URL = obj(part_number=NUMBER, upload_url=TEXT)
_UPLOADS = {
    "CreateUpload": Operation(
        {201: obj("upload_id s3_key part_size success", **_UPLOAD, success=OK)}, ref("CreateUploadBody")
    ),
    "CreateUploadPartUrls": Operation(
        {200: _answer(parts=array(_PART_URL), expires_in=TEXT)}, ref("CreateUploadPartUrlsBody")
    ),
    "ListUploadParts": Operation(
        {
            200: obj(
                "upload_id s3_key completed parts success",
                **_UPLOAD,
                completed=FLAG,
                parts=array(obj(part_number=NUMBER, size_bytes=NUMBER, etag=TEXT)),
                success=OK,
            )
        }
    ),
    "CompleteUpload": Operation({200: _answer(s3_key=TEXT, size_bytes=NUMBER)}),
    "AbortUpload": Operation({200: _answer(message=TEXT)}),
}


_RECORD: Json = {"type": ["object", "null"]}
_PREVIEW = obj(
    shape=obj(format=TEXT, gzip=FLAG, encoding=TEXT, delimiter=TEXT, header_line=NUMBER),
    columns=array(obj(header=TEXT, target=NULLABLE, confidence=NULLABLE, samples=array(TEXT), instead=NULLABLE)),
    rows=array(obj(line=NUMBER, company=_RECORD, contact=_RECORD)),
    problems=obj(
        rejected_rows=array(obj(line=NUMBER, reason=TEXT, cells=array(TEXT))),
        left_out_cells=array(obj(line=NUMBER, column=TEXT, value=TEXT, reason=TEXT)),
        unknown_columns=array(TEXT),
    ),
    sample=obj(rows=NUMBER, rejected=NUMBER, left_out=NUMBER, whole_file=FLAG),
)


def _jobs() -> dict[str, Operation]:
    job = ref("Job")
    one = Operation({200: _answer(data=job)})
    return {
        "CreateUploadUrl": Operation({200: obj(success=OK, upload_url=TEXT, s3_key=TEXT, expires_in=TEXT)}),
        **_UPLOADS,
        "PreviewImport": Operation({200: _answer(data=_PREVIEW)}, ref("PreviewImportBody")),
        "CreateJob": Operation({201: _answer(message=TEXT, data=job)}, ref("CreateJobBody"), KEY),
        "ListJobs": Operation({200: _answer(data=array(job))}, ref("ListJobsBody")),
        "GetJob": one,
        "CancelJob": one,
        "RetryJob": one,
        "ListJobFiles": Operation({200: _answer(data=array(ref("JobFile")))}),
    }


def _rows(one: str) -> Json:
    rows = array(ref(f"{one}Row"))
    return obj("data success", data=rows, next_cursor=array(NULLABLE), success=OK, warnings=array(ref("Warning")))


def _records(one: str, many: str, entity: Entity) -> dict[str, Operation]:
    """The methods of companies, or those of contacts."""
    return {
        f"List{many}": Operation({200: _forgiving(_rows(one))}, ref("Vql"), CONSISTENT),
        f"Count{many}": Operation({200: _forgiving(_answer(count=NUMBER))}, ref("Vql"), CONSISTENT),
        f"Aggregate{many}": Operation(
            {200: _forgiving(_answer(data=ref(f"{one}Group")))}, ref("Aggregate"), CONSISTENT
        ),
        f"Suggest{many}": Operation(
            {200: _answer(data=array(ref("Suggestion")), exact=FLAG)}, ref("SuggestRequest"), CONSISTENT
        ),
        f"List{one}Filters": _LIST_FILTERS,
        f"List{one}FilterValues": _LIST_FILTER_VALUES,
        **_one_record(one),
        f"BatchUpsert{many}": _many_records(one, entity),
    }


def _one_record(one: str) -> dict[str, Operation]:
    stored, given = _answer(data=ref(one)), ref(f"{one}Input")
    upserted = _answer(data=ref(one), is_new=FLAG)
    explained = obj(matches=FLAG, conditions=array(ref("JudgedCondition")))
    return {
        f"Get{one}": Operation({200: stored}),
        f"List{one}History": Operation({200: _HISTORY}),
        f"Explain{one}": Operation({200: _forgiving(_answer(data=explained))}, ref("Vql"), CONSISTENT),
        f"Create{one}": Operation({201: stored}, given, KEY),
        f"Update{one}": Operation({200: stored}, given, MATCH),
        f"Delete{one}": Operation({200: _answer(message=TEXT)}, headers=MATCH),
        f"Upsert{one}": Operation({200: upserted, 201: upserted}, given, KEY),
    }


def _many_records(one: str, entity: Entity) -> Operation:
    records = {"maxItems": 2000, **array(ref(f"{one}Input"))}
    named = {"type": "object", "properties": {entity.table: records}, "required": [entity.table]}
    return Operation(
        {200: _answer(data=_RESULT), 207: obj(data=_RESULT, success=SOME_FAILED)},
        {"anyOf": [records, named, obj(data=records)]},
        KEY,
    )
