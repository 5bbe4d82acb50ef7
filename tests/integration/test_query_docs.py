"""Every example of docs/vql.md does what the page says."""

import json
import re

import httpx
import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "docs/vql.md").read_text()
EXAMPLES = re.findall(r"^```json (\w+)(?: refused: ([^\n]+))?\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("entity", "refusal", "text"), EXAMPLES, ids=range(len(EXAMPLES)))
async def test_an_example_is_answered_as_the_page_says(
    api: httpx.AsyncClient, entity: str, refusal: str, text: str
) -> None:
    document = json.loads(text)
    answer = await api.post(f"/{entity}", json=document)
    counted = await api.post(f"/{entity}/count", json=document)
    assert answer.status_code == counted.status_code == (400 if refusal else 200), answer.text
    body = answer.json()
    if refusal:
        assert refusal in body["message"]
        return
    assert "warnings" not in body
    assert [name for name in ("total", "facets", "explain") if name in body] == [
        name
        for name, member in (("total", "track_total"), ("facets", "facets"), ("explain", "explain"))
        if member in document
    ]


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 8
