"""The dashboard and the alert rules as files: sound, and every alert leads to a page that is there."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from tests.support.observability import DASHBOARD, FOLDER, PANELS, RULES, expressions
from tests.support.paths import ROOT


def anchors(page: Path) -> set[str]:
    """The anchors of its headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("expression", expressions())
def test_expression_is_promql(expression: str) -> None:
    promql_parser.parse(expression)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alert_says_how_bad_it_is_and_leads_to_a_runbook_that_is_there(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor in anchors(ROOT / page)
    assert rule["annotations"]["summary"]


def test_panels_are_told_apart_and_stand_beside_each_other() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in PANELS)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(("kind", "file"), [("rules", "rules.yml"), ("config", "prometheus.yml")])
def test_promtool_takes_it(kind: str, file: str) -> None:
    done = subprocess.run(["promtool", "check", kind, str(FOLDER / file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
