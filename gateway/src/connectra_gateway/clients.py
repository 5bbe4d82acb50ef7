"""Who may call: clients with their keys, rights and limits, kept in one JSON file (in Kubernetes, a secret).

    {"clients": [{"name": "crm", "keys": [{"key": "ctra_…", "expires_at": "2027-01-31T00:00:00Z"}],
                  "rights": ["read", "write"], "requests_per_minute": 600}]}

A client with one key may have it as `"key": "…"`. The right `jobs` of older files means `import` and `export`.
`API_KEY` is the simple case: the key of one more client, `default`, which has all rights. Others have `admin` only if it is named.
"""

import contextlib
import fcntl
import json
import os
import secrets
import string
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from connectra_common.requests import violations
from connectra_common.rights import ALIASES, ALL, Right
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

DEFAULT = "default"
# Of a client whose rights are not listed.
USUAL = ALL - {Right.ADMIN}


class ClientsError(Exception):
    """The clients cannot be read or changed; the text says why and never contains a key."""


class ClientExists(ClientsError):
    """There is a client of this name."""


class NoSuchClient(ClientsError):
    """There is none of this name."""


class NotWritable(ClientsError):
    """The file cannot be written here."""


# A generated key: the prefix, 32 random characters, and 6 that are a checksum of them, so that scanners of code and logs know one.
PREFIX = "ctra_"
_CHARACTERS = string.digits + string.ascii_letters
_RANDOM, _CHECK = 32, 6


def new_key() -> str:
    """A key with 190 random bits."""
    text = "".join(secrets.choice(_CHARACTERS) for _ in range(_RANDOM))
    return f"{PREFIX}{text}{_checksum(text)}"


def is_generated(text: str) -> bool:
    """Whether a text is a key that `new_key` may have made."""
    random, check = text.removeprefix(PREFIX)[:_RANDOM], text[len(PREFIX) + _RANDOM :]
    return text.startswith(PREFIX) and len(random) == _RANDOM and check == _checksum(random)


def _checksum(text: str) -> str:
    """CRC-32 in base 62, the most significant digit first."""
    left, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECK):
        left, digit = divmod(left, len(_CHARACTERS))
        digits = _CHARACTERS[digit] + digits
    return digits


