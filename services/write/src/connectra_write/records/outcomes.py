"""Answers to writes, which are also what is kept under an idempotency key."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson
from connectra_common.errors import FieldViolation


@dataclass(frozen=True, slots=True)
class RecordWarning:
    """Something about a record of a request that its caller should know; `index`: its position in a batch."""

    index: int
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Written:
    """A record as it is now.

    Args:
        record: its JSON, with every field.
        version: its row_version.
        is_new: created or revived.
        token: consistency token.
        replayed: this is the answer to an earlier request with the same idempotency key.
    """

    record: str
    version: int
    is_new: bool
    token: str = ""
    replayed: bool = False
    warnings: list[RecordWarning] = field(default_factory=list)

    @property
    def uuid(self) -> str:
        """Of the record."""
        uuid: str = orjson.loads(self.record)["uuid"]
        return uuid

    @property
    def http_status(self) -> int:
        """201 for a new record."""
        return 201 if self.is_new else 200

    @classmethod
    def unpack(cls, text: str) -> "Written":
        """An answer as it was kept."""
        kept = orjson.loads(text)
        return cls(**{**kept, "token": str(kept["token"]), "warnings": _warnings(kept), "replayed": True})


@dataclass(frozen=True, slots=True)
class RecordFailure:
    """A record of a batch that was not stored, by its position in the request."""

    index: int
    error: str
    uuid: str | None = None
    fields: tuple[FieldViolation, ...] = ()

    def document(self) -> dict[str, Any]:
        """As JSON clients see it."""
        document: dict[str, Any] = {"index": self.index}
        if self.uuid:
            document["uuid"] = self.uuid
        document["error"] = self.error
        if self.fields:
            document["fields"] = [{"field": f.field, "message": f.message} for f in self.fields]
        return document


@dataclass(frozen=True, slots=True)
class BatchWritten:
    """The outcome of a batch. `created` includes revived records, `updated` those that did not change.

    Args:
        uuids: of the record that each one of the request became part of (of a row its contact, else its company); None where it failed.
    """

    total: int
    created: int
    updated: int
    failures: list[RecordFailure] = field(default_factory=list)
    uuids: list[str | None] = field(default_factory=list)
    warnings: list[RecordWarning] = field(default_factory=list)
    token: str = ""
    replayed: bool = False

    PARTIAL: ClassVar[int] = 207

    @property
    def http_status(self) -> int:
        """207 when some records failed."""
        return self.PARTIAL if self.failures else 200

    def document(self) -> dict[str, Any]:
        """As JSON clients see it."""
        return {
            "total_count": self.total,
            "success_count": self.total - len(self.failures),
            "error_count": len(self.failures),
            "created": self.created,
            "updated": self.updated,
            "uuids": self.uuids,
            "errors": [failure.document() for failure in self.failures],
        }

    @classmethod
    def unpack(cls, text: str) -> "BatchWritten":
        """An answer as it was kept."""
        kept = orjson.loads(text)
        failures = [
            RecordFailure(f["index"], f["error"], f["uuid"], tuple(FieldViolation(**v) for v in f["fields"]))
            for f in kept["failures"]
        ]
        more = {"failures": failures, "warnings": _warnings(kept), "replayed": True}
        return cls(**{**kept, "token": str(kept["token"]), **more})


def _warnings(kept: dict[str, Any]) -> list[RecordWarning]:
    # An answer of the previous release has none.
    return [RecordWarning(**warning) for warning in kept.get("warnings", ())]


def packed(answer: Written | BatchWritten) -> str:
    """An answer as it is kept."""
    return orjson.dumps(answer).decode()
