"""`python -m tests.bench [PART ...]`: measures a stack of its own, prints a table a part and writes JSON.

A part is a module here with `async def run(target, options) -> list[dict]`, one dict a line of the table.
"""

import argparse
import asyncio
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from connectra_local.home import Home
from rich.console import Console
from rich.table import Table

from .options import Options, Target

PARTS = [p.stem for p in sorted(Path(__file__).parent.glob("*.py")) if "async def run(target: Target" in p.read_text()]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--rows", type=int, default=100_000, help="generated contacts (default 100000)")
    parser.add_argument("--requests", type=int, default=200, help="requests of each kind (default 200)")
    parser.add_argument("--seconds", type=float, default=10, help="for each kind of write (default 10)")
    parser.add_argument(
        "--wide", type=int, default=0, help="bytes more a row of the jobs part: --rows 1000000 --wide 1500 is 2 GB"
    )
    parser.add_argument("--home", type=Path, help="a stack that is running already, by its folder; it is left running")
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    arguments = parser.parse_args()
    home = arguments.home or Path(tempfile.mkdtemp(prefix="connectra-bench-"))
    environment = {
        **os.environ,
        "CONNECTRA_HOME": str(home),
        "CONNECTRA_DOWNLOADS": str(Home.find().downloads),
        "CONNECTRA_ENV_FILE": "",
        "CONNECTRA_FREE_PORTS": "1",
        "MAX_REQUESTS_PER_MINUTE": "1000000",  # the limiter is not what is measured
        "PARALLEL_JOBS": "4",
    }
    command = str(Path(sys.executable).parent / "connectra")
    if not arguments.home:
        subprocess.run([command, "up", "--detach"], env=environment, check=True)
    try:
        status = json.loads(subprocess.run([command, "status", "--json"], env=environment, capture_output=True).stdout)
        target = Target(**status, environment=environment)
        options = Options(arguments.rows, arguments.requests, arguments.seconds, arguments.wide)
        results = {part: asyncio.run(measure(part, target, options)) for part in arguments.parts or PARTS}
        arguments.output.write_text(json.dumps({"rows": options.rows, "results": results}, indent=2) + "\n")
    finally:
        if not arguments.home:
            subprocess.run([command, "down"], env=environment, check=False)
            shutil.rmtree(home, ignore_errors=True)


async def measure(part: str, target: Target, options: Options) -> list[dict[str, Any]]:
    """Runs a part and shows what it found."""
    found: list[dict[str, Any]] = await importlib.import_module(f"{__package__}.{part}").run(target, options)
    table = Table(*(found[0] if found else ()), title=part)
    for row in found:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=160).print(table)
    return found


if __name__ == "__main__":
    main()
