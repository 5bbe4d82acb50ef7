"""What the commands show at a terminal; plain lines when it is none."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
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
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from connectra_client.errors import ClientError
from connectra_client.rest import Json, RestClient

_POLL = 0.3
_AWAY_SECONDS = 120
"""So long a server that is away does not end the watching of a job."""
console = Console(highlight=False)
if not console.is_terminal:
    console.width = 200  # a file or a pipe has no edge at which to cut
_errors = Console(stderr=True, highlight=False)

_COUNTS = ("rows", "companies", "contacts", "created", "updated", "unchanged", "rejected", "bytes", "seconds")
"""Members of job_response that have a line in the table, in this order."""


class _RowsColumn(ProgressColumn):
    """Rows so far, and how many a second."""

    def render(self, task: Task) -> Text:
        rows = int(task.fields.get("rows") or 0)
        speed = rows / task.elapsed if task.elapsed and rows else 0
        return Text(f"{rows:,} rows" + (f"  {speed:,.0f} rows/s" if speed else ""), style="progress.data.speed")


@contextmanager
def transfer_bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar for bytes; yields what is to be called with every number of bytes moved."""
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda moved: bar.advance(task, moved)
        bar.update(task, completed=total)


def watch_job(client: RestClient, uuid: str, *, timeout: float | None = None) -> Json:
    """Show a job's progress until it has ended for good, and return it.

    A job that failed and will be retried has not ended. A server that is away for a while, after it has answered once, is waited
    for. Ctrl-C leaves the job running and says how to get back to it.

    Raises:
        ClientError: `timeout` seconds have passed.
    """
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=18),
        _RowsColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    deadline = time.monotonic() + timeout if timeout else None
    answered = None
    if not console.is_terminal:
        console.print(f"waiting for job {uuid}")
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("waiting", total=None, rows=0, start=False)
            while True:
                try:
                    job = client.job(uuid)
                except ClientError as error:
                    if not error.transient or answered is None or time.monotonic() - answered > _AWAY_SECONDS:
                        raise
                    bar.update(task, description="no answer")
                    time.sleep(_POLL)
                    continue
                answered = time.monotonic()
                progress = job.get("progress") or {}
                if job["status"] not in ("open", "in_queue"):
                    bar.start_task(task)
                unit = "bytes" if progress.get("total_bytes") else "rows"  # of an export the bytes are not known before
                total, done = progress.get(f"total_{unit}") or None, progress.get(unit) or 0
                bar.update(task, description=job["status"], total=total, completed=done, rows=progress.get("rows"))
                if has_ended(job):
                    if job["status"] == "completed":
                        bar.update(task, total=total or 1, completed=total or 1)
                    return job
                if deadline and time.monotonic() > deadline:
                    raise ClientError(f"job {uuid} has not ended after {timeout:.0f} s; it is {job['status']}")
                time.sleep(_POLL)
    except KeyboardInterrupt:
        _errors.print(
            f"\nthe job goes on without us: `connectra job watch {uuid}` shows it again,"
            f" `connectra job cancel {uuid}` ends it",
            soft_wrap=True,
        )
        raise


def has_ended(job: Json) -> bool:
    """Whether the server will not run it again unless someone asks: completed, or failed without a retry to come.

    `attempts` says nothing about that: it also counts runs that were lost with their worker, which use up no retry.
    """
    return job["status"] == "completed" or (job["status"] == "failed" and job["run_after"] is None)


def show_job(job: Json) -> None:
    """What came of a job: its counts, messages, errors, and where the rows it refused are."""
    response: Json = job.get("job_response") or {}
    colour = {"completed": "green", "failed": "red"}.get(job["status"], "yellow")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("job", job["uuid"])
    table.add_row("status", f"[{colour}]{escape(job['status'])}[/]")
    for name in _COUNTS:
        if (value := response.get(name)) is not None:
            table.add_row(name, f"{value:,}" if isinstance(value, int) else escape(str(value)))
    if response.get("unknown_columns"):
        table.add_row("left out", f"[yellow]unknown columns: {escape(_text_of(response['unknown_columns']))}[/]")
    if response.get("messages"):
        table.add_row("messages", escape(_text_of(response["messages"])))
    for error in response.get("runtime_errors") or ():
        table.add_row("error", f"[red]{escape(str(error))}[/]")
    if response.get("s3_key"):
        table.add_row("result at", escape(response["s3_key"]))
    if response.get("rejected_s3_key"):
        table.add_row("rejected at", f"[yellow]{escape(response['rejected_s3_key'])}[/]")
    console.print(table)


def show_rows(records: Sequence[Json], columns: Sequence[str]) -> None:
    """These columns of records as a table that fits the terminal, a line a record."""
    cells = [[_text_of(record.get(name)).replace("\n", " ") for name in columns] for record in records]
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    fixed = {position for position, name in enumerate(columns) if name == "uuid"}
    gaps = 2 * (len(columns) - 1)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name, width in zip(columns, fitted(widths, console.width - gaps, fixed), strict=True):
        table.add_column(name, width=width, no_wrap=True, overflow="ellipsis")
    for row in cells:
        table.add_row(*map(escape, row))
    console.print(table)


def fitted(widths: Sequence[int], available: int, fixed: Collection[int] = ()) -> list[int]:
    """Widths that fit: the widest columns give way first, none below 6 and none of the fixed ones."""
    fit = list(widths)
    while sum(fit) > available:
        widest = max(
            (position for position in range(len(fit)) if position not in fixed), key=fit.__getitem__, default=0
        )
        if fit[widest] <= 6:
            break
        fit[widest] -= 1
    return fit


def _text_of(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_text_of(one) for one in value)
    if isinstance(value, dict):
        return str(value.get("name") or value)
    return str(value)
