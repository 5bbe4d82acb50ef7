"""Run as a program: the real supervisor over small fake parts. Arguments: scenario, home, two ports."""

import asyncio
import sys
from functools import partial
from pathlib import Path

from connectra_local import supervisor
from connectra_local.config import Config
from connectra_local.home import Home, LocalError
from connectra_local.parts import Part
from connectra_local.ports import DEFAULT_PORTS

LISTEN = """
import signal, socket, subprocess, sys
if "deaf" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "parent" in sys.argv: subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", sys.argv[2]])
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True: server.accept()
"""


async def accepts(address: str) -> None:
    """Ready when a connection is accepted."""
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 3)
    writer.close()


def listening(name: str, port: int, home: Path, *arguments: str, needs: tuple[str, ...] = ()) -> Part:
    address = f"127.0.0.1:{port}"
    command = (sys.executable, "-c", LISTEN, str(port), str(home), *arguments)
    return Part(name, address, partial(accepts, address), needs=needs, command=command)


def main() -> None:
    scenario, folder, (port, deaf_port) = sys.argv[1], Path(sys.argv[2]), map(int, sys.argv[3:5])
    home = Home(folder, folder / "downloads")
    parts = [listening("base", port, folder, "lonely" if scenario == "lonely" else "parent")]
    if scenario == "deaf":
        parts.append(listening("deaf", deaf_port, folder, "deaf", needs=("base",)))
    if scenario == "broken":
        command = (sys.executable, "-c", "print('this is why'); raise SystemExit(3)")
        parts.append(Part("broken", "", partial(accepts, "127.0.0.1:1"), needs=("base",), command=command))

    async def run() -> None:
        config = Config(home, {"API_KEY": "key"}, dict(DEFAULT_PORTS))
        await supervisor.Supervisor(config, parts, partial(print, flush=True)).run()

    try:
        with supervisor.exclusive(home):
            asyncio.run(run())
    except LocalError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
