"""The dashboard and the alert rules as they are shipped, and where the running processes export what they ask for."""

import json
from typing import Any

import psutil
import yaml

from tests.support.paths import ROOT
from tests.support.stack import Stack

FOLDER = ROOT / "deploy/observability"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]
]


def expressions() -> list[str]:
    """Every PromQL expression of both."""
    asked = [target["expr"].replace("$__rate_interval", "1m") for panel in PANELS for target in panel["targets"]]
    return [*asked, *(rule["expr"] for rule in RULES)]


def metrics_urls(stack: Stack) -> dict[str, str]:
    """Where each process serves its metrics."""
    found = {}
    for name, part in stack.parts().items():
        environment = psutil.Process(part["pid"]).environ()
        if name == "gateway":
            found[name] = f"http://{environment['GATEWAY_METRICS_LISTEN']}/stats/prometheus"
        elif "METRICS_LISTEN" in environment:
            found[name] = f"http://{environment['METRICS_LISTEN']}/metrics"
    return found
