"""Starting, recognising and ending processes, and never ending one that is not ours."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
LOG_LIMIT = 10_000_000


@dataclass(frozen=True)
class Identity:
    """Identifies a process for good: a pid is reused some day, a pid together with its start time is not."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        started = start_mark(pid)
        return cls(pid, started) if started else None

    def is_alive(self) -> bool:
        return start_mark(self.pid) == self.started

    def send(self, signum: int) -> None:
        """Signal the process if it is still the same; SIGKILL, which it cannot pass on, goes to its whole group."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                if signum == signal.SIGKILL and os.getpgid(self.pid) == self.pid:
                    os.killpg(self.pid, signum)
                else:
                    os.kill(self.pid, signum)


def start_mark(pid: int) -> str | None:
    """When a live process started, as a text that no other process with this pid has; None if it is dead or a zombie."""
    try:
        if not sys.platform.startswith("linux"):
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
        # Ticks since boot, and which boot: unlike wall-clock time, they do not change when the clock is set.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"
    except (OSError, psutil.Error):
        return None


async def start(
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str],
    cwd: Path,
    options: Mapping[str, object],
    death_signal: int,
) -> asyncio.subprocess.Process:
    """Start a process in its own session (Ctrl-C does not reach it), with its output appended to `log`.

    On Linux it gets `death_signal` when this process ends, however it ends. Call this from the main thread: the kernel
    sends that signal when the *thread* that started the process ends.
    """
    with log.open("ab") as out:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=env,
            cwd=cwd,
            start_new_session=True,
            # Runs after the change of user, which would otherwise clear the setting.
            preexec_fn=die_with_parent(death_signal),
            **options,  # type: ignore[arg-type]
        )


def die_with_parent(signum: int) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0)
        if os.getppid() != parent:  # the parent died in between
            os._exit(1)

    return in_child


def reap(orphans: Iterable[tuple[Identity, int]], home: Path, grace: float = 5.0) -> list[int]:
    """End the processes that a dead supervisor of `home` left behind, and what they had started.

    Args:
        orphans: the processes, each with the signal that asks it to stop.
        home: the state folder they belong to.
        grace: seconds until they are killed.

    Returns:
        The pids of those that were alive.
    """
    orphans = list(orphans)
    alive = [(identity, signum) for identity, signum in orphans if identity.is_alive()]
    for identity, signum in alive:
        identity.send(signum)
    deadline = time.monotonic() + grace
    while any(identity.is_alive() for identity, _ in alive):
        if time.monotonic() > deadline:
            for identity, _ in alive:
                identity.send(signal.SIGKILL)
            deadline += grace
        time.sleep(0.02)
    left = descendants({identity.pid for identity, _ in orphans}, home)
    for identity in left:
        identity.send(signal.SIGKILL)
    return [identity.pid for identity in (*(identity for identity, _ in alive), *left)]


def descendants(leaders: Container[int], home: Path) -> list[Identity]:
    """Processes in a session led by one of these pids. A pid may have been reused, so their environment must be ours too."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) in leaders and process.environ().get("CONNECTRA_HOME") == str(home):
                found.append(Identity.of(process.pid))
    return [identity for identity in found if identity]


def rotate(log: Path) -> None:
    """Start a new log if the old one has grown large; the last old one is kept."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_name(f"{log.name}.1"))


def tail(log: Path, lines: int) -> list[str]:
    """The last lines of a log."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 400 * lines - 4000))
        return file.read().decode(errors="replace").split("\n")[-lines - 1 :][:lines]
