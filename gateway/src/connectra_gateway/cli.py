"""What the gateway adds to the `connectra` command of connectra-client, which loads this: `keys add | list | update | rotate | revoke`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from connectra_client.output import AsJson, Format, Output, format_of, show_json, show_records
from connectra_common.rights import Right
from connectra_common.settings import load

from connectra_gateway import clients
from connectra_gateway.clients import USUAL, Client, ClientsError, Key, begin
from connectra_gateway.settings import KeysSettings

app = typer.Typer(
    help="Add, list, update, rotate and revoke API keys; a running gateway picks up the change at once.",
    no_args_is_help=True,
)
# Group of entry points: functions that return the file of clients of a gateway on this machine and its URL while it runs, or None.
_GATEWAYS = "connectra.gateways"
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def duration(text: str) -> timedelta:
    """A duration as options take it."""
    if not (found := re.fullmatch(r"(\d{1,6})([mhd])", text)):
        raise typer.BadParameter("a number and m, h or d are expected, such as 90m, 24h or 30d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _end(text: str) -> datetime:
    """A duration from now, or a date."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return (datetime.now(UTC) + duration(text)).replace(microsecond=0)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


Name = Annotated[str, typer.Argument(help="Name of the client, as logs show it.")]
Expires = Annotated[
    datetime | None,
    typer.Option(
        "--expires", parser=_end, metavar="TIME", help="End of the key: 90d, or 2027-01-31; never when absent."
    ),
]
File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        help="File of clients; by default GATEWAY_KEYS_FILE, else that of the suite on this machine.",
        dir_okay=False,
    ),
]


@app.command()
def add(
    name: Name,
    right: Annotated[
        list[Right] | None,
        typer.Option(
            "--right",
            help="Repeatable; all rights but `admin` when absent. `read`: search and look up records, page by page. `export`: streams and "
            "export jobs of any size. `write`: create, change, delete records. `import`: uploads and import jobs. `admin`: the index, and "
            "the jobs of all clients.",
        ),
    ] = None,
    expires: Expires = None,
    per_minute: Annotated[
        int | None, typer.Option("--per-minute", min=1, help="Its own rate limit; that of all when absent.")
    ] = None,
    file: File = None,
) -> None:
    """Add a client and print its key, which is shown only this once.

    Examples:
        connectra keys add crm
        connectra keys add reports --right read --right export --expires 90d
    """
    with _changing(file) as path:
        rights = frozenset(right) if right else USUAL
        client = clients.add(path, name, rights, expires_at=expires, requests_per_minute=per_minute)
    typer.echo(client.key)


@app.command("list")
def show(
    file: File = None,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
) -> None:
    """Show the clients, their rights and limits, and the first characters of their keys.

    Examples:
        connectra keys list
        connectra keys list -o json
    """
    path, gateway = _file(file)
    with _complaining():
        found = clients.load(path)
    typer.echo(f"keys: in {path.absolute()}; {_reader(gateway)}", err=True)
    match format_of(output, as_json):
        case Format.JSON:
            show_json([_described(client) for client in found])
        case format:
            show_records(map(_row, found), ("name", "rights", "limit", "keys"), format, chosen=True, name="name")
    if not found:
        typer.echo(f"no clients in {path}, besides `default`, whose key is API_KEY", err=True)


@app.command()
def update(
    name: Name,
    right: Annotated[
        list[Right] | None,
        typer.Option(
            "--right", help="Repeatable: all rights from now on, in the place of those it has; as before when absent."
        ),
    ] = None,
    per_minute: Annotated[
        int | None,
        typer.Option(
            "--per-minute", min=0, max=1_000_000, help="Its own rate limit, 0: that of all; as before when absent."
        ),
    ] = None,
    file: File = None,
) -> None:
    """Change what a client may do; its keys stay as they are.

    Examples:
        connectra keys update crm --right read --right write
        connectra keys update crm --per-minute 600
    """
    changes: dict[str, object] = {"rights": frozenset(right)} if right else {}
    if per_minute is not None:
        changes["requests_per_minute"] = per_minute or None
    if not changes:
        raise typer.BadParameter("nothing to change: give --right or --per-minute")
    with _changing(file) as path:
        client = clients.update(path, name, changes)
    typer.echo(f"{client.name}: {','.join(sorted(client.rights))}, {_limit(client) or 'the limit of all'}")


@app.command()
def rotate(
    name: Name,
    overlap: Annotated[
        timedelta, typer.Option("--overlap", parser=duration, metavar="DURATION", help="How long former keys go on.")
    ] = timedelta(hours=24),
    expires: Expires = None,
    file: File = None,
) -> None:
    """Give a client a new key and print it; its former ones go on for a while.

    Examples:
        connectra keys rotate crm
        connectra keys rotate crm --overlap 1h
    """
    with _changing(file) as path:
        client = clients.rotate(path, name, overlap, expires)
    typer.echo(client.key)


@app.command()
def revoke(name: Name, file: File = None) -> None:
    """Remove a client and its keys.

    Examples:
        connectra keys revoke crm
    """
    with _changing(file) as path:
        clients.revoke(path, name)
    typer.echo(f"revoked {name}")


def _described(client: Client) -> dict[str, object]:
    keys = [{"begins": begin(key), "expires_at": key.expires_at and key.expires_at.isoformat()} for key in client.keys]
    limit = client.requests_per_minute
    return {"name": client.name, "rights": sorted(client.rights), "requests_per_minute": limit, "keys": keys}


def _limit(client: Client) -> str | None:
    return f"{client.requests_per_minute}/min" if client.requests_per_minute else None


def _row(client: Client) -> dict[str, object]:
    return {
        "name": client.name,
        "rights": sorted(client.rights),
        "limit": _limit(client) or "",
        "keys": list(map(_shown, client.keys)),
    }


def _shown(key: Key) -> str:
    end = ""
    if key.expires_at:
        word = "until" if key.expires_at > datetime.now(UTC) else "expired"
        end = f" {word} {key.expires_at:%Y-%m-%d %H:%M}Z"
    return f"{begin(key)}…{end}"


def _file(given: Path | None) -> tuple[Path, str | None]:
    """The file, and the URL of the gateway that reads it, if that is known."""
    if given:
        return given, None
    settings = load(KeysSettings).keys
    if "keys_file" not in settings.model_fields_set:
        for entry in entry_points(group=_GATEWAYS):
            if found := entry.load()():
                return Path(found[0]), found[1]
    return Path(settings.keys_file), None


@contextmanager
def _changing(given: Path | None) -> Iterator[Path]:
    path, gateway = _file(given)
    with _complaining():
        yield path
    typer.echo(f"keys: changed {path.absolute()}; {_reader(gateway)}", err=True)


def _reader(gateway: str | None) -> str:
    return f"the gateway at {gateway} reads it" if gateway else "gateways whose GATEWAY_KEYS_FILE it is read it"


@contextmanager
def _complaining() -> Iterator[None]:
    try:
        yield
    except ClientsError as error:
        typer.echo(f"keys: {error}", err=True)
        raise typer.Exit(1) from None
