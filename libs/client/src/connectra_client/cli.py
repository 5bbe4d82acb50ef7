"""The command `connectra`."""

from importlib.metadata import version
from typing import Annotated

import typer

from connectra_client.plugins import Commands

app = typer.Typer(
    name="connectra",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # an expected error is one line; any other is a defect and gets a plain stack trace
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
    """Companies and contacts: search, change, import, export, and the servers behind it."""


def main() -> None:
    """Run the command line and exit."""
    app(prog_name="connectra")
