"""The command `connectra`."""

from importlib.metadata import version
from typing import Annotated

import typer

from connectra_client.plugins import Commands

app = typer.Typer(
    name="connectra",
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # what is expected is one line; anything else is a defect: a plain stack trace
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"connectra {version('connectra-client')}")
        raise typer.Exit


@app.callback()
def connectra(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Companies and contacts: search, import, export, and the servers that do it.

    Commands that talk to a server find it by --url and --api-key, else by CONNECTRA_URL and CONNECTRA_API_KEY,
    else they take the one that runs on this machine.
    """


def main() -> None:
    """Run the command line and exit."""
    app(prog_name="connectra")
