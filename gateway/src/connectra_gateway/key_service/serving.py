"""Where the gateway serves its clients' keys: a socket that only Envoy and whoever runs the gateway can reach."""

import asyncio
import os
import stat
import tempfile
import threading
from hashlib import sha256
from pathlib import Path

import grpc
import structlog
from connectra.gateway.v1.keys_rest_pb2_grpc import add_KeysRestServiceServicer_to_server
from connectra.gateway.v1.keys_service_pb2_grpc import add_KeysServiceServicer_to_server
from connectra_common.server.interceptors import CallInterceptor
from connectra_common.server.process import CONNECTIONS

from connectra_gateway.key_service.rest import KeysRestServicer
from connectra_gateway.key_service.service import KeysService
from connectra_gateway.key_service.servicer import KeysServicer
from connectra_gateway.settings import GatewaySettings

# Of the path of a socket, on Linux and on macOS.
MAX_PATH_BYTES = 100

log = structlog.get_logger()


def socket(state: Path) -> Path:
    """The socket of a gateway with this folder for its state; where that is too deep for one, in a folder of its own."""
    path = state.resolve() / "keys.sock"
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        return path
    return Path(tempfile.gettempdir()) / f"connectra-{sha256(os.fsencode(path)).hexdigest()[:16]}" / "keys.sock"


async def serve(settings: GatewaySettings, state: Path, stopping: asyncio.Event) -> None:
    """Serves until told to stop."""
    service, path = KeysService(settings), socket(state)
    _private(path.parent)
    path.unlink(missing_ok=True)
    interceptor = CallInterceptor(settings.request_timeout_seconds)
    server = grpc.aio.server(interceptors=[interceptor], options=CONNECTIONS)
    add_KeysServiceServicer_to_server(KeysServicer(service), server)
    add_KeysRestServiceServicer_to_server(KeysRestServicer(service), server)
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        await stopping.wait()
    finally:
        await server.stop(settings.drain_seconds)


class InThread:
    """Serves in a thread of its own, for a process that has no event loop.

    Args:
        settings: of the gateway.
        state: its folder.
    """

    def __init__(self, settings: GatewaySettings, state: Path) -> None:
        self._settings, self._state = settings, state
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="keys", daemon=True)

    def start(self) -> None:
        """To be called after Envoy was started: starting it forks, which threads do not survive."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it, once running calls have ended."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(self._settings.drain_seconds + 1)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - the gateway goes on without; calls of keys are 503
            log.error("keys are not served", error=repr(error))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await serve(self._settings, self._state, self._stopping)


def _private(folder: Path) -> None:
    """A folder that nobody else can look into.

    Raises:
        PermissionError: it is somebody else's.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077 or not stat.S_ISDIR(found.st_mode):
        raise PermissionError(f"{folder} is not a folder of this user alone")
