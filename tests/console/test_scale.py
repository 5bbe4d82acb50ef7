"""How quick the console is with many records: `make console ARGS="-m long"`."""

import asyncio
import os
from pathlib import Path

import pytest
from connectra_local.sample import sample_csv

from tests.console.browser import drive, needs_browser
from tests.support.stack import running

ROWS = int(os.environ.get("CONNECTRA_CONSOLE_ROWS", "200000"))


def sample(file: Path) -> None:
    with file.open("wb") as written:
        for piece in sample_csv(ROWS):
            written.write(piece)


@needs_browser
@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_many_records_are_searched_paged_and_opened(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    await asyncio.to_thread(sample, file)
    # What is measured is not the limit of the key.
    with running("scale", MAX_REQUESTS_PER_MINUTE="100000") as stack:
        imported = await asyncio.to_thread(stack.command, "import", str(file), timeout=1800)
        assert imported.returncode == 0, imported.stderr
        await drive("many.mjs", stack)
