"""The walk-throughs of docs/rest.md, run as they stand there; those in TypeScript run in tests/contract/test_generated_clients.py."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.stack import Stack
from tests.support.walks import walk


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("curl")), reason="no curl and jq here")
async def test_the_commands_do_what_the_page_says(stack: Stack, tmp_path: Path) -> None:
    await walk(stack, tmp_path, ("sh",), "sh")


async def test_the_programs_in_python_do_what_the_page_says(stack: Stack, tmp_path: Path) -> None:
    await walk(stack, tmp_path, (sys.executable,), "py")
