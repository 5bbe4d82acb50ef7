"""The formats of an export, as the contract, JSON requests and file names spell them."""

import pytest
from connectra.common.v1 import export_pb2
from connectra_common.export import ExportFormat


def test_every_format_of_the_contract_has_one_spelling() -> None:
    named = [number for number in export_pb2.ExportFormat.values() if number]
    assert [format.to_proto() for format in ExportFormat] == named
    assert [ExportFormat.from_proto(number) for number in named] == list(ExportFormat)


def test_a_request_that_names_no_format_means_csv_and_an_unknown_number_means_nothing() -> None:
    assert ExportFormat.from_proto(export_pb2.EXPORT_FORMAT_UNSPECIFIED) is ExportFormat.CSV
    assert ExportFormat.from_proto(99) is None


@pytest.mark.parametrize(
    ("format", "gzip", "extension", "content_type"),
    [
        (ExportFormat.CSV, False, "csv", "text/csv; charset=utf-8"),
        (ExportFormat.NDJSON, False, "ndjson", "application/x-ndjson"),
        (ExportFormat.CSV, True, "csv.gz", "application/gzip"),
        (ExportFormat.NDJSON, True, "ndjson.gz", "application/gzip"),
    ],
)
def test_a_file_is_named_and_typed_by_its_format(
    format: ExportFormat, gzip: bool, extension: str, content_type: str
) -> None:
    assert (format.extension(gzip=gzip), format.content_type(gzip=gzip)) == (extension, content_type)
