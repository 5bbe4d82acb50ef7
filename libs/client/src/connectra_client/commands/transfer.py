"""`connectra import` and `connectra export`: files in and out, by background jobs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from connectra_client.commands.options import ApiKey, Entity, Url, Where, read_where, split_columns
from connectra_client.connection import find_connection
from connectra_client.display import console, show_job, transfer_bar, watch_job
from connectra_client.errors import ApiError, ClientError
from connectra_client.rest import Json, RestClient

IMPORT, EXPORT = "insert_csv_file", "export_csv_file"


class Format(StrEnum):
    """What an exported file looks like."""

    CSV = "csv"
    NDJSON = "ndjson"


def import_file(
    file: Annotated[
        Path,
        typer.Argument(help="CSV file with a header line.", metavar="FILE", exists=True, dir_okay=False, readable=True),
    ],
    watch: Annotated[bool, typer.Option(help="Wait for the end and show the result.")] = True,
    rejected: Annotated[
        Path | None,
        typer.Option(help="Where rows go that cannot be read; beside FILE by default.", dir_okay=False, metavar="FILE"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and report only; store nothing.")] = False,
    max_rejected: Annotated[
        str | None,
        typer.Option(help="More rejected rows make it fail: a number, or a share such as 2.5%.", metavar="N|P%"),
    ] = None,
    retries: Annotated[int, typer.Option(help="How often the job may be tried again.", min=0)] = 0,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Import contacts and their companies from a CSV file, gzip or not.

    Rows that cannot be read are left out and written to a file of their own, with line and reason. Importing a file
    twice changes nothing.
    """
    data: Json = {"validate_only": True} if dry_run else {}
    if max_rejected is not None:
        data["max_rejected"] = read_max_rejected(max_rejected)
    with RestClient(find_connection(url, api_key)) as client:
        uuid = start_import(client, file, retries, data)
        if not watch:
            console.print(f"job {uuid} is under way: `connectra job watch {uuid}` shows it", soft_wrap=True)
            return
        job = watch_job(client, uuid)
        show_job(job)
        if (job.get("job_response") or {}).get("rejected_s3_key"):
            name = f"{file.name.removesuffix('.gz').removesuffix('.csv')}.rejected.csv"
            _fetch(client, job, "rejected", rejected or file.with_name(name))
        require_completed(job)


def export(
    entity: Annotated[Entity, typer.Argument(help="What to export.")],
    columns: Annotated[str, typer.Option("--columns", "-c", help="Columns of the file, by comma.", metavar="A,B")],
    out: Annotated[Path, typer.Option("--output", "-o", help="The file to write.", dir_okay=False, metavar="FILE")],
    where: Where = None,
    format: Annotated[Format | None, typer.Option(help="Of the file; by its name when not given.")] = None,
    gzip: Annotated[
        bool | None, typer.Option("--gzip/--no-gzip", help="Compress; by the file's name when not given.")
    ] = None,
    keep_formulas: Annotated[
        bool, typer.Option("--keep-formulas", help="Do not mark what a spreadsheet would take for a formula with a '.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Export all contacts or companies that match, as a CSV file or as JSON lines.

    Columns of a contact's company are named company.name and so on. -o people.ndjson.gz says format and compression by itself.
    """
    if not out.parent.is_dir():
        raise ClientError(f"there is no folder {out.parent}")
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
    """Members of the job data that say what the file looks like: as asked, else by its name."""
    packed = out.suffix == ".gz" if gzip is None else gzip
    suffix = Path(out.stem).suffix if out.suffix == ".gz" else out.suffix
    if format is None:
        format = Format.NDJSON if suffix in (".ndjson", ".jsonl") else Format.CSV
    options: Json = {} if format is Format.CSV else {"format": format.value}  # what is not said is the server's default
    return {**options, "gzip": True} if packed else options


def read_max_rejected(text: str) -> int | float:
    """`10` rows, or `2.5%` of them.

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
    raise ClientError(f"--max-rejected {text}: a number of rows such as 10, or a share such as 2.5% is expected")


def start_import(client: RestClient, file: Path, retries: int = 0, data: Json | None = None) -> str:
    """Upload a file and start the job that imports it, with further members of its data; returns the job's uuid."""
    with transfer_bar("uploading", file.stat().st_size) as moved:
        key = client.upload(file, moved)
    return client.create_job(IMPORT, {"s3_key": key, **(data or {})}, retries)


def _fetch(client: RestClient, job: Json, kind: str, out: Path) -> None:
    """Download a file that a job made: `result` or `rejected`.

    Raises:
        ClientError: the server does not say where it is, or `out` cannot be written.
    """
    try:
        found = next((file for file in client.job_files(job["uuid"]) if file["kind"] == kind), None)
    except ApiError as error:
        raise ClientError(f"the {kind} file of job {job['uuid']} cannot be fetched: {error}") from error
    if found is None:
        raise ClientError(f"the server has no {kind} file of job {job['uuid']}")
    with transfer_bar("fetching", int(found["size_bytes"])) as moved:
        client.download(found["download_url"], out, moved)
    console.print(f"written to {out}", soft_wrap=True)


def require_completed(job: dict[str, Any]) -> None:
    """End with exit code 1 unless the job did its work."""
    if job["status"] != "completed":
        raise typer.Exit(1)
