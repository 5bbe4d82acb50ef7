"""Which server to talk to, and with which key."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from connectra_client import profiles
from connectra_client.errors import ClientError, NoServer
from connectra_client.profiles import LOCAL

# Group of entry points: functions that return (URL, API key) of a server running on this machine, or None.
_LOCAL_SERVERS = "connectra.servers"


@dataclass(frozen=True)
class Connection:
    """Address of a gateway and a key for it, or of a service inside. gRPC and REST share the gateway's port.

    Args:
        url: such as `http://127.0.0.1:8000`, without a trailing slash.
        api_key: never shown by `repr`; empty for a service inside, which takes none.
    """

    url: str
    api_key: str = field(repr=False, default="")

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def secure(self) -> bool:
        return self.parts.scheme == "https"

    @property
    def host(self) -> str:
        return self.parts.hostname or ""

    @property
    def port(self) -> int:
        return self.parts.port or (443 if self.secure else 80)

    @property
    def loopback(self) -> bool:
        """Whether the address is this machine, which is reached without a proxy."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def find_connection(url: str | None = None, api_key: str | None = None, profile: str | None = None) -> Connection:
    """The server that is meant.

    That is the given profile or address, else $CONNECTRA_URL, else $CONNECTRA_PROFILE, else what `connectra login` or `connectra profiles
    use` chose last, else the server running on this machine. A key that is not given is $CONNECTRA_API_KEY, except for a given profile, or
    the one that is kept for the address. A key that is kept for one address is sent to no other.

    Args:
        url: address of the gateway, http or https.
        api_key: a key for it.
        profile: name of a profile; `local` is the server on this machine.

    Raises:
        NoServer: no server is known, or its key is missing or none.
        ClientError: the address is invalid.
    """
    if profile and url:
        raise ClientError("a profile and a URL both name a server: give one of them")
    if not profile:
        url, api_key = url or os.environ.get("CONNECTRA_URL"), api_key or os.environ.get("CONNECTRA_API_KEY")
    if not url or not api_key:
        known = profiles.load()
        name = profile or (None if url else os.environ.get("CONNECTRA_PROFILE") or known.current)
        here = running_here() if name in (None, LOCAL) else None
        if name and name != LOCAL:
            kept = known.get(name)
            url, api_key = kept.url, api_key or kept.api_key
        elif not url and here is None:
            raise NoServer(
                "no server is known: start one on this machine with `connectra up`, log in to one with `connectra login URL`,"
                " or name one with --url and --api-key (CONNECTRA_URL, CONNECTRA_API_KEY)"
            )
        elif here is not None and url in (None, "", here.url):
            url, api_key = here.url, api_key or here.api_key
        elif url:
            api_key = api_key or known.key_of(url)
    if not url or not api_key:
        raise NoServer(f"the key for {url} is missing: `connectra login {url}`, --api-key or CONNECTRA_API_KEY")
    return checked(Connection(url.rstrip("/"), api_key))


def checked(connection: Connection) -> Connection:
    """The same connection.

    Raises:
        ClientError: its address is invalid.
        NoServer: its key has characters that no key has.
    """
    try:
        valid = connection.parts.scheme in ("http", "https") and bool(connection.host) and connection.port > 0
    except ValueError:  # the port is not a number
        valid = False
    if not valid:
        raise ClientError(f"{connection.url} is not an address such as http://127.0.0.1:8000")
    if re.search(r"[^!-~]", connection.api_key):
        raise NoServer(
            f"the API key for {connection.url} is none: it has a blank, a line break or a letter that is not ASCII"
        )
    return connection


def running_here() -> Connection | None:
    """The server running on this machine, if a package that runs servers is installed and one is running."""
    for entry in entry_points(group=_LOCAL_SERVERS):
        find: Callable[[], tuple[str, str] | None] = entry.load()
        if found := find():
            return Connection(*found)
    return None
