"""What the commands print: colours and progress bars on a terminal, plain lines otherwise.

What was asked for goes to stdout, everything that is said about it to stderr: stdout can be piped.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from connectra_client.errors import ClientError
from connectra_client.rest import Job, RestClient
from connectra_client.retrying import waits

# Between two looks at a job: short at first, for jobs that end at once. 20 looks in the first minute, then 15 a minute: the rate
# limit of a client is 60 by default, and others may use the same key.
_POLL_SECONDS, _LONGEST_POLL_SECONDS, _POLL_GROWTH = 0.3, 4.0, 1.3
# How long watch_job waits for a server that has stopped answering.
_AWAY_SECONDS = 120

# Nothing is wrapped or cut that no terminal shows.
_PIPE_WIDTH = 10_000
console = Console(highlight=False, emoji=False)
words = Console(stderr=True, highlight=False, emoji=False)
for one in (console, words):
    if not one.is_terminal:
        one.width = _PIPE_WIDTH

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
# Members whose values identify something, the width below which other columns are of no use, and what is between columns.
_IDS, _LEAST_WIDTH, _GAP = frozenset({"uuid", "company_id"}), 12, 2
# Of rows and problems in a preview.
_PREVIEWED_ROWS = 5
# Members of job_response that have a line in the table, in this order.
_COUNTS = (
    *("rows", "companies", "contacts", "created", "updated", "unchanged", "merged", "rejected", "left_out"),
    *("bytes", "seconds"),
)


class _RowsColumn(ProgressColumn):
    """Rows so far, and rows per second."""

    def render(self, task: Task) -> Text:
        rows = int(task.fields.get("rows") or 0)
        speed = rows / task.elapsed if task.elapsed and rows else 0
        return Text(f"{rows:,} rows" + (f"  {speed:,.0f} rows/s" if speed else ""), style="progress.data.speed")


@contextmanager
def transfer_bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar for bytes.

    Args:
        label: what is done: `uploading`, `fetching`.
        total: number of bytes to move.

    Yields:
        A function to be called with the number of bytes just moved.
    """
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=words, disable=not words.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda moved: bar.advance(task, moved)
        bar.update(task, completed=total)


