"""`connectra login`, `logout` and `profiles`: servers by names, with their keys."""

import sys
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlsplit

import typer

from connectra_client import profiles as kept
from connectra_client.commands.options import profile_names
from connectra_client.connection import Connection, find_connection, running_here
from connectra_client.display import hint
from connectra_client.errors import ApiError, ClientError
from connectra_client.output import AsJson, Format, Output, format_of, show_records
from connectra_client.profiles import LOCAL, Profile, Profiles
from connectra_client.rest import Json, RestClient

profiles = typer.Typer(help="List the servers that you are logged in to, and choose one.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help="Of the profile.", metavar="NAME", autocompletion=profile_names)]


def login(
    url: Annotated[str, typer.Argument(help="Address of the server.", metavar="URL")],
    name: Annotated[
        str | None, typer.Option("--profile", "-p", help="Name of the profile; the host by default.", metavar="NAME")
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option("--api-key", help="The key; asked for, or read from stdin, when absent.", metavar="KEY"),
    ] = None,
    check: Annotated[bool, typer.Option(help="Ask the server whether it takes the key.")] = True,
) -> None:
    """Keep the address of a server and a key for it, for all commands from now on.

    They are kept in connectra/profiles.json below $XDG_CONFIG_HOME (~/.config), which only you can read.

    Examples:
        connectra login https://contacts.example.com
        connectra login https://staging.example.com --profile staging < key.txt
    """
    address = _address(url)
    name = name or urlsplit(address).hostname or ""
    if name == LOCAL:
        raise typer.BadParameter(f"{LOCAL!r} is the server that runs on this machine; take another name")
    connection = find_connection(address, api_key or _ask(address))
    if check:
        _check(connection)
    found = kept.load()
    found.named[name] = Profile(connection.url, connection.api_key)
    found.current = name
    hint(f"logged in to {connection.url}: commands use the profile {name}, kept in {kept.save(found)}")


def logout(
    name: Annotated[
        str | None,
        typer.Option(
            "--profile",
            "-p",
            help="The profile; the current one by default.",
            metavar="NAME",
            autocompletion=profile_names,
        ),
    ] = None,
) -> None:
    """Forget a server and its key. The server keeps accepting it: `connectra keys revoke` ends a key.

    Examples:
        connectra logout
        connectra logout --profile staging
    """
    found = kept.load()
    name = name or found.current
    if name is None:
        raise ClientError("you are not logged in")
    found.get(name)
    del found.named[name]
    if found.current == name:
        found.current = None
    kept.save(found)
    hint(f"forgot {name}; commands use {_meant(found)}")


@profiles.command("list")
def list_profiles(output: Output = Format.TABLE, as_json: AsJson = False) -> None:
    """List the profiles; the current one has a star.

    Examples:
        connectra profiles list
        connectra profiles list -o name
    """
    show_records(_rows(kept.load()), ["current", "profile", "url"], format_of(output, as_json), name="profile")


@profiles.command()
def use(name: _Name) -> None:
    """Use another profile from now on; `local` is the server that runs on this machine.

    Examples:
        connectra profiles use staging
        connectra profiles use local
    """
    found = kept.load()
    if name != LOCAL:
        found.get(name)
    found.current = None if name == LOCAL else name
    kept.save(found)
    hint(f"commands use {_meant(found)}")


def _rows(found: Profiles) -> Iterable[Json]:
    here = running_here()
    yield {"current": "" if found.current else "*", "profile": LOCAL, "url": here.url if here else "(nothing runs)"}
    for name, one in sorted(found.named.items()):
        yield {"current": "*" if name == found.current else "", "profile": name, "url": one.url}


def _meant(found: Profiles) -> str:
    return f"{found.current} ({found.get(found.current).url})" if found.current else "the server on this machine"


def _address(url: str) -> str:
    if "://" in url:
        return url.rstrip("/")
    scheme = "http" if url.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
    return f"{scheme}://{url.rstrip('/')}"


def _ask(address: str) -> str:
    key = typer.prompt(f"key for {address}", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    if not key.strip():
        raise typer.BadParameter("the key is empty")
    return str(key).strip()


def _check(connection: Connection) -> None:
    with RestClient(connection) as client:
        try:
            client.health()
        except ApiError as error:
            # Whether its stores are well is nothing that the key can help.
            if error.status != 503:
                raise
