"""`connectra-gateway run`: Envoy as a child process, plus what Envoy cannot do alone: reload keys, and stop without breaking calls."""

import ctypes
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

WATCH_SECONDS = 0.5
DRAIN_POLL_SECONDS = 0.1
STOP_SECONDS = 5.0
# Envoy's own drain time, after which it accepts no connection any more.
LISTENER_SECONDS = 1
_PR_SET_PDEATHSIG = 1


class Launcher:
    """Runs Envoy until it ends or this process is told to stop.

    Args:
        command: Envoy's command line.
        admin: host and port of Envoy's admin interface.
        watched: files to watch; in Kubernetes they are symlinks that are switched.
        changed: called at first, when one has changed, and after as many seconds as it has returned.
        lame_duck_seconds: how long after SIGTERM new connections are accepted while health checks fail already.
        drain_seconds: how long requests may continue after that; the drain ends as soon as none is running.
    """

    def __init__(
        self,
        command: Sequence[str],
        admin: tuple[str, int],
        watched: Sequence[Path],
        changed: Callable[[], float],
        lame_duck_seconds: float,
        drain_seconds: float,
    ) -> None:
        self._command, self._admin = command, admin
        self._watched, self._changed = watched, changed
        self._lame_duck_seconds, self._drain_seconds = lame_duck_seconds, drain_seconds
        self._stopping = threading.Event()

    def run(self, started: Callable[[], None] = lambda: None) -> int:
        """Run Envoy until SIGTERM or SIGINT; return its exit code, or 0 after a drain.

        Args:
            started: called once Envoy is there: nothing is forked any more, and threads may begin.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        envoy = self.start()
        started()
        return self.tend(envoy)

    def start(self) -> "subprocess.Popen[bytes]":
        """Start Envoy. Call it from the main thread: Envoy ends with the thread that started it."""
        return subprocess.Popen(self._command, preexec_fn=partial(_die_with, os.getpid()), start_new_session=True)

    def stop(self) -> None:
        """Have `tend` drain Envoy and return; to be called from any thread."""
        self._stopping.set()

    def tend(self, envoy: "subprocess.Popen[bytes]") -> int:
        """Reload what changes until Envoy ends; return its exit code, or 0 after a drain."""
        before = self._stamps()
        due = time.time() + self._changed()
        while envoy.poll() is None:
            if self._stopping.wait(WATCH_SECONDS):
                self._drain(envoy)
                return 0
            if (now := self._stamps()) != before or time.time() >= due:
                before = now
                due = time.time() + self._changed()
        return envoy.returncode

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._watched]

    def _drain(self, envoy: "subprocess.Popen[bytes]") -> None:
        """Fail health checks, ask connections to close, and wait until no request is running."""
        try:
            self._ask("POST", "/healthcheck/fail")
            time.sleep(self._lame_duck_seconds)
            end = time.monotonic() + self._drain_seconds
            self._ask("POST", "/drain_listeners?graceful")
            # Until then a moment without a request is no end: the next one is on its way.
            time.sleep(min(LISTENER_SECONDS, self._drain_seconds))
            while time.monotonic() < end and envoy.poll() is None and self._is_busy():
                time.sleep(DRAIN_POLL_SECONDS)
        except OSError as error:
            sys.stderr.write(f"gateway: Envoy's admin interface does not answer ({error}); stopping at once\n")
        envoy.terminate()
        try:
            envoy.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            envoy.kill()
            envoy.wait()

    def _is_busy(self) -> bool:
        """Whether a request is running. Idle connections are not waited for: their owners reconnect elsewhere."""
        text = self._ask("GET", "/stats?filter=^http[.]front[.]downstream_rq_active$")
        return any(line.rpartition(":")[2].strip() != "0" for line in text.splitlines() if line)

    def _ask(self, method: str, path: str) -> str:
        connection = http.client.HTTPConnection(*self._admin, timeout=2)
        try:
            connection.request(method, path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _die_with(parent: int) -> None:
    # Linux: an Envoy without its launcher would keep the port, and nothing would reload its keys.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # Has the parent gone already? (Do not compare with 1: in a container the launcher is process 1.)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
