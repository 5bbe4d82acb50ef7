"""The walk-throughs of docs/rest.md, which are the files of docs/examples/rest."""

import asyncio
import os
import re
from pathlib import Path
from uuid import uuid4

from tests.support.http import client
from tests.support.paths import ROOT
from tests.support.stack import Stack
from tests.support.wait import until

FOLDER = ROOT / "docs/examples/rest"
# More than one page, and one row of which nothing can be stored.
PEOPLE = 120


def people(mark: str) -> str:
    """An import file: Germans whose last name is the mark."""
    rows = [f"Ann{n},{mark},ann{n}@{mark}.example,Germany" for n in range(PEOPLE)]
    return "\n".join(["first_name,last_name,email,country", *rows, ",,,"]) + "\n"


async def run(stack: Stack, folder: Path, *command: str) -> str:
    """What a walk-through prints."""
    own = {"CONNECTRA_URL": stack.gateway, "CONNECTRA_API_KEY": stack.api_key}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env={"PATH": os.environ["PATH"], **own},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    text = (await process.communicate())[0].decode()
    assert process.returncode == 0, text
    return text


async def walk(stack: Stack, folder: Path, runner: tuple[str, ...], ending: str, scripts: Path = FOLDER) -> None:
    """Imports people, finds them all, and exports them."""
    mark = f"m{uuid4().hex[:10]}"
    (folder / "people.csv").write_text(people(mark))
    told = await run(stack, folder, *runner, str(scripts / f"import.{ending}"))
    assert re.search(r"^job\n(job\n)*end$", told, re.MULTILINE), told
    assert "completed" in told
    query = {"where": {"keyword_match": {"must": {"last_name": mark}}}}
    async with client(stack.gateway, stack.api_key) as api:

        async def found() -> int:
            return int((await api.post("/contacts/count", json=query)).json()["count"])

        await until(found, lambda number: number == PEOPLE)
    listed = await run(stack, folder, *runner, str(scripts / f"search.{ending}"))
    assert len({line for line in listed.splitlines() if mark in line}) == PEOPLE
    await run(stack, folder, *runner, str(scripts / f"export.{ending}"))
    assert (folder / "segment.csv").read_text().count(f"@{mark}.example") == PEOPLE
