"""What the gateway adds to the `connectra` command: `keys add | list | revoke`."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from connectra_common.settings import load

from connectra_gateway import clients
from connectra_gateway.clients import ALL, ClientsError, Right
from connectra_gateway.settings import GatewayKeysSettings

app = typer.Typer(
    help="Add, list and revoke the keys of clients; a running gateway takes them at once.", no_args_is_help=True
)

File = Annotated[
    Path | None,
    typer.Option("--file", help="File of clients; else GATEWAY_KEYS_FILE.", dir_okay=False),
]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the client, as logs and metrics show it.")],
    right: Annotated[list[Right] | None, typer.Option("--right", help="May be given often; absent: all.")] = None,
    file: File = None,
) -> None:
    """Give a client a new key. It is shown only this once."""
    try:
        client = clients.add(_file(file), name, frozenset(right) if right else ALL)
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
        typer.echo("no clients beside `default`, whose key is API_KEY", err=True)


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="Name of the client.")], file: File = None) -> None:
    """Take a client's key away."""
    try:
        clients.revoke(_file(file), name)
    except ClientsError as error:
        _fail(error)
    typer.echo(f"revoked {name}")


def _file(given: Path | None) -> Path:
    return given or Path(load(GatewayKeysSettings).keys_file)


def _fail(error: ClientsError) -> NoReturn:
    typer.echo(f"keys: {error}", err=True)
    raise typer.Exit(1)
