"""A job in gRPC says what was asked of it in the messages that ask it."""

from datetime import UTC, datetime

import pytest
from connectra.common.v1 import export_pb2, vql_pb2
from connectra.jobs.v1 import jobs_service_pb2 as pb
from connectra_jobs.messages import create_to_json, job_message
from connectra_jobs.models import Job, JsonObject
from connectra_jobs.places import Places
from connectra_jobs.requests import read_create
from google.protobuf.json_format import MessageToDict

NOW = datetime.now(UTC)
QUERY = vql_pb2.Vql(q="smith", select_columns=["uuid", "email"])
QUERY.where.keyword_match.must["country"].append("germany")


def stored(job_type: str, data: JsonObject) -> Job:
    return Job(1, "u", job_type, data, "open", {}, 0, 0, None, NOW, NOW, 0, {})


def asked_again(request: pb.CreateJobRequest) -> pb.Job:
    """The job that a request makes, as it is answered."""
    new, warnings = read_create(create_to_json(request), Places("own", ("b",)))
    assert not warnings
    return job_message(stored(new.job_type, new.data))


@pytest.mark.parametrize(
    "source",
    [
        pb.ImportFile(s3_key="a.csv"),
        pb.ImportFile(s3_key="a.csv", s3_bucket="b", max_rejected_rows=2**40, validate_only=True),
        pb.ImportFile(s3_key="a.csv", max_rejected_rows=0, columns={"Mail": "email", "Table": ""}),
        pb.ImportFile(s3_key="a.csv", max_rejected_share=0.25, encoding="windows-1252"),
    ],
)
def test_an_import_says_which_file_it_reads_and_how(source: pb.ImportFile) -> None:
    assert asked_again(pb.CreateJobRequest(import_file=source)).import_file == source


@pytest.mark.parametrize(
    "export",
    [
        pb.ExportQuery(service="contact", vql=QUERY, format=export_pb2.EXPORT_FORMAT_CSV),
        pb.ExportQuery(
            service="company",
            vql=vql_pb2.Vql(select_columns=["name"]),
            s3_bucket="b",
            format=export_pb2.EXPORT_FORMAT_NDJSON,
            gzip=True,
            keep_formulas=True,
        ),
    ],
)
def test_an_export_says_what_it_writes(export: pb.ExportQuery) -> None:
    assert asked_again(pb.CreateJobRequest(export_query=export)).export_query == export


def test_what_was_asked_in_rest_is_said_in_the_words_of_the_contract() -> None:
    vql = {"select_columns": ["uuid"], "limit": 10**20, "order_by": [{"order_by": "nope"}], "sort_by": "nope"}
    message = job_message(stored("export_csv_file", {"service": "contacts", "vql": vql}))
    assert message.export_query == pb.ExportQuery(
        service="contact", vql=vql_pb2.Vql(select_columns=["uuid"]), format=export_pb2.EXPORT_FORMAT_CSV
    )


def test_a_list_has_an_export_without_its_query_where_that_is_large() -> None:
    message = job_message(stored("export_csv_file", {"service": "company", "gzip": True}))
    assert (message.export_query.gzip, message.export_query.HasField("vql")) == (True, False)


@pytest.mark.parametrize(
    ("job_type", "data"),
    [
        ("insert_csv_file", {"s3_key": 5}),
        ("insert_csv_file", {}),
        ("export_csv_file", {"service": "people", "vql": {}}),
        ("sleep", {"s3_key": "a.csv"}),
    ],
)
def test_of_a_job_that_was_taken_over_only_the_data_is_said_if_it_is_not_understood(
    job_type: str, data: JsonObject
) -> None:
    message = job_message(stored(job_type, data))
    assert message.WhichOneof("work") is None
    assert MessageToDict(message.data) == data
