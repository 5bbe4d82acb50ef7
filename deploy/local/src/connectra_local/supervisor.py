"""The supervisor: starts the parts in order, keeps them running, stops them in reverse order."""

import argparse
import asyncio
import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from connectra_local import processes
from connectra_local.config import Config
from connectra_local.home import Home, LocalError
from connectra_local.parts import SINGLE, Part, build_parts, layers
from connectra_local.ports import require_free
from connectra_local.processes import Identity
from connectra_local.setup import install_parts
from connectra_local.state import PartState, PartStatus, Phase, State

START_TIMEOUT = 120.0
EXTERNAL_TIMEOUT = 30.0
POLL = 0.1
# Seconds until everything has been asked to stop and what has not stopped is killed; 15 are promised.
STOP_LIMIT = 13.5
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
HEALTHY_AFTER = 60.0
TAIL_LINES = 15

Echo = Callable[[str], None]
WhenReady = Callable[[State], None]


class AlreadyRunningError(LocalError):
    """Another supervisor holds this home."""


class StartError(LocalError):
    """A part did not come up; the message ends with the last lines of its log."""


@contextmanager
def exclusive(home: Home) -> Iterator[None]:
    """Hold the home, so that no other supervisor starts on it; the lock is released when this process ends.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    home.create()
    with home.lock_file.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(f"Connectra is already running on {home.path}") from None
        yield


class Keeper:
    """One part and its process."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.status = PartStatus(part.name, part.address, stop_signal=part.stop_signal, listed=not part.once)
        # Set once it has been ready: the parts that need it may start.
        self.ready = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None
        # Held while a process is being started, so that stopping never overlooks one.
        self.starting = asyncio.Lock()