def watch_job(client: RestClient, uuid: str, *, timeout: float | None = None) -> Job:
    """Show a job's progress until it has ended and what it stored can be found, and return it as it is then.

    A failed job with a retry to come has not ended. Once the server has answered, it may be away for up to two minutes. Ctrl-C
    leaves the job running and prints how to return to it.

    Args:
        client: connection to the server that runs the job.
        uuid: of the job.
        timeout: seconds to wait for the end; None waits without limit.

    Raises:
        ApiError: the server has no such job, or refused for another reason.
        Unreachable: the server cannot be reached at first, or has been away for too long.
        ClientError: the job has not ended after `timeout` seconds.
    """
    if not words.is_terminal:
        hint(f"waiting for job {uuid}")
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=18),
        _RowsColumn(),
        TimeElapsedColumn(),
        TextColumn("so far,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    try:
        with Progress(*columns, console=words, disable=not words.is_terminal) as bar:
            return _follow(client, uuid, timeout, bar)
    except KeyboardInterrupt:
        hint(
            f"\nthe job keeps running: `connectra jobs watch {uuid}` shows it again,"
            f" `connectra jobs cancel {uuid}` ends it"
        )
        raise


def hint(text: str) -> None:
    """Say something on stderr: what has been done, or how to go on."""
    words.print(escape(text), soft_wrap=True)


def show_notes(answer: Mapping[str, Any]) -> None:
    """Say on stderr what an answer says besides its data: words that were searched for instead of those typed wrong, and warnings."""
    if meant := answer.get("did_you_mean"):
        hint(f"did you mean: {meant}")
    for warning in answer.get("warnings") or ():
        named = not warning["field"] or warning["message"].startswith(warning["field"])
        hint(f"warning: {warning['message'] if named else warning['field'] + ': ' + warning['message']}")


def _follow(client: RestClient, uuid: str, timeout: float | None, bar: Progress) -> Job:
    task = bar.add_task("waiting", total=None, rows=0, start=False)
    deadline = time.monotonic() + timeout if timeout else None
    answered: float | None = None
    for pause in waits(_POLL_SECONDS, _LONGEST_POLL_SECONDS, _POLL_GROWTH):
        wait = pause
        try:
            job = client.job(uuid)
        except ClientError as error:
            if error.retry_after:  # the limit is used up, by this client or by others with its key
                answered = time.monotonic()
            if not error.transient or answered is None or time.monotonic() - answered > _AWAY_SECONDS:
                raise
            wait = max(pause, error.retry_after)
            bar.update(task, description="no answer")
        else:
            answered = time.monotonic()
            _show_progress(bar, task, job)
            if has_ended(job) and job["job_response"].get("searchable", True):
                return job
            if deadline and answered > deadline:
                raise ClientError(f"job {uuid} has not ended after {timeout:.0f} s; it is {job['status']}")
        time.sleep(wait)
    raise AssertionError


def _show_progress(bar: Progress, task: TaskID, job: Job) -> None:
    progress = job["progress"]
    if job["status"] not in ("open", "in_queue"):
        bar.start_task(task)
    unit = "bytes" if progress.get("total_bytes") else "rows"  # the size of an export is not known in advance
    total, done = progress.get(f"total_{unit}") or None, progress.get(unit) or 0
    if job["status"] == "completed":
        total = done = total or 1
    stored = has_ended(job) and not job["job_response"].get("searchable", True)
    bar.update(
        task,
        description="indexing" if stored else job["status"],
        total=total,
        completed=done,
        rows=progress.get("rows"),
    )


def has_ended(job: Job) -> bool:
    """Whether the server will not run it again unless someone asks: completed, or failed without a retry to come.

    `attempts` says nothing about that: it also counts runs that were lost with their worker, which use up no retry.
    """
    return job["status"] == "completed" or (job["status"] == "failed" and job["run_after"] is None)


def state_of(job: Job) -> str:
    """Its status, but that a failed job which somebody cancelled is `cancelled`."""
    cancelled = job["status"] == "failed" and str(job["job_response"].get("messages", "")).startswith("Cancelled")
    return "cancelled" if cancelled else job["status"]


def file_of(job: Job) -> str:
    """The file that an import reads, under its own name, or that an export has written; "" as long as there is none."""
    key = job["data"].get("s3_key") or job["job_response"].get("s3_key") or ""
    return re.sub(r"^[0-9a-f-]{36}_", "", key.rpartition("/")[2])


def show_job(job: Job, where: Console | None = None) -> None:
    """Print what a job does, how far it is, and what came of it: counts, messages, errors, and where its files are.

    Args:
        job: as the server reports it.
        where: `words`, where the job is not what was asked for; stdout by default.
    """
    response, progress = job["job_response"], job["progress"]
    state = state_of(job)
    colour = {"completed": "green", "failed": "red", "cancelled": "red"}.get(state, "yellow")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("job", job["uuid"])
    table.add_row("type", escape(job["job_type"]))
    table.add_row("status", f"[{colour}]{escape(state)}[/]")
    if name := file_of(job):
        table.add_row("file", escape(name))
    table.add_row("created", job["created_at"][:19])
    if has_ended(job):
        table.add_row("ended", job["updated_at"][:19])
    if job["attempts"] > 1:
        table.add_row("runs", str(job["attempts"]))
    if job["run_after"]:
        table.add_row("next run", job["run_after"][:19])
    for name in _COUNTS:
        value = response.get(name, progress.get(name))
        if value is not None:
            table.add_row(name, f"{value:,}" if isinstance(value, int) else escape(str(value)))
    if (total := progress.get("total_bytes")) and not has_ended(job):
        table.add_row("of bytes", f"{total:,}")
    if response.get("unknown_columns"):
        table.add_row("left out", f"[yellow]unknown columns: {escape(text_of(response['unknown_columns']))}[/]")
    if response.get("messages"):
        table.add_row("messages", escape(text_of(response["messages"])))
    for error in response.get("runtime_errors") or ():
        table.add_row("error", f"[red]{escape(str(error))}[/]")
    if response.get("s3_key"):
        table.add_row("result at", escape(response["s3_key"]))
    if response.get("rejected_s3_key"):
        table.add_row("rejected at", f"[yellow]{escape(response['rejected_s3_key'])}[/]")
    if response.get("left_out_s3_key"):
        table.add_row("cells at", f"[yellow]{escape(response['left_out_s3_key'])}[/]")
    (where or console).print(table)


def show_preview(found: Mapping[str, Any]) -> None:
    """Print what an import would make of a file: what its columns mean, its first rows, and what is wrong."""
    shape = found["shape"]
    delimiter = _DELIMITERS.get(shape["delimiter"], shape["delimiter"])
    parts = [shape["format"], *(["gzip"] if shape["gzip"] else []), shape["encoding"], f"delimiter {delimiter}"]
    console.print(f"{', '.join(parts)}; header in line {shape['header_line']}", soft_wrap=True, markup=False)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in ("column", "fills", "how sure", "values"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=40)
    for column in found["columns"]:
        target = f"[green]{escape(column['target'])}[/]" if column["target"] else "[yellow]-[/]"
        sure = column["confidence"] or (f"used instead: {column['instead']}" if column["instead"] else "")
        table.add_row(escape(column["header"]), target, escape(sure), escape(" | ".join(column["samples"])))
    console.print(table)
    for row in found["rows"][:_PREVIEWED_ROWS]:
        for kind in ("contact", "company"):
            if record := row[kind]:
                values = ", ".join(f"{name}={text_of(value)}" for name, value in record.items())
                console.print(f"line {row['line']}  {kind}: {values}", soft_wrap=True, markup=False)
    sample, problems = found["sample"], found["problems"]
    for rejected in problems["rejected_rows"][:_PREVIEWED_ROWS]:
        console.print(f"[red]line {rejected['line']} is rejected:[/] {escape(rejected['reason'])}", soft_wrap=True)
    for cell in problems["left_out_cells"][:_PREVIEWED_ROWS]:
        text = f"{cell['column']} {cell['value']!r}: {cell['reason']}"
        console.print(f"[yellow]line {cell['line']} without[/] {escape(text)}", soft_wrap=True)
    if problems["unknown_columns"]:
        names = escape(text_of(problems["unknown_columns"]))
        console.print(
            f'[yellow]not understood:[/] {names} (--map "COLUMN=FIELD" says what a column means)', soft_wrap=True
        )
    seen = "" if sample["whole_file"] else " at the beginning of the file"
    console.print(
        f"{sample['rows']:,} rows{seen}: {sample['rejected']:,} rejected, {sample['left_out']:,} cells left out",
        soft_wrap=True,
    )


def show_rows(records: Sequence[Mapping[str, Any]], columns: Sequence[str], *, droppable: bool = True) -> None:
    """Print these members of the records as a table that fits the terminal, one line per record.

    Ids and headers are never cut. Where there is no room for all columns, the last ones are left out and named on stderr, or, if none
    may be dropped, each record is printed as a list of its members.
    """
    cells = [[text_of(record.get(name)).replace("\n", " ") for name in columns] for record in records]
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    least = [
        width if name in _IDS else max(cell_len(name), min(width, _LEAST_WIDTH))
        for name, width in zip(columns, widths, strict=True)
    ]
    shown = len(columns)
    while shown > 1 and sum(least[:shown]) + _GAP * (shown - 1) > console.width:
        shown -= 1
    if shown < len(columns) and not droppable:
        for row in cells:
            show_fields(dict(zip(columns, row, strict=True)))
            console.print()
        return
    fit = fitted(widths[:shown], console.width - _GAP * (shown - 1), least[:shown])
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for name, width in zip(columns, fit, strict=False):
        table.add_column(name, width=width, no_wrap=True, overflow="ellipsis")
    for row in cells:
        table.add_row(*map(escape, row[:shown]))
    console.print(table)
    if hidden := columns[shown:]:
        hint(f"no room for {', '.join(hidden)}: -o json shows all, --columns those that you name")


def show_fields(record: Mapping[str, Any]) -> None:
    """Print a record as a list of its members."""
    table = Table(box=None, show_header=False, padding=(0, _GAP, 0, 0), pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in record.items():
        table.add_row(escape(name), escape(text_of(value)))
    console.print(table)


def fitted(widths: Sequence[int], available: int, least: Sequence[int]) -> list[int]:
    """Column widths that fit: the widest columns shrink first.

    Args:
        widths: the wanted width of every column, in cells.
        available: their sum at most, as far as `least` allows.
        least: the width of every column below which it does not shrink.
    """
    fit = list(widths)
    while sum(fit) > available:
        shrinkable = [position for position in range(len(fit)) if fit[position] > least[position]]
        if not shrinkable:
            break
        fit[max(shrinkable, key=fit.__getitem__)] -= 1
    return fit


def text_of(value: Any) -> str:
    """A value of a record as people read it."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(text_of(one) for one in value)
    if isinstance(value, dict):
        return str(value.get("name") or value)
    return str(value)
