"""What the supervisor records, and how a process is recognised again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from connectra_client.errors import ClientError
from connectra_local.home import Home, Secrets
from connectra_local.processes import Identity, reap, rotate, tail
from connectra_local.state import PartStatus, State


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def test_a_reused_pid_is_another_process(sleeper: "subprocess.Popen[bytes]") -> None:
    identity = Identity.of(sleeper.pid)
    assert identity is not None
    assert identity.is_alive()
    earlier = Identity(sleeper.pid, "a-boot-before/12345")
    assert not earlier.is_alive()
    assert reap([(earlier, signal.SIGKILL)], Path("/nowhere")) == []
    assert sleeper.poll() is None


def test_an_orphan_is_ended_even_if_it_does_not_listen() -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    identity = Identity.of(process.pid)
    assert identity is not None
    assert reap([(identity, signal.SIGTERM)], Path("/nowhere"), grace=0.2) == [process.pid]
    assert process.wait() == -signal.SIGKILL


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    identity = Identity.of(process.pid)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identity is None or not identity.is_alive()
    process.wait()


def test_the_state_comes_back_as_it_was_written_and_only_for_its_owner(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path / "downloads")
    home.create()
    me = Identity.of(os.getpid())
    assert me is not None
    part = PartStatus("s3", "127.0.0.1:9000", "running", 77, "boot/1", restarts=2, last_exit={"reason": "x", "at": "y"})
    state = State(me, {"gateway": "g"}, "ready", [part, PartStatus("migrate", "", listed=False)])
    state.save(home)
    assert State.load(home) == state
    assert state.is_current()
    assert state.orphans() == [(Identity(77, "boot/1"), 15)]
    assert home.state_file.stat().st_mode & 0o777 == 0o600
    public = {
        "name": "s3",
        "pid": 77,
        "state": "running",
        "address": "127.0.0.1:9000",
        "restarts": 2,
        "last_exit": {"reason": "x", "at": "y"},
    }
    assert state.public() == {"gateway": "g", "parts": [public]}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"parts": []}', '{"parts": [{}]}'])
def test_a_state_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    home = Home(tmp_path, tmp_path / "downloads")
    assert State.load(home) is None
    home.create()
    home.state_file.write_text(text)
    with pytest.raises(ClientError, match=r"state\.json does not say what runs here .*: delete it once"):
        State.load(home)


@pytest.mark.parametrize("text", ["", "{}", "[1]"])
def test_secrets_that_are_none_are_named(tmp_path: Path, text: str) -> None:
    home = Home(tmp_path, tmp_path / "downloads")
    made = Secrets.load(home)
    assert Secrets.load(home) == made
    (tmp_path / "secrets.json").write_text(text)
    with pytest.raises(ClientError, match=r"secrets\.json, .* cannot be read"):
        Secrets.load(home)


def test_a_home_that_is_no_folder_is_named(tmp_path: Path) -> None:
    file = tmp_path / "home"
    file.touch()
    home = Home(file, tmp_path / "downloads")
    with pytest.raises(ClientError, match="cannot be read: Not a directory"):
        State.load(home)
    with pytest.raises(ClientError, match=f"the folder {file} cannot be created: File exists"):
        home.create()


def test_a_state_of_a_supervisor_that_is_gone_is_not_current() -> None:
    assert not State(Identity(os.getpid(), "a-boot-before/1"), {}, "ready").is_current()


def test_a_log_that_has_grown_large_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_text("small\n")
    rotate(log)
    assert log.exists()
    with log.open("ab") as out:
        out.truncate(20_000_000)
    rotate(log)
    assert not log.exists()
    assert (tmp_path / "part.log.1").exists()


def test_tail_gives_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    assert tail(log, 3) == []
    log.write_text("".join(f"{number}\n" for number in range(5000)))
    assert tail(log, 3) == ["4997", "4998", "4999"]
    log.write_text("one\ntwo")
    assert tail(log, 3) == ["one", "two"]
