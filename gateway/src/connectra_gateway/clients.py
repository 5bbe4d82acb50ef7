"""Who may call: clients with their keys and rights, kept in one JSON file (in Kubernetes, a secret).

    {"clients": [{"name": "crm", "key": "…", "rights": ["read", "write"]}]}

The right `jobs` of older files means `import` and `export`.
`API_KEY` is the simple case: the key of one more client, `default`, which has all rights. Others have `admin` only if it is named.
"""

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from connectra_common.requests import violations
from connectra_common.rights import ALIASES, ALL, Right
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

DEFAULT = "default"
# Of a client whose rights are not listed.
USUAL = ALL - {Right.ADMIN}


class ClientsError(Exception):
    """The clients cannot be read or changed; the text says why and never contains a key."""


class Client(BaseModel):
    """One client. Its key consists of characters that an HTTP header can carry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    key: Annotated[str, Field(pattern=r"^[\x21-\x7e]+$", min_length=8, max_length=256, repr=False)]
    rights: frozenset[Right] = USUAL

    @field_validator("rights", mode="before")
    @classmethod
    def _current(cls, given: object) -> object:
        """Older names become the rights that they mean."""
        if not isinstance(given, list):
            return given
        return [right for name in given for right in (ALIASES.get(name, [name]) if isinstance(name, str) else [name])]

    @field_validator("rights")
    @classmethod
    def _some(cls, rights: frozenset[Right]) -> frozenset[Right]:
        if not rights:
            raise ValueError(f"at least one of {', '.join(Right)} is required")
        return rights


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    clients: list[Client]

    @model_validator(mode="after")
    def _distinct(self) -> "_File":
        for what in ("name", "key"):
            if len({getattr(client, what) for client in self.clients}) < len(self.clients):
                raise ValueError(f"two clients have the same {what}")
        return self


def load(path: Path) -> list[Client]:
    """The clients of a file, in its order; none if the file does not exist.

    Raises:
        ClientsError: the file cannot be read or is not valid.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ClientsError(f"{path}: {error.strerror}") from None
    try:
        return _File.model_validate_json(text).clients
    except ValidationError as error:
        raise ClientsError("\n".join(f"{path}: {v.message}" for v in violations(error))) from None


def known(path: Path | None, api_key: str | None) -> list[Client]:
    """All clients: `default` with the API key, and those of the file.

    Args:
        path: the file of clients; None: there is none.
        api_key: key of the client `default`; None: there is no such client.

    Raises:
        ClientsError: the file cannot be read, or there is no client at all.
    """
    given = [Client(name=DEFAULT, key=api_key, rights=ALL)] if api_key else []
    clients = [*given, *(load(path) if path else [])]
    if not clients:
        raise ClientsError("there is no client: set API_KEY, or add one with `connectra keys add NAME`")
    try:
        return _File(clients=clients).clients
    except ValidationError:
        raise ClientsError(f"{path}: a client has the name or the key of the client `{DEFAULT}` (API_KEY)") from None


def add(path: Path, name: str, rights: frozenset[Right]) -> Client:
    """Add a client with a new key to the file.

    Raises:
        ClientsError: the name is taken or invalid.
    """
    clients = load(path)
    if name == DEFAULT or name in {client.name for client in clients}:
        raise ClientsError(f"there is already a client {name!r}")
    try:
        client = Client(name=name, key=secrets.token_urlsafe(32), rights=rights)
    except ValidationError as error:
        raise ClientsError("; ".join(v.message for v in violations(error))) from None
    _save(path, [*clients, client])
    return client


def revoke(path: Path, name: str) -> None:
    """Remove a client from the file.

    Raises:
        ClientsError: there is no client of that name.
    """
    clients = load(path)
    left = [client for client in clients if client.name != name]
    if len(left) == len(clients):
        raise ClientsError(f"there is no client {name!r} in {path}")
    _save(path, left)


def _save(path: Path, clients: Sequence[Client]) -> None:
    document = {"clients": [{"name": c.name, "key": c.key, "rights": sorted(c.rights)} for c in clients]}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, json.dumps(document, indent=2).encode() + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Atomically write a file that only its owner can read: a watcher never sees half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # created with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
