"""Where jobs may read and write."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from connectra_common.errors import FieldViolation, listed
from connectra_common.settings import S3Settings

from connectra_jobs.settings import FileSettings


@dataclass(frozen=True, slots=True)
class Places:
    """The service's own bucket, and others that the operator named.

    Args:
        bucket: the own one.
        others: what imports may read and exports may write besides it.
        prefixes: folders of the own bucket outside of which no import reads; none: it reads everywhere.
    """

    bucket: str
    others: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    @classmethod
    def of(cls, s3: S3Settings, files: FileSettings) -> Self:
        """As the settings name them."""
        folders = [f"{prefix.strip('/')}/" for prefix in _split(files.import_prefixes)]
        return cls(s3.bucket, tuple(_split(files.other_buckets)), tuple(folders))

    def bucket_of(self, data: Mapping[str, object]) -> str:
        """The bucket that a job names, or the own one."""
        return str(data.get("s3_bucket") or self.bucket)

    def allows(self, bucket: str) -> bool:
        """Whether jobs may use a bucket."""
        return bucket in (self.bucket, *self.others)

    def violations(self, bucket: str | None, key: str | None = None, prefix: str = "") -> list[FieldViolation]:
        """What a job names that it may not use.

        Args:
            bucket: None: the own one.
            key: what an import reads; None: the job reads nothing.
            prefix: of the fields' names.
        """
        if not self.allows(bucket or self.bucket):
            allowed = listed((self.bucket, *self.others))
            return [FieldViolation.at(f"{prefix}s3_bucket", f"jobs may not use this bucket; allowed: {allowed}")]
        if key and self.prefixes and (bucket or self.bucket) == self.bucket and not key.startswith(self.prefixes):
            allowed = listed(self.prefixes)
            return [FieldViolation.at(f"{prefix}s3_key", f"imports may not read here; keys begin with {allowed}")]
        return []


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip().strip("/")]
