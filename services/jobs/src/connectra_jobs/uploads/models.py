"""What an upload is: a file that a client sends to the object store, by one PUT or in parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

MIB = 1024 * 1024
# Of S3.
MAX_PARTS = 10_000
MIN_PART_BYTES = 5 * MIB  # but for the last
MAX_PART_BYTES = 5 * 1024 * MIB
MAX_FILE_BYTES = 5 * 1024 * 1024 * MIB
# Large enough for 156 GiB, small enough to be sent again when a connection breaks.
USUAL_PART_BYTES = 16 * MIB
# Of a file whose size is not told: 625 GiB.
UNTOLD_PART_BYTES = 64 * MIB
# Numbers of parts in the details of an error.
MAX_NUMBERS = 100


@dataclass(frozen=True, slots=True)
class Upload:
    """A row of the table `uploads`.

    Args:
        uuid: also in the key.
        client: that began it; nobody else may go on with it.
        store_id: the object store's name of an upload in parts; None: one PUT.
        size_bytes: of the whole file, if the client told.
        part_size: bytes of every part but the last; None: one PUT.
        completed_at: when its parts became an object.
    """

    uuid: str
    client: str
    bucket: str
    s3_key: str
    store_id: str | None
    size_bytes: int | None
    part_size: int | None
    created_at: datetime
    completed_at: datetime | None

    @property
    def part_count(self) -> int | None:
        """How many parts the file has; None when its size was not told. An empty file has one, which is empty."""
        if self.size_bytes is None or self.part_size is None:
            return None
        return max(1, -(-self.size_bytes // self.part_size))


@dataclass(frozen=True, slots=True)
class UploadUrl:
    """Where a whole file can be put."""

    url: str
    s3_key: str
    expires_in_hours: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the store has."""

    part_number: int
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class PartUrl:
    """Where a part can be put."""

    part_number: int
    upload_url: str


def part_size_of(size_bytes: int | None) -> int:
    """The usual size of a part: whole MiB, so that a file of this size has at most 10,000."""
    if size_bytes is None:
        return UNTOLD_PART_BYTES
    return max(USUAL_PART_BYTES, -(-size_bytes // (MAX_PARTS * MIB)) * MIB)


def _omitted(numbers: Sequence[int]) -> dict[str, object]:
    more = len(numbers) - MAX_NUMBERS
    return {"omitted": more} if more > 0 else {}


def problems(upload: Upload, parts: Sequence[Part]) -> Iterator[tuple[str, dict[str, object]]]:
    """Why an upload with these parts, in order, cannot be completed: in words, and in figures."""
    present = {part.part_number for part in parts}
    last = upload.part_count or max(present, default=1)
    missing = [number for number in range(1, last + 1) if number not in present]
    if missing:
        named = ", ".join(map(str, missing[:10])) + (f" and {len(missing) - 10:,} more" if len(missing) > 10 else "")
        some = f"part {named} is" if len(missing) == 1 else f"parts {named} are"
        yield f"{some} missing", {"missing": missing[:MAX_NUMBERS], **_omitted(missing)}
        return
    if small := [part.part_number for part in parts[:-1] if part.size_bytes < MIN_PART_BYTES]:
        yield (
            f"part {small[0]} has less than 5 MiB, which only the last part may have",
            {"too_small": small[:MAX_NUMBERS], **_omitted(small)},
        )
    sent = sum(part.size_bytes for part in parts)
    if upload.size_bytes is not None and sent != upload.size_bytes:
        text = f"the parts have {sent:,} bytes together; the file was announced with {upload.size_bytes:,}"
        yield text, {"sent_bytes": sent, "size_bytes": upload.size_bytes}
