"""The supervisor over small fake parts that die, ignore signals, never come up, or are orphaned."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from connectra_local.cli import stop
from connectra_local.home import Home
from connectra_local.ports import is_free
from connectra_local.state import PartStatus, State

from tests.support.ports import free_ports
from tests.support.wait import until_now


class FakeStack:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(folder, folder / "downloads")
        self.port, self.deaf_port = free_ports(2)
        self.process: subprocess.Popen[str] | None = None

    def start(self, scenario: str) -> "subprocess.Popen[str]":
        program = Path(__file__).with_name("local_fake_stack.py")
        command = [sys.executable, str(program), scenario, str(self.folder), str(self.port), str(self.deaf_port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self.process

    def part(self, name: str) -> PartStatus | None:
        state = State.load(self.home)
        return next((part for part in state.parts if part.name == name), None) if state else None

    def is_ready(self) -> bool:
        state = State.load(self.home)
        return (
            state is not None
            and self.process is not None
            and (state.supervisor.pid, state.phase)
            == (
                self.process.pid,
                "ready",
            )
        )

    def processes(self) -> list[int]:
        """Every process on this folder except the supervisor, grandchildren included."""
        mine = {os.getpid(), self.process.pid if self.process else 0}
        alive = (p for p in psutil.process_iter(["status", "cmdline"]) if p.info["status"] != psutil.STATUS_ZOMBIE)
        return [p.pid for p in alive if str(self.folder) in (p.info["cmdline"] or []) and p.pid not in mine]


@pytest.fixture
def fake() -> Iterator[FakeStack]:
    folder = Path(tempfile.mkdtemp(prefix="connectra-fake-"))
    stack = FakeStack(folder)
    yield stack
    if stack.process and stack.process.poll() is None:
        stack.process.kill()
        stack.process.wait()
    stop(stack.home, lambda line: None)
    assert stack.processes() == [], "the parts' own children are ended too"
    shutil.rmtree(folder)


def test_a_part_that_dies_is_started_again_and_status_says_why(fake: FakeStack) -> None:
    process = fake.start("plain")
    until_now(fake.is_ready)
    before = fake.part("base")
    assert before is not None
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    until_now(lambda: (part := fake.part("base")) and part.state == "running" and part.restarts == 1)
    after = fake.part("base")
    assert after is not None
    assert after.pid != before.pid
    assert after.last_exit is not None
    assert after.last_exit["reason"] == "signal SIGKILL"
    # The dead part's child is gone with it: only the new part and its child are left.
    until_now(lambda: len(fake.processes()) == 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert fake.processes() == []


def test_a_part_that_does_not_listen_is_killed_in_time(fake: FakeStack) -> None:
    process = fake.start("deaf")
    until_now(fake.is_ready)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert time.monotonic() - began < 15
    assert process.stdout is not None
    output = process.stdout.read()
    assert "killed: it did not stop within" in output
    assert output.index("deaf           stopped") < output.index("base           stopped")
    assert fake.processes() == []


def test_asked_twice_it_stops_at_once(fake: FakeStack) -> None:
    process = fake.start("deaf")
    until_now(fake.is_ready)
    process.send_signal(signal.SIGINT)
    until_now(lambda: (state := State.load(fake.home)) and state.phase == "stopping")
    process.send_signal(signal.SIGINT)
    assert process.wait(3) == 0
    assert fake.processes() == []


def test_a_part_that_never_comes_up_ends_the_start_with_its_last_words(fake: FakeStack) -> None:
    process = fake.start("broken")
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "broken did not come up: exit code 3" in output
    assert "this is why" in output
    assert "Traceback" not in output
    assert fake.processes() == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start, down or reset ends them")
def test_when_the_supervisor_is_killed_its_parts_end_too(fake: FakeStack) -> None:
    process = fake.start("plain")
    until_now(fake.is_ready)
    part = fake.part("base")
    assert part is not None
    process.kill()
    process.wait()
    until_now(lambda: part.identity is not None and not part.identity.is_alive(), seconds=5)


def test_the_next_start_ends_what_a_killed_supervisor_left(fake: FakeStack) -> None:
    orphan = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        fake.start("lonely")
        until_now(fake.is_ready)
        assert fake.process is not None
        fake.process.kill()
        fake.process.wait()
        # As if the kernel had ended nothing: the state names a process that still runs, and one from before a reboot.
        state = State.load(fake.home)
        assert state is not None
        started = Path(f"/proc/{orphan.pid}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        base = state.parts[0]
        base.pid, base.started = orphan.pid, f"{boot}/{started}"
        state.parts.append(PartStatus("other", "", pid=os.getpid(), started="a-boot-before/1"))
        state.save(fake.home)
        until_now(lambda: is_free(fake.port))
        fake.start("lonely")
        assert orphan.wait(20) == -signal.SIGTERM
        until_now(fake.is_ready)
    finally:
        orphan.kill()


def test_two_supervisors_on_one_folder_are_refused(fake: FakeStack) -> None:
    first = fake.start("plain")
    until_now(fake.is_ready)
    second = fake.start("plain")
    output, _ = second.communicate(timeout=20)
    assert "already running" in output
    assert first.poll() is None
    first.terminate()
    assert first.wait(20) == 0
