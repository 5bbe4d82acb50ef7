"""Which server to talk to, and with which key."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from connectra_client.errors import ClientError, NoServer

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


def find_connection(url: str | None = None, api_key: str | None = None) -> Connection:
    """The given address and key, else $CONNECTRA_URL and $CONNECTRA_API_KEY, else the server running on this machine.

    The key of the server on this machine is sent to no other address.

    Args:
        url: address of the gateway, http or https.
        api_key: a key for it.

    Raises:
        NoServer: no server is known, or its key is missing.
        ClientError: the address is invalid.
    """
    url = url or os.environ.get("CONNECTRA_URL")
    api_key = api_key or os.environ.get("CONNECTRA_API_KEY")
    if not url or not api_key:
        here = running_here()
        if not url and here is None:
            raise NoServer(
                "no server is known: start one on this machine with `connectra up`,"
                " or name one with --url and --api-key (CONNECTRA_URL, CONNECTRA_API_KEY)"
            )
        if here is not None and url in (None, "", here.url):
            url, api_key = here.url, api_key or here.api_key
    if not url or not api_key:
        raise NoServer(f"the key for {url} is missing: --api-key or CONNECTRA_API_KEY")
    return checked(Connection(url.rstrip("/"), api_key))


def checked(connection: Connection) -> Connection:
    """The same connection.

    Raises:
        ClientError: its address is invalid.
    """
    try:
        valid = connection.parts.scheme in ("http", "https") and bool(connection.host) and connection.port > 0
    except ValueError:  # the port is not a number
        valid = False
    if not valid:
        raise ClientError(f"{connection.url} is not an address such as http://127.0.0.1:8000")
    return connection


def running_here() -> Connection | None:
    """The server running on this machine, if a package that runs servers is installed and one is running."""
    for entry in entry_points(group=_LOCAL_SERVERS):
        find: Callable[[], tuple[str, str] | None] = entry.load()
        if found := find():
            return Connection(*found)
    return None
