"""A host between a process and a server, which may forget their connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Relay:
    """Passes on what it is sent, both ways."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._servers: list[asyncio.StreamWriter] = []
        self._forgotten = asyncio.Event()
        self.address = ""

    @classmethod
    @asynccontextmanager
    async def to(cls, host: str, port: int) -> AsyncIterator["Relay"]:
        """One that listens at `address`, until the block ends."""
        relay = cls(host, port)
        server = await asyncio.start_server(relay._serve, "127.0.0.1", 0)
        relay.address = "{}:{}".format(*server.sockets[0].getsockname())
        try:
            yield relay
        finally:
            server.close()
            relay.forget()

    def forget(self) -> None:
        """The connections that there are: the server's end is closed, and the other is never told, whatever it sends."""
        self._forgotten.set()
        self._forgotten = asyncio.Event()
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        forgotten = self._forgotten
        from_server, server = await asyncio.open_connection(*self._target)
        self._servers.append(server)

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(65536):
                    if not forgotten.is_set():
                        target.write(data)
            if not forgotten.is_set():
                target.close()

        with suppress(asyncio.CancelledError):  # the end of the loop
            await asyncio.gather(pass_on(reader, server), pass_on(from_server, writer))
