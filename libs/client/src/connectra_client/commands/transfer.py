"""`connectra import` and `connectra export`: files in and out, through background jobs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from connectra_client.commands.options import ApiKey, Entity, Url, Where, read_where, split_columns
from connectra_client.connection import find_connection
from connectra_client.display import console, show_job, transfer_bar, watch_job
from connectra_client.errors import ApiError, ClientError
from connectra_client.rest import Job, Json, RestClient

IMPORT, EXPORT = "insert_csv_file", "export_csv_file"


class Format(StrEnum):
    """Format of an exported file."""

    CSV = "csv"
    NDJSON = "ndjson"


def import_file(
    file: Annotated[
        Path,
        typer.Argument(help="CSV file with a header line.", metavar="FILE", exists=True, dir_okay=False, readable=True),
    ],
    watch: Annotated[bool, typer.Option(help="Wait until the job ends and show the result.")] = True,
    rejected: Annotated[
        Path | None,
        typer.Option(help="Where to save the rejected rows; next to FILE by default.", dir_okay=False, metavar="FILE"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count and report; store nothing.")] = False,
    max_rejected: Annotated[
        str | None,
        typer.Option(
            help="Fail when more rows than this are rejected: a number, or a share such as 2.5%.", metavar="N|P%"
        ),
    ] = None,
    retries: Annotated[int, typer.Option(help="How many times a failed job is retried.", min=0)] = 0,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Import contacts and their companies from a CSV file, plain or gzip.

    Rows that cannot be imported are skipped and written to a separate file, with line number and reason. Importing a
    file twice changes nothing.
    """
    data: Json = {"validate_only": True} if dry_run else {}
    if max_rejected is not None:
        data["max_rejected"] = read_max_rejected(max_rejected)
    with RestClient(find_connection(url, api_key)) as client:
        uuid = start_import(client, file, retries, data)
        if not watch:
            console.print(
                f"job {uuid} has been created: `connectra job watch {uuid}` shows its progress", soft_wrap=True
            )
            return
        job = watch_job(client, uuid)
        show_job(job)
        if job["job_response"].get("rejected_s3_key"):
            name = f"{file.name.removesuffix('.gz').removesuffix('.csv')}.rejected.csv"
            _fetch(client, job, "rejected", rejected or file.with_name(name))
        require_completed(job)


def export(
    entity: Annotated[Entity, typer.Argument(help="What to export.")],
    columns: Annotated[
        str, typer.Option("--columns", "-c", help="Columns of the file, separated by commas.", metavar="A,B")
    ],
    out: Annotated[Path, typer.Option("--output", "-o", help="The file to write.", dir_okay=False, metavar="FILE")],
    where: Where = None,
    format: Annotated[Format | None, typer.Option(help="Format of the file; derived from its name by default.")] = None,
    gzip: Annotated[
        bool | None, typer.Option("--gzip/--no-gzip", help="Compress the file; derived from its name by default.")
    ] = None,
    keep_formulas: Annotated[
        bool, typer.Option("--keep-formulas", help="Do not prefix with ' what a spreadsheet would take for a formula.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Export all contacts or companies that match, as CSV or JSON lines.

    Columns of a contact's company are named company.name and so on. The name of the file decides its format and
    compression: -o people.ndjson.gz.
    """
    if not out.parent.is_dir():
        raise ClientError(f"the folder {out.parent} does not exist")
    vql: Json = {"select_columns": split_columns(columns)}
    if conditions := read_where(where):
        vql["where"] = conditions
    data: Json = {"service": entity.service, "vql": vql, **file_options(out, format, gzip)}
    if keep_formulas:
        data["keep_formulas"] = True
    with RestClient(find_connection(url, api_key)) as client:
        uuid = client.create_job(EXPORT, data)
        job = watch_job(client, uuid)
        show_job(job)
        require_completed(job)
        _fetch(client, job, "result", out)


def file_options(out: Path, format: Format | None, gzip: bool | None) -> Json:
    """The members of the job data that describe the file: as given, else derived from its name."""
    packed = out.suffix == ".gz" if gzip is None else gzip
    suffix = Path(out.stem).suffix if out.suffix == ".gz" else out.suffix
    if format is None:
        format = Format.NDJSON if suffix in (".ndjson", ".jsonl") else Format.CSV
    options: Json = {} if format is Format.CSV else {"format": format.value}  # CSV is the server's default
    return {**options, "gzip": True} if packed else options


def read_max_rejected(text: str) -> int | float:
    """The value of --max-rejected: a number of rows (`10`), or a share of them (`2.5%` is 0.025).

    Raises:
        ClientError: it is neither.
    """
    try:
        if not text.endswith("%"):
            return int(text)
        share = float(text[:-1]) / 100
    except ValueError:
        share = 0.0
    if 0 < share < 1:
        return share
    raise ClientError(f"--max-rejected {text}: expected a number of rows such as 10, or a share such as 2.5%")


def start_import(client: RestClient, file: Path, retries: int = 0, data: Json | None = None) -> str:
    """Upload a file and create the job that imports it.

    Args:
        client: connection to the server.
        file: CSV file, plain or gzip.
        retries: how many times the job is run again after a failure.
        data: further members of the job data, such as `validate_only`.

    Returns:
        The job's uuid.
    """
    with transfer_bar("uploading", file.stat().st_size) as moved:
        key = client.upload(file, moved)
    return client.create_job(IMPORT, {"s3_key": key, **(data or {})}, retries)


def _fetch(client: RestClient, job: Job, kind: str, out: Path) -> None:
    """Download a file that a job has written: `result` or `rejected`.

    Raises:
        ClientError: the server does not have it, or `out` cannot be written.
    """
    try:
        found = next((file for file in client.job_files(job["uuid"]) if file["kind"] == kind), None)
    except ApiError as error:
        raise ClientError(f"the {kind} file of job {job['uuid']} cannot be fetched: {error}") from error
    if found is None:
        raise ClientError(f"the server has no {kind} file of job {job['uuid']}")
    with transfer_bar("fetching", found["size_bytes"]) as moved:
        client.download(found["download_url"], out, moved)
    console.print(f"saved to {out}", soft_wrap=True)


def require_completed(job: Job) -> None:
    """Exit with code 1 unless the job completed."""
    if job["status"] != "completed":
        raise typer.Exit(1)
