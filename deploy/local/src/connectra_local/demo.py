"""`connectra run`, which `make run` calls: start everything, import a sample, show a first search."""

import json
import shlex
import threading
import time
from collections.abc import Callable
from typing import Annotated

import typer
from connectra_client.commands.transfer import start_import
from connectra_client.connection import Connection
from connectra_client.display import console, show_job, show_rows, watch_job, words
from connectra_client.errors import ClientError
from connectra_client.rest import Json, RestClient

from connectra_local import cli, supervisor
from connectra_local.home import Home, LocalError
from connectra_local.sample import sample_csv
from connectra_local.state import State

IMPORT_TIMEOUT = 180.0
SEARCHABLE_TIMEOUT = 30.0
POLL = 0.2
SEARCH: Json = {
    "where": {"keyword_match": {"must": {"country": "germany", "seniority": ["vp", "director", "c_suite"]}}},
    "order_by": [{"order_by": "last_name", "order_direction": "asc"}],
    "limit": 5,
}
COLUMNS = ["uuid", "first_name", "last_name", "title", "city", "email"]


def run(
    rows: Annotated[
        int, typer.Option("--rows", help="Number of contacts in the sample; 0 imports none.", min=0)
    ] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="A different number gives a different sample.")] = 1,
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Use free ports instead of the configured ones.")
    ] = False,
) -> None:
    """Start everything, import a sample, show a first search, and stay up until Ctrl-C.

    Examples:
        connectra run
        connectra run --rows 1000 --free-ports
    """
    home = Home.find()
    tour = Tour(home, rows, seed)
    try:
        supervisor.run(home, free_ports=free_ports, echo=echo, when_ready=tour.start)
    except supervisor.AlreadyRunningError:
        state = cli.wait_while_starting(home)
        console.print("everything is running already; `connectra down` stops it", style="yellow")
        tour.take(state)
    except LocalError as error:
        cli.fail(str(error))
    finally:
        words.show_cursor()  # a progress bar cut off by the end of the process leaves it hidden
    if tour.failed:
        raise typer.Exit(1)


class Tour:
    """The import of the sample and the first search, which run beside the supervisor."""

    def __init__(self, home: Home, rows: int, seed: int) -> None:
        self.home = home
        self.rows = rows
        self.seed = seed
        self.failed = False

    def start(self, state: State) -> None:
        """Run it in a daemon thread, so that Ctrl-C never waits for it."""
        threading.Thread(target=self.take, args=(state,), name="tour", daemon=True).start()

    def take(self, state: State) -> None:
        connection = Connection(state.connection["gateway"], state.connection["api_key"])
        example = None
        try:
            with RestClient(connection) as client:
                if self.rows:
                    self.import_sample(client)
                example = show_search(client)
        except ClientError as error:
            if state.phase not in ("ready", "starting"):
                return  # stopped in the middle of it
            self.failed = True
            self.say_failed(str(error))
        show_next_steps(connection, example)

    def import_sample(self, client: RestClient) -> None:
        """Import the sample through the public API; a second time it changes nothing.

        Raises:
            ClientError: the import did not complete, or took too long.
        """
        console.print(f"\n[bold]A sample of {self.rows:,} made-up contacts, through the public API[/]")
        file = self.home.run / f"sample-{self.rows}.csv"
        with file.open("wb") as out:
            out.writelines(sample_csv(self.rows, self.seed))
        began = time.monotonic()
        job = watch_job(client, start_import(client, file), timeout=IMPORT_TIMEOUT)
        show_job(job)
        if job["status"] != "completed":
            raise ClientError(f"the import of the sample ended as {job['status']}")
        # Committed rows reach the index a moment later.
        wait_for(lambda: client.count("contacts", {}) >= self.rows, SEARCHABLE_TIMEOUT)
        console.print(f"imported and searchable after {time.monotonic() - began:.1f} s")

    def say_failed(self, problem: str) -> None:
        console.print(f"\n{problem}", style="red", markup=False, soft_wrap=True)
        console.print(
            "Everything else keeps running. `connectra jobs list` shows the jobs, `connectra logs first_time` (or write,"
            " jobs, indexer, gateway) the logs, `connectra status` the state of the parts.",
            soft_wrap=True,
        )


def show_search(client: RestClient) -> Json | None:
    """Show the first rows of a VQL search as a table, and return one of them."""
    total = client.count("contacts", SEARCH)
    rows = client.search("contacts", {**SEARCH, "select_columns": COLUMNS})
    console.print("\n[bold]German executives, as VQL[/]")
    console.print(json.dumps(SEARCH["where"]), style="dim", markup=False, soft_wrap=True)
    show_rows(rows, COLUMNS[1:])
    console.print(f"{len(rows)} of {total:,}")
    return rows[0] if rows else None


def show_next_steps(connection: Connection, example: Json | None) -> None:
    """Print the address, the key, where a browser begins, and three commands to paste."""
    key = f"X-API-Key: {connection.api_key}"
    query = {"where": {"text_matches": {"must": [match("title", "software engineer")]}}, "limit": 3}
    third = (
        ["curl", "-s", f"{connection.url}/contacts/{example['uuid']}", "-H", key]
        if example
        else post(connection, "/companies/create", {"name": "Acme Software", "website": "https://acme.example"})
    )
    lines = (
        post(connection, "/contacts", query),
        post(connection, "/companies/count", {"where": {"keyword_match": {"must": {"country": "germany"}}}}),
        third,
    )
    console.print(f"\n[bold]address[/]  {connection.url}\n[bold]API key[/]  {connection.api_key}")
    console.print(f"[bold]browser[/]  {connection.url}/console, and {connection.url}/docs for programs", soft_wrap=True)
    console.print("\nnext steps:")
    for line in lines:
        console.print(f"  {shlex.join(line)}", markup=False, soft_wrap=True)
    console.print(
        "\n`connectra search contacts engineer` does it without curl (docs/cli.md). Ctrl-C stops everything.\n"
    )


def match(field: str, text: str) -> Json:
    return {"text_value": text, "filter_key": field, "search_type": "exact"}


def post(connection: Connection, path: str, body: Json) -> list[str]:
    headers = ["-H", f"X-API-Key: {connection.api_key}", "-H", "Content-Type: application/json"]
    return ["curl", "-s", f"{connection.url}{path}", *headers, "-d", json.dumps(body)]


def wait_for(done: Callable[[], bool], timeout: float) -> None:
    """Wait until all of the sample is searchable.

    Raises:
        ClientError: it is not after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() > deadline:
            raise ClientError(f"the sample is stored, but not all of it is searchable after {timeout:.0f} s")
        time.sleep(POLL)


def echo(line: str) -> None:
    # The same console as the progress bars: another one would print into them.
    style = "red" if " died " in line else "yellow" if " killed: " in line else ""
    words.print(line, style=style, markup=False, soft_wrap=True)
