"""What each REST method takes and gives, beyond what its contract and the table of calls say: only code knows the shape of an answer.

A method that is missing here ends the run.
"""

from dataclasses import dataclass

from connectra_common.records.fields import COMPANY, CONTACT, Entity

KEY, MATCH, NONE_MATCH, CONSISTENT = ("Idempotency-Key",), ("If-Match",), ("If-None-Match",), ("X-Consistency-Token",)


@dataclass(frozen=True)
class Operation:
    """One method.

    Args:
        answers: name of the schema by status, errors left out.
        body: name of the schema of the request's JSON; None: it has none.
        headers: that it takes, beside those that every method takes.
        media: type of a successful answer.
    """

    answers: dict[int, str]
    body: str | None = None
    headers: tuple[str, ...] = ()
    media: str = "application/json"


def operations() -> dict[str, Operation]:
    """Every REST method by its name in the contracts."""
    return {**_ALWAYS, **_records("Companies", COMPANY), **_records("Contacts", CONTACT)}


_LIST_COLUMNS = Operation({200: "ColumnList"})
_LIST_FILTERS = Operation({200: "FilterList"})
_LIST_FILTER_VALUES = Operation({200: "FilterValueList"}, "FilterValuesRequest", CONSISTENT)
_JOB = Operation({200: "JobAnswer"})
_ALWAYS = {
    "GetHealth": Operation({200: "Health"}),
    "GetDependencyHealth": Operation({200: "DependencyHealth", 503: "DependencyHealth"}),
    "ListColumns": _LIST_COLUMNS,
    "ListFilters": _LIST_FILTERS,
    "ListFilterValues": _LIST_FILTER_VALUES,
    "BatchUpsertRows": Operation({200: "BatchAnswer", 207: "BatchAnswer"}, "RowBatch", KEY),
    "GetIndexStatus": Operation({200: "IndexStatusAnswer"}),
    "ListKeys": Operation({200: "KeyList"}),
    "CreateKey": Operation({201: "NewKeyAnswer"}, "CreateKeyBody"),
    "UpdateKey": Operation({200: "KeyAnswer"}, "UpdateKeyBody"),
    "RotateKey": Operation({200: "NewKeyAnswer"}, "RotateKeyBody"),
    "RevokeKey": Operation({200: "Message"}),
    "CreateUploadUrl": Operation({200: "UploadUrl"}),
    "CreateUpload": Operation({201: "Upload"}, "CreateUploadBody"),
    "CreateUploadPartUrls": Operation({200: "UploadPartUrlList"}, "CreateUploadPartUrlsBody"),
    "ListUploadParts": Operation({200: "UploadState"}),
    "CompleteUpload": Operation({200: "CompletedUpload"}),
    "AbortUpload": Operation({200: "Message"}),
    "PreviewImport": Operation({200: "ImportPreviewAnswer"}, "PreviewImportBody"),
    "CreateJob": Operation({201: "JobCreated"}, "CreateJobBody", KEY),
    "ListJobs": Operation({200: "JobList"}, "ListJobsBody"),
    "GetJob": _JOB,
    "WatchJob": Operation({200: "JobEvents"}, media="text/event-stream"),
    "CancelJob": _JOB,
    "RetryJob": _JOB,
    "ListJobFiles": Operation({200: "JobFileList"}),
}


def _records(many: str, entity: Entity) -> dict[str, Operation]:
    """The methods of companies, or those of contacts."""
    one = entity.title
    # What must be there to create a contact depends on whether it is stored already.
    upserted = f"New{one}" if entity is COMPANY else f"{one}Input"
    return {
        f"List{many}": Operation({200: f"{one}List"}, "Vql", CONSISTENT),
        f"Count{many}": Operation({200: "Count"}, "Vql", CONSISTENT),
        f"Aggregate{many}": Operation({200: f"{one}Aggregation"}, "Aggregate", CONSISTENT),
        f"Suggest{many}": Operation({200: "SuggestionList"}, "SuggestRequest", CONSISTENT),
        f"List{one}Columns": _LIST_COLUMNS,
        f"List{one}Filters": _LIST_FILTERS,
        f"List{one}FilterValues": _LIST_FILTER_VALUES,
        f"Get{one}": Operation({200: f"{one}Answer"}, headers=NONE_MATCH),
        f"List{one}History": Operation({200: "History"}),
        f"Explain{one}": Operation({200: "Explanation"}, "Vql", CONSISTENT),
        f"Create{one}": Operation({201: f"{one}Answer"}, f"New{one}", KEY),
        f"Update{one}": Operation({200: f"{one}Answer"}, f"{one}Input", MATCH),
        f"Delete{one}": Operation({200: "Message"}, headers=MATCH),
        f"Upsert{one}": Operation({200: f"{one}Upserted", 201: f"{one}Upserted"}, upserted, KEY),
        f"BatchUpsert{many}": Operation({200: "BatchAnswer", 207: "BatchAnswer"}, f"{one}Batch", KEY),
    }
