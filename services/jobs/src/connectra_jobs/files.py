"""How a file of a job is called where somebody saves it."""

import re
from urllib.parse import quote

from connectra_common.records.fields import COMPANY, SERVICES

from connectra_jobs.models import FileKind, Job

_UPLOAD = re.compile(r"^[0-9a-f-]{36}_")
_ENDING = re.compile(r"(\.(csv|tsv|txt|xlsx))?(\.gz)?$", re.IGNORECASE)


def file_name(job: Job, kind: FileKind, key: str) -> str:
    """`people.csv`, as it was uploaded; `people.rejected.csv`; `contacts-2026-11-23.csv.gz`.

    Args:
        job: that read or wrote it.
        kind: what it is to the job.
        key: of the object.
    """
    name = key.rpartition("/")[2]
    if kind == "source":
        return _UPLOAD.sub("", name)
    ending = name.removeprefix(f"{job.uuid}.")
    if kind == "result":
        records = "companies" if SERVICES.get(str(job.data.get("service"))) is COMPANY else "contacts"
        return f"{records}-{job.created_at:%Y-%m-%d}.{ending}"
    source = file_name(job, "source", str(job.data.get("s3_key")))
    return f"{_ENDING.sub('', source)}.{ending}"


def disposition(job: Job, kind: FileKind, key: str) -> str:
    """The header that makes a browser save the file under its name, and never show it."""
    name = file_name(job, kind, key)
    plain = re.sub(r"[^ !#-\[\]-~]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
