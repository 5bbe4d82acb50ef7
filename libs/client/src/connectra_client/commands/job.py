"""`connectra job`: watch and control imports and exports."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from connectra_client.commands.options import ApiKey, Url
from connectra_client.commands.transfer import EXPORT, IMPORT, fetch_files, require_completed
from connectra_client.connection import find_connection
from connectra_client.display import console, show_job, show_rows, watch_job
from connectra_client.errors import ClientError
from connectra_client.rest import Job, RestClient

app = typer.Typer(help="Show, watch, cancel and retry imports and exports.", no_args_is_help=True)


class _Kind(StrEnum):
    """What a job does."""

    IMPORT = "import"
    EXPORT = "export"


_JOB_TYPES = {_Kind.IMPORT: IMPORT, _Kind.EXPORT: EXPORT}
_Uuid = Annotated[str, typer.Argument(help="The job's uuid.")]


@app.command("list")
def list_jobs(
    status: Annotated[
        list[str] | None, typer.Option("--status", "-s", help="Only jobs in this state; repeatable.")
    ] = None,
    kind: Annotated[_Kind | None, typer.Option("--type", "-t", help="Only imports or only exports.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Maximum number of jobs.", min=1, max=100)] = 25,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """List jobs, newest first."""
    with RestClient(find_connection(url, api_key)) as client:
        jobs = client.jobs(job_type=_JOB_TYPES[kind] if kind else None, statuses=status, limit=limit)
    if not jobs:
        console.print("no jobs")
        return
    columns = ("uuid", "job_type", "status", "rows", "created_at")
    show_rows([{**job, "rows": _rows_of(job), "created_at": job["created_at"][:19]} for job in jobs], columns)


def _rows_of(job: Job) -> str:
    rows = job["job_response"].get("rows") or job["progress"].get("rows")
    return f"{rows:,}" if rows else ""


@app.command()
def show(uuid: _Uuid, url: Url = None, api_key: ApiKey = None) -> None:
    """Show the current state of one job."""
    with RestClient(find_connection(url, api_key)) as client:
        show_job(client.job(uuid))


@app.command()
def watch(uuid: _Uuid, url: Url = None, api_key: ApiKey = None) -> None:
    """Follow a job until it ends. Exit code 8 if it failed; Ctrl-C leaves it running."""
    with RestClient(find_connection(url, api_key)) as client:
        job = watch_job(client, uuid)
    show_job(job)
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
        Path, typer.Option("--output", "-o", help="Folder to save them in.", file_okay=False, metavar="DIR")
    ] = Path(),
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Fetch the files of a job again; by default all that it has written.

    A download that was interrupted goes on where it stopped.
    """
    if not folder.is_dir():
        raise ClientError(f"the folder {folder} does not exist")
    asked = {"source": source, "result": result, "rejected": rejected, "left_out": left_out}
    kinds = [kind for kind, wanted in asked.items() if wanted]
    with RestClient(find_connection(url, api_key)) as client:
        if everything:
            kinds = [file["kind"] for file in client.job_files(uuid)]
        fetch_files(client, uuid, kinds or None, folder)


@app.command()
def cancel(uuid: _Uuid, url: Url = None, api_key: ApiKey = None) -> None:
    """Ask a job to stop. What it has stored so far stays."""
    with RestClient(find_connection(url, api_key)) as client:
        client.cancel_job(uuid)
    console.print(f"job {uuid} will stop; `connectra job show {uuid}` shows when it has", soft_wrap=True)


@app.command()
def retry(
    uuid: _Uuid,
    watch: Annotated[bool, typer.Option(help="Wait until the job ends and show the result.")] = True,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Run a failed job again now. An import resumes where it stopped."""
    with RestClient(find_connection(url, api_key)) as client:
        client.retry_job(uuid)
        if not watch:
            console.print(f"job {uuid} runs again: `connectra job watch {uuid}` shows it", soft_wrap=True)
            return
        job = watch_job(client, uuid)
    show_job(job)
    require_completed(job)
