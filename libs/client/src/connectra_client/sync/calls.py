"""What the calls of the blocking client go through; the same names as in `connectra_client.aio.calls`."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NoReturn, TypeVar

import grpc
from betterproto2 import Message

from connectra_client.channel import Metadata, Session, Timeout, Tls, options, target
from connectra_client.connection import Connection

T = TypeVar("T")
Answer = TypeVar("Answer", bound=Message)

Channel = grpc.Channel
sleep = time.sleep


def open_channel(to: Connection, tls: Tls) -> Channel:
    """Connections to an address; nothing is sent yet.

    Raises:
        ClientError: a file of `tls` cannot be read.
    """
    if to.secure:
        return grpc.secure_channel(target(to), tls.credentials(), options(to))
    return grpc.insecure_channel(target(to), options(to))


def in_thread(work: Callable[[], T]) -> T:
    """The result of work that blocks."""
    return work()


def from_threads() -> Callable[[T], T]:
    """A function by which threads wait for calls: they have ended when they return."""
    return lambda answer: answer


class Opened:
    """What is opened by `with`."""

    if not TYPE_CHECKING:  # for type checkers it has none of these

        async def __aenter__(self) -> NoReturn:
            raise TypeError("SyncConnectra is opened by `with`; to await its calls, use `async with Connectra()`")

        async def __aexit__(self, *error: object) -> None: ...


class Stub:
    """A service, reached through a channel.

    Args:
        channel: to it.
        key: API key, empty if it takes none.
        session: of the client.
    """

    def __init__(self, channel: Channel, key: str, session: Session) -> None:
        self._channel, self._key, self._session = channel, key, session

    def _unary(
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
        received: Answer
        try:
            received, sent = method.with_call(message, timeout=call.timeout, metadata=call.metadata)
        except grpc.RpcError as error:
            raise call.failed(error) from error
        call.answered(sent.initial_metadata(), sent.trailing_metadata())
        return received

    def _stream(
        self, path: str, message: Message, answer: type[Answer], timeout: Timeout, metadata: Metadata | None
    ) -> Iterator[Answer]:
        call = self._session.begin(self._key, path, timeout, metadata, stream=True)
        method = self._channel.unary_stream(path, bytes, answer.parse)
        sent = method(message, timeout=call.timeout, metadata=call.metadata)
        try:
            for received in sent:
                call.seen()
                yield received
        except grpc.RpcError as error:
            raise call.failed(error) from error
        finally:
            sent.cancel()  # what is left, if the caller has enough
