"""`connectra import` and `connectra export`: files in and out, through background jobs."""

import json
import re
import shlex
from collections.abc import Collection
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.markup import escape

from connectra_client.commands.options import ApiKey, Entity, Url, Where, read_where, split_columns
from connectra_client.connection import find_connection
from connectra_client.display import console, hint, show_job, show_preview, transfer_bar, watch_job
from connectra_client.errors import ApiError, ClientError
from connectra_client.exit_codes import ExitCode
from connectra_client.mapping import preview as preview_file
from connectra_client.mapping import read_mapping, save_mapping
from connectra_client.rest import Job, JobFile, Json, RestClient

IMPORT, EXPORT = "insert_csv_file", "export_csv_file"


class Format(StrEnum):
    """Format of an exported file."""

    CSV = "csv"
    NDJSON = "ndjson"


def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV file or Excel workbook with a header line.",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
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
    preview: Annotated[
        bool, typer.Option("--preview", help="Only show what the columns mean and what the first rows become.")
    ] = False,
    map: Annotated[
        list[str] | None,
        typer.Option(
            help='What a column means, e.g. "Job Title=title"; "Notes=" leaves it out. Repeatable.',
            metavar="COLUMN=FIELD",
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="File that --save-mapping wrote.", exists=True, dir_okay=False, metavar="FILE"),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save-mapping", help="Save what the columns mean as JSON.", dir_okay=False, metavar="FILE"),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(help="Encoding of FILE, such as windows-1252; found out by default.", metavar="NAME"),
    ] = None,
    retries: Annotated[int, typer.Option(help="How many times a failed job is retried.", min=0)] = 0,
    resume: Annotated[
        str | None,
        typer.Option(help="Key of an interrupted upload of FILE: only what is missing of it is sent.", metavar="KEY"),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Import contacts and their companies from a CSV file, plain or gzip, or from an Excel workbook.

    Columns are understood by their names, also those of many other tools: --preview shows how, --map decides.
    Rows that cannot be imported are skipped and written to a separate file, with line number and reason. Importing a
    file twice changes nothing. A file of more than 64 MiB is sent in parts: if that is interrupted, the message says how
    to go on with --resume.
    """
    data: Json = {"validate_only": True} if dry_run else {}
    if max_rejected is not None:
        data["max_rejected"] = read_max_rejected(max_rejected)
    reading: Json = {"encoding": encoding} if encoding else {}
    if columns := read_mapping(mapping, map or ()):
        reading["columns"] = columns
    data |= reading
    with RestClient(find_connection(url, api_key)) as client:
        if preview or save:
            found = preview_file(client, file, reading)
            if preview:
                show_preview(found)
            if save:
                save_mapping(save, found["columns"])
                console.print(f"saved to {save}", soft_wrap=True)
            if preview:
                return
        uuid = start_import(client, file, retries, data, resume)
        if not watch:
            console.print(
                f"job {uuid} has been created: `connectra job watch {uuid}` shows its progress", soft_wrap=True
            )
            return
        job = watch_job(client, uuid)
        show_job(job)
        name = file.name.removesuffix(".gz").removesuffix(".csv")
        if job["job_response"].get("rejected_s3_key"):
            _fetch(client, job, "rejected", rejected or file.with_name(f"{name}.rejected.csv"))
        if job["job_response"].get("left_out_s3_key"):
            _fetch(client, job, "left_out", file.with_name(f"{name}.left_out.csv"))
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
        uuid = client.create_job(EXPORT, data, idempotency_key=f"export-{uuid4()}")
        job = watch_job(client, uuid)
        show_job(job)
        require_completed(job)
        try:
            _fetch(client, job, "result", out)
        except (ClientError, KeyboardInterrupt):
            hint(f"\nto fetch it again: connectra job fetch {uuid}")
            raise


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


def start_import(
    client: RestClient, file: Path, retries: int = 0, data: Json | None = None, resume: str | None = None
) -> str:
    """Upload a file and create the job that imports it.

    Args:
        client: connection to the server.
        file: CSV file, plain or gzip.
        retries: how many times the job is run again after a failure.
        data: further members of the job data, such as `validate_only`.
        resume: key of an interrupted upload of the file.

    Returns:
        The job's uuid.
    """
    key = resume

    def begun(new: str) -> None:
        nonlocal key
        key = new
        console.print(f"key {escape(new)}", soft_wrap=True)

    try:
        with transfer_bar("uploading", file.stat().st_size) as moved:
            stored = client.upload(file, moved, begun=begun, resume=resume)
        job_data = {"s3_key": stored, **(data or {})}
        return client.create_job(IMPORT, job_data, retries, idempotency_key=_key_of(job_data, retries))
    except (ClientError, KeyboardInterrupt):
        if key:
            again = shlex.join(["connectra", "import", str(file), "--resume", key])
            hint(f"\nto go on with what was sent: {again}")
        raise


def _key_of(job_data: Json, retries: int) -> str:
    """The same for the same import of the same upload: to ask again makes no second job."""
    return f"import-{sha256(json.dumps([job_data, retries], sort_keys=True).encode()).hexdigest()}"


def fetch_files(client: RestClient, uuid: str, kinds: Collection[str] | None, folder: Path) -> None:
    """Download files of a job under their own names.

    Args:
        client: connection to the server.
        uuid: of the job.
        kinds: such as `result`; None: all that the job has written.
        folder: where to save them.

    Raises:
        ClientError: there are none, or `folder` cannot be written.
    """
    files = client.job_files(uuid)
    wanted = [f for f in files if (f["kind"] in kinds if kinds is not None else f["kind"] != "source")]
    lacking = sorted(set(kinds or ()) - {file["kind"] for file in wanted})
    if lacking or not wanted:
        named = f"{' and no '.join(lacking)} file" if lacking else "file that it has written"
        status = client.job(uuid)["status"]
        why = "files are removed after some time" if status in ("completed", "failed") else f"the job is {status}"
        raise ClientError(f"the server has no {named} of job {uuid}: {why}")
    for file in wanted:
        name = file["s3_key"].rpartition("/")[2]
        if file["kind"] == "source":
            name = re.sub(r"^[0-9a-f-]{36}_", "", name)
        _download(client, uuid, file, folder / name)


def _download(client: RestClient, uuid: str, file: JobFile, out: Path) -> None:
    def renew() -> str:
        return next((f["download_url"] for f in client.job_files(uuid) if f["kind"] == file["kind"]), "")

    with transfer_bar("fetching", file["size_bytes"]) as moved:
        client.download(file["download_url"], out, moved, renew)
    console.print(f"saved to {out}", soft_wrap=True)


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
    _download(client, job["uuid"], found, out)


def require_completed(job: Job) -> None:
    """End the command with the code of a failed job unless the job completed."""
    if job["status"] != "completed":
        raise typer.Exit(ExitCode.JOB_FAILED)
