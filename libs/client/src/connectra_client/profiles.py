"""Servers that a person has logged in to, by names: a file that only its owner can read.

The file is `connectra/profiles.json` below $XDG_CONFIG_HOME, which is ~/.config by default.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile

from connectra_client.errors import ClientError, NoServer

# The name of the server that runs on this machine; no profile can have it.
LOCAL = "local"
_OTHERS = 0o077


@dataclass(frozen=True)
class Profile:
    """Address of a gateway and a key for it."""

    url: str
    api_key: str = field(repr=False)


@dataclass
class Profiles:
    """All of them, and the name of the one that commands use unless told otherwise; None: the server on this machine."""

    current: str | None = None
    named: dict[str, Profile] = field(default_factory=dict)

    def get(self, name: str) -> Profile:
        """The profile of this name.

        Raises:
            NoServer: there is none.
        """
        if found := self.named.get(name):
            return found
        known = f"there are {', '.join(sorted(self.named))}" if self.named else "`connectra login` makes one"
        raise NoServer(f"there is no profile {name!r}: {known}")

    def key_of(self, url: str) -> str | None:
        """The key of a profile for this address, if there is one."""
        return next((one.api_key for one in self.named.values() if one.url == url.rstrip("/")), None)


def path() -> Path:
    """Where the file is, or will be."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "connectra" / "profiles.json"


def load() -> Profiles:
    """What the file says; nothing if there is none.

    Raises:
        ClientError: it cannot be read, or by others too.
    """
    file = path()
    try:
        if file.stat().st_mode & _OTHERS:
            raise ClientError(f"{file} has keys, and others can read it: chmod 600 {file}")
        written = json.loads(file.read_text(encoding="utf-8"))
        named = {name: Profile(one["url"], one["api_key"]) for name, one in written["profiles"].items()}
        return Profiles(written.get("current"), named)
    except FileNotFoundError:
        return Profiles()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClientError(f"{file} cannot be read: {error}") from error


def save(profiles: Profiles) -> Path:
    """Replace the file, readable by its owner only. Returns where it is.

    Raises:
        ClientError: it cannot be written.
    """
    file = path()
    servers = {name: {"url": one.url, "api_key": one.api_key} for name, one in sorted(profiles.named.items())}
    text = json.dumps({"current": profiles.current, "profiles": servers}, indent=2) + "\n"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made with mode 0600, and never half written where it is read.
        with NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as out:
            out.write(text)
        Path(out.name).replace(file)
    except OSError as error:
        raise ClientError(f"{file} cannot be written: {error.strerror}") from error
    return file
