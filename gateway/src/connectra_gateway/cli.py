"""What the gateway adds to the `connectra` command: `keys add | list | revoke`."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from connectra_common.rights import Right
from connectra_common.settings import load

from connectra_gateway import clients
from connectra_gateway.clients import USUAL, ClientsError
from connectra_gateway.settings import KeysSettings

app = typer.Typer(
    help="Add, list and revoke API keys; a running gateway picks up the change at once.", no_args_is_help=True
)

File = Annotated[
    Path | None,
    typer.Option("--file", help="File of clients; GATEWAY_KEYS_FILE by default.", dir_okay=False),
]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the client, as logs show it.")],
    right: Annotated[
        list[Right] | None,
        typer.Option(
            "--right",
            help="Repeatable; all rights but `admin` when absent. `read`: search and look up records, page by page. `export`: streams and "
            "export jobs of any size. `write`: create, change, delete records. `import`: uploads and import jobs. `admin`: the index, and "
            "the jobs of all clients.",
        ),
    ] = None,
    file: File = None,
) -> None:
    """Add a client and print its key, which is shown only this once."""
    try:
        client = clients.add(_file(file), name, frozenset(right) if right else USUAL)
    except ClientsError as error:
        _fail(error)
    typer.echo(client.key)


@app.command("list")
def show(file: File = None) -> None:
    """Show the clients, their rights and the first characters of their keys."""
    try:
        found = clients.load(_file(file))
    except ClientsError as error:
        _fail(error)
    for client in found:
        typer.echo(f"{client.name:<24} {','.join(sorted(client.rights)):<16} {client.key[:4]}…")
    if not found:
        typer.echo("no clients besides `default`, whose key is API_KEY", err=True)


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="Name of the client.")], file: File = None) -> None:
    """Remove a client and its key."""
    try:
        clients.revoke(_file(file), name)
    except ClientsError as error:
        _fail(error)
    typer.echo(f"revoked {name}")


def _file(given: Path | None) -> Path:
    return given or Path(load(KeysSettings).keys.keys_file)


def _fail(error: ClientsError) -> NoReturn:
    typer.echo(f"keys: {error}", err=True)
    raise typer.Exit(1)
