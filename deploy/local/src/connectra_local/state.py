"""The state the supervisor publishes: one small file, replaced at every change."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from connectra_client.errors import ClientError

from connectra_local.home import Home, write_private
from connectra_local.processes import Identity

Phase = Literal["starting", "ready", "failed", "stopping", "stopped"]
PartState = Literal["starting", "running", "restarting", "stopped"]


# In place of a key or password.
HIDDEN = "***"


@dataclass
class PartStatus:
    """What is known of one part.

    Args:
        name: of the part.
        address: host:port.
        state: what it is doing.
        pid: of its process, while it has one.
        started: identifies the process together with the pid (`Identity`).
        stop_signal: number of the signal that asks it to stop.
        listed: whether `connectra status` shows it; parts that run once are not shown.
        restarts: how many times it has been restarted.
        last_exit: reason and time (UTC) of its last unexpected end.
    """

    name: str
    address: str
    state: PartState = "stopped"
    pid: int | None = None
    started: str | None = None
    stop_signal: int = 15
    listed: bool = True
    restarts: int = 0
    last_exit: dict[str, str] | None = None

    @property
    def identity(self) -> Identity | None:
        return Identity(self.pid, self.started) if self.pid and self.started else None

    def public(self) -> dict[str, Any]:
        fields = ("name", "pid", "state", "address", "restarts", "last_exit")
        return {name: getattr(self, name) for name in fields}


@dataclass
class State:
    """The supervisor, its parts, and how to reach everything."""

    supervisor: Identity
    connection: dict[str, Any]
    phase: Phase = "starting"
    parts: list[PartStatus] = field(default_factory=list)

    def save(self, home: Home) -> None:
        write_private(home.state_file, asdict(self))

    @classmethod
    def load(cls, home: Home) -> "State | None":
        """The last state written, or None; its writer may be dead by now (`is_current`).

        Raises:
            ClientError: the file cannot be read.
        """
        try:
            saved: Mapping[str, Any] = json.loads(home.state_file.read_text())
            parts = [PartStatus(**part) for part in saved["parts"]]
            return cls(Identity(**saved["supervisor"]), saved["connection"], saved["phase"], parts)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ClientError(f"{home.state_file} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ClientError(
                f"{home.state_file} does not say what runs here ({error}): delete it once no process of {home.path} runs"
            ) from error

    def is_current(self) -> bool:
        return self.supervisor.is_alive() and self.phase not in ("failed", "stopped")

    def orphans(self) -> list[tuple[Identity, int]]:
        """Every process that was running when the state was written, with its stop signal."""
        return [(part.identity, part.stop_signal) for part in self.parts if part.identity]

    def public(self) -> dict[str, Any]:
        """What `status --json` prints."""
        return {**self.connection, "parts": [part.public() for part in self.parts if part.listed]}


def without_secrets(described: Mapping[str, Any]) -> dict[str, Any]:
    """What `State.public` gives, to be shown where others may look: `***` for keys and passwords."""
    stores = {
        name: re.sub(r"(?<=:)[^:/@]+(?=@)", HIDDEN, str(described[name])) for name in ("postgres", "elasticsearch")
    }
    return {**described, **stores, "api_key": HIDDEN, "s3": {**described["s3"], "secret_key": HIDDEN}}
