"""`connectra import` and `connectra export`: files in and out, through background jobs."""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from uuid import uuid4

import typer

from connectra_client.commands.options import (
    Alike,
    ApiKey,
    Entity,
    Profile,
    Url,
    Where,
    conditions,
    connect,
    split_columns,
)
from connectra_client.commands.search import COLUMNS, Text
from connectra_client.display import hint, show_job, show_preview, transfer_bar, watch_job, words
from connectra_client.errors import ApiError, ClientError
from connectra_client.exit_codes import ExitCode
from connectra_client.mapping import preview as preview_file
from connectra_client.mapping import read_mapping, save_mapping
from connectra_client.output import AsJson, Output, format_of, show_json, show_record
from connectra_client.output import Format as OutputFormat
from connectra_client.rest import Job, JobFile, Json, RestClient

IMPORT, EXPORT = "insert_csv_file", "export_csv_file"
# What stands for stdin and stdout, and how the file is named that stdin becomes.
_DASH, _STDIN = "-", "stdin.csv"


class Format(StrEnum):
    """Format of an exported file."""

    CSV = "csv"
    NDJSON = "ndjson"


def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV file or Excel workbook with a header line; - reads stdin.",
            metavar="FILE",
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
    output: Output = OutputFormat.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """Import contacts and their companies from a CSV file, plain or gzip, or from an Excel workbook.

    Columns are understood by their names, also those of many other tools: --preview shows how, --map decides.
    Rows that cannot be imported are skipped and written to a separate file, with line number and reason. Importing a
    file twice changes nothing. A file of more than 64 MiB is sent in parts: if that is interrupted, the message says how
    to go on with --resume.

    Examples:
        connectra import people.csv --preview
        connectra import people.csv --map "Rank=title" --map "Notes=" --max-rejected 2%
        zcat people.csv.gz | connectra import - --rejected rejected.csv
    """
    data: Json = {"validate_only": True} if dry_run else {}
    if max_rejected is not None:
        data["max_rejected"] = read_max_rejected(max_rejected)
    reading: Json = {"encoding": encoding} if encoding else {}
    if columns := read_mapping(mapping, map or ()):
        reading["columns"] = columns
    data |= reading
    format = format_of(output, as_json)
    with _input(file) as source, connect(url, api_key, profile) as client:
        if preview or save:
            found = preview_file(client, source, reading)
            if save:
                save_mapping(save, found["columns"])
                hint(f"saved to {save}")
            if preview:
                if format is OutputFormat.TABLE:
                    show_preview(found)
                else:
                    show_json(found)
                return
        # The key of the server is not repeated: it does not belong on a screen.
        options = {"--rejected": rejected, "--dry-run": dry_run, "--max-rejected": max_rejected, "--map": map,
                   "--mapping": mapping, "--encoding": encoding, "--retries": retries, "--no-watch": not watch,
                   "--url": url, "--profile": profile}  # fmt: skip
        uuid = start_import(client, source, retries, data, resume, typed=[str(file), *_typed(options)])
        if not watch:
            show_record({"uuid": uuid}, format)
            hint(f"job {uuid} has been created: `connectra jobs watch {uuid}` shows its progress")
            return
        job = watch_job(client, uuid)
        if format is OutputFormat.TABLE:
            show_job(job)
        else:
            show_record(job, format)
        beside = Path(_STDIN) if str(file) == _DASH else file
        stem = beside.name.removesuffix(".gz").removesuffix(".csv")
        if number := job["job_response"].get("rejected"):
            hint(f"{number:,} of {job['job_response'].get('rows', 0):,} rows were rejected")
        if job["job_response"].get("rejected_s3_key"):
            fetch_file(client, job, "rejected", rejected or beside.with_name(f"{stem}.rejected.csv"))
        if job["job_response"].get("left_out_s3_key"):
            fetch_file(client, job, "left_out", beside.with_name(f"{stem}.left_out.csv"))
        require_completed(job)


def _typed(options: Mapping[str, Any]) -> Iterator[str]:
    """The words of a command line that say these options; those without a value are left out."""
    for name, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            if one is True:
                yield name
            elif one:
                yield from (name, str(one))


@contextmanager
def _input(file: Path) -> Iterator[Path]:
    """A file, or what comes from stdin as one: its size has to be known before it is sent."""
    if str(file) != _DASH:
        if not file.is_file():
            raise typer.BadParameter(f"there is no file {file}", param_hint="FILE")
        yield file
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / _STDIN
        with copy.open("wb") as out:
            shutil.copyfileobj(sys.stdin.buffer, out)
        yield copy


