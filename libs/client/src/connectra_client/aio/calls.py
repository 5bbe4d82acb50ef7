"""What the calls of the async client go through."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

import grpc
from betterproto2 import Message

from connectra_client.channel import Metadata, Session, Timeout, Tls, options, target
from connectra_client.connection import Connection

T = TypeVar("T")
Answer = TypeVar("Answer", bound=Message)

Channel = grpc.aio.Channel
sleep = asyncio.sleep


def open_channel(to: Connection, tls: Tls) -> Channel:
    """Connections to an address; nothing is sent yet.

    Raises:
        ClientError: a file of `tls` cannot be read.
    """
    if to.secure:
        return grpc.aio.secure_channel(target(to), tls.credentials(), options(to))
    return grpc.aio.insecure_channel(target(to), options(to))


async def in_thread(work: Callable[[], T]) -> T:
    """The result of work that blocks."""
    return await asyncio.to_thread(work)


def from_threads() -> Callable[[Awaitable[T]], T]:
    """A function by which threads wait for calls of this event loop."""
    loop = asyncio.get_running_loop()

    async def wait(call: Awaitable[T]) -> T:
        return await call

    return lambda call: asyncio.run_coroutine_threadsafe(wait(call), loop).result()


class Opened:
    """What is opened by `async with`."""

    if not TYPE_CHECKING:  # for type checkers it has none of these

        def __enter__(self) -> NoReturn:
            raise TypeError(
                "Connectra is opened by `async with`; to call it without asyncio, use `with SyncConnectra()`"
            )

        def __exit__(self, *error: object) -> None: ...


class Stub:
    """A service, reached through a channel.

    Args:
        channel: to it.
        key: API key, empty if it takes none.
        session: of the client.
    """

    def __init__(self, channel: Channel, key: str, session: Session) -> None:
        self._channel, self._key, self._session = channel, key, session

    async def _unary(
        self,
        path: str,
        message: Message,
        answer: type[Answer],
        timeout: Timeout,
        metadata: Metadata | None,
        idempotency_key: str | None = None,
    ) -> Answer:
        call = self._session.begin(self._key, path, timeout, metadata, idempotency_key)
        method = self._channel.unary_unary(path, bytes, answer.parse)
        sent = method(message, timeout=call.timeout, metadata=call.metadata)
        try:
            received: Answer = await sent
            call.answered(await sent.initial_metadata(), await sent.trailing_metadata())
        except grpc.RpcError as error:
            raise call.failed(error) from error
        return received

    async def _stream(
        self, path: str, message: Message, answer: type[Answer], timeout: Timeout, metadata: Metadata | None
    ) -> AsyncIterator[Answer]:
        call = self._session.begin(self._key, path, timeout, metadata, stream=True)
        method = self._channel.unary_stream(path, bytes, answer.parse)
        sent = method(message, timeout=call.timeout, metadata=call.metadata)
        try:
            async for received in sent:
                call.seen()
                yield received
        except grpc.RpcError as error:
            raise call.failed(error) from error
        finally:
            sent.cancel()  # what is left, if the caller has enough
