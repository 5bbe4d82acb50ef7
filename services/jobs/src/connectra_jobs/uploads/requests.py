"""The JSON of uploads: bodies, their rules, and the names that files may have."""

import unicodedata
from typing import Annotated, Self

from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.requests import Request, at_most
from pydantic import Field, field_validator, model_validator

from connectra_jobs.uploads import models
from connectra_jobs.uploads.models import MAX_FILE_BYTES, MAX_PART_BYTES, MAX_PARTS, MIN_PART_BYTES

MAX_FILENAME_CHARS = 200
MAX_KEY_BYTES = 1024  # of S3
# Stores that keep objects as files allow so much between two slashes of a key.
MAX_SEGMENT_BYTES = 255
MAX_URLS = 1000


class CreateUploadBody(Request):
    """Body of `POST /common/uploads`."""

    filename: Annotated[str, Field(description="Name without a path; the end of the key.")]
    size_bytes: (
        Annotated[
            int, Field(ge=0, le=MAX_FILE_BYTES, description="Size of the whole file; checked when it is complete.")
        ]
        | None
    ) = None
    part_size: (
        Annotated[
            int,
            Field(
                ge=MIN_PART_BYTES,
                le=MAX_PART_BYTES,
                description="Bytes of every part but the last. By default the service chooses: 16 MiB, more for files beyond 156 GiB.",
            ),
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.size_bytes and self.part_size and self.size_bytes > self.part_size * MAX_PARTS:
            least = max(MIN_PART_BYTES, -(-self.size_bytes // MAX_PARTS))
            raise ValueError(
                f"part_size: a file has at most {MAX_PARTS:,} parts; for this size_bytes they need {least:,} bytes or more"
            )
        return self

    @property
    def chosen_part_size(self) -> int:
        """As given, or the usual one for the size."""
        return self.part_size or models.part_size_of(self.size_bytes)


class CreateUploadPartUrlsBody(Request):
    """Body of `POST /common/uploads/{upload_id}/parts`."""

    part_numbers: Annotated[
        list[Annotated[int, Field(ge=1, le=MAX_PARTS)]],
        Field(min_length=1, max_length=MAX_URLS, description="Which parts, from 1."),
        at_most(MAX_URLS, "parts"),
    ]

    @field_validator("part_numbers")
    @classmethod
    def _distinct(cls, numbers: list[int]) -> list[int]:
        if len(set(numbers)) < len(numbers):
            raise ValueError("must not name a part twice")
        return numbers


def check_filename(filename: str, key: str) -> str:
    """A file name that can stand in an object key.

    Args:
        filename: as given.
        key: the key that it would have.

    Raises:
        ValidationFailed: empty, too long, or with what a name does not have.
    """
    problem = None
    segment, whole = len(key.rpartition("/")[2].encode()), len(key.encode())
    if not filename.strip():
        problem = "filename: must not be empty"
    elif len(filename) > MAX_FILENAME_CHARS:
        problem = f"filename: at most {MAX_FILENAME_CHARS} characters are allowed"
    elif "/" in filename or "\\" in filename:
        problem = "filename: a name without a path is expected; '/' and '\\' are not allowed"
    elif filename.startswith("."):
        problem = "filename: must not begin with a dot"
    elif any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in filename):
        problem = "filename: control characters are not allowed"
    elif (over := max(segment - MAX_SEGMENT_BYTES, whole - MAX_KEY_BYTES)) > 0:
        size = len(filename.encode())
        problem = f"filename: has {size} bytes in UTF-8; at most {max(size - over, 0)} are allowed"
    if problem:
        raise ValidationFailed.of([FieldViolation("filename", problem)])
    return filename
