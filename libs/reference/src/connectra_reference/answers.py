"""The named schemas of answers: what is around records, jobs and files."""

from connectra_common.records.fields import COMPANY, CONTACT

from connectra_reference.shapes import FLAG, NULLABLE, NUMBER, TEXT, Json, array, enum, obj, ref, said, table_of

_OK: Json = {"type": "boolean", "const": True}
_GUESS = said("What `q` was read as, where words were typed wrong.", TEXT)


def answers() -> Json:
    """All of them, by name."""
    found = {
        "Health": obj("", "Whether the gateway takes calls.", status=TEXT),
        "DependencyHealth": obj(
            "",
            "Whether the stores answer.",
            status=said("`ok` if all do.", enum("ok", "degraded")),
            checks=table_of(ref("DependencyCheck")),
        ),
        "Count": _answer("How many records match.", count=NUMBER, did_you_mean=_GUESS),
        "SuggestionList": _answer(
            "Values that begin as what was typed.",
            data=array(ref("Suggestion")),
            exact=said("Whether all were counted.", FLAG),
        ),
        "Explanation": _answer("Why a query finds a record, or not.", data=ref("Judgement"), did_you_mean=_GUESS),
        "History": _answer(
            "A page of changes, the newest first.", data=array(ref("HistoryEntry")), next_cursor=_next(TEXT)
        ),
        "ColumnList": _answer("Columns.", data=array(ref("Column"))),
        "FilterList": _answer("Filters.", data=array(ref("Filter"))),
        "FilterValueList": _answer("A page of values.", data=array(ref("FilterValue"))),
        "Message": _answer("It is done.", message=said("In words.", TEXT)),
        "BatchAnswer": obj(
            "data success",
            "What became of a batch.",
            message=said("In words.", TEXT),
            data=ref("BatchResult"),
            success=said("Whether all of it was stored.", FLAG),
            warnings=array(ref("Warning")),
        ),
        "IndexStatusAnswer": _answer("How the search index is.", data=ref("IndexStatus")),
        "KeyList": _answer(
            "The clients of the gateway.",
            data=array(ref("KeyClient")),
            writable=said("Whether they can be changed here.", FLAG),
            read_only_reason=said("If not: where they are kept, and what to do.", TEXT),
        ),
        "KeyAnswer": _answer("A client.", data=ref("KeyClient")),
        "NewKeyAnswer": _answer("A client with its new key, which is shown this once.", data=ref("NewKey")),
        "JobAnswer": _answer("A job.", data=ref("Job")),
        "JobEvents": said("Server-sent events: `job` with a Job as JSON, and `end` with its status.", {}),
        "JobCreated": _answer("The new job.", message=said("In words.", TEXT), data=ref("Job")),
        "JobList": _answer("A page of jobs, the newest first.", data=array(ref("Job")), next_cursor=_next(TEXT)),
        "JobFileList": _answer("Files of a job.", data=array(ref("JobFile"))),
        "UploadUrl": _answer(
            "Where a file is sent, by HTTP PUT.",
            upload_url=TEXT,
            s3_key=said("The key of the file, for an import.", TEXT),
            expires_in=said("How long the URL works, such as `24h0m0s`.", TEXT),
        ),
        "UploadPartUrlList": _answer("Where parts are sent.", parts=array(ref("UploadPartUrl")), expires_in=TEXT),
        "CompletedUpload": _answer("The file is whole.", s3_key=TEXT, size_bytes=NUMBER),
        "ImportPreviewAnswer": _answer("What an import would do.", data=ref("ImportPreview")),
    }
    for entity in (COMPANY, CONTACT):
        found |= _of_records(entity.title, entity.name, entity.table)
    return found


# Members of an answer that are there only if they were asked for, or have something to say.
_OPTIONAL = ("did_you_mean", "next_cursor", "total", "facets", "explain", "read_only_reason")


def _answer(about: str, **members: Json) -> Json:
    """A success envelope; `warnings` only where something was ignored."""
    required = [name for name in members if name not in _OPTIONAL]
    ignored = said("What was ignored.", array(ref("Warning")))
    return obj(" ".join([*required, "success"]), about, **members, success=_OK, warnings=ignored)


def _next(schema: Json) -> Json:
    return said("Sent back as `cursor`, gives the next page; absent on the last one.", schema)


def _of_records(title: str, name: str, table: str) -> Json:
    return {
        f"{title}Answer": _answer(f"A {name}.", data=ref(title)),
        f"{title}Upserted": _answer(
            f"The {name} as it is stored now.", data=ref(title), is_new=said("Whether it was created.", FLAG)
        ),
        f"{title}List": _answer(
            f"A page of {table}.",
            data=array(ref(f"{title}Row")),
            next_cursor=_next(array(NULLABLE)),
            total=said("If `track_total` was asked for.", ref("Total")),
            facets=said("Those that were asked for, in their order.", array(ref("FacetCounts"))),
            explain=said("If it was asked for.", ref("QueryExplanation")),
            did_you_mean=_GUESS,
        ),
        f"{title}Aggregation": _answer(f"Numbers about {table}.", data=ref(f"{title}Group"), did_you_mean=_GUESS),
    }