class Supervisor:
    """Runs a set of parts until it is told to stop.

    Args:
        config: the configuration.
        parts: what to run.
        echo: gets one line per event worth the user's attention.
        when_ready: called once, when everything is ready; must not block.
    """

    def __init__(
        self, config: Config, parts: list[Part], echo: Echo, when_ready: WhenReady = lambda state: None
    ) -> None:
        self.config = config
        self.home = config.home
        self.keepers = {part.name: Keeper(part) for part in parts}
        self.stopping = asyncio.Event()
        # Done when it is time to stop: without an error when asked to, with one if a part did not come up.
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._echo = echo
        self._when_ready = when_ready
        me = Identity.of(os.getpid())
        assert me is not None
        self.state = State(me, config.connection(), parts=[keeper.status for keeper in self.keepers.values()])

    async def run(self) -> None:
        """Start everything, keep it running until SIGINT or SIGTERM, stop it.

        Raises:
            LocalError: a port is taken or a part did not come up; nothing is left running.
        """
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(signum, self._stop_requested)
        self._clear_away()
        require_free((name for keeper in self.keepers.values() for name in keeper.part.ports), self.config.ports)
        self.state.save(self.home)
        keeping = [asyncio.create_task(self._keep(keeper)) for keeper in self.keepers.values()]
        all_ready = asyncio.gather(*(keeper.ready.wait() for keeper in self.keepers.values()))
        try:
            await asyncio.wait((self._end, all_ready), return_when=asyncio.FIRST_COMPLETED)
            if not self._end.done():
                self._enter("ready")
                where = f"ready: {self.config.gateway_url}  (`connectra status --show-secrets` shows the API key)"
                self.echo(where if {"gateway", SINGLE} & self.keepers.keys() else "ready")
                self._when_ready(self.state)
            await self._end
            self._enter("stopping")
        except BaseException:
            self._enter("failed")
            raise
        finally:
            self.stopping.set()
            await self._stop_all()
            all_ready.cancel()
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, all_ready, return_exceptions=True)
            if self.state.phase == "stopping":
                self._enter("stopped")

    def echo(self, line: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self.home.log_of("supervisor").open("a") as log:
            log.write(f"{stamp}  {line}\n")
        # A closed terminal or pipe must not prevent the parts from being stopped; rich raises SystemExit for it.
        with contextlib.suppress(OSError, SystemExit):
            self._echo(line)

    def _enter(self, phase: Phase) -> None:
        self.state.phase = phase
        self.state.save(self.home)

    def _event(self, keeper: Keeper, what: str, detail: str) -> None:
        self.echo(f"{keeper.part.name:<14} {what:<10} {keeper.part.address:<21} {detail}".rstrip())

    def _stop_requested(self) -> None:
        if self._end.done():  # asked twice: stop immediately
            for keeper in self.keepers.values():
                if identity := keeper.status.identity:
                    identity.send(signal.SIGKILL)
        else:
            self._end.set_result(None)

    def _clear_away(self) -> None:
        """End what a killed supervisor left behind, and rotate logs that have grown large."""
        if (old := State.load(self.home)) and (ended := processes.reap(old.orphans(), self.home.path)):
            self.echo(f"ended {len(ended)} processes that an earlier run left behind")
        for name in self.keepers:
            processes.rotate(self.home.log_of(name))

    async def _keep(self, keeper: Keeper) -> None:
        """The life of one part. A failure of the first start ends everything; a later one only restarts the part."""
        try:
            for need in keeper.part.needs:
                if need in self.keepers:
                    await self.keepers[need].ready.wait()
            if keeper.part.command is None:
                await self._watch_external(keeper)
            else:
                await self._keep_running(keeper)
        except Exception as error:  # noqa: BLE001 - handed to run(), which raises it
            if not self._end.done():
                self._end.set_exception(error)

    async def _keep_running(self, keeper: Keeper) -> None:
        part, status = keeper.part, keeper.status
        delay = FIRST_DELAY
        self._set(keeper, "starting")
        while not self.stopping.is_set():
            began = time.monotonic()
            problem = await self._start(keeper)
            if not problem:
                self._set(keeper, "running")
                detail = f"{time.monotonic() - began:.1f} s  {part.note}"
                self._event(keeper, "done" if part.once else "ready", detail)
                keeper.ready.set()
                if part.once:
                    return
                problem = await self._ended(keeper)
            if self.stopping.is_set():
                return
            if not keeper.ready.is_set():
                file = self.home.log_of(part.name)
                end = "".join(f"\n  {line}" for line in processes.tail(file, TAIL_LINES))
                raise StartError(f"{part.name} did not come up: {problem}\nThe end of {file}:{end}")
            if time.monotonic() - began > HEALTHY_AFTER:
                delay = FIRST_DELAY
            status.restarts += 1
            status.last_exit = {"reason": problem, "at": datetime.now(UTC).isoformat(timespec="seconds")}
            self._set(keeper, "restarting")
            self._event(keeper, "died", f"{problem}; restarting in {delay:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _start(self, keeper: Keeper) -> str:
        """Start the process and wait until the part is ready. Returns "", or what went wrong; no process is left then."""
        part = keeper.part
        assert part.command is not None
        async with keeper.starting:
            if self.stopping.is_set():
                return "stopped"
            try:
                if part.prepare:
                    await asyncio.to_thread(part.prepare)
                keeper.process = await processes.start(
                    part.command,
                    log=self.home.log_of(part.name),
                    # The home also marks the process as ours, whoever started it.
                    env={**os.environ, **part.env, "CONNECTRA_HOME": str(self.home.path)},
                    cwd=self.home.path,
                    options=part.popen_options,
                    death_signal=part.death_signal,
                )
            except (OSError, LocalError) as error:
                return str(error)
            if identity := Identity.of(keeper.process.pid):
                keeper.status.pid, keeper.status.started = identity.pid, identity.started
            self.state.save(self.home)
        return await self._until_ready(keeper, keeper.process)

    async def _until_ready(self, keeper: Keeper, process: asyncio.subprocess.Process) -> str:
        """Wait until the part is ready or, if it runs once, has succeeded. Returns "" or what went wrong."""
        deadline = time.monotonic() + START_TIMEOUT
        problem = "it is not done"
        while not self.stopping.is_set():
            if process.returncode is not None:
                how = await self._ended(keeper)
                return "" if keeper.part.once and process.returncode == 0 else how
            if keeper.part.ready:
                try:
                    await keeper.part.ready()
                    return ""
                except Exception as error:  # noqa: BLE001 - any failure to answer means not ready
                    problem = f"{type(error).__name__}: {error}"
            if time.monotonic() > deadline:
                process.kill()
                await self._ended(keeper)
                return f"not ready after {START_TIMEOUT:.0f} s ({problem})"
            await asyncio.sleep(POLL)
        return "stopped"

    async def _ended(self, keeper: Keeper) -> str:
        """Wait until the process ends, kill what is left of its group, and return how it ended."""
        assert keeper.process is not None
        code = await keeper.process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(keeper.process.pid, signal.SIGKILL)
        keeper.status.pid = keeper.status.started = None
        self.state.save(self.home)
        return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"

    async def _watch_external(self, keeper: Keeper) -> None:
        part = keeper.part
        assert part.ready is not None
        self._set(keeper, "starting")
        deadline = time.monotonic() + EXTERNAL_TIMEOUT
        while not self.stopping.is_set():
            try:
                await part.ready()
                break
            except Exception as error:
                if time.monotonic() > deadline:
                    problem = f"{type(error).__name__}: {error}"
                    raise StartError(
                        f"the external {part.name} at {part.address} does not answer: {problem}"
                    ) from error
            await asyncio.sleep(POLL)
        self._set(keeper, "running")
        self._event(keeper, "ready", "external")
        keeper.ready.set()

    def _set(self, keeper: Keeper, state: PartState) -> None:
        keeper.status.state = state
        self.state.save(self.home)

    async def _stop_all(self) -> None:
        """Stop in the reverse order of starting, all parts of a layer at once, everything within STOP_LIMIT."""
        order = layers(keeper.part for keeper in self.keepers.values())[::-1]
        end = time.monotonic() + STOP_LIMIT
        for index, layer in enumerate(order):
            grace = (end - time.monotonic()) / (len(order) - index)
            await asyncio.gather(*(self._stop(self.keepers[part.name], grace) for part in layer))

    async def _stop(self, keeper: Keeper, grace: float) -> None:
        async with keeper.starting:
            identity, process = keeper.status.identity, keeper.process
        if process and identity:
            began = time.monotonic()
            identity.send(keeper.part.stop_signal)
            try:
                await asyncio.wait_for(self._ended(keeper), grace)
                how = f"{time.monotonic() - began:.1f} s"
            except TimeoutError:
                identity.send(signal.SIGKILL)
                await self._ended(keeper)
                how = f"killed: it did not stop within {grace:.1f} s"
            self._event(keeper, "stopped", how)
        self._set(keeper, "stopped")


def needs_elasticsearch(parts: list[Part]) -> bool:
    """Whether the parts include the embedded Elasticsearch, which has to be fetched first."""
    return any(part.name == "elasticsearch" and part.command for part in parts)


def run(
    home: Home,
    *,
    only: str | None = None,
    free_ports: bool = False,
    single: bool = False,
    echo: Echo = lambda line: None,
    when_ready: WhenReady = lambda state: None,
) -> None:
    """Run the stack in this process until SIGINT or SIGTERM.

    Args:
        home: the state folder.
        only: names of parts, such as "postgres,s3"; None means all.
        free_ports: use free ports instead of the configured ones.
        single: one process has the services for callers and the gateway.
        echo: gets one line per event worth the user's attention.
        when_ready: called once, when everything is ready; must not block.

    Raises:
        AlreadyRunningError: another supervisor holds this home.
        LocalError: it did not come up; nothing is left running.
    """
    with exclusive(home):
        config = Config.load(home, free_ports, single)
        parts = build_parts(config, only)
        if needs_elasticsearch(parts):
            install_parts(home)

        async def main() -> None:
            await Supervisor(config, parts, echo, when_ready).run()

        asyncio.run(main())


def main() -> None:
    """The detached supervisor: its output is the supervisor log."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only")
    parser.add_argument("--free-ports", action="store_true")
    parser.add_argument("--single", action="store_true")
    arguments = parser.parse_args()
    try:
        run(Home.find(), only=arguments.only, free_ports=arguments.free_ports, single=arguments.single)
    except LocalError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
