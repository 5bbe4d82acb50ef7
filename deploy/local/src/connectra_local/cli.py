"""`connectra up | down | status | logs | reset`: the whole suite on this machine."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from connectra_client.output import AsJson, Format, Output, format_of, show_json, show_records
from connectra_gateway.cli import duration
from rich.console import Console
from rich.table import Table
from rich.text import Text

from connectra_local import supervisor
from connectra_local.config import Config
from connectra_local.home import Home, LocalError
from connectra_local.logs import Entry, Level, Wanted, ends
from connectra_local.logs import follow as follow_logs
from connectra_local.parts import NAMES, SINGLE, addresses, build_parts
from connectra_local.processes import Identity, reap
from connectra_local.setup import install_parts
from connectra_local.state import HIDDEN, PartStatus, State, without_secrets

STOP_TIMEOUT = 20.0
START_TIMEOUT = 300.0
POLL = 0.1
_COLOURS = {Level.DEBUG: "dim", Level.INFO: "", Level.WARNING: "yellow", Level.ERROR: "red"}

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def _ago(text: str) -> datetime:
    """A duration until now, or a time; UTC unless it says otherwise."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC) - duration(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once everything is ready.")] = False,
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Use free ports instead of the configured ones.")
    ] = False,
    single: Annotated[
        bool, typer.Option("--single", help="Services for callers and gateway in one process: `connectra api-server`.")
    ] = False,
    only: Annotated[str | None, typer.Option(hidden=True, help="Only these parts, separated by commas.")] = None,
) -> None:
    """Start everything on this machine and keep it running until Ctrl-C.

    Examples:
        connectra up --detach
        connectra up --single --free-ports
    """
    home = Home.find()
    try:
        if detach:
            start_detached(home, only=only, free_ports=free_ports, single=single)
        else:
            supervisor.run(home, only=only, free_ports=free_ports, single=single, echo=echo)
    except supervisor.AlreadyRunningError:
        state = wait_while_starting(home)
        echo(f"already running: {state.connection['gateway']}  (`connectra status`, `connectra down`)")
    except LocalError as error:
        fail(str(error))


def down() -> None:
    """Stop everything, wherever it was started, and wait until it has ended.

    Examples:
        connectra down
    """
    try:
        stop(Home.find(), echo)
    except LocalError as error:
        fail(str(error))


def status(
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Show the API key and the passwords of the stores as well.")
    ] = False,
) -> None:
    """Show the parts, their restarts and addresses. Exit code 1 if nothing is running.

    Examples:
        connectra status
        connectra status --show-secrets
        connectra status -o json
    """
    home = Home.find()
    state = State.load(home)
    running = state is not None and state.is_current()
    if state is None or not running:
        state = not_running(home)
    described = state.public() if show_secrets else without_secrets(state.public())
    match format_of(output, as_json):
        case Format.JSON:
            show_json(described)
        case Format.TABLE:
            show(state, described)
        case format:
            show_records(described["parts"], ("name", "state", "address", "pid", "restarts"), format, name="name")
    if not running:
        errors.print("Connectra is not running: `connectra up` starts it")
        raise typer.Exit(1)


def logs(
    parts: Annotated[list[str] | None, typer.Argument(help="Only the logs of these parts.", metavar="PARTS")] = None,
    level: Annotated[Level, typer.Option("--level", help="Only what is at least as grave.")] = Level.DEBUG,
    since: Annotated[
        datetime | None,
        typer.Option("--since", parser=_ago, metavar="TIME", help="Only what is newer: 15m, 2h, or 2027-01-31T12:00."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing what is added.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="Number of entries of each part.", min=0)] = 20,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
) -> None:
    """Print the end of the logs of all parts, by time (UTC); as JSON an object in each line.

    Examples:
        connectra logs
        connectra logs query write -n 100 -f
        connectra logs --level error --since 2h
        connectra logs gateway --json | grep '"status": 404'
    """
    home = Home.find()
    known = ("supervisor", "migrate", *NAMES, SINGLE)
    if unknown := [part for part in parts or () if part not in known]:
        fail(f"there is no part {unknown[0]}; the parts are {', '.join(known)}")
    files = {name: home.log_of(name) for name in parts or known}
    wanted = Wanted(level, since)
    format = format_of(output, as_json)
    try:
        found = chain(ends(files, lines, wanted), follow_logs(files, wanted) if follow else ())
        show_entries(found, format)
    except KeyboardInterrupt:
        return


def show_entries(entries: Iterable[Entry], format: Format) -> None:
    """Print entries as they come."""
    match format:
        case Format.JSON:
            for entry in entries:
                print(json.dumps(entry.record, ensure_ascii=False), flush=True)  # noqa: T201 - unchanged
        case Format.TABLE if console.is_terminal:
            for entry in entries:
                at = f"{entry.at:%H:%M:%S}.{entry.at.microsecond // 1000:03}" if entry.at else ""
                text = Text(f"{at:<12} ", "dim") + Text(f"{entry.part:<13} ", "cyan")
                text += Text(f"{entry.level:<7} ", _COLOURS[entry.level])
                console.print(text + Text(entry.text, _COLOURS[entry.level]), soft_wrap=True)
        case _:
            rows = (entry.record | {"event": entry.text} for entry in entries)
            show_records(rows, ("timestamp", "part", "level", "event"), format, name="part")