def export(
    entity: Annotated[Entity, typer.Argument(help="What to export.")],
    text: Text = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns", "-c", help="Columns of the file, separated by commas; those of `search`.", metavar="A,B"
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--output", "-o", help="The file to write; - is stdout.", dir_okay=False, metavar="FILE"),
    ] = Path("-"),
    alike: Alike = None,
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
    profile: Profile = None,
) -> None:
    """Export all contacts or companies that match, as CSV or JSON lines, to a file or to stdout.

    Columns of a contact's company are named company.name and so on. The name of the file decides its format and
    compression: -o people.ndjson.gz.

    Examples:
        connectra export contacts -c first_name,last_name,email,company.name -o people.csv
        connectra export contacts "sales berlin" -o people.ndjson.gz
        connectra export companies -c name,website -w @where.json | head
    """
    if not out.parent.is_dir():
        raise ClientError(f"the folder {out.parent} does not exist")
    vql: Json = {"select_columns": split_columns(columns) or COLUMNS[entity], **conditions(text, where, alike)}
    data: Json = {"service": entity.service, "vql": vql, **file_options(out, format, gzip)}
    if keep_formulas:
        data["keep_formulas"] = True
    with connect(url, api_key, profile) as client:
        uuid = client.create_job(EXPORT, data, idempotency_key=f"export-{uuid4()}")
        job = watch_job(client, uuid)
        show_job(job, words)
        require_completed(job)
        try:
            fetch_file(client, job, "result", out)
        except (ClientError, KeyboardInterrupt):
            hint(f"\nto fetch it again: connectra jobs fetch {uuid}")
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
    client: RestClient,
    file: Path,
    retries: int = 0,
    data: Json | None = None,
    resume: str | None = None,
    *,
    typed: Sequence[str] = (),
) -> str:
    """Upload a file and create the job that imports it.

    Args:
        client: connection to the server.
        file: CSV file, plain or gzip.
        retries: how many times the job is run again after a failure.
        data: further members of the job data, such as `validate_only`.
        resume: key of an interrupted upload of the file.
        typed: file and options, as the user typed them; by default the file.

    Returns:
        The job's uuid.
    """
    key: str | None = None

    def begun(new: str) -> None:
        nonlocal key
        key = new
        hint(f"key {new}")

    try:
        with transfer_bar("uploading", file.stat().st_size) as moved:
            stored = client.upload(file, moved, begun=begun, resume=resume)
        job_data = {"s3_key": stored, **(data or {})}
        return client.create_job(IMPORT, job_data, retries, idempotency_key=_key_of(job_data, retries))
    except (ClientError, KeyboardInterrupt):
        if key:
            again = shlex.join(["connectra", "import", *(typed or [str(file)]), "--resume", key])
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


def _download(client: RestClient, uuid: str, file: JobFile, out: Path, *, quiet: bool = False) -> None:
    def renew() -> str:
        return next((f["download_url"] for f in client.job_files(uuid) if f["kind"] == file["kind"]), "")

    with transfer_bar("fetching", file["size_bytes"]) as moved:
        client.download(file["download_url"], out, moved, renew)
    if not quiet:
        hint(f"saved to {out}")


def fetch_file(client: RestClient, job: Job, kind: str, out: Path) -> None:
    """Download a file that a job has written, such as `result` or `rejected`; to stdout if `out` is `-`, or into a pipe or device.

    Raises:
        ClientError: the server does not have it, or `out` cannot be written.
    """
    try:
        found = next((file for file in client.job_files(job["uuid"]) if file["kind"] == kind), None)
    except ApiError as error:
        raise ClientError(f"the {kind} file of job {job['uuid']} cannot be fetched: {error}") from error
    if found is None:
        raise ClientError(f"the server has no {kind} file of job {job['uuid']}")
    stdout = str(out) == _DASH
    if not stdout and (out.is_file() or not out.exists()):
        _download(client, job["uuid"], found, out)
        return
    # By way of a file, as a download can only go on in one after its connection broke.
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "file"
        _download(client, job["uuid"], found, copy, quiet=True)
        with copy.open("rb") as whole, nullcontext(sys.stdout.buffer) if stdout else out.open("wb") as to:
            shutil.copyfileobj(whole, to)
            to.flush()


def require_completed(job: Job) -> None:
    """End the command with the code of a failed job unless the job completed."""
    if job["status"] != "completed":
        raise typer.Exit(ExitCode.JOB_FAILED)
