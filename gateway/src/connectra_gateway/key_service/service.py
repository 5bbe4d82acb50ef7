"""The clients of the gateway by call: the same file that `connectra keys` changes."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from connectra_common.call import current
from connectra_common.errors import Conflict, Forbidden, NotFound, WrongState
from connectra_common.refusals import KeysReadOnly, OwnKey
from connectra_common.rights import Right

from connectra_gateway import clients
from connectra_gateway.clients import DEFAULT, USUAL, Client, ClientExists, ClientsError, NoSuchClient, NotWritable
from connectra_gateway.key_service.requests import CreateKeyBody, RotateKeyBody, UpdateKeyBody
from connectra_gateway.keys import TOKEN
from connectra_gateway.settings import GatewaySettings

T = TypeVar("T")


@dataclass(frozen=True)
class Listed:
    """All clients, and why they cannot be changed here; None: they can."""

    clients: list[Client]
    read_only_reason: str | None


class KeysService:
    """Clients and keys.

    Args:
        settings: where the file is, and the key of the client `default`.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._path = Path(settings.keys_file)
        self._api_key = settings.api_key.get_secret_value() if settings.api_key else None

    async def all(self) -> Listed:
        """The clients with the keys that have not expired.

        Raises:
            WrongState: the file cannot be read.
        """
        now = datetime.now(UTC)
        found = await self._done(lambda: clients.known(self._path, self._api_key))
        reason = None if clients.is_writable(self._path) else self._reason()
        return Listed([client.at(now) for client in found], reason)

    async def create(self, body: CreateKeyBody) -> Client:
        """A new client with its key.

        Raises:
            Conflict: there is one of this name.
            KeysReadOnly: the file cannot be written.
        """
        rights = frozenset(map(Right, body.rights or ())) or USUAL
        limit = body.requests_per_minute
        client = await self._done(
            lambda: clients.add(
                self._path, body.name, rights, expires_at=body.expires_at, requests_per_minute=limit, check=self._check
            )
        )
        _record(f"client {client.name} added")
        return client

    async def update(self, name: str, body: UpdateKeyBody) -> Client:
        """A client with other rights or another limit; what the body does not name stays.

        Raises:
            NotFound: there is none of this name.
            OwnKey: it is the caller, who would be no administrator any more.
            KeysReadOnly: the file cannot be written, or it is the client of API_KEY.
        """
        if name == DEFAULT and self._api_key:
            raise KeysReadOnly("the client 'default', whose key is the setting API_KEY, always has all rights")
        changes: dict[str, Any] = body.model_dump(exclude_unset=True)
        if body.rights is None:
            changes.pop("rights", None)
        else:
            changes["rights"] = frozenset(map(Right, body.rights))
            if name == current().client and Right.ADMIN not in changes["rights"]:
                raise OwnKey(name, "give up its right `admin`", f"update {name}")
        client = await self._done(lambda: clients.update(self._path, name, changes, check=self._check))
        _record(f"client {name} changed")
        return client

    async def rotate(self, name: str, body: RotateKeyBody) -> Client:
        """A client with another key, the last of its keys.

        Raises:
            NotFound: there is none of this name.
            KeysReadOnly: the file cannot be written, or it is the client of API_KEY.
        """
        self._refuse_default(name)
        overlap = timedelta(seconds=body.overlap_seconds)
        client = await self._done(lambda: clients.rotate(self._path, name, overlap, body.expires_at, check=self._check))
        _record(f"client {name} got another key")
        return client

    async def revoke(self, name: str) -> None:
        """Removes a client.

        Raises:
            NotFound: there is none of this name.
            OwnKey: it is the caller.
            KeysReadOnly: the file cannot be written, or it is the client of API_KEY.
        """
        if name == current().client:
            raise OwnKey(name, "revoke itself", f"revoke {name}")
        self._refuse_default(name)
        await self._done(lambda: clients.revoke(self._path, name, check=self._check))
        _record(f"client {name} revoked")

    def _refuse_default(self, name: str) -> None:
        if name == DEFAULT and self._api_key:
            raise KeysReadOnly("the key of the client 'default' is the setting API_KEY: change it there")

    def _check(self, present: list[Client]) -> None:
        """Under the lock: of two administrators who revoke each other, the second is none any more."""
        caller = current().client
        if not caller or caller == DEFAULT or caller.startswith(TOKEN):
            return
        if not any(client.name == caller and Right.ADMIN in client.rights for client in present):
            raise Forbidden("the key of this call has been revoked")

    async def _done(self, work: Callable[[], T]) -> T:
        """Work on the file, in a thread: it may have to wait for another change."""
        with self._translated():
            return await asyncio.to_thread(work)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ClientExists as error:
            raise Conflict(str(error)) from None
        except NoSuchClient:
            raise NotFound("there is no client of this name") from None
        except NotWritable:
            raise KeysReadOnly(self._reason()) from None
        except ClientsError as error:
            raise WrongState(str(error)) from None

    def _reason(self) -> str:
        return (
            f"this gateway cannot write {self._path.absolute()}, where the clients are kept: change that file where it comes from, by "
            "`connectra keys --file`, and update the secret, the mount or the image that brings it here"
        )


def _record(what: str) -> None:
    """Who did it, for the log; what has changed stands in the line of the gateway that takes it over."""
    call = current()
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    sys.stderr.write(f"gateway: {moment} {what} by {call.client or 'a caller inside'}, request {call.request_id}\n")
