"""Chromium for the tests of the console: a script of Node drives it by playwright.

`make console` fetches what that needs and names it in the environment; without, these tests are skipped.
"""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import Stack

# Folder of node_modules with playwright-core and axe-core; where the pictures go.
MODULES = os.environ.get("CONNECTRA_CONSOLE_MODULES")
IMAGES = Path(os.environ.get("CONNECTRA_CONSOLE_IMAGES", "")).resolve()
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_browser = pytest.mark.skipif(not (MODULES and CHROMIUM and shutil.which("node")), reason="run by `make console`")


async def drive(script: str, stack: Stack, **more: Any) -> None:
    """Runs a script of this folder, which gets where the gateway is, its key, and `more`; fails with what it said if it does."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    given = {
        "gateway": stack.gateway,
        "key": stack.api_key,
        "modules": MODULES,
        "chromium": CHROMIUM,
        "images": str(IMAGES),
        **more,
    }
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = await asyncio.create_subprocess_exec(
        "node", str(Path(__file__).with_name(script)), json.dumps(given),
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    print(said)  # how long each took
    assert process.returncode == 0, said