class Key(BaseModel):
    """One key, of characters that an HTTP header can carry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, Field(pattern=r"^[\x21-\x7e]+$", min_length=8, max_length=256, repr=False)]
    expires_at: AwareDatetime | None = None


def begin(key: Key) -> str:
    """As much of a key as may be shown."""
    return key.key[: len(PREFIX) + 4 if key.key.startswith(PREFIX) else 4]


class Client(BaseModel):
    """One client; `requests_per_minute` None: the limit of all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    keys: tuple[Key, ...]
    rights: frozenset[Right] = USUAL
    requests_per_minute: Annotated[int, Field(gt=0, le=1_000_000)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_key(cls, given: Any) -> Any:
        """`key` and its `expires_at` in the place of `keys`."""
        if not isinstance(given, dict) or "keys" in given:
            return given
        of_key = {name: value for name, value in given.items() if name in Key.model_fields}
        return {name: value for name, value in given.items() if name not in of_key} | {"keys": [of_key]}

    @property
    def key(self) -> str:
        """The newest key."""
        return self.keys[-1].key

    def at(self, now: datetime) -> "Client":
        """The client with those keys that have not expired."""
        valid = tuple(key for key in self.keys if not key.expires_at or key.expires_at > now)
        return self.model_copy(update={"keys": valid})

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


Check = Callable[[list[Client]], None]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    clients: list[Client]

    @model_validator(mode="after")
    def _distinct(self) -> "_File":
        names = [client.name for client in self.clients]
        keys = [key.key for client in self.clients for key in client.keys]
        for what, values in (("name", names), ("key", keys)):
            if len(set(values)) < len(values):
                raise ValueError(f"two clients have the same {what}")
        return self


def load(path: Path) -> list[Client]:
    """The clients of a file, in its order; none if the file does not exist.

    Raises:
        ClientsError: the file cannot be read or is not valid.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ClientsError(f"{path}: {error.strerror}") from None
    if not content:
        return []
    try:
        # Whatever editor wrote it: UTF-8 or UTF-16, with a byte order mark or without.
        document = json.loads(content)
    except UnicodeDecodeError:
        raise ClientsError(f"{path}: is neither UTF-8 nor UTF-16") from None
    except (ValueError, RecursionError):
        raise ClientsError(f"{path}: is not JSON") from None
    try:
        return _File.model_validate(document).clients
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
    given = [Client(name=DEFAULT, keys=(Key(key=api_key),), rights=ALL)] if api_key else []
    clients = [*given, *(load(path) if path else [])]
    if not clients:
        raise ClientsError("there is no client: set API_KEY, or add one with `connectra keys add NAME`")
    try:
        return _File(clients=clients).clients
    except ValidationError:
        raise ClientsError(f"{path}: a client has the name or the key of the client `{DEFAULT}` (API_KEY)") from None


def add(
    path: Path,
    name: str,
    rights: frozenset[Right],
    *,
    expires_at: datetime | None = None,
    requests_per_minute: int | None = None,
    check: Check = lambda present: None,
) -> Client:
    """Add a client with a new key to the file.

    Args:
        path: the file.
        name: of the client.
        rights: of the client.
        expires_at: when the key ends; None: never.
        requests_per_minute: its own limit; None: that of all.
        check: gets the clients before anything is changed, and raises if it must not be.

    Raises:
        ClientExists: the name is taken.
        ClientsError: it is invalid, or the file cannot be read or written.
    """
    try:
        keys = (Key(key=new_key(), expires_at=expires_at),)
        client = Client(name=name, keys=keys, rights=rights, requests_per_minute=requests_per_minute)
    except ValidationError as error:
        raise ClientsError("; ".join(v.message for v in violations(error))) from None
    with _alone(path):
        check(clients := load(path))
        if name == DEFAULT or name in {client.name for client in clients}:
            raise ClientExists(f"there is already a client {name!r}")
        _save(path, [*clients, client])
    return client


def update(path: Path, name: str, changes: Mapping[str, Any], check: Check = lambda present: None) -> Client:
    """Change a client; its keys stay.

    Args:
        path: the file.
        name: of the client.
        changes: `rights` and `requests_per_minute`, as of `add`; what is not there stays.
        check: as of `add`.

    Raises:
        NoSuchClient: there is none of that name.
        ClientsError: a change is invalid, or the file cannot be read or written.
    """
    with _alone(path):
        check(clients := load(path))
        for number, client in enumerate(clients):
            if client.name == name:
                try:
                    clients[number] = Client.model_validate({**client.model_dump(), **changes})
                except ValidationError as error:
                    raise ClientsError("; ".join(v.message for v in violations(error))) from None
                _save(path, clients)
                return clients[number]
        raise NoSuchClient(f"there is no client {name!r} in {path}")


def rotate(
    path: Path,
    name: str,
    overlap: timedelta,
    expires_at: datetime | None = None,
    check: Check = lambda present: None,
) -> Client:
    """Give a client a new key.

    Args:
        path: the file.
        name: of the client.
        overlap: how long its former keys go on.
        expires_at: when the new key ends; None: never.
        check: as of `add`.

    Raises:
        NoSuchClient: there is none of that name.
        ClientsError: the file cannot be read or written.
    """
    with _alone(path):
        check(clients := load(path))
        now = datetime.now(UTC)
        for number, client in enumerate(clients):
            if client.name == name:
                end = now + overlap
                former = [key.model_copy(update={"expires_at": min(key.expires_at or end, end)}) for key in client.keys]
                keys = (*former, Key(key=new_key(), expires_at=expires_at))
                clients[number] = client.model_copy(update={"keys": keys}).at(now)
                _save(path, clients)
                return clients[number]
        raise NoSuchClient(f"there is no client {name!r} in {path}")


def revoke(path: Path, name: str, check: Check = lambda present: None) -> None:
    """Remove a client from the file; `check` is as of `add`.

    Raises:
        NoSuchClient: there is none of that name.
        ClientsError: the file cannot be read or written.
    """
    with _alone(path):
        check(clients := load(path))
        left = [client for client in clients if client.name != name]
        if len(left) == len(clients):
            raise NoSuchClient(f"there is no client {name!r} in {path}")
        _save(path, left)


def is_writable(path: Path) -> bool:
    """Whether the file can be replaced, or made."""
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    return os.access(folder, os.W_OK | os.X_OK)


def differences(before: Sequence[Client], after: Sequence[Client]) -> list[str]:
    """What has become of clients, in a sentence for each that is another, without anything of their keys."""
    former, found = {client.name: client for client in before}, []
    for client in after:
        was = former.pop(client.name, None)
        if was is None:
            found.append(f"client {client.name} added: {'; '.join(_facts(client))}")
        elif was != client:
            old, new = _facts(was), _facts(client)
            told = [f"{now} (was: {then})" for then, now in zip(old, new, strict=True) if now != then]
            gone, come = ({key.key for key in one.keys} for one in (was, client))
            told += [
                f"keys {word}: {len(which)}" for word, which in (("new", come - gone), ("gone", gone - come)) if which
            ]
            found.append(f"client {client.name} changed: {'; '.join(told)}")
    return found + [f"client {name} removed" for name in former]


def _facts(client: Client) -> list[str]:
    limit = f"{client.requests_per_minute} a minute" if client.requests_per_minute else "the limit of all"
    ends = ", ".join(f"{key.expires_at:%Y-%m-%dT%H:%M:%SZ}" if key.expires_at else "never" for key in client.keys)
    return [f"rights {','.join(sorted(client.rights))}", limit, f"keys end: {ends or 'no key is valid'}"]


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Others who change the file, by command or by call, wait until this has read and written it.

    The lock is on a file beside it, which is never replaced.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _save(path: Path, clients: Sequence[Client]) -> None:
    document = {"clients": [_document(client) for client in clients]}
    with _writing(path):
        write_private(path, json.dumps(document, indent=2).encode() + b"\n")


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotWritable(f"{path}: {error.strerror}") from None


def _document(client: Client) -> dict[str, Any]:
    return client.model_dump(mode="json", exclude_none=True) | {"rights": sorted(client.rights)}


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
