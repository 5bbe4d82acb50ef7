"""The dashboard and the alert rules as files: sound, and every alert leads to a page that is there."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/observability"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]
]


def expressions() -> list[str]:
    """Every PromQL expression that is shipped."""
    asked = [target["expr"].replace("$__rate_interval", "1m") for panel in PANELS for target in panel["targets"]]
    return [*asked, *(rule["expr"] for rule in RULES)]


def anchors(page: Path) -> set[str]:
    """The anchors that its headings have."""
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
