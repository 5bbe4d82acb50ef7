"""`python -m tests.bench [PART ...]`: measures a stack of its own, prints one table per part and writes JSON.

A part is an entry of PARTS: given the stack and the options, it returns one dict for each line of the table.
"""

import argparse
import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import calls, filters, gateway, index, jobs, scale, search, suggest, write
from tests.bench.options import Options
from tests.support.stack import Stack, connectra, folder, up

Line = dict[str, Any]
Part = Callable[[Stack, Options], Awaitable[list[Line]]]

PARTS: dict[str, Part] = {
    "calls": calls.run,
    "filters": filters.run,
    "gateway": gateway.run,
    "index": index.run,
    "jobs": jobs.run,
    "scale": scale.run,
    "search": search.run,
    "suggest": suggest.run,
    "write": write.run,
}

# Takes hours, and the others need an empty stack.
BY_DEFAULT = [name for name in PARTS if name != "scale"]


def part(name: str) -> str:
    """The name of a part, as given at the command line."""
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"no part is called {name}; there are {', '.join(PARTS)}")
    return name


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", type=part, metavar="PART", help=f"{', '.join(PARTS)}; all but scale by default"
    )
    parser.add_argument("--rows", type=int, default=100_000, help="generated contacts (default 100000)")
    parser.add_argument("--requests", type=int, default=200, help="requests of each kind (default 200)")
    parser.add_argument("--seconds", type=float, default=10, help="for each kind of write (default 10)")
    parser.add_argument(
        "--wide",
        type=int,
        default=0,
        help="extra bytes in each row of the jobs part: --rows 1000000 --wide 1500 is 2 GB",
    )
    parser.add_argument("--home", type=Path, help="a stack that is running already, by its folder; it is left running")
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    arguments = parser.parse_args()
    home = arguments.home or Path(tempfile.mkdtemp(prefix="connectra-bench-"))
    environment = {
        **os.environ,
        **folder(home),
        "MAX_REQUESTS_PER_MINUTE": "1000000",  # the limiter is not what is measured
        "GATEWAY_OVERALL_REQUESTS_PER_MINUTE": "1000000",
        "PARALLEL_JOBS": "4",
    }
    try:
        target = Stack.described(environment) if arguments.home else up(environment)
        options = Options(arguments.rows, arguments.requests, arguments.seconds, arguments.wide)
        results = {name: asyncio.run(measure(name, target, options)) for name in arguments.parts or BY_DEFAULT}
        arguments.output.write_text(json.dumps({"rows": options.rows, "results": results}, indent=2) + "\n")
    finally:
        if not arguments.home:
            connectra(environment, "down")
            shutil.rmtree(home, ignore_errors=True)


async def measure(name: str, target: Stack, options: Options) -> list[Line]:
    """Runs a part and shows what it found."""
    found = await PARTS[name](target, options)
    table = Table(*(found[0] if found else ()), title=name)
    for row in found:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=160).print(table)
    return found


if __name__ == "__main__":
    main()
