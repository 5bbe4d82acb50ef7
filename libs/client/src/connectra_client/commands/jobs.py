"""`connectra jobs`: watch and control imports and exports."""

from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from connectra_client.commands.options import ApiKey, Profile, Url, connect
from connectra_client.commands.transfer import EXPORT, IMPORT, fetch_file, fetch_files, require_completed
from connectra_client.display import file_of, hint, show_job, state_of, watch_job
from connectra_client.errors import ClientError
from connectra_client.output import AsJson, Format, Output, format_of, show_record, show_records
from connectra_client.plugins import installed
from connectra_client.rest import Job, Json

app = typer.Typer(
    help="List, show, watch, cancel and retry imports and exports; fetch their files.", no_args_is_help=True
)


class _Kind(StrEnum):
    """What a job does."""

    IMPORT = "import"
    EXPORT = "export"


class _Status(StrEnum):
    """The states of a job; `cancelled` are those of the failed ones that somebody cancelled."""

    OPEN = "open"
    IN_QUEUE = "in_queue"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRY_IN_QUEUED = "retry_in_queued"
    RETRYING = "retrying"


_JOB_TYPES = {_Kind.IMPORT: IMPORT, _Kind.EXPORT: EXPORT}
_KINDS = {job_type: kind.value for kind, job_type in _JOB_TYPES.items()}
_Uuid = Annotated[str, typer.Argument(help="The job's uuid.", metavar="UUID")]


@app.command("list")
def list_jobs(
    status: Annotated[
        list[_Status] | None, typer.Option("--status", "-s", help="Only jobs in this state; repeatable.")
    ] = None,
    kind: Annotated[_Kind | None, typer.Option("--type", "-t", help="Only imports or only exports.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Maximum number of jobs.", min=1)] = 25,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """List jobs, newest first.

    Examples:
        connectra jobs list
        connectra jobs list -s failed -s cancelled -t import
        connectra jobs list -s processing -o name
    """
    wanted = set(status or ())
    asked = {_Status.FAILED if one is _Status.CANCELLED else one for one in wanted}
    format = format_of(output, as_json)

    def shown() -> Iterator[Json]:
        for job in client.jobs(job_type=_JOB_TYPES[kind] if kind else None, statuses=sorted(asked)):
            if not wanted or state_of(job) in wanted:
                yield dict(job) if format is Format.JSON else _row(job)

    with connect(url, api_key, profile) as client:
        columns = ("uuid", "type", "status", "rows", "created", "file")
        if not show_records(islice(shown(), limit), columns, format):
            hint("no jobs")


def _row(job: Job) -> Json:
    return {
        "uuid": job["uuid"],
        "type": _KINDS.get(job["job_type"], job["job_type"]),
        "status": state_of(job),
        "rows": job["job_response"].get("rows") or job["progress"].get("rows"),
        "created": job["created_at"][:19],
        "file": file_of(job),
    }


@app.command()
def show(
    uuid: _Uuid,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Show one job as it is now: what it does, how far it is, what came of it.

    Examples:
        connectra jobs show 6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11
    """
    with connect(url, api_key, profile) as client:
        _tell(client.job(uuid), format_of(output, as_json))


@app.command()
def watch(
    uuid: _Uuid,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Follow a job until it ends. Exit code 8 if it failed; Ctrl-C leaves it running.

    Examples:
        connectra jobs watch 6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11
    """
    with connect(url, api_key, profile) as client:
        job = watch_job(client, uuid)
    _tell(job, format_of(output, as_json))
    require_completed(job)


@app.command()
def fetch(
    uuid: _Uuid,
    source: Annotated[bool, typer.Option("--source", help="The file that an import read.")] = False,
    result: Annotated[bool, typer.Option("--result", help="The file that an export wrote.")] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="The rows that an import rejected.")] = False,
    left_out: Annotated[bool, typer.Option("--left-out", help="The cells that an import left out.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All files of the job, the source included.")] = False,
    folder: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to save them in; - writes one file to stdout.", metavar="DIR")
    ] = Path(),
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Fetch the files of a job again; by default all that it has written.

    A download that was interrupted goes on where it stopped.

    Examples:
        connectra jobs fetch 6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11 -o downloads
        connectra jobs fetch 6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11 --rejected -o - | head
    """
    asked = {"source": source, "result": result, "rejected": rejected, "left_out": left_out}
    kinds = [kind for kind, wanted in asked.items() if wanted]
    with connect(url, api_key, profile) as client:
        if everything:
            kinds = [file["kind"] for file in client.job_files(uuid)]
        if str(folder) == "-":
            if len(kinds) != 1:
                raise typer.BadParameter("-o - takes one file: name it by --result, --rejected, --left-out or --source")
            fetch_file(client, client.job(uuid), kinds[0], folder)
        elif not folder.is_dir():
            raise ClientError(f"the folder {folder} does not exist")
        else:
            fetch_files(client, uuid, kinds or None, folder)


@app.command()
def cancel(uuid: _Uuid, url: Url = None, api_key: ApiKey = None, profile: Profile = None) -> None:
    """Ask a job to stop. What it has stored so far stays.

    Examples:
        connectra jobs cancel 6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11
    """
    with connect(url, api_key, profile) as client:
        client.cancel_job(uuid)
    hint(f"job {uuid} will stop; `connectra jobs show {uuid}` shows when it has")


@app.command()
def retry(
    uuid: Annotated[
        str | None, typer.Argument(help="The job's uuid; without it, a worker for retries runs.", metavar="UUID")
    ] = None,
    watch: Annotated[bool, typer.Option(help="Wait until the job ends and show the result.")] = True,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Run a failed job again now. An import resumes where it stopped.

    Without a UUID it is the process that runs failed jobs again when their time has come, one at once, until SIGTERM.

    Examples:
        connectra jobs retry 6f1c0b52-7c5e-4f0e-9d2b-0c8a0e3b7a11
        connectra jobs retry
    """
    if uuid is None:
        if (work := installed("jobs", "retry")) is None:
            raise typer.BadParameter("the uuid of a job is missing, and the worker for retries is not installed here")
        work()
        return
    with connect(url, api_key, profile) as client:
        client.retry_job(uuid)
        if not watch:
            hint(f"job {uuid} runs again: `connectra jobs watch {uuid}` shows it")
            return
        job = watch_job(client, uuid)
    _tell(job, format_of(output, as_json))
    require_completed(job)


def _tell(job: Job, format: Format) -> None:
    if format is Format.TABLE:
        show_job(job)
    else:
        show_record(job, format)
