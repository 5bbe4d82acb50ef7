"""Every example of docs/search.md does what the page says."""

import json
import re

import httpx
import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "docs/search.md").read_text()
EXAMPLES = re.findall(r"^```json POST (\S+)(?: refused: ([^\n]+))?\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("path", "refusal", "text"), EXAMPLES, ids=range(len(EXAMPLES)))
async def test_an_example_is_answered_as_the_page_says(
    api: httpx.AsyncClient, path: str, refusal: str, text: str
) -> None:
    answer = await api.post(path, json=json.loads(text))
    assert answer.status_code == (400 if refusal else 200), answer.text
    if refusal:
        assert refusal in answer.json()["message"]
    else:
        assert "warnings" not in answer.json()


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 3