def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Stop everything and delete all data and logs. Downloads and keys stay.

    Examples:
        connectra reset
        connectra reset --yes
    """
    home = Home.find()
    if not yes:
        typer.confirm(f"Delete all data in {home.data}?", abort=True)
    try:
        stop(home, echo)
        with supervisor.exclusive(home):
            home.remove_data()
    except LocalError as error:
        fail(str(error))
    echo("all data has been deleted")


def start_detached(home: Home, *, only: str | None = None, free_ports: bool = False, single: bool = False) -> None:
    """Start a supervisor in the background and wait until everything is ready.

    Raises:
        AlreadyRunningError: one is running already.
        LocalError: it failed; the message says why.
    """
    with supervisor.exclusive(home):  # only a check: the new supervisor takes the lock itself
        pass
    if supervisor.needs_elasticsearch(build_parts(Config.load(home, single=single), only)):
        install_parts(home)  # here, where its progress is visible
    command = [sys.executable, "-m", "connectra_local.supervisor"]
    command += ["--only", only] if only else []
    command += ["--free-ports"] if free_ports else []
    command += ["--single"] if single else []
    log = home.log_of("supervisor")
    log.touch()
    position = log.stat().st_size
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    try:
        follow_start(home, process, log, position)
    except KeyboardInterrupt:
        process.terminate()
        process.wait(STOP_TIMEOUT)
        raise


def follow_start(home: Home, process: "subprocess.Popen[bytes]", log: Path, position: int) -> None:
    """Echo what a new supervisor reports until it is ready.

    Raises:
        LocalError: it gave up, or is not ready in time.
    """
    deadline = time.monotonic() + START_TIMEOUT
    reason: list[str] = []
    while True:
        ended = process.poll() is not None  # checked before reading, so that its last lines are read too
        state = State.load(home)
        ready = state is not None and state.supervisor.pid == process.pid and state.phase == "ready"
        with log.open(errors="replace") as file:
            file.seek(position)
            for line in file.read().splitlines():
                stamp, _, text = line.partition("Z  ")
                if len(stamp) == len("2000-01-01T00:00:00"):
                    echo(text)
                else:  # not an event but an error message
                    reason.append(line)
            position = file.tell()
        if ready:
            return
        if ended:
            raise LocalError("\n".join(reason) or f"the supervisor ended with exit code {process.returncode}")
        if time.monotonic() > deadline:
            raise LocalError(f"not ready after {START_TIMEOUT:.0f} s; `connectra status` and `connectra logs` say more")
        time.sleep(POLL)


def wait_while_starting(home: Home) -> State:
    """The state of the supervisor that holds this home, once it is ready.

    Raises:
        LocalError: it did not become ready.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        state = State.load(home)
        if state and state.is_current() and state.phase == "ready":
            return state
        if state and state.phase in ("failed", "stopping", "stopped"):
            break
        time.sleep(POLL)
    raise LocalError("it is running but not ready; `connectra status` and `connectra logs` say more")


def stop(home: Home, report: Callable[[str], None]) -> None:
    """Stop what runs on this home, and end the processes that a killed supervisor left behind.

    Raises:
        LocalError: the supervisor does not go.
    """
    state = State.load(home)
    if state is None:
        report("nothing is running")
        return
    if state.supervisor.is_alive():
        state.supervisor.send(signal.SIGTERM)
        if not wait_until_gone(state.supervisor):
            state.supervisor.send(signal.SIGKILL)
            wait_until_gone(state.supervisor)
        left = reap((State.load(home) or state).orphans(), home.path)
        report("stopped" if not left else f"stopped; {len(left)} processes had to be ended")
        return
    left = reap(state.orphans(), home.path)
    report(f"ended {len(left)} processes that a killed supervisor left behind" if left else "nothing is running")


def wait_until_gone(process: Identity) -> bool:
    deadline = time.monotonic() + STOP_TIMEOUT
    while process.is_alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def not_running(home: Home) -> State:
    """The state to show when nothing is running: the addresses that would be used, every part stopped."""
    config = Config.load(home)
    parts = [PartStatus(name, address) for name, address in addresses(config).items()]
    return State(Identity(0, ""), config.connection(), "stopped", parts)


def show(state: State, described: Mapping[str, Any]) -> None:
    colours = {"running": "green", "starting": "yellow", "restarting": "red", "stopped": "dim"}
    columns = ("part", "state", "address", "pid", "restarts", "last exit")
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for part in (part for part in state.parts if part.listed):
        last = f"{part.last_exit['reason']} at {part.last_exit['at']}" if part.last_exit else ""
        pid = str(part.pid) if part.pid else "external" if part.state == "running" else ""
        colour = colours[part.state]
        table.add_row(part.name, f"[{colour}]{part.state}[/]", part.address, pid, str(part.restarts), last)
    console.print(table)
    if state.phase == "ready":
        console.print(f"\ngateway {described['gateway']}")
        if described["api_key"] == HIDDEN:
            errors.print("the API key: `connectra status --show-secrets`")
        else:
            console.print(f"api key {described['api_key']}")


def echo(line: str) -> None:
    style = "red" if " died " in line else "yellow" if " killed: " in line else ""
    console.print(line, style=style, markup=False, soft_wrap=True)


def fail(message: str) -> None:
    errors.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)
