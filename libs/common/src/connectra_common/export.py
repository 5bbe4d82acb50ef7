"""Formats of an exported file: the contract's enum, as spelled in JSON requests and file names."""

from enum import StrEnum

from connectra.common.v1 import export_pb2


class ExportFormat(StrEnum):
    """How records become the lines of a file."""

    CSV = "csv"
    NDJSON = "ndjson"

    @classmethod
    def from_proto(cls, value: int) -> "ExportFormat | None":
        """The format of a typed request, CSV if it names none; None for a number that is not in the contract."""
        return cls.CSV if value == export_pb2.EXPORT_FORMAT_UNSPECIFIED else _BY_NUMBER.get(value)

    def to_proto(self) -> export_pb2.ExportFormat.ValueType:
        """The format in a typed request."""
        return _NUMBERS[self]

    def extension(self, *, gzip: bool = False) -> str:
        """Suffix of the file's name."""
        return f"{self}.gz" if gzip else str(self)

    def content_type(self, *, gzip: bool = False) -> str:
        """Media type of the file."""
        if gzip:
            return "application/gzip"
        return "text/csv; charset=utf-8" if self is ExportFormat.CSV else "application/x-ndjson"


_NUMBERS: dict[ExportFormat, export_pb2.ExportFormat.ValueType] = {
    ExportFormat.CSV: export_pb2.EXPORT_FORMAT_CSV,
    ExportFormat.NDJSON: export_pb2.EXPORT_FORMAT_NDJSON,
}
_BY_NUMBER: dict[int, ExportFormat] = {number: format for format, number in _NUMBERS.items()}
