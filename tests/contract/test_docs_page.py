"""The page at /docs, in a real browser. Skipped where there is no Chromium, unless CONNECTRA_REQUIRE_CHROMIUM is set."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from tests.support.stack import Stack
from tests.support.wait import until

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
)  # fmt: skip
OPERATION = "[id='operations-health-getDependencyHealth']"


class Browser:
    """A tab, by the DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._numbers = socket, count(1)
        self.problems: list[str] = []
        self.hosts: set[str] = set()

    async def send(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while (message := json.loads(await self._socket.receive_str())).get("id") != number:
            self._note(message)
        return message["result"]

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent" if not params["request"]["url"].startswith("data:"):
                self.hosts.add(httpx.URL(params["request"]["url"]).netloc.decode())
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Runtime.exceptionThrown":
                self.problems.append(str(params["exceptionDetails"].get("exception", {}).get("description")))

    async def until(self, expression: str) -> Any:
        """The value of a JavaScript expression, once it is true."""

        async def value_of(text: str) -> Any:
            result = await self.send("Runtime.evaluate", expression=text, returnByValue=True)
            return result["result"].get("value")

        try:
            return await until(lambda: value_of(expression), seconds=90, pause=0.1)
        except TimeoutError:
            page = await value_of("document.body.innerText")
            pytest.fail(f"not so within 90 s: {expression}\nproblems: {self.problems}\n{page}")

    async def click(self, selector: str) -> None:
        found = f"document.querySelector({json.dumps(selector)})"
        await self.until(f"{found} && ({found}.click(), true)")


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    if not CHROMIUM:
        if os.environ.get("CONNECTRA_REQUIRE_CHROMIUM"):
            pytest.fail("CONNECTRA_REQUIRE_CHROMIUM is set, and there is no Chromium")
        pytest.skip("no Chromium here")
    profile = tmp_path / "profile"
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:

        async def ports() -> str:
            return (profile / "DevToolsActivePort").read_text()

        written = await until(ports, lambda text: "\n" in text, pause=0.1, away=(FileNotFoundError,))
        address = f"http://127.0.0.1:{written.splitlines()[0]}"
        async with aiohttp.ClientSession() as session:
            tabs = await (await session.get(f"{address}/json/list")).json()
            tab = next(tab for tab in tabs if tab["type"] == "page")
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Browser(socket)
    finally:
        process.terminate()
        await process.wait()


async def test_the_page_at_docs_shows_the_api_and_makes_a_real_call(stack: Stack, browser: Browser) -> None:
    for domain in ("Network", "Log", "Runtime", "Page"):
        await browser.send(f"{domain}.enable")
    await browser.send("Page.navigate", url=f"{stack.gateway}/docs")
    assert await browser.until("document.querySelectorAll('.opblock').length") > 30

    await browser.click("button.authorize")
    await browser.until("document.querySelector('.auth-container input') && true")
    await browser.until("(document.querySelector('.auth-container input').focus(), true)")
    await browser.send("Input.insertText", text=stack.api_key)
    await browser.click(".auth-btn-wrapper .authorize")
    await browser.click(".auth-btn-wrapper .btn-done")

    await browser.click(f"{OPERATION} .opblock-summary-control")
    live = f'document.querySelector("{OPERATION} .live-responses-table tbody")'
    # A script is faster than a person: a click before the page has resolved the operation would be lost.
    await browser.until("!!ui.specSelectors.specResolvedSubtree(['paths', '/health/db', 'get'])")
    await browser.click(f"{OPERATION} .execute")
    shown = await browser.until(f"{live}?.innerText.includes('postgres') && {live}.innerText")
    assert shown.split()[0] == "200"
    assert '"status": "ok"' in shown
    assert browser.hosts == {stack.gateway.removeprefix("http://")}
    assert browser.problems == []
